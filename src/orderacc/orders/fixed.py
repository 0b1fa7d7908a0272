"""Orders known from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderacc.domain.orders import Order
from orderacc.orders.book import Match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from orderacc.domain.orders import Item


class FixedOrders:
    """An order book that never changes.

    Args:
        orders: Lines by the number on the slip.
    """

    def __init__(self, orders: Mapping[str, Iterable[Item]]) -> None:
        self._orders = {number: Order(number, tuple(items)) for number, items in orders.items()}

    async def find(self, station_id: str, slip_text: str, at: datetime | None = None) -> Match:
        """The order of exactly that number."""
        del station_id, at
        return Match(self._orders.get(slip_text))
