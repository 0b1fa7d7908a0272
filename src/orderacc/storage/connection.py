"""A connection to an SQLite file, in a thread of its own."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

import aiosqlite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")


class Connection(aiosqlite.Connection):
    """A connection in a thread of its own that carries out whole transactions there, not statement by statement."""

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` with the connection in its thread."""
        return cast("T", await self._execute(work, self._conn))  # type: ignore[no-untyped-call]


async def connect(path: Path, *steps: Callable[[sqlite3.Connection], object]) -> Connection:
    """Open a file.

    Args:
        path: The file, made if missing.
        steps: Carried out with the connection, one after the other, before anybody else has it.

    Raises:
        Exception: Whatever a step raised; then the connection is closed.
        sqlite3.Error: If the file cannot be opened.
    """
    connection = Connection(partial(sqlite3.connect, path, isolation_level=None), 64)
    try:
        await connection
        for step in steps:
            await connection.call(step)
    except BaseException:
        await close(connection)
        raise
    return connection


async def close(connection: Connection) -> None:
    """Close a connection when what is under way in its thread is finished."""
    with suppress(sqlite3.Error):  # a failing place fails here too; the thread ends all the same
        await connection.close()
