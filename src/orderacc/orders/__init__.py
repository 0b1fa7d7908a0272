"""What was paid for: the order book and where its orders come from."""

from __future__ import annotations

from orderacc.orders.book import Match, OrderBook
from orderacc.orders.file import FileOrders
from orderacc.orders.fixed import FixedOrders
from orderacc.orders.memory import OrderStore, Put
from orderacc.orders.numbers import MatchRules, StationOrders
from orderacc.orders.reading import read_orders

__all__ = [
    "FileOrders",
    "FixedOrders",
    "Match",
    "MatchRules",
    "OrderBook",
    "OrderStore",
    "Put",
    "StationOrders",
    "read_orders",
]
