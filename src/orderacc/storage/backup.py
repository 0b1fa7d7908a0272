"""A copy of the journal as it was at one moment, made while it is written to."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderacc.errors import StorageError
from orderacc.storage.faults import is_corrupt, is_full, storage_error
from orderacc.storage.folder import sync_folder
from orderacc.storage.schema import soundness

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a copy holds.

    Attributes:
        size: Bytes.
        verdicts: Verdicts and revisions.
        orders: Versions of POS orders.
    """

    size: int
    verdicts: int
    orders: int


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing, whoever else writes.

    Raises:
        StorageError: `storage_failed` if there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise StorageError(f"{path}: there is no journal here", code="storage_failed")
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise storage_error(error, path) from error
    return connection


def check(path: Path) -> tuple[str, ...]:
    """What is wrong with a journal, its indexes included; nothing when it is sound.

    Raises:
        StorageError: If it cannot be read at all.
    """
    connection = open_for_reading(path)
    try:
        return soundness(connection, thorough=True)
    except sqlite3.Error as error:
        return (str(error),)
    finally:
        connection.close()


def back_up(path: Path, target: Path) -> BackupReport:
    """Copy a journal; whoever writes to it goes on meanwhile.

    The copy is checked, and on the disk, before it gets its name.

    Args:
        path: The journal.
        target: The copy; one that is there is replaced once the new one is whole.

    Raises:
        StorageError: If it cannot be read, the copy cannot be written (`storage_full` where there is no space for it),
            or the copy is not sound; or if the target is the journal itself, which whoever writes to it would not
            survive.
    """
    if path.exists() and target.exists() and target.samefile(path):
        raise StorageError(f"{target}: is the journal itself: name another file", code="storage_failed")
    half = target.with_name(f"{target.name}.part")
    source = open_for_reading(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(half)
        _copy(source, path, half, target)
        if found := check(half):
            raise StorageError(f"{path}: the copy is not sound: {found[0]}", code="storage_corrupt")
        copy = open_for_reading(half)
        (verdicts,) = copy.execute("SELECT count(*) FROM verdicts").fetchone()
        (orders,) = copy.execute("SELECT count(*) FROM orders").fetchone()
        copy.close()
        with half.open("rb+") as whole:
            os.fsync(whole.fileno())
        half.replace(target)
        sync_folder(target.parent)
    except sqlite3.Error as error:
        raise storage_error(error, path) from error
    except OSError as error:
        raise StorageError(f"{target}: cannot be written: {error.strerror}", code="storage_failed") from error
    finally:
        source.close()
        with suppress(OSError):  # whatever is wrong with the place has been said
            _remove(half)
    return BackupReport(target.stat().st_size, int(verdicts), int(orders))


def _copy(source: sqlite3.Connection, path: Path, half: Path, target: Path) -> None:
    """Write the journal at `path` into a file of its own; whatever is wrong with that file is told of the `target`."""
    source.execute("PRAGMA query_only = OFF")  # the copy is written through this connection
    try:
        source.execute("VACUUM INTO ?", (str(half),))
    except sqlite3.Error as error:
        if is_corrupt(error):
            raise storage_error(error, path) from error
        if is_full(error):
            raise StorageError(
                f"{target}: no space left for a copy of {path}: make room there, or name another place",
                code="storage_full",
            ) from error
        raise StorageError(f"{target}: {path} cannot be copied there: {error}", code="storage_failed") from error


def _remove(half: Path) -> None:
    """Remove what is left of a copy that was not finished, with the journal SQLite keeps beside it."""
    for file in (half, half.with_name(f"{half.name}-journal")):
        file.unlink(missing_ok=True)
