"""One entry of a list: its name and how many, as people and models write it."""

from __future__ import annotations

import re

MAX_NAME_CHARS = 80
MAX_NAME_WORDS = 9

NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), start=1
    )
}
ARTICLES = frozenset({"a", "an"})

# What follows a number that belongs to the name: sizes and piece counts, not how many of them there are.
_UNITS = (
    "pcs?|pieces?|pce|ct|pk|packs?|oz|ounces?|ml|cl|dl|l|lit(?:er|re)s?|ltr|g|gr|grams?|kg|lbs?|cm|mm|inch(?:es)?|in|"
    "k?cal|up|percent|%|°|\"|''|″"
)
_CROSSES = "\u00d7\u2715\u2716"
_DASHES = "\u2013\u2014-"
_TIMES = f"[xX{_CROSSES}*]"
COUNT_EDGES = f" xX{_CROSSES}"
"""What may stand around a number that is a count."""

_MANY = re.compile(rf"\(?(\d+){_TIMES}\)?[ :]*(?=[^\W_]|\()")  # 2x Big Mac, (2x) Big Mac, 2xBig Mac
_MANY_SPACED = re.compile(rf"\(?(\d+) (?:[xX*] |[{_CROSSES}] ?)(?=[^\W_]|\()")  # 2 x fries, not 2 X-Large Fries
_MANY_AFTER_SIGN = re.compile(rf"[x{_CROSSES}](\d+)[ :]+(?=\S)", re.IGNORECASE)  # x2 Big Mac
_PIECES_OF = re.compile(r"(\d+) (?:pieces?|pcs?) of (?=\S)", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(  # 2 Big Mac, 2 7-Up, 2 6 pc Nuggets, and neither 6 pc Nuggets nor 7 Up
    rf"(\d+) (?!(?:{_UNITS})(?![^\W\d_]))(?=[^\W_\d]|\d+-[^\W\d_]|\d+ ?(?:{_UNITS}))", re.IGNORECASE
)
_COUNT_FIRST = re.compile(r"(?:quantity|qty|count|amount)[ .:=]+(\d+)[ .:,]+(?=[^\W\d])", re.IGNORECASE)  # qty 2 fries
_LEADING = (_COUNT_FIRST, _MANY, _MANY_SPACED, _MANY_AFTER_SIGN, _PIECES_OF, _PLAIN_NUMBER)
_COUNT_WORDS = "quantity|qty|count|amount|number|x"

_TAIL = r"(?: (?:items?|units?|each|visible|total))?"
_TRAILING = tuple(
    re.compile(pattern + "$", re.IGNORECASE)
    for pattern in (
        # Big Mac (2), (x2), (qty: 2); Big Mac, quantity: 2; and so on
        rf" ?[(\[] ?(?:{_COUNT_WORDS})? ?[:=x{_CROSSES}]? ?(\d+|[a-z]+) ?{_TIMES}?{_TAIL} ?[)\]]",
        rf"(?: ?[,;:|{_DASHES}] ?| )(?:quantity|qty|count|amount) ?[:=x{_CROSSES}]? ?(\d+|[a-z]+)",
        rf"(?: [xX]| ?[{_CROSSES}*]) ?(\d+)",  # Big Mac x 2
        rf" (\d+) ?{_TIMES}",  # Big Mac 2x
        rf" ?[:=] ?(\d+|[a-z]+){_TAIL}",  # fries: 2
        rf" (?:[{_DASHES}]|[-=]?>|\u2192) ?(\d+|[a-z]+){_TAIL}",  # fries - 2, fries -> 2
        r" ?, ?(\d+)",  # fries,2
    )
)
_PRICE = re.compile(rf" ?[:,|(@{_DASHES}]? ?(?:[$€£¥₹] ?\d+(?:[.,]\d+)?|\d+[.,]\d\d ?[$€£¥₹])\)?$")
_SPOKEN = re.compile(
    r"\b(?:i|is|are|was|were|see|sees|seen|shows?|shown|contains?|containing|image|picture|photo|visible|appears?|"
    r"there|here|this|these|that|sorry|cannot|can't|please|based|because|which|order includes|errors?|exception|"
    r"traceback|requests?)\b",
    re.IGNORECASE,
)
_LABELS = frozenset(
    {"item", "items", "name", "names", "quantity", "quantities", "qty", "count", "number", "amount", "product", "menu"}
    | {"order", "answer", "list", "contents", "summary", "json", "note", "none", "nothing", "empty", "tax", "total"}
    | {"subtotal", "grand total", "total items", "item name", "items found", "no items", "order items"}
    | {"null", "nil", "undefined", "true", "false"}
)
_ABSENT = re.compile(r"(?:no|not|without|missing|none)(?: (?=[^\W\d])|$)", re.IGNORECASE)  # no onions, but No. 1 Combo
_NEGATIVE = re.compile(rf"[:=(x{_CROSSES}] ?[\u2212-] ?\d+ ?\)?$", re.IGNORECASE)  # fries: -2
_FIRST_SIGNS = "([&"
_LAST_SIGNS = ")]!?%°+″"
"""What a name may begin and end with beside letters and digits."""


def tidy_name(text: str) -> str:
    """The name without the marks around it; empty when it cannot be one.

    Args:
        text: One line at most; runs of white space already single.
    """
    start, end = 0, len(text)
    while start < end and not (text[start].isalnum() or text[start] in _FIRST_SIGNS):
        start += 1
    while start < end and not (text[end - 1].isalnum() or text[end - 1] in _LAST_SIGNS):
        end -= 1
    name = text[start:end]
    if len(name) > MAX_NAME_CHARS or not any(letter.isalpha() for letter in name):
        return ""
    return "" if name.casefold() in _LABELS else name


def is_prose(name: str) -> bool:
    """Whether the words read as part of a sentence rather than as a name."""
    return len(name.split(" ")) > MAX_NAME_WORDS or name.endswith(("?", "!")) or _SPOKEN.search(name) is not None


def read_count(text: str) -> int | None:
    """A count in digits or words, or None. Counts of more than four digits are all read as 9999."""
    word = text.strip().casefold()
    if word.isascii() and word.isdigit():
        return int(word) if len(word) <= 4 else 9999
    return NUMBER_WORDS.get(word)


def read_entry(text: str, *, articles: bool) -> tuple[str, int | None] | None:
    """Read one entry.

    Args:
        text: The entry without its bullet or number; runs of white space already single.
        articles: Whether `a burger` may count as one burger.

    Returns:
        The name and the quantity, None where none was written; None when it is no entry.
    """
    body = _PRICE.sub("", text.strip())
    if len(body) > 2 * MAX_NAME_CHARS or _ABSENT.match(body) or _NEGATIVE.search(body):
        return None
    quantity, rest = _leading(body, articles=articles)
    if quantity is None:
        quantity, rest = _trailing(body)
    name = tidy_name(rest)
    if not name or is_prose(name):
        return None
    return name, quantity


def _leading(body: str, *, articles: bool) -> tuple[int | None, str]:
    for pattern in _LEADING:
        if match := pattern.match(body):
            return read_count(match[1]), body[match.end() :]
    first, _, rest = body.partition(" ")
    word = first.casefold()
    if rest and (word in NUMBER_WORDS or (articles and word in ARTICLES)):
        return NUMBER_WORDS.get(word, 1), rest
    return None, body


def _trailing(body: str) -> tuple[int | None, str]:
    for pattern in _TRAILING:
        match = pattern.search(body)
        if match is not None and (count := read_count(match[1])) is not None:
            return count, body[: match.start()]
    return None, body
