"""A database file in trouble: is it sound, is it still the one in its place, can it be set aside."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from orderacc.errors import StorageError
from orderacc.storage.schema import soundness

if TYPE_CHECKING:
    from pathlib import Path

PROBE_BYTES: Final = 32_768
"""Written to find out whether the place is usable again; about a group of verdicts."""


class ReplacedError(sqlite3.OperationalError):
    """The open file is no longer the one in its place."""


def identity(path: Path) -> tuple[int, int] | None:
    """Tells the file in a place from any other that is put there; None when there is none.

    Raises:
        sqlite3.OperationalError: If the place does not say; as if the database had met that itself.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        trouble = sqlite3.OperationalError(str(error))
        trouble.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise trouble from error
    return status.st_dev, status.st_ino


def must_be_sound(connection: sqlite3.Connection) -> None:
    """Look for damage.

    Raises:
        sqlite3.DatabaseError: If there is some.
    """
    if found := soundness(connection):
        error = sqlite3.DatabaseError(found[0])
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def probe(connection: sqlite3.Connection) -> None:
    """Write something and take it away again, to find out whether that can be done.

    Raises:
        sqlite3.Error: If it cannot.
    """
    connection.execute("PRAGMA synchronous = FULL")
    for value in (b"\0" * PROBE_BYTES, b""):
        connection.execute("INSERT OR REPLACE INTO facts (name, value) VALUES ('probe', ?)", (value,))


def move_aside(path: Path) -> Path:
    """Rename the file and its write-ahead log; the shared index is made anew from them.

    Returns:
        Where it is now.

    Raises:
        OSError: If it cannot be renamed.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    path.rename(aside)
    log = path.with_name(f"{path.name}-wal")
    if log.exists():
        log.rename(aside.with_name(f"{aside.name}-wal"))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return aside


def drop_log(path: Path) -> None:
    """Remove the write-ahead log of a file that is gone: read into another one, it would damage that.

    Raises:
        OSError: If it cannot be removed.
    """
    for ending in ("wal", "shm"):
        path.with_name(f"{path.name}-{ending}").unlink(missing_ok=True)


def unmovable(error: OSError) -> StorageError:
    """The error of a damaged file that cannot be set aside."""
    return StorageError(f"{error.filename}: cannot be set aside: {error.strerror}", code="storage_failed")
