"""Which of a slip's printed lines is the order number.

Pure text: what the OCR engine read goes in, the number or None comes out. A slip carries other numbers (table, time,
price, phone, store, quantities); taking one of those judges the wrong order, so whatever is ambiguous is None and the
next frame gets its chance.

Three forms are understood; the strongest that occurs on a slip decides alone:

1. a keyword: `ORDER #4821`, `Order 84`, `Order No: 384`, or `ORDER` with the number on the next line;
2. a mark that begins a line: `#1384`, `No. 1384`;
3. a number alone on its line, printed clearly larger than the rest of the slip.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, TypeAlias

from orderacc.domain.detections import SlipReading

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_LINE_CONFIDENCE = 0.5
"""Lines the engine is less sure of are not looked at."""

REPAIRED_CONFIDENCE = 0.8
"""Ceiling for a number in which a letter was taken for the digit it can only be."""

MAX_DIGITS = 6
"""Longer numbers are phones, dates or receipt numbers."""

LONE_HEIGHT_RATIO = 1.35
"""How much taller than the slip's median line a lone number must be printed."""

Offer: TypeAlias = "SlipReading | None"
"""What a line of one of the forms offers: a number, or None when it offers one that cannot be trusted."""

_KEYWORD_SHAPES = ("O0QDC", "RPFK", "D0OQB", "EF3B", "RPFK")
"""What OCR engines give for each letter of ORDER, the letter itself first."""

_KEYWORD_FAULTS = 2
_CUT_KEYWORDS = frozenset({"RDER", "ODER", "ORER", "ORDR"})
"""The keyword with one letter lost in a fold or under a finger."""

_LEADING = re.compile(r"(?:(?:YOUR|PICK\s?UP|MOBILE|ONLINE|GUEST|TAKE\s?AWAY|TO\s?GO)\s+)*")
_SEPARATORS = r"[\s.:#*_\-]*"
_CONNECTOR = re.compile(rf"{_SEPARATORS}(?:(?:NO|NR|NUM|NUMBER|ID)(?![A-Z])|N[0°](?!\w))?{_SEPARATORS}")
_MARK = re.compile(r"(?:#|N[O0]\s*[.:#]|NO\s+(?=\d)|N°|(?:NUMBER|NR)(?![A-Z]))[\s.:#]*")
_NUMBER = re.compile(r"(?P<letter>[A-GJKMP-Z])?-?(?P<digits>\d[\dOIL|]*)(?![\w|])")
_SPACED = re.compile(r"\d(?: \d)+")
"""Digits printed so wide apart that the engine takes each for a word."""

_JUNK = re.compile(r"^[^A-Z0-9#$€£]+")
_LONE = re.compile(r"\d{2,6}")
_OTHER_NUMBERS = re.compile(
    r"""(?<![\w.:/])(?:
        \d{1,2}:\d{2}(?::\d{2})?(?:\s*[AP]M)?       # a time
      | \d{1,4}([/.-])\d{1,2}\1\d{1,4}              # a date
      | [$€£]\s*\d+(?:[.,]\d{2})?                   # a price
      | (?:TABLE|TBL|SEAT|TILL|REG|POS|STORE|TEL)\s*[.:#]*\s*\d[\d-]*
    )(?![\w/])""",
    re.VERBOSE,
)
_SERVICE_WORDS = re.compile(
    r"(?:EAT|DINE|IN|TAKE|OUT|AWAY|TAKEAWAY|TO|GO|DRIVE|THRU|PICKUP|DELIVERY|PAID|[\s.,:;*|_\-])*"
)


def find_order_number(lines: Sequence[tuple[str, float]], heights: Sequence[float] | None = None) -> SlipReading | None:
    """Find the order number among the lines of one slip.

    Args:
        lines: Text and confidence (0 to 1) of each printed line, top to bottom; an empty text for one that could not be
            read.
        heights: Printed height of each line in pixels. Without it a lone number counts only on a slip of one line.

    Returns:
        The number with all its digits, leading zeros kept, and the confidence of its line; None when no line holds one
        or when lines disagree.
    """
    texts = _sure(lines)
    return _agreed(_after_keyword(texts) or _after_mark(texts) or _lone(texts, heights))


def find_keyword_number(lines: Sequence[tuple[str, float]]) -> SlipReading | None:
    """Like `find_order_number`, but only a number after its keyword counts: true whatever the other lines say."""
    return _agreed(_after_keyword(_sure(lines)))


