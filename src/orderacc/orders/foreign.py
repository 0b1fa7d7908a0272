"""Taking values out of JSON that others make, which may hold anything anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orderacc.errors import BadOrderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orderacc.documents import FieldPath
    from orderacc.domain.orders import Order


def table(value: object) -> dict[str, Any]:
    """The value if it is a table, else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """The value if it is text or a whole number, without white space around; else nothing."""
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def first_text(*values: object) -> str:
    """The first value that is text and not empty, else nothing."""
    return next((found for value in values if (found := text(value))), "")


def whole(value: object) -> int:
    """A number of pieces, written as a number or as text; part of a piece is one. 0 for what is no number."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else 0.0
        return max(0, -int(-number // 1))
    except (ValueError, OverflowError):
        return 0


def each(
    entries: Iterable[object], read: Callable[[dict[str, Any]], Order]
) -> tuple[list[Order], list[tuple[FieldPath, str]]]:
    """Read orders one by one.

    Returns:
        The good ones, and what is wrong with the others: the place in the list and within the order as it was mapped,
        and the message.
    """
    orders: list[Order] = []
    problems: list[tuple[FieldPath, str]] = []
    for index, entry in enumerate(entries):
        try:
            orders.append(read(table(entry)))
        except BadOrderError as error:
            problems += [((index, *path), message) for path, message in error.problems]
    return orders, problems
