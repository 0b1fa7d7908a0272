"""What was paid for: the order book and where its orders come from."""

from __future__ import annotations

from orderacc.orders.book import OrderBook
from orderacc.orders.file import FileOrders, read_orders

__all__ = ["FileOrders", "OrderBook", "read_orders"]
