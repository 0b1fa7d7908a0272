"""Writes that share a commit: all of a group is kept, or none, and what fails by itself is undone by itself."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orderacc.storage.faults import is_fault

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence


@dataclass(slots=True, eq=False)
class Write:
    """A write on its way.

    Attributes:
        work: Called with the connection, in the writer's thread.
        durable: Whether to wait for the disk.
        future: Gets its result.
    """

    work: Callable[[sqlite3.Connection], Any]
    durable: bool
    future: asyncio.Future[Any]


def carry_out(group: Sequence[Write], connection: sqlite3.Connection) -> list[object]:
    """One transaction for all of a group; what fails by itself is undone by itself.

    Returns:
        For every write its result, or the exception it raised.

    Raises:
        sqlite3.Error: If the place failed; then nothing was kept.
    """
    durable = any(write.durable for write in group)
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [_one(write.work, connection) for write in group]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _one(work: Callable[[sqlite3.Connection], object], connection: sqlite3.Connection) -> object:
    connection.execute("SAVEPOINT one")
    try:
        result = work(connection)
    except Exception as error:  # it is raised again where the write was asked for
        if isinstance(error, sqlite3.Error) and is_fault(error):
            raise
        connection.execute("ROLLBACK TO one")
        result = error
    connection.execute("RELEASE one")
    return result


def settle(write: Write, outcome: object) -> None:
    """Tell whoever asked what became of a write: its result, or the exception it raised."""
    if write.future.done():
        return  # whoever asked has gone; what was written stays written
    if isinstance(outcome, Exception):
        write.future.set_exception(outcome)
    else:
        write.future.set_result(outcome)
