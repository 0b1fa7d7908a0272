"""Which line that was seen is which line that was ordered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from orderacc.validation.assignment import assign
from orderacc.validation.likeness import Likeness, compare, in_doubt, kinship

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orderacc.domain.findings import Strategy
    from orderacc.domain.menus import Menu
    from orderacc.validation.lines import Line

Opinions: TypeAlias = "Mapping[tuple[str, str], float]"
"""What somebody else holds of pairs in doubt: by the name ordered and the name seen, 0 to 1."""

KIN: Final = 0.5
"""Kinship from which one thing may have been packed for another."""


@dataclass(frozen=True, slots=True)
class Pair:
    """So many of one line seen are so many of one line ordered; positions in the lists given."""

    expected: int
    seen: int
    quantity: int
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class Swap:
    """So many of an extra item look like stand-ins for a missing one."""

    expected: str
    seen: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Matcher:
    """How lines are compared.

    Attributes:
        strategy: `exact`, `semantic` or `hybrid`.
        threshold: Least likeness at which two names are the same thing; a menu item may have its own.
        opinions: On pairs the words known here leave in doubt.
    """

    strategy: Strategy
    threshold: float
    opinions: Opinions

    def match(self, expected: Sequence[Line], seen: Sequence[Line]) -> list[Pair]:
        """Match quantities of lines seen to quantities of lines ordered; no unit is used twice.

        Returns:
            Pairs with their quantity and likeness, those of equal names first.
        """
        pairs: list[Pair] = []
        open_expected = [line.quantity for line in expected]
        open_seen = [line.quantity for line in seen]
        if self.strategy != "semantic":
            for index, other in _equal(expected, seen):
                quantity = min(open_expected[index], open_seen[other])
                if quantity:
                    pairs.append(Pair(index, other, quantity, _certain(expected[index])))
                    open_expected[index] -= quantity
                    open_seen[other] -= quantity
        if self.strategy != "exact":
            rows = [index for index, quantity in enumerate(open_expected) if quantity]
            columns = [index for index, quantity in enumerate(open_seen) if quantity]
            if not rows or not columns:
                return pairs
            rows.sort(key=lambda index: expected[index].key)
            columns.sort(key=lambda index: seen[index].key)
            alike = {
                (i, j): found
                for i, row in enumerate(rows)
                for j, column in enumerate(columns)
                if (found := self.same(expected[row], seen[column])) is not None
            }
            scores = {pair: found.score for pair, found in alike.items()}
            pairs += [
                Pair(rows[i], columns[j], quantity, alike[i, j])
                for i, j, quantity in assign([open_expected[i] for i in rows], [open_seen[j] for j in columns], scores)
            ]
        return pairs

    def same(self, ordered: Line, there: Line) -> Likeness | None:
        """How alike two lines are, or None if they are two things, as two different items of the menu always are."""
        if ordered.key == there.key or _spelled_alike(ordered, there):
            return _certain(ordered)
        if ordered.item is not None and there.item is not None:
            return None
        found = compare(ordered.name, there.name)
        opinion = self.opinions.get((ordered.name, there.name), 0.0) if self.opinions else 0.0
        if opinion > found.score and in_doubt(ordered.name, there.name):
            found = Likeness(opinion, "opinion", found.detail)
        if found.score <= 0:
            return None
        item = ordered.item or there.item
        least = self.threshold if item is None or item.threshold is None else item.threshold
        return found if found.score >= least else None

    def nearest(self, line: Line, expected: Sequence[Line]) -> tuple[int, Likeness] | None:
        """Position and likeness of the ordered line most like a line seen, or None if none is the same thing."""
        alike = [(self.same(other, line), other.key, index) for index, other in enumerate(expected)]
        found = [(one.score, key, index, one) for one, key, index in alike if one is not None]
        if not found:
            return None
        _, _, index, best = max(found, key=lambda each: each[:3])
        return index, best


def substitutions(
    missing: Sequence[tuple[str, int]], extra: Sequence[tuple[str, int]], menu: Menu | None
) -> list[Swap]:
    """Pair missing items with extras of the same kind.

    Args:
        missing: Names and quantities.
        extra: Likewise.
        menu: Knows which items look alike.
    """
    if not missing or not extra:
        return []
    names, others = [name for name, _ in missing], [name for name, _ in extra]
    scores = {
        (i, j): value
        for i, name in enumerate(names)
        for j, other in enumerate(others)
        if (value := kin(name, other, menu)) >= KIN
    }
    taken = assign([quantity for _, quantity in missing], [quantity for _, quantity in extra], scores)
    return [Swap(names[i], others[j], quantity) for i, j, quantity in taken]


@lru_cache(maxsize=16384)
def kin(one: str, other: str, menu: Menu | None) -> float:
    """`kinship`, remembered."""
    return kinship(one, other, menu)


def _equal(expected: Sequence[Line], seen: Sequence[Line]) -> Iterator[tuple[int, int]]:
    """Lines that are one thing beyond doubt: by their key, then by a spelling that only one of them has on the menu."""
    place = {line.key: index for index, line in enumerate(seen)}
    alone = [index for index, line in enumerate(expected) if line.key not in place]
    for index, line in enumerate(expected):
        if (other := place.get(line.key)) is not None:
            yield index, other
    for index in alone:
        for other, line in enumerate(seen):
            if _spelled_alike(expected[index], line):
                yield index, other


def _spelled_alike(one: Line, other: Line) -> bool:
    """Whether a synonym of the menu came between two names that are equal without it."""
    return (one.item is None or other.item is None) and not one.spellings.isdisjoint(other.spellings)


def _certain(line: Line) -> Likeness:
    return _SAME_NAME if line.item is None else _SAME_ITEM


_SAME_NAME: Final = Likeness(1.0, "same_name")
_SAME_ITEM: Final = Likeness(1.0, "same_item")
