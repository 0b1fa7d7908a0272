"""Which POS orders go, and which are still needed: by a verdict that stays, or by an order that has none yet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orderacc.orders.numbers import loosest, normal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_MEANT: Final = (
    "number(orders.display_id) = number(visits.slip_text)"
    " AND orders.received_at > strftime('%Y-%m-%dT%H:%M:%fZ', visits.opened_at, '-2 days')"
)
"""An order may be the one that a visit's slip names. No older one is looked at, numbers repeat."""

_NEEDED: Final = (
    "(order_id IN (SELECT verdicts.order_id FROM needed JOIN verdicts ON verdict_id = visit_id"  # noqa: S608  it is ours
    " WHERE verdicts.order_id IS NOT NULL)"
    f" OR EXISTS (SELECT 1 FROM visits WHERE state <> 'judged' AND {_MEANT}"
    " AND visit_id NOT IN (SELECT value FROM json_each(:going))))"
)

_NAMED: Final = (
    "(received_at >= :since AND received_at < :until AND (:order IS NULL OR :order IN (order_id, display_id))"
    " OR order_id IN (SELECT value FROM json_each(:theirs)))"
)

_ORDERS: Final = f"{_NAMED} AND NOT {_NEEDED}"

_OLD: Final = f"received_at < :before AND NOT {_NEEDED}"


@dataclass(frozen=True, slots=True)
class NamedOrders:
    """POS orders that go.

    Attributes:
        order: Their id or their number; None for all.
        span: Received from the POS from and until.
        theirs: Ids of further ones, whenever they were received: visits that go were judged by them.
        going: Visits without a verdict that go, and need none any more.
    """

    order: str | None
    span: tuple[str, str]
    theirs: tuple[str, ...]
    going: tuple[str, ...]

    def values(self) -> dict[str, str | None]:
        """What `_ORDERS` is bound to."""
        since, until = self.span
        theirs, going = json.dumps(self.theirs), json.dumps(self.going)
        return {"order": self.order, "since": since, "until": until, "theirs": theirs, "going": going}


def unfinished_visits(connection: sqlite3.Connection, order: str | None, span: tuple[str, str]) -> tuple[str, ...]:
    """Visits without a verdict of an order, or of a time, or of an order within a time; the oldest first.

    Args:
        connection: To the journal.
        order: The visit's id, number on the slip or POS order id; None for all.
        span: From and until; compared with when the visit ended, or else when it began.
    """
    _know_numbers(connection)
    rows = connection.execute(
        "SELECT visit_id FROM visits WHERE state <> 'judged'"  # noqa: S608  it is ours
        " AND coalesce(closed_at, opened_at) >= :since AND coalesce(closed_at, opened_at) < :until"
        " AND (:order IS NULL OR :order IN (visit_id, slip_text)"
        f" OR EXISTS (SELECT 1 FROM orders WHERE :order IN (order_id, display_id) AND {_MEANT}))"
        " ORDER BY opened_at, visit_id",
        {"order": order, "since": span[0], "until": span[1]},
    )
    return tuple(visit_id for (visit_id,) in rows)


def orders_of(connection: sqlite3.Connection, visits: Sequence[str]) -> tuple[str, ...]:
    """Ids of the POS orders that some visits were judged by, or would be."""
    _know_numbers(connection)
    rows = connection.execute(
        "SELECT order_id FROM verdicts WHERE order_id IS NOT NULL"  # noqa: S608  it is ours
        " AND verdict_id IN (SELECT value FROM json_each(:visits))"
        f" UNION SELECT (SELECT order_id FROM orders WHERE {_MEANT} ORDER BY received_at DESC LIMIT 1) AS meant"
        " FROM visits WHERE state <> 'judged' AND visit_id IN (SELECT value FROM json_each(:visits))"
        " AND meant IS NOT NULL",
        {"visits": json.dumps(visits)},
    )
    return tuple(order_id for (order_id,) in rows)


def count_orders(connection: sqlite3.Connection, named: NamedOrders) -> tuple[int, int]:
    """How many versions of POS orders go, and how many are named too but stay because they are needed."""
    _know_numbers(connection)
    go, stay = (
        connection.execute(f"SELECT count(*) FROM orders WHERE {_NAMED} AND {which}", named.values()).fetchone()[0]  # noqa: S608  it is ours
        for which in (f"NOT {_NEEDED}", _NEEDED)
    )
    return int(go), int(stay)


def remove_orders(connection: sqlite3.Connection, named: NamedOrders) -> None:
    """Forget POS orders and their events."""
    _know_numbers(connection)
    connection.execute(
        "DELETE FROM events WHERE kind = 'order' AND (at >= :since AND at < :until"  # noqa: S608  it is ours
        " AND (:order IS NULL OR :order IN (body ->> '$.order_id', body ->> '$.display_id'))"
        f" OR body ->> '$.order_id' IN (SELECT order_id FROM orders WHERE {_ORDERS}))",
        named.values(),
    )
    connection.execute(f"DELETE FROM orders WHERE {_ORDERS}", named.values())  # noqa: S608  it is ours


def count_old_orders(connection: sqlite3.Connection, before: str) -> int:
    """How many versions of POS orders were received before a time and are not needed."""
    _know_numbers(connection)
    (count,) = connection.execute(
        f"SELECT count(*) FROM orders WHERE {_OLD}",  # noqa: S608  it is ours
        {"before": before, "going": "[]"},
    ).fetchone()
    return int(count)


def remove_old_orders(connection: sqlite3.Connection, before: str, most: int) -> int:
    """Forget so many of them at most; how many versions."""
    _know_numbers(connection)
    return connection.execute(
        "DELETE FROM orders WHERE (source, order_id, version) IN"  # noqa: S608  it is ours
        f" (SELECT source, order_id, version FROM orders WHERE {_OLD} LIMIT :most)",
        {"before": before, "going": "[]", "most": most},
    ).rowcount


def _know_numbers(connection: sqlite3.Connection) -> None:
    """Let the journal compare numbers as slips and tills write them."""
    connection.create_function(
        "number", 1, lambda text: None if text is None else loosest(normal(text)), deterministic=True
    )
