"""A name as a person means it: its words, and apart from them what makes another product of the same words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

from orderacc.domain.menus import fold_name
from orderacc.validation.words import (
    ABBREVIATIONS,
    CONTAINERS,
    FILLERS,
    FOOD,
    NEVER_SPLIT,
    NUMBERED,
    NUMBERS,
    ORDER_MATTERS,
    PHRASES,
    PIECES,
    SIZE_LETTERS,
    SIZES,
    TRAITS,
    UNITS,
    WITHOUT,
    WITHOUT_ONE,
)

LONGEST: Final = 200
"""Names beyond this many characters are compared letter by letter only: no menu has them, and time stays linear."""

_REWRITES: Final = (
    (re.compile(r"\bw\s*/\s*o\b", re.IGNORECASE), " without "),
    (re.compile(r"\bw\s*/", re.IGNORECASE), " with "),
    (re.compile(r"[\u00bc]|\b1[/\u2044]4\b"), " quarter "),
    (re.compile(r"[\u00bd]|\b1[/\u2044]2\b"), " half "),
    (re.compile(r"(?<=\w)['\u2019]s\b", re.IGNORECASE), ""),
    (re.compile(r"['\u2019]n['\u2019]", re.IGNORECASE), " and "),
    (re.compile(r"&|\+"), " and "),
    (re.compile(r"#(?=\s*\d)"), " number "),
    (re.compile(r"%"), " percent "),
    (re.compile(r"(?<=\d)\s*[\"\u201d\u2033]"), " inch "),
    (re.compile(r"\bno\.\s*(?=\d)", re.IGNORECASE), " number "),
    (re.compile(r"(?<=\d)[.,](?=\d{1,2}(?!\d))"), "dot"),
    (re.compile(r"(?<=\d)(?!dot\d)(?=[A-Za-z])"), " "),
)
_NUMBER: Final = re.compile(r"\d+(?:dot\d+)?")
_CALLED: Final = frozenset({"no", "number"})
_IRREGULAR: Final = {"loaves": "loaf", "leaves": "leaf", "halves": "half", "knives": "knife", "geese": "goose"}
_LONGEST_PHRASE: Final = max(len(phrase.split()) for phrase in PHRASES)


@lru_cache(maxsize=8192)
def singular(word: str) -> str:
    """A word without its plural ending, in a spelling of our own (`cookies` and `cookie` both become `cooky`)."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zzes", "oes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if word.endswith("ie") and len(word) > 4:
        return word[:-2] + "y"
    return word[:-1] if word.endswith("che") else word


LEXICON: Final = frozenset(map(singular, FOOD)) | frozenset(
    singular(word) for word in (*SIZES, *UNITS, *CONTAINERS, *FILLERS, *TRAITS, *NUMBERS, *WITHOUT) if len(word) > 3
)
_PHRASES: Final = {tuple(map(singular, key.split())): value.split() for key, value in PHRASES.items()}
_SPECIAL: Final = (
    *("small", "medium", "large", "regular", "diet", "decaf", "without"),
    *(key[0] for key in _PHRASES if len(key) == 1 and len(key[0]) > 6),
)
"""Words that must be understood before likeness is asked about: they stand for others."""

_NEVER_SPLIT: Final = LEXICON | frozenset(map(singular, NEVER_SPLIT)) | {key[0] for key in _PHRASES if len(key) == 1}


@dataclass(frozen=True, slots=True)
class Phrase:
    """A name taken apart.

    Attributes:
        key: Equal for names that mean the same beyond doubt.
        words: Singular words in the order written.
        guards: Size, count, volume, traits and what is left out, each as text; two names with other guards are two
            products however alike their words are.
        container: `bottle`, `can`, `glass`, `carton` or empty.
    """

    key: str
    words: tuple[str, ...]
    guards: frozenset[str]
    container: str


@lru_cache(maxsize=8192)
def take_apart(name: str) -> Phrase:
    """Read a name; the same name is read once."""
    if len(name) > LONGEST:
        folded = " ".join(name.casefold().split())
        return Phrase(folded, (folded,), frozenset(), "")
    text = name
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    folded = fold_name(text)
    words, guards, container = _sort_out(_tokens(folded))
    if not words and not guards:
        return Phrase(folded, (folded,), frozenset(), container)
    ordered = words if any(pair <= set(words) for pair in ORDER_MATTERS) else tuple(sorted(words))
    key = "|".join([" ".join(ordered), *sorted(guards), container])
    return Phrase(key, words, guards, container)


def _tokens(folded: str) -> list[str]:
    raw: list[str] = []
    for word in folded.split():
        raw += ABBREVIATIONS.get(word, word).split()
    raw = [_spell_special(singular(word)) for word in raw]
    parts = [part for word in _replace_phrases(raw) for part in _split_joined(word)]
    return [singular(word) for word in _replace_phrases(parts)]


