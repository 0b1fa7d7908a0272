"""Lists without JSON: bullets, numbers, tables, `key: value` pairs, plain lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from orderacc.vlm.answer_words import ARTICLES, COUNT_EDGES, NUMBER_WORDS, is_prose, read_count, read_entry, tidy_name

MAX_LINE_CHARS = 400

_BULLET = re.compile(
    r"[•◦▪‣·✓✔✅] ?|[-*+\u2013\u2014>] ?(?=[\w(\[])|\[[ xX✓✔]?\] ?|\d{1,3}[.)] ?(?=[^\W\d_])|\d{1,3}[.)] (?=[\w(])"
    r"|[a-z]\) ?(?=\w)"
)
_LABEL = re.compile(
    r"(?:the )?(?:visible |detected |menu |order |food )?(?:items?|order|answer|list|contents|result)"
    r"(?: list| found)? ?: ?(?=\S)",
    re.IGNORECASE,
)
_PARTS = re.compile(r" ?[,;] (?:and )?| and (?=\d|one |two |three |four |five |six )")
_NAME_PAIR = re.compile(r"(?:item )?(?:name|item|product) ?[:=] ?", re.IGNORECASE)
_COUNT_PAIR = re.compile(r"(?:quantity|qty|count|amount) ?[:=] ?(\w+)$", re.IGNORECASE)
_JSON_SIGNS = ("{", "}", '":', "':", '["', "['", "[[")
_MARKUP = re.compile(r"<[!/]?[a-zA-Z]")
_RULE = frozenset("-=_*~#+ ")
_NAME_HEADERS = frozenset({"item", "items", "name", "product", "item name", "menu item", "food", "description"})
_COUNT_HEADERS = frozenset({"quantity", "qty", "count", "amount", "number", "qty.", "how many"})
_NO_ONES = {f"no {what}" for what in ("item", "items", "menu items", "food", "food items")}
_NOTHING = frozenset(
    {"none", "nothing", "empty", "n/a", "nothing visible", "[]", "{}"}
    | {f"{none}{seen}" for none in _NO_ONES for seen in ("", " visible", " found", " detected")}
)


def is_explicit_nothing(text: str) -> bool:
    """Whether the text says in so many words that nothing is there."""
    return len(text) <= MAX_LINE_CHARS and " ".join(text.split()).casefold().strip(" .!`*") in _NOTHING


@dataclass(slots=True)
class _Found:
    """What the lines held so far, by how surely each was an entry."""

    marked: list[tuple[str, int]] = field(default_factory=list)
    counted: list[tuple[str, int]] = field(default_factory=list)
    in_order: list[tuple[str, int]] = field(default_factory=list)
    prose: bool = False
    columns: tuple[int, int] | None = None
    open_name: str = ""


def read_lines(text: str) -> list[tuple[str, int]]:
    """Read an answer line by line.

    Bullets, numbers, tables and written counts mark an entry. Lines with neither are names only when no line of the
    whole answer is prose and nothing is bulleted.

    Returns:
        Names and quantities as they come; names may repeat.
    """
    found = _Found()
    for raw in text.split("\n"):
        if len(raw) > MAX_LINE_CHARS:
            found.prose = True
            continue
        line = " ".join(raw.strip().replace("\t", " | ").split())
        line = line.replace("**", "").replace("__", "").replace("`", "").strip()
        if line and not line.startswith("#") and not _RULE.issuperset(line):
            _read_line(line, found)
    _close_pair(found)
    if found.marked:
        return found.marked + found.counted
    return found.counted if found.prose else found.in_order


def _read_line(line: str, found: _Found) -> None:
    if any(sign in line for sign in _JSON_SIGNS) or _MARKUP.match(line):
        # JSON that could not be read as such, or a page: their words must not become names.
        found.prose = True
        return
    if "|" in line:
        _read_row(line, found)
        return
    body, marked = _strip_bullets(line)
    if _read_pair(body, found):
        return
    if body.endswith(":"):
        return
    if marked:
        entry = read_entry(body, articles=True)
        if entry is not None:
            found.marked.append((entry[0], 1 if entry[1] is None else entry[1]))
    else:
        _read_plain(body, found)


def _strip_bullets(line: str) -> tuple[str, bool]:
    body = line
    for _ in range(3):
        match = _BULLET.match(body)
        if match is None:
            break
        body = body[match.end() :]
    return body, body is not line


def _read_pair(body: str, found: _Found) -> bool:
    """`name: Burger`, then `quantity: 2` on the same or the next line."""
    if match := _NAME_PAIR.match(body):
        _close_pair(found)
        entry = read_entry(body[match.end() :], articles=False)
        if entry is None:
            return False
        found.open_name = entry[0]
        if entry[1] is not None:
            found.marked.append((entry[0], entry[1]))
            found.open_name = ""
        return True
    if found.open_name and (match := _COUNT_PAIR.match(body)) and (count := read_count(match[1])) is not None:
        found.marked.append((found.open_name, count))
        found.open_name = ""
        return True
    return False


def _close_pair(found: _Found) -> None:
    if found.open_name:
        found.marked.append((found.open_name, 1))
        found.open_name = ""


def _read_plain(body: str, found: _Found) -> None:
    cells = body.casefold().split(",")
    if len(cells) > 1 and all(cell.strip() in _NAME_HEADERS | _COUNT_HEADERS for cell in cells):
        return
    label = _LABEL.match(body)
    text = body[label.end() :] if label else body
    parts = [part for part in _PARTS.split(text) if part]
    entries = [read_entry(part, articles=False) for part in parts]
    if len(parts) > 1 and not all(entry and entry[1] is not None for entry in entries):
        # `Burger, 2` is one entry with a comma; `Burger, Fries` could be one name or two.
        whole = read_entry(text, articles=False)
        entries = [whole if whole and whole[1] is not None and "," not in whole[0] else None]
    for entry in entries:
        if entry is None or _runs_on(entry[0], text):
            found.prose = found.prose or is_prose(body) or body.endswith((".", "!", "?"))
        elif entry[1] is not None:
            found.counted.append((entry[0], entry[1]))
            found.in_order.append((entry[0], entry[1]))
        elif text.endswith((".", "!", "?")) or text.partition(" ")[0].casefold() in ARTICLES:
            found.prose = True
        else:
            found.in_order.append((entry[0], 1))


def _runs_on(name: str, text: str) -> bool:
    """`two burgers and fries`: the count is of the first thing only, so the words are no entry."""
    first = text.partition(" ")[0].casefold()
    return " and " in name and (first.isdigit() or first in NUMBER_WORDS)


def _read_row(line: str, found: _Found) -> None:
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if all(set(cell) <= set("-: ") for cell in cells):
        return
    lowered = [cell.casefold() for cell in cells]
    name_at = next((at for at, cell in enumerate(lowered) if cell in _NAME_HEADERS), None)
    if name_at is not None and len(cells) > 1:
        count_at = next((at for at, cell in enumerate(lowered) if cell in _COUNT_HEADERS), -1)
        found.columns = (name_at, count_at)
        return
    entry = _row_entry(cells, found.columns)
    if entry is not None:
        found.marked.append(entry)


def _row_entry(cells: list[str], columns: tuple[int, int] | None) -> tuple[str, int] | None:
    if columns is not None and max(columns) < len(cells):
        name_at, count_at = columns
        counts = [read_count(cells[count_at].strip(COUNT_EDGES)) if count_at >= 0 else None]
    else:
        name_at = next((at for at, cell in enumerate(cells) if tidy_name(cell) and read_count(cell) is None), -1)
        if name_at < 0:
            return None
        counts = [read_count(cell.strip(COUNT_EDGES)) for cell in (*cells[name_at + 1 :], *reversed(cells[:name_at]))]
    count = next((count for count in counts if count is not None), None)
    entry = read_entry(cells[name_at], articles=False)
    if entry is None:
        return None
    if count is not None:
        # A count column makes any number in the name part of the name.
        return (tidy_name(cells[name_at]) or entry[0], count)
    return entry[0], 1 if entry[1] is None else entry[1]
