"""Telling those who want to know which orders changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeAlias

import anyio

if TYPE_CHECKING:
    from orderacc.domain.orders import Order

Key: TypeAlias = tuple[str, str]
"""Source and order id."""


class Changes:
    """Orders that changed and have not been looked at, each once, as it is now; the longest unseen first.

    Whoever is slow misses versions in between, never the last one, and holds no more than there are orders.
    """

    def __init__(self) -> None:
        self._unseen: dict[Key, Order] = {}
        self._some = anyio.Event()

    def add(self, order: Order) -> None:
        """Tell of an order."""
        self._unseen[order.source, order.order_id] = order
        self._some.set()

    async def next(self) -> Order:
        """Wait for an order that changed."""
        while not self._unseen:
            self._some = anyio.Event()
            await self._some.wait()
        return self._unseen.pop(next(iter(self._unseen)))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Order:
        return await self.next()
