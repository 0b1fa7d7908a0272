"""What SQLite's error codes mean for whoever wanted something kept."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from orderacc.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

_FULL: Final = frozenset({sqlite3.SQLITE_FULL})
_FULL_TOO: Final = frozenset({sqlite3.SQLITE_IOERR_SHMSIZE})
"""Extended codes of what SQLite calls an I/O error: no space for the index of the write-ahead log."""

_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PLACE: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    }
)


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the file is not, or is no longer, a sound database."""
    return _primary(error) in _CORRUPT


def is_fault(error: sqlite3.Error) -> bool:
    """Whether it is the place that fails, not the statement: nothing else would succeed there now either."""
    return _primary(error) in _FULL | _CORRUPT | _PLACE


def is_full(error: sqlite3.Error) -> bool:
    """Whether there is no space left."""
    return _primary(error) in _FULL or getattr(error, "sqlite_errorcode", None) in _FULL_TOO


def storage_error(error: sqlite3.Error, path: Path) -> StorageError:
    """The error for whoever wanted something of the database at `path`."""
    if is_full(error):
        return StorageError(f"{path.parent}: no space left: make room, it goes on by itself", code="storage_full")
    if is_corrupt(error):
        return StorageError(f"{path}: {error}: the file is damaged", code="storage_corrupt")
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return StorageError(f"{path}: {error} ({name})", code="storage_failed")


def _primary(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
