"""Orders as Square's Orders API gives them.

Understood are the answers of `POST /v2/orders/search` and `/v2/orders/batch-retrieve` (`{"orders": [...]}`), of
`GET /v2/orders/{id}` and `{"order": {...}}` alone. Who ordered, who collects and what was paid are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orderacc.orders.foreign import each, first_text, listed, table, text, whole
from orderacc.orders.schema import read_order

if TYPE_CHECKING:
    from orderacc.documents import FieldPath
    from orderacc.domain.orders import Order

_STATES: Final = {"OPEN": "open", "DRAFT": "open", "COMPLETED": "closed", "CANCELED": "cancelled"}
_NO_SIZE: Final = ("regular", "default", "standard")
"""Variations Square names where there is only one."""

_NOT_GOODS: Final = ("GIFT_CARD", "CUSTOM_AMOUNT")
_WITHOUT: Final = ("no ", "without ", "hold ")

MOST_LETTERS: Final = 3
"""Letters of a ticket's number: `DT-42` is one, `Maria2` is somebody."""

LONGEST_NUMBER: Final = 12
"""Characters of it."""


def read_square(data: Any, source: str) -> tuple[list[Order], list[tuple[FieldPath, str]]]:  # noqa: ANN401  JSON
    """Read an answer of the Orders API.

    The slip's number is the `ticket_name`, which Square Point of Sale prints, if it looks like a number (many write the
    guest's first name there), else the `reference_id`, else the last four characters of the id. A variation is a size;
    a quantity by weight is one piece.

    Args:
        data: What `json.loads` gave.
        source: Name of this source.

    Returns:
        The orders, and what is wrong with the others.
    """
    answer = table(data)
    single = answer.get("order")
    entries = [single] if single is not None else listed(answer.get("orders"))
    return each(entries, lambda entry: _order(entry, source))


def _order(entry: dict[str, Any], source: str) -> Order:
    order_id = text(entry.get("id"))
    fulfillment = table(next(iter(listed(entry.get("fulfillments"))), None))
    state = _STATES.get(text(entry.get("state")), "open")
    if state == "open" and fulfillment.get("state") in ("PREPARED", "COMPLETED"):
        state = "ready" if fulfillment["state"] == "PREPARED" else "closed"
    if fulfillment.get("state") == "CANCELED":
        state = "cancelled"
    details = table(fulfillment.get("pickup_details")) or table(fulfillment.get("delivery_details"))
    lines = [
        _line(one, index) for index, one in enumerate(map(table, listed(entry.get("line_items"))), 1) if _goods(one)
    ]
    return read_order(
        {
            "order_id": order_id,
            "display_id": first_text(_number(entry.get("ticket_name")), entry.get("reference_id"), order_id[-4:])
            or None,
            "version": entry.get("version"),
            "location_id": text(entry.get("location_id")),
            "state": state,
            "channel": text(fulfillment.get("type")).lower(),
            "placed_at": entry.get("created_at"),
            "due_at": first_text(details.get("pickup_at"), details.get("deliver_at")) or None,
            "items": lines,
        },
        source=source,
    )


def _number(ticket_name: object) -> str:
    """A ticket's name if it is a number; else nothing."""
    name = text(ticket_name)
    letters = sum(character.isalpha() for character in name)
    short = len(name) <= LONGEST_NUMBER and letters <= MOST_LETTERS and not any(map(str.isspace, name))
    return name if short and any(map(str.isdecimal, name)) else ""


def _goods(line: dict[str, Any]) -> bool:
    return text(line.get("item_type")) not in _NOT_GOODS and whole(line.get("quantity")) > 0


def _line(line: dict[str, Any], index: int) -> dict[str, Any]:
    size = text(line.get("variation_name"))
    modifiers = [_modifier(one) for one in map(table, listed(line.get("modifiers"))) if text(one.get("name"))]
    if size and size.casefold() not in _NO_SIZE:
        modifiers.insert(0, {"name": size, "kind": "size"})
    return {
        "line_id": text(line.get("uid")) or str(index),
        "name": text(line.get("name")) or size,
        "quantity": 1 if line.get("quantity_unit") else whole(line.get("quantity")),
        "sku": text(line.get("catalog_object_id")),
        "modifiers": modifiers,
    }


def _modifier(modifier: dict[str, Any]) -> dict[str, Any]:
    name = text(modifier.get("name"))
    word = next((word for word in _WITHOUT if name.casefold().startswith(word)), "")
    kind = "remove" if word else "add"
    return {"name": name[len(word) :] or name, "kind": kind, "quantity": max(1, whole(modifier.get("quantity", 1)))}
