"""The journal's contents for other programs, row by row and never all in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from orderacc.domain.orders import Order
from orderacc.domain.verdicts import Verdict

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

Table: TypeAlias = Literal["verdicts", "reviews", "orders", "events"]

ColumnType: TypeAlias = Literal["text", "whole", "number", "truth"]

_QUERIES: Final[dict[Table, str]] = {
    "verdicts": (
        "SELECT recorded_at, latest, body FROM verdicts WHERE recorded_at >= ? AND recorded_at < ? ORDER BY seq"
    ),
    "reviews": (
        "SELECT review_id, verdict_id, revision, opinion, items, note, reviewer, at FROM reviews"
        " WHERE at >= ? AND at < ? ORDER BY review_id"
    ),
    "orders": "SELECT received_at, body FROM orders WHERE received_at >= ? AND received_at < ? ORDER BY received_at",
    "events": (
        "SELECT event_id, at, kind, station_id, subject, revision, body FROM events WHERE at >= ? AND at < ?"
        " ORDER BY event_id"
    ),
}


_TYPES: Final[dict[ColumnType, tuple[str, ...]]] = {
    "whole": (
        "schema", "order_version", "revision", "vlm_calls", "visual_tokens", "version", "review_id", "event_id",
    ),
    "number": ("confidence",),
    "truth": ("latest",),
}  # fmt: skip

_KEPT: Final[dict[Table, tuple[str, ...]]] = {
    "reviews": ("review_id", "verdict_id", "revision", "opinion", "items", "note", "reviewer", "at"),
    "events": ("event_id", "at", "kind", "station_id", "subject", "revision", "body"),
}


def column_types(table: Table) -> dict[str, ColumnType]:
    """The columns of a table of `flat` records."""
    names: tuple[str, ...]
    if table == "verdicts":
        names = (*Verdict("undetermined").to_dict(), "recorded_at", "latest")
    elif table == "orders":
        names = (*Order("0").to_dict(), "received_at")
    else:
        names = _KEPT[table]
    kinds = {name: kind for kind, known in _TYPES.items() for name in known}
    return {name: kinds.get(name, "text") for name in names}


def records(
    connection: sqlite3.Connection, table: Table, since: str = "", until: str = "~"
) -> Iterator[dict[str, Any]]:
    """Records of a kind, the oldest first, as JSON values.

    Args:
        connection: To the journal.
        table: What.
        since: Kept at or after, ISO 8601 UTC.
        until: Kept before.

    Yields:
        Verdicts and orders as they leave the process elsewhere, with `recorded_at` and `latest`, or `received_at`;
        reviews and events as they are kept.
    """
    cursor = connection.execute(_QUERIES[table], (since, until))
    names = [column[0] for column in cursor.description]
    for row in cursor:
        record = dict(zip(names, row, strict=True))
        if table in ("verdicts", "orders"):
            body = json.loads(record.pop("body"))
            if "latest" in record:
                record["latest"] = bool(record["latest"])
            yield body | record
        else:
            for name in ("items", "body"):
                if record.get(name) is not None:
                    record[name] = json.loads(record[name])
            yield record


def flat(record: dict[str, Any]) -> dict[str, Any]:
    """A record for a table: what is nested is written as JSON text."""
    return {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
        for name, value in record.items()
    }
