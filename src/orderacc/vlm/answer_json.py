"""JSON, and what nearly is: single quotes, no quotes, fences, words around it, an end that is missing.

One pass over the text with a stack of its own: time grows with the text and with nothing else.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Final

from orderacc.vlm.answer_words import COUNT_EDGES, read_count, read_entry, tidy_name

_OPENING = re.compile(r"[\[{]")
_TOKEN = re.compile(r"\s*(?:([{}\[\],:])|([\"'])|([^\s{}\[\],:\"']+))")
_ASKED_FOR = re.compile(r'\{"items":\[(?:\{"name":"[^"\\“”„\n]+","quantity":\d{1,4}\}(?:,(?=\{)|(?=\])))*\]\}')
_ASKED_FOR_LINE = re.compile(r'\{"name":"([^"]+)","quantity":(\d+)\}')
_MAX_DEPTH = 16
_AFTER_STRING = re.compile(r"\s*(?:[,:}\]]|$)")
_QUOTES = str.maketrans("“”„", '"""')
_NAME_KEYS = ("name", "item", "item_name", "menu_item", "product", "label", "food")
_COUNT_KEYS = ("quantity", "qty", "count", "amount", "number", "q")
_OTHER_KEYS = frozenset(
    {"total", "total_items", "total_quantity", "order", "order_id", "id", "confidence", "score", "station", "version"}
    | set(_COUNT_KEYS)
)
_ABSENT_KEYS = frozenset({"missing", "missing_items", "absent", "not_visible", "not_seen", "not_found", "unseen"})
"""What is listed under these is not there."""


class _Bare(str):
    """Words without quotes."""

    __slots__ = ()


_NESTED: Final = object()
"""Stands for a list or object inside another."""


@dataclass(slots=True)
class _Frame:
    """A list or object being read.

    Attributes:
        kind: `{` or `[`.
        mark: How many lines there were when it began; those after it came from inside.
        values: A list's values.
        pairs: An object's pairs, keys in lower case beside their spelling.
        key: The key whose value comes next.
        value: The value being read, not yet followed by a comma or bracket.
        line_start: Whether the opening bracket is where an answer would begin: a line's start or after a colon.
    """

    kind: str
    mark: int
    line_start: bool
    values: list[object] = field(default_factory=list)
    pairs: dict[str, tuple[str, object]] = field(default_factory=dict)
    key: str | None = None
    value: object = None


@dataclass(slots=True)
class _Root:
    """One value at the top of the text."""

    lines: list[tuple[str, int]]
    single: bool
    closed: bool
    empty: bool


