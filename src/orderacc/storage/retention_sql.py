"""What the retention asks of the journal's tables, and how it removes rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from orderacc.storage.retention_orders import count_old_orders, remove_old_orders

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """An object that may go."""

    key: str
    kind: str
    visit_id: str
    size: int


@dataclass(frozen=True, slots=True)
class Doomed:
    """Visits that go with all that belongs to them.

    Attributes:
        visits: Their ids, the oldest first.
        kept: How many others stay because they are needed.
    """

    visits: tuple[str, ...]
    kept: int


def old_verdicts(connection: sqlite3.Connection, before: str, most: int | None) -> Doomed:
    """Verdicts that are too old, and the oldest of too many; and those whose removal was begun and cut off.

    Args:
        connection: To the journal.
        before: Recorded before this time; none by age when empty.
        most: Bytes that all verdicts may take; None for any number.
    """
    if most is None or _file_size(connection) <= most:  # the verdicts are no larger than the file
        rows = connection.execute(
            "SELECT verdict_id, verdict_id IN needed FROM verdicts"
            " WHERE latest = 1 AND (recorded_at < ? OR verdict_id IN going) ORDER BY recorded_at, verdict_id",
            (before,),
        )
        return _doomed(rows)
    rows = connection.execute(
        "WITH sizes AS (SELECT verdict_id, max(recorded_at) AS at, sum(length(CAST(body AS BLOB))) AS size"
        " FROM verdicts GROUP BY verdict_id),"
        " running AS (SELECT verdict_id, at, sum(size) OVER (ORDER BY at DESC, verdict_id) AS upto FROM sizes)"
        " SELECT verdict_id, verdict_id IN needed FROM running"
        " WHERE at < :before OR upto > :most OR verdict_id IN going ORDER BY at, verdict_id",
        {"before": before, "most": most},
    )
    return _doomed(rows)


def named_verdicts(connection: sqlite3.Connection, order: str | None, span: tuple[str, str]) -> Doomed:
    """Verdicts of an order, or of a time, or of an order within a time.

    Args:
        connection: To the journal.
        order: Verdict id, number on the slip or POS order id; None for all.
        span: From and until; compared with when the visit ended, or else when its verdict was recorded.
    """
    rows = connection.execute(
        "SELECT DISTINCT verdict_id, verdict_id IN needed FROM verdicts"
        " WHERE coalesce(closed_at, recorded_at) >= :since AND coalesce(closed_at, recorded_at) < :until"
        " AND (:order IS NULL OR :order IN (verdict_id, slip_text, order_id)) ORDER BY seq",
        {"order": order, "since": span[0], "until": span[1]},
    )
    return _doomed(rows)


def old_objects(connection: sqlite3.Connection, kind: str, before: str, most: int | None) -> list[ObjectRow]:
    """Objects of a kind that are too old, and the oldest of too many; the oldest first."""
    rows = connection.execute(
        "WITH running AS (SELECT *, sum(bytes) OVER (ORDER BY stored_at DESC, key) AS upto FROM objects"
        " WHERE kind = :kind)"
        " SELECT key, kind, visit_id, bytes FROM running"
        " WHERE (stored_at < :before OR (:most IS NOT NULL AND upto > :most)) AND visit_id NOT IN needed"
        " ORDER BY stored_at, key",
        {"kind": kind, "before": before, "most": most},
    )
    return [ObjectRow(*row) for row in rows]


def old_results(connection: sqlite3.Connection, before: str) -> list[ObjectRow]:
    """Stored verdicts that are too old and that the journal itself does not have: with those it has, they go."""
    rows = connection.execute(
        "SELECT key, kind, visit_id, bytes FROM objects WHERE kind = 'verdicts' AND stored_at < ?"
        " AND visit_id NOT IN (SELECT verdict_id FROM verdicts) AND visit_id NOT IN needed ORDER BY stored_at, key",
        (before,),
    )
    return [ObjectRow(*row) for row in rows]


def without_needed(connection: sqlite3.Connection, rows: Sequence[ObjectRow]) -> list[ObjectRow]:
    """Those of some objects that are still not needed."""
    needed = _chosen(connection, "value IN needed", sorted({row.visit_id for row in rows}))
    return [row for row in rows if row.visit_id not in needed]


def begin_removal(connection: sqlite3.Connection, visits: Sequence[str]) -> tuple[str, ...]:
    """Have no more said of some verdicts, so that they can go; those that somebody needs by now are left out.

    Returns:
        The ids of those that go.
    """
    connection.execute(
        "INSERT INTO going (visit_id) SELECT value FROM json_each(?) WHERE value NOT IN needed ON CONFLICT DO NOTHING",
        (json.dumps(visits),),
    )
    return _chosen(connection, "value IN going", visits)


def objects_of(connection: sqlite3.Connection, visits: Sequence[str]) -> list[ObjectRow]:
    """All objects of some visits."""
    rows = connection.execute(
        f"SELECT key, kind, visit_id, bytes FROM objects WHERE visit_id IN ({_marks(visits)})",  # noqa: S608  marks only
        tuple(visits),
    )
    return [ObjectRow(*row) for row in rows]


def remove_objects(connection: sqlite3.Connection, keys: Sequence[str]) -> None:
    """Forget objects."""
    connection.executemany("DELETE FROM objects WHERE key = ?", [(key,) for key in keys])


def remove_visits(connection: sqlite3.Connection, visits: Sequence[str]) -> None:
    """Forget visits with their verdicts, reviews, events and messages."""
    for visit_id in visits:
        for statement in (
            "DELETE FROM outbox WHERE verdict_id = ?",
            "DELETE FROM events WHERE subject = ?",
            "DELETE FROM reviews WHERE verdict_id = ?",
            "DELETE FROM verdicts WHERE verdict_id = ?",
            "DELETE FROM visits WHERE visit_id = ?",
            "DELETE FROM going WHERE visit_id = ?",
        ):
            connection.execute(statement, (visit_id,))


def count_log(connection: sqlite3.Connection, log: str, orders: str) -> tuple[int, int]:
    """How many events and messages, and how many POS orders, are older than that."""
    (events,) = connection.execute("SELECT count(*) FROM events WHERE at < ?", (log,)).fetchone()
    (messages,) = connection.execute(
        "SELECT count(*) FROM outbox WHERE state <> 'pending' AND created_at < ?", (_seconds(log),)
    ).fetchone()
    return int(events + messages), count_old_orders(connection, orders)


def remove_log(connection: sqlite3.Connection, log: str, orders: str, most: int) -> tuple[int, int]:
    """Forget events and settled messages, and POS orders, that are older than that.

    Args:
        connection: To the journal.
        log: Time of events and messages.
        orders: Time of POS orders.
        most: How many of each at most, so that nobody waits long for the journal.

    Returns:
        How many events and messages, and how many POS orders, have gone; 0 and 0 when nothing is left.
    """
    events = connection.execute(
        "DELETE FROM events WHERE event_id IN (SELECT event_id FROM events WHERE at < ? LIMIT ?)", (log, most)
    ).rowcount
    messages = connection.execute(
        "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE state <> 'pending' AND created_at < ? LIMIT ?)",
        (_seconds(log), most),
    ).rowcount
    return events + messages, remove_old_orders(connection, orders, most)


def give_back(connection: sqlite3.Connection, pages: int) -> bool:
    """Return free pages to the disk; whether some are left.

    Args:
        connection: To the journal.
        pages: How many at most, so that nobody waits long for the journal.
    """
    for _ in range(min(pages, _free_pages(connection))):
        connection.execute("PRAGMA incremental_vacuum(1)")  # a larger number is only begun: Python takes a single step
    return _free_pages(connection) > 0


def _free_pages(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(pages)


def _file_size(connection: sqlite3.Connection) -> int:
    """Bytes of the file."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(size)


def _doomed(rows: sqlite3.Cursor) -> Doomed:
    free: list[str] = []
    kept = 0
    for visit_id, needed in rows:
        if needed:
            kept += 1
        else:
            free.append(visit_id)
    return Doomed(tuple(free), kept)


def _chosen(connection: sqlite3.Connection, clause: str, visits: Sequence[str]) -> tuple[str, ...]:
    rows = connection.execute(f"SELECT value FROM json_each(?) WHERE {clause}", (json.dumps(visits),))  # noqa: S608  it is ours
    return tuple(visit_id for (visit_id,) in rows)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0
