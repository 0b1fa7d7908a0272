"""The lines of an order, and what of them must be seen on the counter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from orderacc.domain.menus import fold_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ModifierKind: TypeAlias = Literal["add", "remove", "swap", "size"]
Verifiability: TypeAlias = Literal["visible", "occluded", "ignore"]

DEEPEST: Final = 8
"""Combos within combos, at most."""

MOST_PIECES: Final = 1_000_000
"""Pieces of one thing, at most, its combos multiplied out."""


@dataclass(frozen=True, slots=True)
class Item:
    """A line of an order or of an answer: a name and how many.

    Raises:
        ValueError: If the name is blank or the quantity is not a positive whole number.
    """

    name: str
    quantity: int = 1

    def __post_init__(self) -> None:
        _check(self.name, self.quantity, "an item")


@dataclass(frozen=True, slots=True)
class Modifier:
    """How a line differs from what the menu says.

    Attributes:
        name: What is added, left out or taken instead, or the size.
        kind: `size` makes another item of it (Large Fries), `swap` names the item that comes instead; `add` and
            `remove` change what is in it, which nobody sees from outside.
        quantity: How many of it in one of the line.

    Raises:
        ValueError: If the name is blank or the quantity is not a positive whole number.
    """

    name: str
    kind: ModifierKind = "add"
    quantity: int = 1

    def __post_init__(self) -> None:
        _check(self.name, self.quantity, "a modifier")


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line of an order in full.

    Attributes:
        line_id: Its key within the order.
        name: What the POS calls it.
        quantity: How many; of a part of a combo, how many in one combo.
        parent_line_id: The combo it is a part of, or None.
        sku: The POS's key for the thing, or empty.
        aliases: Other names of it.
        modifiers: How it differs from the menu.
        verifiability: `occluded` is in a closed box, `ignore` is of no interest (napkins); neither is looked for. What
            holds for a combo holds for its parts.
        voided: Whether it was taken back; its parts are too then.

    Raises:
        ValueError: If the id or the name is blank or the quantity is not a positive whole number.
    """

    line_id: str
    name: str
    quantity: int = 1
    parent_line_id: str | None = None
    sku: str = ""
    aliases: tuple[str, ...] = ()
    modifiers: tuple[Modifier, ...] = ()
    verifiability: Verifiability = "visible"
    voided: bool = False

    def __post_init__(self) -> None:
        if not self.line_id.strip():
            raise ValueError(f"the line {self.name!r} needs an id")
        _check(self.name, self.quantity, "a line")

    @property
    def seen_as(self) -> str:
        """What lies on the counter for it: what came instead, and in which size."""
        name = next((one.name for one in reversed(self.modifiers) if one.kind == "swap"), self.name)
        words = fold_name(name).split()
        sizes = (one.name for one in self.modifiers if one.kind == "size")
        return " ".join([*(size for size in sizes if not set(fold_name(size).split()) <= set(words)), name])

    def to_dict(self) -> dict[str, Any]:
        """The line as JSON values, every key always present."""
        return {
            "line_id": self.line_id,
            "parent_line_id": self.parent_line_id,
            "sku": self.sku,
            "name": self.name,
            "aliases": list(self.aliases),
            "quantity": self.quantity,
            "modifiers": [{"name": one.name, "kind": one.kind, "quantity": one.quantity} for one in self.modifiers],
            "verifiability": self.verifiability,
            "voided": self.voided,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> OrderLine:
        """Read what `to_dict` wrote.

        Raises:
            ValueError: If a value is wrong.
            KeyError: If one is missing.
        """
        return cls(
            line_id=content["line_id"],
            name=content["name"],
            quantity=content["quantity"],
            parent_line_id=content["parent_line_id"],
            sku=content["sku"],
            aliases=tuple(content["aliases"]),
            modifiers=tuple(Modifier(one["name"], one["kind"], one["quantity"]) for one in content["modifiers"]),
            verifiability=content["verifiability"],
            voided=content["voided"],
        )


def must_be_seen(lines: Sequence[OrderLine]) -> tuple[Item, ...]:
    """What must be seen on the counter for the lines of one order.

    A combo is seen as its parts. Equal names add up, in the order in which they come first.

    Raises:
        ValueError: If two lines have one id, a combo is not there, combos are nested too deeply or in a circle, or
            there are more than `MOST_PIECES` of one thing, whether it can be seen or not.
    """
    _check_ids(lines)
    need_not_be_seen(lines)  # what is wrong with those is wrong with the order
    return _added_up(lines, visible=True)


def need_not_be_seen(lines: Sequence[OrderLine]) -> tuple[Item, ...]:
    """What was paid for besides: in a closed box, or of no interest. As `must_be_seen` otherwise."""
    return _added_up(lines, visible=False)


def _check_ids(lines: Sequence[OrderLine]) -> None:
    known = {line.line_id: line for line in lines}
    if len(known) < len(lines):
        twice = next(line.line_id for line in lines if known[line.line_id] is not line)
        raise ValueError(f"two lines have the id {twice!r}")


def _added_up(lines: Sequence[OrderLine], *, visible: bool) -> tuple[Item, ...]:
    known = {line.line_id: line for line in lines}
    combos = {line.parent_line_id for line in lines}
    counts: dict[str, int] = {}
    names: dict[str, str] = {}
    for line in lines:
        above = tuple(combos_above(line, known))
        chain = (line, *above)
        if line.line_id in combos or any(one.voided for one in chain):
            continue
        if all(one.verifiability == "visible" for one in chain) is not visible:
            continue
        key = fold_name(line.seen_as)
        names.setdefault(key, line.seen_as)
        quantity = line.quantity
        for combo in above:
            quantity *= combo.quantity
        counts[key] = counts.get(key, 0) + quantity
    return tuple(Item(names[key], quantity) for key, quantity in counts.items())


def combos_above(line: OrderLine, known: Mapping[str, OrderLine]) -> Iterator[OrderLine]:
    """The combos a line is a part of, the nearest first.

    Args:
        line: The line.
        known: The order's lines by their ids.

    Raises:
        ValueError: If a combo is not there, or combos are nested too deeply or in a circle.
    """
    first = line
    for _ in range(DEEPEST):
        if line.parent_line_id is None:
            return
        if line.parent_line_id not in known:
            raise ValueError(f"line {line.line_id!r} is a part of line {line.parent_line_id!r}, which is not there")
        line = known[line.parent_line_id]
        yield line
    if line.parent_line_id is not None:
        raise ValueError(f"line {first.line_id!r} is a part of itself, or of more than {DEEPEST} combos")


def _check(name: str, quantity: int, what: str) -> None:
    if not name.strip():
        raise ValueError(f"{what} needs a name")
    if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 1:
        raise ValueError(f"quantity of {name!r} must be a whole number from 1, not {quantity!r}")
    if quantity > MOST_PIECES:
        raise ValueError(f"quantity of {name!r} must be {MOST_PIECES} at most, not {quantity}")