def _sure(lines: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Normalised lines; those the engine is not sure of stay in their place as empty ones, so that none moves up."""
    return [
        (_normalise(text), confidence) if confidence >= MIN_LINE_CONFIDENCE else ("", 0.0) for text, confidence in lines
    ]


def _agreed(offers: Sequence[Offer]) -> SlipReading | None:
    readings = [offer for offer in offers if offer is not None]
    if not readings or len(readings) < len(offers) or len({reading.text for reading in readings}) > 1:
        return None
    return max(readings, key=lambda reading: reading.confidence)


def _normalise(text: str) -> str:
    """One form for all widths and cases, without what the paper's edge was read as at the line's beginning."""
    return _JUNK.sub("", unicodedata.normalize("NFKC", text).upper()).rstrip()


def _after_keyword(texts: Sequence[tuple[str, float]]) -> list[Offer]:
    offers: list[Offer] = []
    for index, (text, confidence) in enumerate(texts):
        rest = _strip_keyword(text)
        if rest is None:
            continue
        connector = _CONNECTOR.match(rest)
        number = rest[connector.end() :] if connector else rest
        if number:
            offers.extend(_offers(number, confidence))
        elif index + 1 < len(texts):
            below, below_confidence = texts[index + 1]
            mark = _MARK.match(below)
            offers.extend(_offers(below[mark.end() :] if mark else below, min(confidence, below_confidence)))
    return offers


def _after_mark(texts: Sequence[tuple[str, float]]) -> list[Offer]:
    offers: list[Offer] = []
    for text, confidence in texts:
        if mark := _MARK.match(text):
            offers.extend(_offers(text[mark.end() :], confidence))
    return offers


def _lone(texts: Sequence[tuple[str, float]], heights: Sequence[float] | None) -> list[Offer]:
    if heights is None:
        return [SlipReading(*texts[0])] if len(texts) == 1 and _LONE.fullmatch(texts[0][0]) else []
    ordered = sorted(heights)
    median = ordered[(len(ordered) - 1) // 2] if len(ordered) > 1 else 0.0
    return [
        SlipReading(text, confidence)
        for (text, confidence), height in zip(texts, heights, strict=True)
        if _LONE.fullmatch(text) and height >= LONE_HEIGHT_RATIO * median
    ]


def _strip_keyword(text: str) -> str | None:
    """What follows the keyword, or None for a line that does not begin with it."""
    leading = _LEADING.match(text)
    text = text[leading.end() :] if leading else text
    for length in (5, 4):
        word, rest = text[:length], text[length:]
        if not rest[:1].isalpha() and _is_keyword(word):
            return rest
        # "ORDERNO.384": the next word is printed, or read, without a gap
        if word == "ORDER" and rest.startswith(("NO", "NUM", "ID")):
            return rest
    return None


def _is_keyword(word: str) -> bool:
    if word in _CUT_KEYWORDS:
        return True
    if len(word) != len(_KEYWORD_SHAPES):
        return False
    likely = all(character in shapes for character, shapes in zip(word, _KEYWORD_SHAPES, strict=True))
    faults = sum(character != shapes[0] for character, shapes in zip(word, _KEYWORD_SHAPES, strict=True))
    return likely and faults <= _KEYWORD_FAULTS


def _offers(text: str, confidence: float) -> list[Offer]:
    """What a text that should begin with the number offers; [] when it begins with none or counts things."""
    if _OTHER_NUMBERS.match(text):
        return []
    if _SPACED.fullmatch(text):
        text = text.replace(" ", "")
    number = _NUMBER.match(text)
    if number is None:
        return [None] if re.match(r"[\w|\-]?[|-]?\d", text) else []
    rest = _OTHER_NUMBERS.sub(" ", text[number.end() :])
    harmless = _SERVICE_WORDS.match(rest)
    if harmless is None or harmless.end() < len(rest):
        return [] if re.match(r"\s+[A-Z]{2,}", rest) else [None]
    digits = re.sub("[IL|]", "1", number["digits"].replace("O", "0"))
    if len(digits) > MAX_DIGITS:
        return [None]
    if digits != number["digits"]:
        confidence = min(confidence, REPAIRED_CONFIDENCE)
    return [SlipReading((number["letter"] or "") + digits, confidence)]
