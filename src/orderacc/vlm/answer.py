"""Reading a model's answer: a list of items in whatever shape it was written, and never more than was written.

Under our grammar an answer is compact JSON. Other engines write JSON in fences, Python literals, bullets, numbered
lists, tables, or `2x Big Mac`; a cut answer ends anywhere. All of these are lists, and lists are read. Running prose is
refused: pulling names out of sentences would invent items (`no fries are visible`).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from orderacc.domain.orders import Item
from orderacc.vlm.answer_json import read_json
from orderacc.vlm.answer_lines import is_explicit_nothing, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_CHARS = 16_384
"""What comes after is not read: no bag holds that much, and a model that runs wild must not hold up the others."""

MOST_MARKS = 30
"""Accents and the like in a row: to put many in order takes their square."""

MAX_QUANTITY = 99
"""A line that claims more is not believed; sums stop there."""

_END_OF_THOUGHT = "</think>"
_SPECIAL_TOKEN = re.compile(r"<\|\w{1,40}\|>")
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")
_UNKNOWN_CHARACTER = "\ufffd"
_JOINER = "\u034f"
_MANY_SIGNS = re.compile(rf"[^\w\x00-\u02ff]{{{MOST_MARKS + 1},}}")  # marks and others: no pattern tells them apart
_MOST_MARKS_AND_ONE = re.compile(rf"(?:M[a-z]){{{MOST_MARKS}}}(?=M)")  # in the names of their kinds, two letters each


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """An answer and whether it was one.

    Attributes:
        items: One line a name, in order of first mention, quantities 1 to 99.
        understood: False when the text was no list at all, so that having no items says nothing about the picture.
    """

    items: tuple[Item, ...]
    understood: bool


def parse_answer(text: str) -> list[Item]:
    """Read the items a model listed.

    Args:
        text: The answer as written.

    Returns:
        One `Item` a name, repeated lines added up, names in Unicode NFC and without halves of characters. Empty both
        for "nothing there" and for text that is no list; `read_answer` tells the two apart.
    """
    return list(read_answer(text).items)


def read_answer(text: str) -> ParsedAnswer:
    """Read the items a model listed, and say whether the text was a list.

    Takes time in proportion to the text, at most `MAX_CHARS` of it, and never raises on any text.
    """
    if len(text) > MAX_CHARS:
        # A line that the cut goes through would be half a name.
        text = text[:MAX_CHARS].rpartition("\n")[0] or text[:MAX_CHARS]
    return _read(text)


@lru_cache(maxsize=64)
def _read(text: str) -> ParsedAnswer:
    text = _MANY_SIGNS.sub(_part_marks, text.rpartition(_END_OF_THOUGHT)[2])
    text = _SPECIAL_TOKEN.sub("\n", unicodedata.normalize("NFC", text))
    lines = read_json(text)
    nothing = lines is not None and all(quantity == 0 for _, quantity in lines)
    if lines is None:
        lines = read_lines(text)
        nothing = any(quantity == 0 for _, quantity in lines) or (not lines and is_explicit_nothing(text))
    items = _add_up(lines)
    return ParsedAnswer(items, understood=bool(items) or nothing)


def _part_marks(found: re.Match[str]) -> str:
    """The signs with a joiner wherever too many marks would follow each other: Unicode's Stream-Safe Text Process."""
    signs = found[0]
    kinds = "".join(map(unicodedata.category, signs))
    ends = [full.end() // 2 for full in _MOST_MARKS_AND_ONE.finditer(kinds)]
    return _JOINER.join(signs[start:end] for start, end in pairwise([0, *ends, len(signs)]))


def _add_up(lines: Iterable[tuple[str, int]]) -> tuple[Item, ...]:
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for name, quantity in lines:
        if not 1 <= quantity <= MAX_QUANTITY:
            continue
        # JSON may have escaped what composes, and half of an emoji, which could not be written anywhere.
        name = unicodedata.normalize("NFC", _HALF_A_CHARACTER.sub(_UNKNOWN_CHARACTER, name))  # noqa: PLW2901
        key = name.casefold()
        names.setdefault(key, name)
        counts[key] = min(MAX_QUANTITY, counts.get(key, 0) + quantity)
    return tuple(Item(name, counts[key]) for key, name in names.items())
