"""Orders and answers as lines that can be compared: names resolved, repeated lines added up."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from orderacc.domain.verdicts import SeenItem
from orderacc.validation.normalise import LONGEST, take_apart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orderacc.domain.menus import Menu, MenuItem
    from orderacc.domain.orders import Item


@dataclass(slots=True)
class Line:
    """An item on one side, repeated lines added up.

    Attributes:
        key: Equal for names that are the same thing beyond doubt.
        name: As verdicts write it.
        item: What it is on the menu, or None.
        quantity: How many, from 1.
        confidence: How sure, 0 to 1.
        hidden: How many of them cannot be seen, be they there or not.
        spellings: Keys of the names as they were written.
    """

    key: str
    name: str
    item: MenuItem | None
    quantity: int = 0
    confidence: float = 1.0
    hidden: int = 0
    spellings: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Side:
    """All lines of one side.

    Attributes:
        lines: What is compared.
        denied: By key, the name and confidence of what the frames say is not there.
        ignored: By name, how many of what nobody asks about.
    """

    lines: list[Line] = field(default_factory=list)
    denied: dict[str, tuple[str, float]] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)


def identify(name: str, menu: Menu | None) -> tuple[str, str]:
    """A key that is equal for names of the same thing, and the name to write in a verdict."""
    key, written, _ = look_up(name, menu)
    return key, written


def ordered_side(expected: Iterable[Item], hidden: Iterable[Item], menu: Menu | None) -> Side:
    """What was paid for.

    Args:
        expected: What can be seen if it is there, unless the menu says otherwise.
        hidden: What cannot be seen.
        menu: Resolves names, and knows what is occluded or not asked about.
    """
    lines: dict[str, Line] = {}
    side = Side()
    for items, all_hidden in ((expected, False), (hidden, True)):
        for item in items if menu is None or not items else menu.unpacked(items):
            line = _line_of(item.name, menu, lines, side, item.quantity)
            if line is not None:
                line.quantity += item.quantity
                if all_hidden or (line.item is not None and line.item.verifiability == "occluded"):
                    line.hidden += item.quantity
    side.lines.extend(lines.values())
    return side


def seen_side(seen: Iterable[Item | SeenItem], menu: Menu | None) -> Side:
    """What was on the counter. Lines with quantity 0 say what was not."""
    lines: dict[str, Line] = {}
    side = Side()
    for item in _as_parts(seen, menu):
        confidence = item.confidence if isinstance(item, SeenItem) else 1.0
        if not item.quantity:
            key, name = identify(item.name, menu)
            side.denied[key] = (name, min(confidence, side.denied.get(key, (name, 1.0))[1]))
            continue
        line = _line_of(item.name, menu, lines, side, item.quantity)
        if line is not None:
            line.quantity += item.quantity
            line.confidence = min(line.confidence, confidence)
    side.lines.extend(lines.values())
    return side


def _as_parts(seen: Iterable[Item | SeenItem], menu: Menu | None) -> Iterator[Item | SeenItem]:
    """What was seen, open combos as their contents; that there is none says nothing about these."""
    for item in seen:
        parts = (item,) if menu is None else menu.unpacked((item,))
        if item.quantity or parts == (item,):
            yield from parts


def _line_of(name: str, menu: Menu | None, lines: dict[str, Line], side: Side, quantity: int) -> Line | None:
    """The line a name belongs to; None, and counted, for what nobody asks about."""
    key, written, item = look_up(name, menu)
    if item is not None and item.verifiability == "ignore":
        side.ignored[written] = side.ignored.get(written, 0) + quantity
        return None
    line = lines.get(key)
    if line is None:
        line = lines[key] = Line(key, written, item)
    if menu is not None:
        line.spellings.add(take_apart(name).key)
    return line


@lru_cache(maxsize=8192)
def look_up(name: str, menu: Menu | None) -> tuple[str, str, MenuItem | None]:
    """`identify`, with the item of the menu; the same name is looked up once."""
    if menu is None or len(name) > LONGEST:
        return take_apart(name).key, name.strip(), None
    own = take_apart(menu.in_own_words(name))
    item = (
        menu.find(name) or _spelled_otherwise(menu).get(take_apart(name).key) or _spelled_otherwise(menu).get(own.key)
    )
    return (own.key, name.strip(), None) if item is None else (f"menu:{item.name}", item.name, item)


@lru_cache(maxsize=16)
def _spelled_otherwise(menu: Menu) -> dict[str, MenuItem]:
    """Menu items by the normalised key of their names and aliases; keys that two items share name neither."""
    found: dict[str, MenuItem | None] = {}
    for item in menu.items:
        for key in {take_apart(name).key for name in (item.name, *item.aliases) if menu.find(name) is item}:
            found[key] = item if found.get(key, item) is item else None
    return {key: item for key, item in found.items() if item is not None}
