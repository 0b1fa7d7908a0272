"""Which of several orders a slip's number means."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from orderacc.orders.book import Match

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from orderacc.domain.orders import Order

_CONFUSED: Final = str.maketrans("oisb", "0158")
"""Letters that are read for digits, and digits for letters."""


@dataclass(frozen=True, slots=True)
class StationOrders:
    """Whose orders a station hands out.

    Attributes:
        location_id: Orders of this restaurant; None takes all. An order that names none is everybody's.
        channels: Orders that came this way; empty takes all. Likewise.
    """

    location_id: str | None = None
    channels: tuple[str, ...] = ()

    def fits(self, order: Order) -> bool:
        """Whether the order may lie there."""
        return (self.location_id is None or order.location_id in ("", self.location_id)) and (
            not self.channels or order.channel == "" or order.channel in self.channels
        )


ANYWHERE: Final = StationOrders()


@dataclass(frozen=True, slots=True)
class MatchRules:
    """When an order may be the one on the counter. Times are seconds.

    Attributes:
        within: An order that is open may have been placed, or due, so long before.
        closed_within: One that is closed, so long.
        early: It may be due so long after: nobody hands out an order earlier than that.
        slack: It may have been placed so long after: the clocks of two machines, and a till that is slow to tell.
        stations: Whose orders stations hand out; all where a station is not named.
    """

    within: float = 4 * 3600.0
    closed_within: float = 3600.0
    early: float = 3600.0
    slack: float = 120.0
    stations: Mapping[str, StationOrders] = field(default_factory=lambda: MappingProxyType({}))

    def in_time(self, order: Order, at: datetime | None, known: datetime | None) -> bool:
        """Whether the order may have lain there then.

        Args:
            order: The order.
            at: When something lay there; None says nothing.
            known: When the order became known, in place of the times the POS does not tell; None says nothing.
        """
        last = max((time for time in (order.placed_at, order.due_at) if time is not None), default=known)
        if at is None or last is None:
            return True
        if order.placed_at is not None and order.placed_at > at + timedelta(seconds=self.slack):
            return False
        if order.due_at is not None and order.due_at > at + timedelta(seconds=self.early):
            return False
        return at - last <= timedelta(seconds=self.within if order.live else self.closed_within)


def normal(number: str) -> str:
    """A number however it is written: width, case, white space and a leading `#` aside."""
    return "".join(unicodedata.normalize("NFKC", number).casefold().split()).removeprefix("#")


def without_zeros(number: str) -> str:
    """A `normal` number without leading zeros."""
    return number.lstrip("0") or number


def loosest(number: str) -> str:
    """What all numbers have in common that could be taken for one another; of `normal` ones."""
    return without_zeros(without_zeros(number).translate(_CONFUSED))


def choose(number: str, alike: Sequence[Order]) -> Match:
    """Choose the order that a number means.

    The number as written counts first, then with leading zeros aside, then with letters that are read for digits and
    digits for letters. What is confused is looked for among open orders only. Of orders alike in that, open ones come
    before closed ones, and cancelled ones last.

    Args:
        number: What was read, `normal`.
        alike: Orders of the place and the time whose display ids are `loosest` the same.
    """
    short = without_zeros(number)
    same = [(order, normal(order.display_id)) for order in alike]
    exact = [order for order, shown in same if shown == number]
    unpadded = [order for order, shown in same if shown != number and without_zeros(shown) == short]
    confused = [order for order, shown in same if without_zeros(shown) != short and order.live]
    for group in (exact, unpadded, confused):
        match = _one_of([order for order in group if order.live]) or _one_of(
            [order for order in group if order.state == "closed"]
        )
        if match is not None:
            return match
    cancelled = [order for order in (*exact, *unpadded) if order.state == "cancelled"]
    return Match(cancelled[-1]) if cancelled else Match()


def _one_of(orders: Sequence[Order]) -> Match | None:
    if not orders:
        return None
    return Match(orders[0]) if len(orders) == 1 else Match(candidates=tuple(orders))
