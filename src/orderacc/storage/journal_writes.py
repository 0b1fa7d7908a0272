"""What the journal writes, each within the caller's transaction."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orderacc.errors import StorageError
from orderacc.storage.outbox import add_messages
from orderacc.storage.records import Review, now_text, written

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from orderacc.domain.orders import Order
    from orderacc.domain.verdicts import Verdict
    from orderacc.storage.records import ClosedVisit, OpenedVisit, Opinion, OutboxMessage, StoredObject


def put_order(connection: sqlite3.Connection, order: Order) -> bool:
    """Keep a version of an order; False when it is there already."""
    received = now_text()
    body = order.to_dict()
    fresh = connection.execute(
        "INSERT INTO orders (source, order_id, version, display_id, state, received_at, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (source, order_id, version) DO UPDATE SET state = excluded.state, body = excluded.body,"
        " display_id = excluded.display_id, received_at = excluded.received_at WHERE body <> excluded.body",
        (order.source, order.order_id, order.version, order.display_id, order.state, received, written(body)),
    ).rowcount
    if fresh:
        told = {key: body[key] for key in ("source", "order_id", "display_id", "version", "state")}
        add_event(connection, "order", None, body=told)
    return bool(fresh)


def open_visit(connection: sqlite3.Connection, visit: OpenedVisit) -> None:
    """Keep that an order was opened, or that its slip turned out to say something else."""
    changed = connection.execute(
        "INSERT INTO visits (visit_id, station_id, number, slip_text, opened_at, state) VALUES (?, ?, ?, ?, ?, 'open')"
        " ON CONFLICT (visit_id) DO UPDATE SET slip_text = excluded.slip_text, opened_at = excluded.opened_at"
        " WHERE state = 'open' AND slip_text IS NOT excluded.slip_text",
        (visit.visit_id, visit.station_id, visit.number, visit.slip_text, visit.opened_at),
    ).rowcount
    _settle_visit(connection, visit.visit_id)
    _count_visit(connection, visit.station_id, visit.number)
    if changed:
        told = {"visit_id": visit.visit_id, "slip_text": visit.slip_text, "opened_at": visit.opened_at}
        add_event(connection, "opened", visit.station_id, subject=visit.visit_id, body=told)


def close_visit(connection: sqlite3.Connection, visit: ClosedVisit) -> None:
    """Keep that an order has ended, and by what it is to be judged."""
    changed = connection.execute(
        "INSERT INTO visits (visit_id, station_id, number, slip_text, opened_at, closed_at, state, evidence)"
        " VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?)"
        " ON CONFLICT (visit_id) DO UPDATE SET slip_text = excluded.slip_text, opened_at = excluded.opened_at,"
        " closed_at = excluded.closed_at, state = 'waiting', evidence = excluded.evidence WHERE state = 'open'",
        (
            visit.visit_id,
            visit.station_id,
            visit.number,
            visit.slip_text,
            visit.opened_at,
            visit.closed_at,
            written(asdict(visit)),
        ),
    ).rowcount
    _settle_visit(connection, visit.visit_id)
    _count_visit(connection, visit.station_id, visit.number)
    if changed:
        told = {"visit_id": visit.visit_id, "slip_text": visit.slip_text, "closed_at": visit.closed_at}
        add_event(connection, "closed", visit.station_id, subject=visit.visit_id, body=told)


def record_verdict(connection: sqlite3.Connection, verdict: Verdict, messages: Iterable[OutboxMessage]) -> bool:
    """Keep a verdict or a revision of it, with what is to be told about it; False when it is there already."""
    recorded = now_text()
    (newest,) = connection.execute(
        "SELECT max(revision) FROM verdicts WHERE verdict_id = ?", (verdict.verdict_id,)
    ).fetchone()
    latest = newest is None or newest < verdict.revision
    fresh = connection.execute(
        "INSERT INTO verdicts (verdict_id, revision, latest, station_id, order_id, slip_text, status, reason,"
        " closed_at, recorded_at, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (verdict_id, revision) DO NOTHING",
        (
            verdict.verdict_id,
            verdict.revision,
            latest,
            verdict.station_id or "",
            verdict.order_id,
            verdict.slip_text,
            verdict.status,
            verdict.reason,
            verdict.closed_at,
            recorded,
            written(verdict.to_dict()),
        ),
    ).rowcount
    _settle_visit(connection, str(verdict.verdict_id))
    if not fresh:
        return False
    if latest and newest is not None:
        connection.execute(
            "UPDATE verdicts SET latest = 0 WHERE verdict_id = ? AND revision < ?",
            (verdict.verdict_id, verdict.revision),
        )
    add_event(connection, "verdict", verdict.station_id, subject=verdict.verdict_id, revision=verdict.revision)
    add_messages(connection, messages, verdict.verdict_id)
    return True


def add_review(
    connection: sqlite3.Connection,
    verdict_id: str,
    opinion: Opinion,
    *,
    items: Sequence[Mapping[str, Any]] | None,
    note: str,
    reviewer: str,
) -> Review:
    """Keep what the crew says of a verdict's latest revision.

    Raises:
        StorageError: `no_such_verdict`, also of one whose removal has begun.
    """
    found = connection.execute(
        "SELECT revision, station_id FROM verdicts WHERE verdict_id = ? AND latest = 1", (verdict_id,)
    ).fetchone()
    if found is None:
        raise StorageError(f"there is no verdict {verdict_id!r}", code="no_such_verdict")
    if connection.execute("SELECT 1 FROM going WHERE visit_id = ?", (verdict_id,)).fetchone():
        raise StorageError(f"the verdict {verdict_id!r} is being removed", code="no_such_verdict")
    revision, station_id = found
    at = now_text()
    kept = None if items is None else tuple(dict(item) for item in items)
    review_id = connection.execute(
        "INSERT INTO reviews (verdict_id, revision, opinion, items, note, reviewer, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (verdict_id, revision, opinion, None if kept is None else written(kept), note, reviewer, at),
    ).lastrowid
    assert review_id is not None  # noqa: S101  an insert has just made it
    review = Review(review_id, verdict_id, revision, opinion, kept, note, reviewer, at)
    add_event(connection, "review", station_id, subject=verdict_id, body=asdict(review))
    return review


def add_objects(connection: sqlite3.Connection, objects: Iterable[StoredObject]) -> None:
    """Keep which objects belong to which visit."""
    stored = now_text()
    connection.executemany(
        "INSERT INTO objects (key, kind, visit_id, bytes, stored_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes",
        [(one.key, one.kind, one.visit_id, one.size, stored) for one in objects],
    )


def add_event(
    connection: sqlite3.Connection,
    kind: str,
    station_id: str | None,
    *,
    subject: str | None = None,
    revision: int | None = None,
    body: Mapping[str, Any] | None = None,
) -> None:
    """Keep that something happened; a verdict's body is in its own table."""
    connection.execute(
        "INSERT INTO events (at, kind, station_id, subject, revision, body) VALUES (?, ?, ?, ?, ?, ?)",
        (now_text(), kind, station_id, subject, revision, None if body is None else written(body)),
    )


def begin(connection: sqlite3.Connection) -> int:
    """Decide from which number on visits are counted by a process that starts now.

    More than every number used before, even if the journal or its latest lines are gone: seconds since 1970, which grow
    faster than visits do.
    """
    (last,) = connection.execute("SELECT coalesce(max(last_visit), 0) FROM stations").fetchone()
    return max(int(time.time()), int(last) + 1)


def _settle_visit(connection: sqlite3.Connection, visit_id: str) -> None:
    """A visit with a verdict is judged, whichever of the two came first."""
    connection.execute(
        "UPDATE visits SET state = 'judged' WHERE visit_id = :visit AND state <> 'judged'"
        " AND EXISTS (SELECT 1 FROM verdicts WHERE verdict_id = :visit)",
        {"visit": visit_id},
    )


def _count_visit(connection: sqlite3.Connection, station_id: str, number: int) -> None:
    connection.execute(
        "INSERT INTO stations (station_id, last_visit) VALUES (?, ?)"
        " ON CONFLICT (station_id) DO UPDATE SET last_visit = max(last_visit, excluded.last_visit)",
        (station_id, number),
    )
