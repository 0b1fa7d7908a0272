"""The journal's tables: numbered SQL files, each carried out once."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from orderacc.errors import StorageError

if TYPE_CHECKING:
    import sqlite3

BUSY_MS: Final = 5000
"""How long a writer waits for another process (a purge, a backup) to finish its write, in milliseconds."""

LARGEST_WAL: Final = 16 * 1024 * 1024
"""Bytes the write-ahead log is cut back to."""


@cache
def migrations() -> tuple[str, ...]:
    """The SQL of every step, in order; the file's `user_version` counts the steps taken."""
    folder = files("orderacc.storage") / "migrations"
    steps = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return tuple(entry.read_text(encoding="utf-8") for entry in steps)


def prepare(connection: sqlite3.Connection) -> None:
    """Set a writer's connection up and bring the tables up to date.

    Raises:
        StorageError: `storage_newer` if a later version of this program made the file.
        sqlite3.Error: If the file is damaged or cannot be written.
    """
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # what is purged is not to be read off the disk
    connection.execute(f"PRAGMA journal_size_limit = {LARGEST_WAL}")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    steps = migrations()
    if version > len(steps):
        message = f"the journal is of version {version}, this program knows {len(steps)}: run the newer program"
        raise StorageError(message, code="storage_newer")
    for number, step in enumerate(steps[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;\n{step}\nPRAGMA user_version = {number};\nCOMMIT;")


def prepare_reader(connection: sqlite3.Connection) -> None:
    """Set up a connection that only reads."""
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute("PRAGMA query_only = ON")


def soundness(connection: sqlite3.Connection, *, thorough: bool = False) -> tuple[str, ...]:
    """What is wrong with the file; nothing when it is sound.

    Args:
        connection: To the file.
        thorough: Also whether the indexes say what the tables say; takes several times longer.
    """
    check = "integrity_check" if thorough else "quick_check"
    found = [str(line) for (line,) in connection.execute(f"PRAGMA {check}(20)")]
    return () if found == ["ok"] else tuple(found)
