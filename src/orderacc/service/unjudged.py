"""Verdicts on orders of which nothing is compared, and what the crew reads then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orderacc.domain.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orderacc.domain.orders import Item, Order

SENTENCES: Final = {
    "no_slip": "Not judged: no slip was seen with these items.",
    "slip_unreadable": "Not judged: the slip could not be read.",
    "no_order": "Not judged: the POS has no such order.",
    "cancelled": "Not judged: this order was cancelled.",
    "ambiguous_order": "Please check: this number could be {}.",
    "orders_unavailable": "Not judged: the POS orders could not be read.",
    "no_frames": "Not judged: the items were never in clear view.",
    "engine_failed": "Please check: the pictures could not be analysed.",
    "overloaded": "Please check: too many orders at once to look at all pictures.",
    "shutdown": "Not judged: watching was stopped.",
    "station_failed": "Please check: watching failed while this order was on the counter.",
    "judging_failed": "Please check: comparing this order failed.",
    "interrupted": "Please check: watching was interrupted while this order was on the counter.",
}
"""What the crew reads when an order cannot be judged, by reason."""

MOST_NAMED: Final = 3
"""Lines of an order that are named to tell it from another of the same number."""


def undetermined(reason: str, expected: Iterable[Item] = ()) -> Verdict:
    """The verdict on an order that could not be judged; nothing is compared.

    Args:
        reason: A key of `SENTENCES`.
        expected: The order's lines, if it is known.
    """
    return Verdict("undetermined", reason, SENTENCES[reason], expected=tuple(expected), confidence=0.0)


def ambiguous(candidates: Sequence[Order]) -> Verdict:
    """The verdict where the slip's number could mean more than one order; nothing is compared.

    Args:
        candidates: All of them.
    """
    sentence = SENTENCES["ambiguous_order"].format(" or ".join(_named(order, candidates) for order in candidates))
    return Verdict("unsure", "ambiguous_order", sentence, confidence=0.0)


def _named(order: Order, among: Sequence[Order]) -> str:
    """An order in words the crew can tell it by from the others."""
    if len({other.display_id for other in among}) == len(among):
        return f"order {order.display_id}"
    placed = f" of {order.placed_at:%H:%M} UTC" if order.placed_at is not None else ""
    holds = ", ".join(f"{item.quantity} {item.name}" for item in order.items[:MOST_NAMED])
    return f"order {order.display_id}{placed} ({holds}{', ...' if len(order.items) > MOST_NAMED else ''})"
