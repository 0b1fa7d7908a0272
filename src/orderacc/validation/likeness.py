"""Whether two names mean the same thing, and by which rule.

Two names are the same thing if every word of one has its partner in the other (equal, misspelled, abbreviated, joined
or split) and their guards (size, count, volume, diet, zero, decaf, left out) are equal. A word without a partner is a
difference: a chicken burger is not a burger. Plain similarity of letters decides nothing by itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import TYPE_CHECKING, Final

from rapidfuzz.distance import OSA

from orderacc.validation.normalise import LEXICON, nearest, take_apart
from orderacc.validation.words import ORDER_MATTERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orderacc.domain.findings import Rule
    from orderacc.domain.menus import Menu

CONTAINER_UNSAID: Final = 0.95
"""Likeness of a cola to a cola can."""

SAME_KIND: Final = 0.6
"""Kinship of two things whose last words are equal: two pies, two wraps."""

_MOST_ODD_WORDS: Final = 3
_LONGEST_WORDS: Final = 120
"""Letters in two words together beyond which they are equal or different: spelling is compared in quadratic time."""

_LAST_ALPHABET: Final = "\u0530"
"""Latin, Greek and Cyrillic end here."""

_VOWELS: Final = str.maketrans("", "", "aeiouy")


@dataclass(frozen=True, slots=True)
class Likeness:
    """How sure it is that two names mean the same thing.

    Attributes:
        score: 1 for certain, 0 for not at all.
        rule: What decided.
        detail: What differs, as `large / small`; empty where nothing does.
    """

    score: float
    rule: Rule
    detail: str = ""


def likeness(one: str, other: str) -> float:
    """How sure it is that two names mean the same thing: 1 for certain, 0 for not at all."""
    return compare(one, other).score


@lru_cache(maxsize=16384)
def compare(one: str, other: str) -> Likeness:
    """Compare two names, guards first."""
    first, second = take_apart(one), take_apart(other)
    if first.key == second.key:
        return Likeness(1.0, "same_name")
    if first.guards != second.guards:
        return _guarded(first.guards - second.guards, second.guards - first.guards)
    if first.container and second.container and first.container != second.container:
        return Likeness(0.0, "container", f"{first.container} / {second.container}")
    score = _words_alike(first.words, second.words)
    if not score:
        mine, yours = without_partners(first.words, second.words)
        return Likeness(0.0, "words", _opposed(mine, yours))
    if first.container != second.container:
        return Likeness(min(score, CONTAINER_UNSAID), "container_unsaid", first.container or second.container)
    return Likeness(score, "spelling" if score < 1 else "same_name")


def in_doubt(one: str, other: str) -> bool:
    """Whether somebody who knows more words could take two names for one thing, which are two by the words known here.

    Guards decide for good, and so do words that are all known: no opinion makes a chicken burger a beef burger.
    """
    if compare(one, other).rule != "words":
        return False
    mine, yours = without_partners(take_apart(one).words, take_apart(other).words)
    return bool(mine and yours) and not LEXICON.issuperset((*mine, *yours))


def kinship(one: str, other: str, menu: Menu | None) -> float:
    """How easily one item is packed for another: 1 for look-alikes, then variants of one thing, then things of a kind.

    What is left counts shared words, at most 0.8.
    """
    if menu is not None and menu.look_alike(one, other):
        return 1.0
    first, second = take_apart(one), take_apart(other)
    if _words_alike(first.words, second.words) > 0 or sorted(first.words) == sorted(second.words):
        return 0.9
    shared = len(set(first.words) & set(second.words))
    share = 0.8 * shared / max(len(first.words), len(second.words), 1)
    return max(share, SAME_KIND) if first.words[-1:] == second.words[-1:] else share


def without_partners(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is left of both when equal words have found each other."""
    yours = list(second)
    mine = []
    for word in first:
        if word in yours:
            yours.remove(word)
        else:
            mine.append(word)
    return tuple(mine), tuple(yours)


def _guarded(mine: frozenset[str], yours: frozenset[str]) -> Likeness:
    """The first kind of guard that differs; sizes are what a person looks for first."""
    kinds: dict[Rule, tuple[list[str], list[str]]] = {"size": ([], []), "count": ([], []), "trait": ([], [])}
    kinds["left_out"] = ([], [])
    for side, guards in enumerate((mine, yours)):
        for guard in sorted(guards):
            kind, said = _kind_of(guard)
            kinds[kind][side].append(said)
    rule, sides = next((kind, sides) for kind, sides in kinds.items() if any(sides))
    return Likeness(0.0, rule, _opposed(*sides))


def _kind_of(guard: str) -> tuple[Rule, str]:
    first, _, rest = guard.partition(" ")
    if first == "size":
        return "size", rest
    if first == "without":
        return "left_out", guard
    if first == "count":
        return "count", rest
    return ("size" if first[:1].isdigit() else "trait"), guard


def _opposed(mine: Iterable[str], yours: Iterable[str]) -> str:
    return " / ".join(" ".join(side) or "nothing said" for side in (mine, yours))


@lru_cache(maxsize=16384)
def _words_alike(first: tuple[str, ...], second: tuple[str, ...]) -> float:
    """1 less half the share of letters that must be changed; 0 if a word has no partner."""
    mine, yours = without_partners(first, second)
    if not mine and not yours:
        same_order = first == second or not any(pair <= set(first) for pair in ORDER_MATTERS)
        return 1.0 if same_order and first else 0.0
    if "".join(first) == "".join(second):
        return 1.0
    letters = sum(map(len, first)) + sum(map(len, second))
    edits = _fewest_edits(mine, yours)
    return 0.0 if edits is None else 1 - edits / letters


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
    consonants = _consonants(short)
    bare = short[:-1] if short[-1] == "y" == full[-1] else short  # `strwbry`: a last y is heard
    return bare == bare.translate(_VOWELS) and consonants == _consonants(full) and _CONSONANTS[consonants] == 1


def _consonants(word: str) -> str:
    return _single_letters(word.translate(_VOWELS))


def _single_letters(word: str) -> str:
    """A word with doubled letters written once, the commonest misspelling: `piza` is pizza before it is pita."""
    return "".join(char for index, char in enumerate(word) if not index or word[index - 1] != char)


_CONSONANTS: Final = Counter(map(_consonants, LEXICON))
