"""Orders as Toast's Orders API gives them.

Understood are the answers of `GET /orders/v2/ordersBulk` (a list) and of `GET /orders/v2/orders/{guid}` (one). Who
ordered, where to and what was paid are not read; neither is a tab's name, which is a person's. Asking Toast, with a
period that moves, by pages and with tokens that expire, is left to a service that passes its answers on.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from orderacc.orders.foreign import each, first_text, listed, table, text, whole
from orderacc.orders.schema import read_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orderacc.documents import FieldPath
    from orderacc.domain.orders import Order

_READY: Final = ("READY_FOR_PICKUP", "READY")
_NOT_GOODS: Final = ("SPECIAL_REQUEST", "TOAST_CARD_SELL", "TOAST_CARD_RELOAD", "HOUSE_ACCOUNT_PAY_BALANCE")
_WITHOUT: Final = ("no", "without", "hold", "remove")
_SIZE: Final = "REPLACES_PRICE"
"""How modifiers are priced that make another portion of the item."""


def read_toast(data: Any, source: str) -> tuple[list[Order], list[tuple[FieldPath, str]]]:  # noqa: ANN401  JSON
    """Read an answer of the Orders API.

    The slip's number is the first check's `displayNumber`, else the order's. Versions are the milliseconds of
    `modifiedDate`. Toast does not say what is a combo: a selection is one when a modifier of it has modifiers itself,
    and then its modifiers are its parts, but for sizes and what is left out.

    Args:
        data: What `json.loads` gave.
        source: Name of this source.

    Returns:
        The orders, and what is wrong with the others.
    """
    entries = data if isinstance(data, list) else [data]
    return each(entries, lambda entry: _order(entry, source))


def _order(entry: dict[str, Any], source: str) -> Order:
    checks = [check for check in map(table, listed(entry.get("checks"))) if check.get("deleted") is not True]
    order_id = text(entry.get("guid"))
    return read_order(
        {
            "order_id": order_id,
            "display_id": first_text(*(one.get("displayNumber") for one in checks), entry.get("displayNumber")) or None,
            "version": _version(entry.get("modifiedDate")),
            "location_id": text(entry.get("restaurantGuid")),
            "state": _state(entry, checks),
            "channel": first_text(table(entry.get("diningOption")).get("behavior"), entry.get("source")).lower(),
            "placed_at": first_text(entry.get("openedDate"), entry.get("createdDate")) or None,
            "due_at": first_text(entry.get("promisedDate"), entry.get("estimatedFulfillmentDate")) or None,
            "items": [
                line
                for check in checks
                for selection in map(table, listed(check.get("selections")))
                for line in _lines(selection, voided=check.get("voided") is True)
            ],
        },
        source=source,
    )


def _state(entry: dict[str, Any], checks: list[dict[str, Any]]) -> str:
    if entry.get("voided") is True or entry.get("deleted") is True:
        return "cancelled"
    if entry.get("closedDate") or (checks and all(check.get("paymentStatus") == "CLOSED" for check in checks)):
        return "closed"
    return "ready" if text(entry.get("guestOrderStatus")) in _READY else "open"


def _lines(selection: dict[str, Any], *, voided: bool, parent: str | None = None) -> Iterator[dict[str, Any]]:
    """A selection, and its parts if it is a combo."""
    name, quantity = _name(selection), whole(selection.get("quantity", 1))
    if not name or not quantity or text(selection.get("selectionType")) in _NOT_GOODS:
        return
    line_id = text(selection.get("guid")) or f"{parent or ''}/{name}"
    modifiers = [one for one in map(table, listed(selection.get("modifiers"))) if _name(one)]
    combo = any(listed(one.get("modifiers")) for one in modifiers)
    parts = [one for one in modifiers if combo and _kind(one) == "add"]
    yield {
        "line_id": line_id,
        "parent_line_id": parent,
        "name": name,
        "quantity": quantity,
        "sku": text(table(selection.get("item")).get("guid")),
        "modifiers": [_modifier(one) for one in modifiers if one not in parts],
        "voided": voided or selection.get("voided") is True,
    }
    for part in parts:
        yield from _lines(part, voided=voided, parent=line_id)


def _modifier(modifier: dict[str, Any]) -> dict[str, Any]:
    quantity = max(1, whole(modifier.get("quantity", 1)))
    return {"name": _name(modifier), "kind": _kind(modifier), "quantity": quantity}


def _kind(modifier: dict[str, Any]) -> str:
    before = text(table(modifier.get("preModifier")).get("name")).casefold()
    if before in _WITHOUT:
        return "remove"
    return "size" if modifier.get("optionGroupPricingMode") == _SIZE else "add"


def _name(selection: dict[str, Any]) -> str:
    return text(selection.get("displayName"))


def _version(modified: object) -> int | None:
    """Milliseconds since 1970 of the last change."""
    try:
        moment = datetime.fromisoformat(text(modified))
        return max(1, int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000))
    except (ValueError, OverflowError):
        return None
