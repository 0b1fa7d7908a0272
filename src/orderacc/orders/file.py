"""Orders in a JSON file, as `{"384": [{"name": "Burger", "quantity": 1}]}`."""

from __future__ import annotations

import asyncio
import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from orderacc.documents import Document, FieldPath, read_document
from orderacc.domain.orders import Item, Order
from orderacc.errors import ConfigError, Finding
from orderacc.orders.book import Match
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_log = get_logger(__name__)

_Stamp: TypeAlias = tuple[int, int, int]


def read_orders(path: Path | str) -> dict[str, Order]:
    """Read an orders file.

    A line's quantity may be left out: it is 1. Keys beside `name` and `quantity` are the POS's business and not read.

    Returns:
        Orders by their number as written; repeated lines are kept as they are and add up when judged.

    Raises:
        ConfigError: With every finding, each with its line and column.
    """
    document = read_document(path)
    if not isinstance(document.data, dict):
        raise ConfigError([document.finding((), "should be a table of orders: {order number: [lines]}")])
    findings: list[Finding] = []
    orders: dict[str, Order] = {}
    first: dict[str, str] = {}
    for number, lines in document.data.items():
        key = _normal(str(number))
        if not key:
            findings.append(document.finding((number,), "an order needs a number"))
        elif key in first:
            findings.append(document.finding((number,), f"is the same order number as {first[key]!r}"))
        first.setdefault(key, str(number))
        items = _items(document, str(number), lines, findings)
        if key and items:
            orders[str(number)] = Order(str(number), items)
    if findings:
        raise ConfigError(findings)
    return orders


def _items(document: Document, number: str, lines: object, findings: list[Finding]) -> tuple[Item, ...]:
    if not isinstance(lines, list) or not lines:
        findings.append(document.finding((number,), "should be a list of lines, at least one"))
        return ()
    items: list[Item] = []
    for index, line in enumerate(lines):
        path: FieldPath = (number, index)
        if not isinstance(line, dict) or not isinstance(line.get("name"), str):
            findings.append(document.finding(path, 'should be a line: {"name": "Burger", "quantity": 1}'))
            continue
        try:
            items.append(Item(line["name"], line.get("quantity", 1)))
        except ValueError as error:
            wrong = "quantity" if line["name"].strip() else "name"
            findings.append(document.finding((*path, wrong), str(error)))
    return tuple(items)


class FileOrders:
    """An order book that reads a file, again whenever the file changes.

    A changed file is read whole and taken whole. A file that turned bad is not taken: the last good one stays in force,
    and `orders_file_bad` is logged once per change with the findings. An amended order's version grows by one.

    A slip's number is looked up as written first (width, case and white space aside). Failing that, leading zeros are
    left out of account, if that leads to one order only: `0384` and `384` are two orders where the file has both.

    Args:
        path: The file.

    Raises:
        ConfigError: If the file is bad from the start.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._reading = asyncio.Lock()
        self._stamp = _stamp(self._path)
        self._known: dict[str, Order] = {}
        self._take(read_orders(self._path))

    async def find(self, station_id: str, slip_text: str, at: datetime | None = None) -> Match:
        """Find the order of that number; every station of the box shares the file."""
        del station_id, at
        async with self._reading:
            stamp = await asyncio.to_thread(_stamp, self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                await self._read_again()
        key = _normal(slip_text)
        return Match(self._exact.get(key) or self._without_zeros.get(_without_zeros(key)))

    async def _read_again(self) -> None:
        try:
            orders = await asyncio.to_thread(read_orders, self._path)
        except ConfigError as error:
            _log.warning("orders_file_bad", file=str(self._path), findings=[str(found) for found in error.findings])
            return
        self._take(orders)
        _log.info("orders_file_read", file=str(self._path), orders=len(orders))

    def _take(self, orders: Mapping[str, Order]) -> None:
        exact: dict[str, Order] = {}
        for number, order in orders.items():
            key = _normal(number)
            last = self._known.get(key)
            amended = last is not None and last.items != order.items
            version = 1 if last is None else last.version + amended
            exact[key] = Order(order.order_id, order.items, version)
        self._known |= exact  # an order that leaves the file and comes back is the same order
        loose: dict[str, Order | None] = {}
        for key, order in exact.items():
            short = _without_zeros(key)
            loose[short] = None if short in loose else order
        self._exact, self._without_zeros = exact, loose


def _normal(number: str) -> str:
    return "".join(unicodedata.normalize("NFKC", number).casefold().split()).removeprefix("#")


def _without_zeros(key: str) -> str:
    return key.lstrip("0") or key


def _stamp(path: Path) -> _Stamp | None:
    """Changes when the file does; None while there is none."""
    try:
        state = os.stat(path)  # noqa: PTH116  one call, no second look-up
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
