"""The menu: what the items are called."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from orderacc.errors import ConfigError, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orderacc.documents import Document, FieldPath

Verifiability: TypeAlias = Literal["visible", "occluded", "ignore"]

Container: TypeAlias = Literal["", "open", "closed"]

_GAPS = re.compile(r"[\W_]+")
_SILENT = str.maketrans("", "", "'`\u2019\u02bc\u00b4\u00ae\u2122\u00a9\u00ad\u200b\u200c\u200d\ufeff")
"""Apostrophes, trade marks and what has no width: dropped rather than read as a gap."""

_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "\u0131": "i", "æ": "ae", "œ": "oe"})
"""Letters that Unicode does not take apart."""

_LAST_ACCENTED_SCRIPT = "\u03ff"
"""Latin and Greek end here. Beyond, a mark is part of the letter (Japanese ba is not ha with an accent)."""


@lru_cache(maxsize=8192)
def fold_name(name: str) -> str:
    """Fold what never tells two menu items apart: case, accents, width, apostrophes, punctuation, white space.

    Returns:
        Words separated by single spaces; the NFKC text itself when it holds no word (an emoji, say).
    """
    text = unicodedata.normalize("NFKC", name.translate(_SILENT)).casefold()
    words = _GAPS.sub(" ", text) if text.isascii() else _foreign_words(text)
    return words.strip() or text.strip()


def _foreign_words(text: str) -> str:
    kept: list[str] = []
    for char in unicodedata.normalize("NFD", text):
        kind = unicodedata.category(char)[0]
        if kind in "LN":
            kept.append(char)
        elif kind != "M":
            kept.append(" ")
        elif kept and kept[-1] > _LAST_ACCENTED_SCRIPT:
            kept.append(char)
    return " ".join(unicodedata.normalize("NFC", "".join(kept)).translate(_LETTERS).split())


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One thing on the menu.

    Attributes:
        name: The name verdicts use.
        item_id: The POS's key for it; the name where there is none.
        category: E.g. `burger`, `drink`.
        aliases: Other names the POS or the model may use.
        group: The detector label that covers it (look-alikes share one), or None when the detector has none.
        size: `small`, `large` and the like where the item is one size of several, else empty.
        look_alikes: Names of items that are easily packed for this one although no detector label joins them.
        contains: Names of the items it is made up of (a combo, a children's meal).
        container: Whether its contents lie in the open or in something closed; empty where it contains nothing.
        verifiability: Whether a camera can see it: `visible`; `occluded`, in something closed, so that not seeing it
            says nothing; `ignore`, too small or too trivial to be asked about (napkins, sauces).
        threshold: Least likeness, 0 to 1, at which a name means this item; None for the judge's own threshold.

    Raises:
        ValueError: If the threshold is not within 0 to 1.
    """

    name: str
    item_id: str = ""
    category: str = ""
    aliases: tuple[str, ...] = ()
    group: str | None = None
    size: str = ""
    look_alikes: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    container: Container = ""
    verifiability: Verifiability = "visible"
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold of {self.name!r} must be within 0 to 1, not {self.threshold!r}")