def _replace_phrases(words: list[str]) -> list[str]:
    result: list[str] = []
    at = 0
    while at < len(words):
        for length in range(min(_LONGEST_PHRASE, len(words) - at), 0, -1):
            replacement = _PHRASES.get(tuple(words[at : at + length]))
            if replacement is not None:
                result += replacement
                at += length
                break
        else:
            result.append(words[at])
            at += 1
    return result


def _split_joined(word: str) -> tuple[str, ...]:
    """`cheeseburger` as `cheese`, `burger`: the one way in which both parts are food words, or the word itself."""
    if word in _NEVER_SPLIT or len(word) < 6 or not word.isalpha():
        return (word,)
    ways = [
        (word[:cut], singular(word[cut:]))
        for cut in range(3, len(word) - 2)
        if singular(word[:cut]) in LEXICON and singular(word[cut:]) in LEXICON
    ]
    return (singular(ways[0][0]), ways[0][1]) if len(ways) == 1 else (word,)


def _spell_special(word: str) -> str:
    """Mend a misspelled word that stands for another: a size, a trait, a synonym."""
    if len(word) < 4 or word in LEXICON or word in SIZES or (word,) in _PHRASES:
        return word
    near = [
        special for special in _SPECIAL if special[0] == word[0] and OSA.distance(word, special, score_cutoff=1) == 1
    ]
    return near[0] if len(near) == 1 and not _as_near(word) - {near[0]} else word


def _as_near(word: str) -> frozenset[str]:
    """Food words as near to a misspelled one as a single letter."""
    return frozenset(choice for choice in nearest(word) if OSA.distance(word, choice, score_cutoff=1) == 1)


@lru_cache(maxsize=8192)
def nearest(word: str) -> frozenset[str]:
    """The food words closest to a misspelled one, at most 2 edits off."""
    found = process.extract(word, LEXICON, scorer=OSA.distance, score_cutoff=2, limit=None)
    best = min((distance for _, distance, _ in found), default=0)
    return frozenset(choice for choice, distance, _ in found if distance == best)


def _sort_out(tokens: list[str]) -> tuple[tuple[str, ...], frozenset[str], str]:
    """Tell the words that name the thing from those that qualify it."""
    guards: set[str] = set()
    words = _take_measures(_take_left_out(tokens, guards), guards)
    words = _take_sizes(words, guards)
    containers = {CONTAINERS[word] for word in words if word in CONTAINERS}
    named = tuple(word for word in words if word not in CONTAINERS and word not in FILLERS)
    if named or not containers:
        return named, frozenset(guards), " ".join(sorted(containers))
    return tuple(sorted(containers)), frozenset(guards), ""  # a bottle, and nothing else said


def _take_left_out(tokens: list[str], guards: set[str]) -> list[str]:
    """`no onion and pickle`, `gluten free`."""
    kept: list[str] = []
    leaving_out = only_one = False
    for word, following in pairwise((*tokens, "")):
        if word in WITHOUT and following and not _NUMBER.fullmatch(following):
            leaving_out, only_one = True, word == WITHOUT_ONE
        elif word == "with":
            leaving_out = False
        elif following == "free" or (leaving_out and word not in FILLERS):
            guards.add(f"without {word}")
            leaving_out = leaving_out and not only_one
        elif word != "free" or word == tokens[0]:
            kept.append(word)
    return kept


def _take_measures(tokens: list[str], guards: set[str]) -> list[str]:
    """`6 pc`, `six`, `500 ml`; but a number after `combo` is the combo's name."""
    kept: list[str] = []
    previous = ""
    for index, token in enumerate(tokens):
        number = NUMBERS.get(token, token)
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        if token in _CALLED and _NUMBER.fullmatch(NUMBERS.get(following, following)):
            pass  # `combo #3`, `combo no. 3` and `combo 3` are one combo
        elif _NUMBER.fullmatch(number):
            if previous in NUMBERED:
                kept.append(number)
            else:
                guards.add(_measure(number, following))
        elif not (_NUMBER.fullmatch(NUMBERS.get(previous, previous)) and (token in PIECES or token in UNITS)):
            kept.append(token)
        previous = token
    return kept


def _take_sizes(tokens: list[str], guards: set[str]) -> list[str]:
    """Sizes and traits; a lone letter is a size at either end of the name (but not in `m and m`)."""
    kept: list[str] = []
    ends = (0, len(tokens) - 1) if len(tokens) > 1 and "and" not in tokens else ()
    for index, token in enumerate(tokens):
        size = SIZES.get(token, SIZE_LETTERS.get(token) if index in ends else None)
        if size is not None:
            guards |= {f"size {size}"} if size else set()
        elif token in TRAITS:
            guards.add(token)
        else:
            kept.append(token)
    return kept


def _measure(number: str, unit: str) -> str:
    amount = float(number.replace("dot", ".")) if len(number) < 16 else 0.0
    if unit in UNITS:
        name, factor = UNITS[unit]
        return f"{amount * factor:g} {name}"
    return f"count {amount:g}" if amount else f"count {number}"