class _Reader:
    """Reads every JSON-like value of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line_end = -1
        self._frames: list[_Frame] = []
        self._lines: list[tuple[str, int]] = []
        self.roots: list[_Root] = []

    def read(self) -> None:
        at = 0
        while at < len(self._text) and (opening := _OPENING.search(self._text, at)):
            at = self._read_value(opening.start())

    def _read_value(self, start: int) -> int:
        at = start
        while match := _TOKEN.match(self._text, at):
            sign, quote, word = match.groups()
            at = match.end()
            if quote:
                end = self._string_end(at, quote)
                if end < 0:
                    at = self._line_end
                    break
                self._put(_unescape(self._text[at:end]))
                at = end + 1
            elif word:
                self._put_word(word)
            elif sign in "{[":
                if len(self._frames) == _MAX_DEPTH:
                    at = len(self._text)
                    break
                self._open(sign, match.end() - 1)
            elif sign in "}]":
                self._commit()
                self._close(closed=True)
                if not self._frames:
                    return at
            elif sign == ",":
                self._commit()
            else:
                self._take_key()
        while self._frames:
            self._close(closed=False)
        return max(at, start + 1)

    def _string_end(self, start: int, quote: str) -> int:
        if self._line_end < start:
            newline = self._text.find("\n", start)
            self._line_end = newline if newline >= 0 else len(self._text)
        at = self._text.find(quote, start, self._line_end)
        while at >= 0:
            # A quote inside a name (`6" sub`, `Jack's`) is not followed by a comma, colon or bracket.
            if self._text[at - 1] != "\\" and _AFTER_STRING.match(self._text, at + 1):
                return at
            at = self._text.find(quote, at + 1, self._line_end)
        return -1

    def _open(self, sign: str, at: int) -> None:
        before = self._text[max(0, at - 80) : at].rpartition("\n")[2].rstrip(" \t")
        self._frames.append(_Frame(sign, len(self._lines), not before or before[-1] in ":=`>"))

    def _put(self, value: object) -> None:
        self._frames[-1].value = value

    def _put_word(self, word: str) -> None:
        frame = self._frames[-1]
        frame.value = _Bare(f"{frame.value} {word}" if isinstance(frame.value, _Bare) else word)

    def _take_key(self) -> None:
        frame = self._frames[-1]
        frame.key, frame.value = (str(frame.value), None) if isinstance(frame.value, str) else (None, None)

    def _commit(self) -> None:
        frame = self._frames[-1]
        if frame.kind == "[" and frame.value is not None:
            frame.values.append(frame.value)
        elif frame.key is not None:
            frame.pairs[frame.key.casefold()] = (frame.key, frame.value)
        frame.key, frame.value = None, None

    def _close(self, *, closed: bool) -> None:
        frame = self._frames.pop()
        inside = len(self._lines) > frame.mark
        single, empty = False, False
        if frame.kind == "{":
            single = any(key in frame.pairs for key in _NAME_KEYS) and not self._is_container(frame)
            if single:
                self._close_entry(frame, closed=closed)
            elif not inside:
                self._lines.extend(_counts_by_name(frame))
        elif not inside:
            self._lines.extend(_strings_or_pair(frame, closed=closed))
        if self._frames and (self._frames[-1].key or "").casefold() in _ABSENT_KEYS:
            del self._lines[frame.mark :]
        if closed and len(self._lines) == frame.mark:
            empty = frame.kind == "[" and not frame.values
            listed = frame.kind == "{" and not _ABSENT_KEYS & frame.pairs.keys()
            empty = empty or (listed and all(value is _NESTED for _, value in frame.pairs.values()))
        if self._frames:
            self._put(_NESTED)
        else:
            self.roots.append(_Root(self._lines[frame.mark :], single, closed, empty and frame.line_start))
            del self._lines[frame.mark :]

    @staticmethod
    def _is_container(frame: _Frame) -> bool:
        return all(frame.pairs[key][1] is _NESTED for key in _NAME_KEYS if key in frame.pairs)

    def _close_entry(self, frame: _Frame, *, closed: bool) -> None:
        del self._lines[frame.mark :]
        if not closed:
            return
        values = [frame.pairs[key][1] for key in _NAME_KEYS if key in frame.pairs]
        name = next((" ".join(value.split()) for value in values if isinstance(value, str)), "")
        key = next((key for key in _COUNT_KEYS if key in frame.pairs), None)
        if key is None:
            entry = read_entry(name, articles=False)
            if entry is not None:
                self._lines.append((entry[0], 1 if entry[1] is None else entry[1]))
            return
        count = _count(frame.pairs[key][1])
        if count is not None and (tidy := tidy_name(name)):
            self._lines.append((tidy, count))


def read_json(text: str) -> list[tuple[str, int]] | None:
    """Read the JSON in an answer.

    Understands `{"items": [{"name", "quantity"}]}` and the same without the outer object, one object a line,
    `{"Burger": 2}`, `["2x Burger", "Fries"]` and `[["Burger", 2]]`. Of several lists the last whole one counts. An
    object the text ends in is left out, those before it are kept.

    Returns:
        Names and quantities as they come, empty for an empty list; None when the text holds no such JSON.
    """
    if _ASKED_FOR.fullmatch(text):
        # What our own grammar lets through, in a sixth of the time.
        lines = ((tidy_name(" ".join(name.split())), int(count)) for name, count in _ASKED_FOR_LINE.findall(text))
        return [(name, count) for name, count in lines if name]
    reader = _Reader(text.translate(_QUOTES))
    reader.read()
    lists = [root for root in reader.roots if not root.single and (root.lines or root.empty)]
    whole = [root for root in lists if root.closed]
    if whole and (whole[-1].lines or not any(root.single for root in reader.roots)):
        return whole[-1].lines
    singles = [line for root in reader.roots if root.single for line in root.lines]
    if singles:
        return singles
    return lists[-1].lines if lists else None


def _count(value: object) -> int | None:
    if value is None:
        return 1
    if not isinstance(value, str):
        return None
    word = value.strip().casefold()
    if isinstance(value, _Bare) and word in {"null", "none"}:
        return 1
    return read_count(word.removesuffix(".0").strip(COUNT_EDGES))


def _counts_by_name(frame: _Frame) -> list[tuple[str, int]]:
    """`{"Burger": 2, "Fries": 1}`; nothing when any value is not a count."""
    lines = []
    for lowered, (key, value) in frame.pairs.items():
        if lowered in _OTHER_KEYS:
            continue
        count, name = _count(value), tidy_name(" ".join(key.split()))
        if count is None or value is None or not name:
            return []
        lines.append((name, count))
    return lines


def _strings_or_pair(frame: _Frame, *, closed: bool) -> list[tuple[str, int]]:
    values = frame.values
    if closed and len(values) == 2 and isinstance(values[1], _Bare) and _is_quoted(values[0]):
        count, name = _count(values[1]), tidy_name(" ".join(str(values[0]).split()))
        return [(name, count)] if name and count is not None else []
    if not values or not all(map(_is_quoted, values)):
        return []
    entries = [read_entry(" ".join(str(value).split()), articles=False) for value in values]
    return [(entry[0], 1 if entry[1] is None else entry[1]) for entry in entries if entry is not None]


def _is_quoted(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, _Bare)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text.replace("\\'", "'").replace('\\"', '"')