@dataclass(frozen=True, slots=True)
class Menu:
    """All items a restaurant sells, in menu order.

    Raises:
        ValueError: If a name is blank or two items have the same name.
    """

    items: tuple[MenuItem, ...]
    _found: Mapping[str, MenuItem] = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_found", _index(self.items))
        object.__setattr__(self, "_hash", hash(self.items))

    def __hash__(self) -> int:
        return self._hash  # a menu is a key of caches that are asked for every order

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read `{"items": [{"id", "name", "category", "aliases": [], "group"}]}` from JSON or YAML.

        An item may also be a plain name, and the top level may be the list itself. Keys beyond these (prices,
        descriptions) are the POS's business and are not read.

        Raises:
            ConfigError: With every finding, each with its line and column.
        """
        from orderacc.documents import read_document

        return cls(_read_items(read_document(path)))

    @property
    def names(self) -> tuple[str, ...]:
        """Item names in menu order."""
        return tuple(item.name for item in self.items)

    def find(self, name: str) -> MenuItem | None:
        """The item called so: by name, else by id, else by an alias that only one item has. Case and accents aside."""
        return self._found.get(name) or self._found.get(fold_name(name))

    def group_of(self, name: str) -> str | None:
        """The detector label that covers an item, or None when there is none or the name is not on the menu."""
        item = self.find(name)
        return item.group if item else None


def _index(items: tuple[MenuItem, ...]) -> dict[str, MenuItem]:
    """Every way to call an item, the strongest claim first: a name beats an id, an id beats an alias."""
    found: dict[str, MenuItem] = {}
    for item in items:
        key = fold_name(item.name)
        if not key:
            raise ValueError("a menu item needs a name")
        if key in found:
            raise ValueError(f"two menu items are called {item.name!r}")
        found[key] = item
    named = frozenset(found)
    for item in items:
        if item.item_id:
            found.setdefault(fold_name(item.item_id), item)
    taken = frozenset(found)
    shared: set[str] = set()
    for item in items:
        for alias in {fold_name(alias) for alias in item.aliases} - taken:
            if found.setdefault(alias, item) is not item:
                shared.add(alias)
    for alias in shared:  # an alias two items have names neither
        del found[alias]
    found |= {item.name: item for item in items if fold_name(item.name) in named}
    return found


def _read_items(document: Document) -> tuple[MenuItem, ...]:
    findings: list[Finding] = []
    data = document.data
    base: FieldPath = ()
    if isinstance(data, dict) and "items" in data:
        data, base = data["items"], ("items",)
    if not isinstance(data, list) or not data:
        raise ConfigError([document.finding(base, "should be a list of menu items: items: [{name: Burger}, ...]")])
    items: list[MenuItem] = []
    lines: dict[str, int] = {}
    for index, entry in enumerate(data):
        path: FieldPath = (*base, index)
        fields = {"name": entry} if isinstance(entry, str) else entry
        wrong = _complaints(document, path, fields)
        findings += wrong
        if wrong:
            continue
        key, line = fold_name(fields["name"]), document.where(path)[0]
        if key in lines:
            findings.append(
                document.finding((*path, "name"), f"{fields['name']!r} is on the menu already, in line {lines[key]}")
            )
            continue
        lines[key] = line
        items.append(_item(fields))
    if findings:
        raise ConfigError(findings)
    return tuple(items)


def _complaints(document: Document, path: FieldPath, fields: Any) -> list[Finding]:  # noqa: ANN401  parsed text
    if not isinstance(fields, dict):
        return [document.finding(path, "should be a name or a table with a name")]
    found: list[Finding] = []
    name = fields.get("name")
    if not isinstance(name, str) or not fold_name(name):
        found.append(document.finding((*path, "name"), "every menu item needs a name, as text"))
    if not isinstance(fields.get("id", ""), (str, int)) or isinstance(fields.get("id"), bool):
        found.append(document.finding((*path, "id"), "should be text or a number"))
    found += [
        document.finding((*path, key), "should be text")
        for key in ("category", "group")
        if not isinstance(fields.get(key) or "", str)
    ]
    aliases = fields.get("aliases") or []
    if not isinstance(aliases, list):
        return [*found, document.finding((*path, "aliases"), "should be a list of names")]
    return found + [
        document.finding((*path, "aliases", index), "an alias should be text")
        for index, alias in enumerate(aliases)
        if not isinstance(alias, str)
    ]


def _item(fields: dict[str, Any]) -> MenuItem:
    return MenuItem(
        name=fields["name"].strip(),
        item_id=str(fields.get("id", "")),
        category=fields.get("category") or "",
        aliases=tuple(fields.get("aliases") or ()),
        group=fields.get("group") or None,
    )
