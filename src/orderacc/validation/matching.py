"""Which line that was seen is which line that was ordered.

Two names are the same thing if every word of one has its partner in the other (equal, misspelled, abbreviated, joined
or split) and their guards (size, count, volume, diet, zero, decaf, left out) are equal. A word without a partner is a
difference: a chicken burger is not a burger. Plain similarity of letters decides nothing by itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

from rapidfuzz.distance import OSA

from orderacc.validation.assignment import assign
from orderacc.validation.normalise import LEXICON, nearest, take_apart
from orderacc.validation.words import ORDER_MATTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orderacc.domain.menus import Menu, MenuItem

_T = TypeVar("_T")

Strategy: TypeAlias = Literal["exact", "semantic", "hybrid"]

CONTAINER_UNSAID: Final = 0.95
"""Likeness of a cola to a cola can."""

_MOST_ODD_WORDS: Final = 3
_LONGEST_WORDS: Final = 120
"""Letters in two words together beyond which they are equal or different: spelling is compared in quadratic time."""

_LAST_ALPHABET: Final = "\u0530"
"""Latin, Greek and Cyrillic end here."""

_VOWELS: Final = str.maketrans("", "", "aeiouy")


@dataclass(frozen=True, slots=True)
class Line:
    """An item on one side, repeated lines added up.

    Attributes:
        key: Equal for names that are the same thing beyond doubt.
        name: As verdicts write it.
        quantity: How many, from 1.
        confidence: How sure, 0 to 1.
    """

    key: str
    name: str
    quantity: int
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Pair:
    """So many of one line seen are so many of one line ordered; positions in the lists given."""

    expected: int
    seen: int
    quantity: int
    score: float


@dataclass(frozen=True, slots=True)
class Swap:
    """So many of an extra item look like stand-ins for a missing one."""

    expected: str
    seen: str
    quantity: int


def identify(name: str, menu: Menu | None) -> tuple[str, str]:
    """A key that is equal for names of the same thing, and the name to write in a verdict."""
    if menu is not None:
        item = menu.find(name) or _spelled_otherwise(menu).get(take_apart(name).key)
        if item is not None:
            return f"menu:{item.name}", item.name
    return take_apart(name).key, name.strip()


@lru_cache(maxsize=16)
def _spelled_otherwise(menu: Menu) -> dict[str, MenuItem]:
    """Menu items by the normalised key of their names and aliases; keys that two items share name neither."""
    found: dict[str, MenuItem | None] = {}
    for item in menu.items:
        for key in {take_apart(name).key for name in (item.name, *item.aliases) if menu.find(name) is item}:
            found[key] = item if found.get(key, item) is item else None
    return {key: item for key, item in found.items() if item is not None}


def match_lines(expected: Sequence[Line], seen: Sequence[Line], strategy: Strategy, threshold: float) -> list[Pair]:
    """Match quantities of lines seen to quantities of lines ordered; no unit is used twice.

    Returns:
        Pairs with their quantity and score, those of equal names first.
    """
    pairs: list[Pair] = []
    open_expected = [line.quantity for line in expected]
    open_seen = [line.quantity for line in seen]
    if strategy != "semantic":
        place = {line.key: index for index, line in enumerate(seen)}
        for index, line in enumerate(expected):
            other = place.get(line.key)
            if other is None:
                continue
            quantity = min(open_expected[index], open_seen[other])
            pairs.append(Pair(index, other, quantity, 1.0))
            open_expected[index] -= quantity
            open_seen[other] -= quantity
    if strategy != "exact":
        rows = [index for index, quantity in enumerate(open_expected) if quantity]
        columns = [index for index, quantity in enumerate(open_seen) if quantity]
        rows.sort(key=lambda index: expected[index].key)
        columns.sort(key=lambda index: seen[index].key)
        scores = _scores([expected[i] for i in rows], [seen[j] for j in columns], line_likeness, threshold)
        pairs += [
            Pair(rows[i], columns[j], quantity, scores[i, j])
            for i, j, quantity in assign([open_expected[i] for i in rows], [open_seen[j] for j in columns], scores)
        ]
    return pairs


def nearest_line(line: Line, expected: Sequence[Line], threshold: float) -> tuple[int, float] | None:
    """Position and likeness of the ordered line most like a line seen, or None if none is the same thing."""
    alike = [(line_likeness(other, line), other.key, index) for index, other in enumerate(expected)]
    score, _, index = max(alike, default=(0.0, "", 0))
    return (index, score) if score >= threshold and score > 0 else None


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
    scores = _scores(names, others, lambda one, other: kinship(one, other, menu), 0.5)
    taken = assign([quantity for _, quantity in missing], [quantity for _, quantity in extra], scores)
    return [Swap(names[i], others[j], quantity) for i, j, quantity in taken]


def _scores(
    rows: Sequence[_T], columns: Sequence[_T], score: Callable[[_T, _T], float], least: float
) -> dict[tuple[int, int], float]:
    return {
        (i, j): value
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
        if (value := score(row, column)) >= least and value > 0
    }


def line_likeness(one: Line, other: Line) -> float:
    """How alike two lines' names are, 0 to 1. Two different items of the menu are never alike."""
    if one.key == other.key:
        return 1.0
    if one.key.startswith("menu:") and other.key.startswith("menu:"):
        return 0.0
    return likeness(one.name, other.name)


