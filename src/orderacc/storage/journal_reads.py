"""What is read from the journal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orderacc.domain.orders import Order
from orderacc.storage.records import (
    ClosedVisit,
    EvidenceFrame,
    JournalEvent,
    OpenedVisit,
    ReceivedOrder,
    Review,
    StoredVerdict,
    UnfinishedVisit,
    VerdictPage,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from orderacc.storage.records import VerdictFilter


def unfinished(connection: sqlite3.Connection) -> list[UnfinishedVisit]:
    """Orders without a verdict, the oldest first."""
    rows = connection.execute(
        "SELECT visit_id, station_id, number, slip_text, opened_at, evidence FROM visits WHERE state <> 'judged'"
        " ORDER BY opened_at, visit_id"
    )
    return [
        UnfinishedVisit(
            OpenedVisit(visit_id, station_id, number, slip_text, opened_at),
            _closed_visit(json.loads(evidence)) if evidence else None,
        )
        for visit_id, station_id, number, slip_text, opened_at, evidence in rows
    ]


def orders(connection: sqlite3.Connection, since: str) -> list[ReceivedOrder]:
    """The newest version of every order received since a time, ISO 8601 UTC, the oldest first."""
    rows = connection.execute(
        "SELECT body, received_at FROM orders AS one WHERE received_at >= ?"
        " AND version = (SELECT max(version) FROM orders WHERE source = one.source AND order_id = one.order_id)"
        " ORDER BY received_at",
        (since,),
    )
    return [ReceivedOrder(Order.from_dict(json.loads(body)), received_at) for body, received_at in rows]


def verdict_page(connection: sqlite3.Connection, wanted: VerdictFilter, cursor: int | None, limit: int) -> VerdictPage:
    """One page of the latest revisions, newest first."""
    clauses, values = _verdict_clauses(wanted)
    if cursor is not None:
        clauses.append("seq < ?")
        values.append(cursor)
    rows = connection.execute(
        f"SELECT seq, recorded_at, body FROM verdicts WHERE {' AND '.join(clauses)} ORDER BY seq DESC LIMIT ?",  # noqa: S608  clauses are ours, values are bound
        (*values, limit + 1),
    ).fetchall()
    page = tuple(_verdict(row) for row in rows[:limit])
    return VerdictPage(page, page[-1].seq if len(rows) > limit else None)


def verdict(connection: sqlite3.Connection, verdict_id: str) -> StoredVerdict | None:
    """The latest revision of a verdict."""
    row = connection.execute(
        "SELECT seq, recorded_at, body FROM verdicts WHERE verdict_id = ? AND latest = 1", (verdict_id,)
    ).fetchone()
    return None if row is None else _verdict(row)


def verdicts_about(connection: sqlite3.Connection, number: str, limit: int = 10) -> list[str]:
    """Ids of the newest verdicts about orders of a number, on the slip or the till's own."""
    rows = connection.execute(
        "SELECT verdict_id FROM verdicts WHERE latest = 1 AND ? IN (slip_text, order_id) ORDER BY seq DESC LIMIT ?",
        (number, limit),
    )
    return [verdict_id for (verdict_id,) in rows]


def revisions(connection: sqlite3.Connection, verdict_id: str) -> list[StoredVerdict]:
    """Every revision of a verdict, the first one first."""
    rows = connection.execute(
        "SELECT seq, recorded_at, body FROM verdicts WHERE verdict_id = ? ORDER BY revision", (verdict_id,)
    )
    return [_verdict(row) for row in rows]


def reviews(connection: sqlite3.Connection, verdict_id: str | None, after_id: int, limit: int) -> list[Review]:
    """What the crew said, the oldest first."""
    where, values = ("AND verdict_id = ?", [verdict_id]) if verdict_id is not None else ("", [])
    columns = "review_id, verdict_id, revision, opinion, items, note, reviewer, at"
    rows = connection.execute(
        f"SELECT {columns} FROM reviews WHERE review_id > ? {where} ORDER BY review_id LIMIT ?",  # noqa: S608  all ours
        (after_id, *values, limit),
    )
    return [
        Review(
            review_id,
            of,
            revision,
            opinion,
            None if items is None else tuple(json.loads(items)),
            note,
            reviewer,
            at,
        )
        for review_id, of, revision, opinion, items, note, reviewer, at in rows
    ]


def events(connection: sqlite3.Connection, after_id: int, limit: int) -> list[JournalEvent]:
    """What happened after an event, the oldest first."""
    rows = connection.execute(
        "SELECT event_id, at, kind, events.station_id, coalesce(events.body, verdicts.body, '{}') FROM events"
        " LEFT JOIN verdicts ON kind = 'verdict' AND verdict_id = subject AND verdicts.revision = events.revision"
        " WHERE event_id > ? ORDER BY event_id LIMIT ?",
        (after_id, limit),
    )
    return [
        JournalEvent(event_id, at, kind, station_id, json.loads(body)) for event_id, at, kind, station_id, body in rows
    ]


def last_event(connection: sqlite3.Connection) -> int:
    """The id of the newest event; 0 before the first."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(row[0]) if row else 0


def edition(connection: sqlite3.Connection) -> str:
    """What was drawn when the file was made."""
    (drawn,) = connection.execute("SELECT value FROM facts WHERE name = 'edition'").fetchone()
    return str(drawn)


def _verdict_clauses(wanted: VerdictFilter) -> tuple[list[str], list[Any]]:
    clauses, values = ["latest = 1"], list[Any]()
    if wanted.station_id is not None:
        clauses.append("station_id = ?")
        values.append(wanted.station_id)
    if wanted.status:
        clauses.append(f"status IN ({', '.join('?' * len(wanted.status))})")
        values += wanted.status
    if wanted.since is not None:
        clauses.append("recorded_at >= ?")
        values.append(wanted.since)
    if wanted.until is not None:
        clauses.append("recorded_at < ?")
        values.append(wanted.until)
    if wanted.text:
        pattern = "%" + wanted.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        columns = ("slip_text", "order_id", "body ->> '$.sentence'")
        clauses.append("(" + " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in columns) + ")")
        values += [pattern] * len(columns)
    if wanted.reviewed is not None:
        known = "EXISTS (SELECT 1 FROM reviews WHERE reviews.verdict_id = verdicts.verdict_id AND opinion <> 'open')"
        clauses.append(known if wanted.reviewed else f"NOT {known}")
    return clauses, values


def _verdict(row: Sequence[Any]) -> StoredVerdict:
    seq, recorded_at, body = row
    return StoredVerdict(seq, recorded_at, json.loads(body))


def _closed_visit(content: dict[str, Any]) -> ClosedVisit:
    frames = tuple(
        EvidenceFrame(
            one["ref"],
            one["index"],
            one["at"],
            one["score"],
            tuple((label, score, tuple(box)) for label, score, box in one["detections"]),
        )
        for one in content.pop("frames")
    )
    return ClosedVisit(**content, frames=frames)
