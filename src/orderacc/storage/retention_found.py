"""Objects that are found in the store, and what the journal knows of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderacc.storage.journal_reads import edition

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object in the store.

    Attributes:
        key: Its key.
        kind: frames, clips or verdicts.
        visit_id: Whose.
        size: Bytes.
        modified: When it was stored, ISO 8601 UTC with milliseconds.
    """

    key: str
    kind: str
    visit_id: str
    size: int
    modified: str


@dataclass(frozen=True, slots=True)
class Known:
    """What tells whose objects are found.

    Attributes:
        edition: The journal's.
        stations: Ids of all stations that orders were seen at since it was begun.
    """

    edition: str
    stations: frozenset[str]


def known(connection: sqlite3.Connection) -> Known:
    """Which journal it is and what it knows."""
    stations = connection.execute("SELECT station_id FROM stations")
    return Known(edition(connection), frozenset(station_id for (station_id,) in stations))


def without_row(connection: sqlite3.Connection, found: Sequence[FoundObject]) -> list[FoundObject]:
    """Those of some objects that the journal does not know."""
    keys = json.dumps([one.key for one in found])
    rows = connection.execute("SELECT key FROM objects WHERE key IN (SELECT value FROM json_each(?))", (keys,))
    there = {key for (key,) in rows}
    return [one for one in found if one.key not in there]


def without_order(connection: sqlite3.Connection, found: Sequence[FoundObject]) -> list[FoundObject]:
    """Those of some objects that belong to no order that the journal knows."""
    visits = json.dumps(sorted({one.visit_id for one in found}))
    rows = connection.execute(
        "SELECT value FROM json_each(?) WHERE value IN (SELECT verdict_id FROM verdicts)"
        " OR value IN (SELECT visit_id FROM visits)",
        (visits,),
    )
    there = {visit_id for (visit_id,) in rows}
    return [one for one in found if one.visit_id not in there]


def take_in(connection: sqlite3.Connection, found: Sequence[FoundObject]) -> None:
    """Have the journal know objects, as old as they are."""
    connection.executemany(
        "INSERT INTO objects (key, kind, visit_id, bytes, stored_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(one.key, one.kind, one.visit_id, one.size, one.modified) for one in found],
    )