@lru_cache(maxsize=16384)
def likeness(one: str, other: str) -> float:
    """How sure it is that two names mean the same thing: 1 for certain, 0 for not at all."""
    first, second = take_apart(one), take_apart(other)
    if first.key == second.key:
        return 1.0
    if first.guards != second.guards or (first.container and second.container and first.container != second.container):
        return 0.0
    score = _words_alike(first.words, second.words)
    return min(score, CONTAINER_UNSAID) if first.container != second.container else score


def kinship(one: str, other: str, menu: Menu | None) -> float:
    """How easily one item is packed for another: 1 for look-alikes, then variants of one thing, then shared words."""
    if menu is not None:
        group = menu.group_of(one)
        if group is not None and group == menu.group_of(other):
            return 1.0
    first, second = take_apart(one), take_apart(other)
    if _words_alike(first.words, second.words) > 0:
        return 0.9
    shared = len(set(first.words) & set(second.words))
    return 0.8 * shared / max(len(first.words), len(second.words), 1)


@lru_cache(maxsize=16384)
def _words_alike(first: tuple[str, ...], second: tuple[str, ...]) -> float:
    """1 less half the share of letters that must be changed; 0 if a word has no partner."""
    mine, yours = _without_partners(first, second)
    if not mine and not yours:
        same_order = first == second or not any(pair <= set(first) for pair in ORDER_MATTERS)
        return 1.0 if same_order and first else 0.0
    if "".join(first) == "".join(second):
        return 1.0
    letters = sum(map(len, first)) + sum(map(len, second))
    edits = _fewest_edits(mine, yours)
    return 0.0 if edits is None else 1 - edits / letters


def _without_partners(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is left of both when equal words have found each other."""
    yours = list(second)
    mine = []
    for word in first:
        if word in yours:
            yours.remove(word)
        else:
            mine.append(word)
    return tuple(mine), tuple(yours)


def _fewest_edits(mine: tuple[str, ...], yours: tuple[str, ...]) -> int | None:
    if max(len(mine), len(yours)) > _MOST_ODD_WORDS or not mine or not yours:
        return None
    if len(mine) != len(yours):
        return _edits_joined(mine, yours)
    best: int | None = None
    for order in permutations(yours):
        edits = [_edits(a, b) for a, b in zip(mine, order, strict=True)]
        if None not in edits:
            total = sum(edit for edit in edits if edit is not None)
            best = total if best is None else min(best, total)
    return best


def _edits(one: str, other: str) -> int | None:
    """Letters to change for a misspelling or an abbreviation; None if the words are two words."""
    known, unknown = (one, other) if one in LEXICON else (other, one)
    if unknown in LEXICON or not _may_be_misspelled(one, other):
        return None
    if known not in LEXICON:
        most = 0 if len(known) < 5 else 1 if len(known) < 9 else 2
    elif _abbreviates(unknown, known):
        return 1
    elif known not in nearest(unknown) or (len(nearest(unknown)) > 1 and _single_letters(known) != unknown):
        return None
    else:
        most = 0 if len(known) < 4 else 1 if len(known) < 7 else 2
    edits = OSA.distance(one, other, score_cutoff=most)
    return edits if edits <= most else None


def _edits_joined(mine: tuple[str, ...], yours: tuple[str, ...]) -> int | None:
    """Words written together or apart, and misspelled at that: `chesseburger` and `cheese burger`."""
    one, other = "".join(mine), "".join(yours)
    if all(word in LEXICON for word in mine + yours) or not _may_be_misspelled(one, other):
        return None
    most = min(2, min(len(one), len(other)) // 6)
    edits = OSA.distance(one, other, score_cutoff=most)
    return edits if edits <= most else None


def _may_be_misspelled(one: str, other: str) -> bool:
    """Whether a changed letter can be a slip: not in numbers, nor in scripts where a sign is a syllable or a word."""
    both = one + other
    return len(both) <= _LONGEST_WORDS and one[:1] == other[:1] and both.isalpha() and max(both) < _LAST_ALPHABET


def _abbreviates(short: str, full: str) -> bool:
    """`burg` and `brgr` for burger: a start of four letters or all the consonants, if no other food word shares it."""
    if len(short) < 3 or len(short) >= len(full):
        return False
    if len(short) > 3 and full.startswith(short):
        return sum(word.startswith(short) for word in LEXICON) == 1
    return short == short.translate(_VOWELS) == _consonants(full) and _CONSONANTS[short] == 1


def _consonants(word: str) -> str:
    return _single_letters(word.translate(_VOWELS))


def _single_letters(word: str) -> str:
    """A word with doubled letters written once, the commonest misspelling: `piza` is pizza before it is pita."""
    return "".join(char for index, char in enumerate(word) if not index or word[index - 1] != char)


_CONSONANTS: Final = Counter(map(_consonants, LEXICON))
