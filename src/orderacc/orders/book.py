"""Whoever knows what was paid for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from orderacc.domain.orders import Order


@dataclass(frozen=True, slots=True)
class Match:
    """What a slip's number led to.

    Attributes:
        order: The order, or None if there is none or more than one could be meant. One that is cancelled is given only
            when no other could be meant.
        candidates: Where more than one could be meant: all of them.
    """

    order: Order | None = None
    candidates: tuple[Order, ...] = ()


class OrderBook(Protocol):
    """Finds the order that a slip names."""

    async def find(self, station_id: str, slip_text: str, at: datetime | None = None) -> Match:
        """Find an order.

        Args:
            station_id: Where the slip lay.
            slip_text: The number read off it.
            at: When it lay there, aware; None where nobody knows (a recording), and then times tell nothing.

        Raises:
            OrdersError: If the POS side cannot answer now.
        """
        ...
