"""Whoever knows what was paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from orderacc.domain.orders import Order


class OrderBook(Protocol):
    """Finds the order that a slip names."""

    async def find(self, station_id: str, slip_text: str) -> Order | None:
        """Find an order.

        Args:
            station_id: Where the slip lay.
            slip_text: The number read off it.

        Returns:
            The order, or None if there is none or the text could mean more than one.

        Raises:
            OrdersError: If the POS side cannot answer now.
        """
        ...
