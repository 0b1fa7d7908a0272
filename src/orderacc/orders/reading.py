"""Orders out of files: the peer's table of orders, our own JSON, and one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orderacc.documents import read_document
from orderacc.domain.orders import Order
from orderacc.errors import BadOrderError, ConfigError, Finding
from orderacc.orders.numbers import normal
from orderacc.orders.schema import on_one_line, read_each, read_order, read_table_line

if TYPE_CHECKING:
    from orderacc.documents import Document, FieldPath
    from orderacc.domain.orders import Item

FILE: Final = "file"
"""Source of orders in files that name none."""

LARGEST: Final = 64 * 2**20
"""Bytes of a file that is read."""

MOST_FINDINGS: Final = 50
"""Findings that are looked up and told of one file."""

LINES: Final = (".ndjson", ".jsonl")
"""Names of files with one JSON object a line end so."""


def read_orders(path: Path | str) -> dict[str, Order]:
    """Read a file of orders.

    It is a table `{"384": [{"name": "Burger", "quantity": 1}]}`, a list of orders as `Order.to_dict` writes them, the
    same under the key `orders`, one such order, or, in a file whose name ends in `.ndjson` or `.jsonl`, one a line. Of
    several lines about one order the last counts. In a table a line's quantity may be left out: it is 1, and keys
    beside `name` and `quantity` are the POS's business and not read.

    Returns:
        Orders by their id as written, behind their source where two have one id; version 0 where it has none.
        Repeated lines of a table are kept as they are and add up when judged.

    Raises:
        ConfigError: With every finding (of very many, the first), each with its line and column.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except OSError:
        size = 0  # reading it says what is wrong
    if size > LARGEST:
        raise ConfigError([Finding(str(path), 0, 0, "", f"is larger than {LARGEST} bytes")])
    if path.suffix.lower() in LINES:
        return _by_id(_read_lines(path))
    document = read_document(path)
    data = document.data
    if isinstance(data, dict) and isinstance(data.get("orders"), list) and not _is_table(data["orders"]):
        return _read_list(document, data["orders"], ("orders",))
    if isinstance(data, list):
        return _read_list(document, data, ())
    if isinstance(data, dict) and "order_id" in data:
        return _read_one(document, data)
    return _read_table(document)


def _is_table(lines: object) -> bool:
    """Whether these are an order's lines, so that the key they stand under is its number; or a menu's items."""
    if not isinstance(lines, list) or not lines:
        return False
    return all(isinstance(line, dict) and "order_id" not in line and "name" in line for line in lines)


def _by_id(orders: list[Order]) -> dict[str, Order]:
    found: dict[str, Order] = {}
    for order in orders:
        key = order.order_id
        if key in found and found[key].source != order.source:
            key = f"{order.source}/{order.order_id}"
        known = found.get(key)
        if known is None or order.version == 0 or order.version >= known.version:
            found[key] = order
    return found


def _read_list(document: Document, entries: list[Any], base: FieldPath) -> dict[str, Order]:
    orders, problems = read_each(entries)
    if problems:
        raise _refused(document, [((*base, *path), message) for path, message in problems])
    return _by_id([_with_source(order) for order in orders])


def _read_one(document: Document, data: dict[str, Any]) -> dict[str, Order]:
    try:
        return _by_id([_with_source(read_order(data))])
    except BadOrderError as error:
        raise _refused(document, list(error.problems)) from None


def _read_lines(path: Path) -> list[Order]:
    findings: list[Finding] = []
    orders: list[Order] = []
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError([Finding(str(path), 0, 0, "", "not UTF-8 text: save the file as UTF-8")]) from None
    except OSError as error:
        raise ConfigError([Finding(str(path), 0, 0, "", f"cannot be read: {error.strerror or error}")]) from None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            orders.append(_with_source(read_order(json.loads(line))))
        except BadOrderError as error:
            findings += [Finding(str(path), number, 1, ".".join(map(str, at)), what) for at, what in error.problems]
        except json.JSONDecodeError as error:
            findings.append(Finding(str(path), number, error.colno, "", f"not JSON: {error.msg}"))
        except (ValueError, RecursionError):  # a number of thousands of digits, lists in lists in lists
            findings.append(Finding(str(path), number, 1, "", "not JSON that can be read"))
        if len(findings) > MOST_FINDINGS:
            break
    if findings:
        raise ConfigError(findings[:MOST_FINDINGS])
    return orders


def _with_source(order: Order) -> Order:
    return order if order.source else replace(order, source=FILE)


def _read_table(document: Document) -> dict[str, Order]:
    if not isinstance(document.data, dict):
        raise ConfigError([document.finding((), "should be a table of orders: {order number: [lines]}")])
    if set(document.data) == {"items"} and _is_table(document.data["items"]):
        what = "looks like a menu, or like an order without order_id; orders are a table: {order number: [lines]}"
        raise ConfigError([document.finding(("items",), what)])
    problems: list[tuple[FieldPath, str]] = []
    orders: dict[str, Order] = {}
    first: dict[str, str] = {}
    for number, lines in document.data.items():
        key = normal(str(number))
        if not key:
            problems.append(((number,), "an order needs a number"))
        elif not on_one_line(str(number)):
            problems.append(((number,), "an order's number should be text on one line"))
        elif key in first:
            problems.append(((number,), f"is the same order number as {first[key]!r}"))
        first.setdefault(key, str(number))
        items = _items(str(number), lines, problems)
        if key and items:
            orders[str(number)] = Order(str(number), items, version=0, source=FILE)
    if problems:
        raise _refused(document, problems)
    return orders


def _items(number: str, lines: object, problems: list[tuple[FieldPath, str]]) -> tuple[Item, ...]:
    if not isinstance(lines, list) or not lines:
        problems.append(((number,), "should be a list of lines, at least one"))
        return ()
    items: list[Item] = []
    for index, line in enumerate(lines):
        path: FieldPath = (number, index)
        if not isinstance(line, dict) or not isinstance(line.get("name"), str):
            problems.append((path, 'should be a line: {"name": "Burger", "quantity": 1}'))
            continue
        try:
            items.append(read_table_line(line))
        except BadOrderError as error:
            problems += [((*path, *wrong), message) for wrong, message in error.problems]
    return tuple(items)


def _refused(document: Document, problems: list[tuple[FieldPath, str]]) -> ConfigError:
    findings = document.findings(problems[:MOST_FINDINGS])
    if len(problems) > MOST_FINDINGS:
        findings.append(Finding(document.file, 0, 0, "", f"and {len(problems) - MOST_FINDINGS} more findings"))
    return ConfigError(findings)
