"""What was paid for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """A line of an order or of an answer: a name and how many.

    Raises:
        ValueError: If the name is blank or the quantity is not a positive whole number.
    """

    name: str
    quantity: int = 1

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("an item needs a name")
        if isinstance(self.quantity, bool) or not isinstance(self.quantity, int) or self.quantity < 1:
            raise ValueError(f"quantity of {self.name!r} must be a whole number from 1, not {self.quantity!r}")


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the POS knows it.

    Attributes:
        order_id: The number printed on the slip.
        items: Lines as the POS sent them; repeated lines add up when judged.
        version: Grows when the POS amends the order.
    """

    order_id: str
    items: tuple[Item, ...]
    version: int = 1
