"""The menu: what the items are called, which look alike, what lies inside what."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from orderacc.domain.orders import Item
    from orderacc.domain.verdicts import SeenItem

AnyItem = TypeVar("AnyItem", bound="Item | SeenItem")

Verifiability: TypeAlias = Literal["visible", "occluded", "ignore"]

Container: TypeAlias = Literal["", "open", "closed"]

MOST_WITHIN: Final = 100
"""Most things an item is made up of."""

DEEPEST: Final = 8
"""Most items within items."""

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

    Attributes:
        items: The items.
        synonyms: Groups of words or phrases that mean the same here, each group's own word first: `("fries", "chips")`
            lets `large chips` be found as `large fries`. They count only for names that are not on the menu as they
            stand.
        groups: By detector label, the names of the items it covers, in menu order.

    Raises:
        ValueError: If a name is blank, two items have the same name, a word is in two groups of synonyms, or an item
            contains itself or more than a person would pack.
    """

    items: tuple[MenuItem, ...]
    synonyms: tuple[tuple[str, ...], ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _found: Mapping[str, MenuItem] = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)
    _own_words: Mapping[str, str] = field(init=False, repr=False, compare=False)
    _foreign: re.Pattern[str] | None = field(init=False, repr=False, compare=False)
    _has_combos: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        own_words = dict(_own_words(self.synonyms))
        longest_first = sorted(own_words, key=len, reverse=True)
        pattern = r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)"
        object.__setattr__(self, "_own_words", own_words)
        object.__setattr__(self, "_foreign", re.compile(pattern, re.IGNORECASE) if own_words else None)
        object.__setattr__(self, "_has_combos", any(item.contains for item in self.items))
        object.__setattr__(self, "_found", _index(self))
        object.__setattr__(self, "groups", _groups(self.items))
        object.__setattr__(self, "_hash", hash((self.items, self.synonyms)))
        for item in self.items:
            check_contents(item, self.find)

    def __hash__(self) -> int:
        return self._hash  # a menu is a key of caches that are asked for every order

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a menu from JSON or YAML: the peer's `inventory.json`, or a file with more to say.

        ```yaml
        items:
          - {name: Burger, id: b1, category: mains, aliases: [Hamburger], group: burger, look_alikes: [Wrap]}
          - {name: Fries, sizes: {small: f1, large: f2}, aliases: [Chips]}     # two items: Small Fries, Large Fries
          - {name: Kids Box, contains: [Burger, Small Fries], container: closed}
          - {name: Napkin, verifiability: ignore}
          - {name: Cola, threshold: 0.9}
        synonyms: {cola: [coke, coca cola]}
        ```

        An item may also be a plain name, and the top level may be the list itself. Keys beyond these (prices,
        descriptions) are the POS's business and are not read.

        Raises:
            ConfigError: With every finding, each with its line and column.
        """
        from orderacc.domain.menu_file import read_menu

        menu = read_menu(path).menu
        return cls(menu.items, menu.synonyms)

    @property
    def names(self) -> tuple[str, ...]:
        """Item names in menu order."""
        return tuple(item.name for item in self.items)

    @property
    def visible_names(self) -> tuple[str, ...]:
        """Names of what a camera can find, in menu order: nothing hidden, no trifles, no combo seen as its parts."""
        return tuple(item.name for item in self.items if item.verifiability == "visible" and item.container != "open")

    def find(self, name: str) -> MenuItem | None:
        """The item called so: by name, else by id, else by an alias that only one item has. Case and accents aside.

        A name that is none of these is looked up once more with the menu's own words in place of their synonyms.
        """
        item = self._found.get(name) or self._found.get(fold_name(name))
        if item is None and self._foreign is not None:
            item = self._found.get(fold_name(self.in_own_words(name)))
        return item

    def in_own_words(self, name: str) -> str:
        """The name with the menu's own words in place of their synonyms; as it stands where it has none."""
        if self._foreign is None:
            return name
        return self._foreign.sub(lambda found: self._own_words.get(found[0].casefold(), found[0]), name)

    def group_of(self, name: str) -> str | None:
        """The detector label that covers an item, or None when there is none or the name is not on the menu."""
        item = self.find(name)
        return item.group if item else None

    def covered_by(self, labels: Collection[str]) -> Self:
        """The menu as a detector knows it: a group it has no label for covers nothing, but still joins look-alikes.

        Args:
            labels: The detector's.
        """
        items = []
        for item in self.items:
            if item.group is None or item.group in labels:
                items.append(item)
                continue
            others = (other.name for other in self.items if other.group == item.group and other is not item)
            items.append(replace(item, group=None, look_alikes=tuple(dict.fromkeys((*item.look_alikes, *others)))))
        return replace(self, items=tuple(items))

    def look_alike(self, one: str, other: str) -> bool:
        """Whether two items are easily taken for each other: one detector label covers both, or the menu says so."""
        first, second = self.find(one), self.find(other)
        if first is None or second is None:
            return False
        if first.group is not None and first.group == second.group:
            return True
        return any(self.find(name) is second for name in first.look_alikes) or any(
            self.find(name) is first for name in second.look_alikes
        )

    def unpacked(self, items: Iterable[AnyItem]) -> tuple[AnyItem, ...]:
        """What a camera finds of an order: open combos as their contents, closed ones as they stand.

        Args:
            items: Lines of an order, or of what was seen.

        Returns:
            Lines, those a combo stood for in its place; repeated names are not added up.
        """
        if not self._has_combos:
            return tuple(items)
        return tuple(part for item in items for part in self._unpack(item))

    def encloses(self, outer: str, inner: str) -> bool:
        """Whether the one item lies in the other's closed container, where no camera sees it."""
        item, wanted = self.find(outer), self.find(inner)
        if item is None or wanted is None or item.container != "closed":
            return False
        return any(inside is wanted for inside in _within(item, self.find))

    def _unpack(self, item: AnyItem) -> Iterator[AnyItem]:
        known = self.find(item.name)
        if known is None or not known.contains or known.container == "closed":
            yield item
            return
        for name in known.contains:
            yield from self._unpack(replace(item, name=name))


def check_contents(item: MenuItem, find: Callable[[str], MenuItem | None]) -> None:
    """Refuse contents that never end, or that nobody would pack.

    Args:
        item: The item.
        find: Gives the item of a name.

    Raises:
        ValueError: If the item contains itself, more than `MOST_WITHIN` things or boxes within boxes beyond
            `DEEPEST`.
    """
    if sum(1 for _ in islice(_within(item, find), MOST_WITHIN + 1)) > MOST_WITHIN:
        raise ValueError(f"menu item {item.name!r} contains more than {MOST_WITHIN} things")


def _within(item: MenuItem, find: Callable[[str], MenuItem | None], above: tuple[str, ...] = ()) -> Iterator[MenuItem]:
    """Items within an item, at any depth, as often as they are there."""
    outer = (*above, item.name)
    if len(outer) > DEEPEST:
        raise ValueError(f"menu item {outer[0]!r} contains items within items more than {DEEPEST} deep")
    for inside in filter(None, map(find, item.contains)):
        if inside.name in outer:
            raise ValueError(f"menu item {inside.name!r} contains itself")
        yield inside
        yield from _within(inside, find, outer)


def _own_words(synonyms: tuple[tuple[str, ...], ...]) -> Iterator[tuple[str, str]]:
    met: set[str] = set()
    for group in synonyms:
        for word in group:
            key = word.casefold()
            if not fold_name(word):
                raise ValueError("a synonym needs a word")
            if key in met:
                raise ValueError(f"{word!r} is in the menu's synonyms twice")
            met.add(key)
        yield from ((word.casefold(), group[0]) for word in group[1:])


def _groups(items: Iterable[MenuItem]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    for item in items:
        if item.group:
            groups[item.group] = (*groups.get(item.group, ()), item.name)
    return groups


def _index(menu: Menu) -> dict[str, MenuItem]:
    """Every way to call an item, the strongest claim first: a name beats an id, an id beats an alias."""
    items = menu.items
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
    _add_unshared(found, [(fold_name(alias), item) for item in items for alias in item.aliases])
    if menu.synonyms:
        every = [(name, item) for item in items for name in (item.name, *item.aliases)]
        _add_unshared(found, [(fold_name(menu.in_own_words(name)), item) for name, item in every])
    found |= {item.name: item for item in items if fold_name(item.name) in named}
    return found


def _add_unshared(found: dict[str, MenuItem], claims: Iterable[tuple[str, MenuItem]]) -> None:
    """Add the names that one item alone claims; a name two items have names neither."""
    taken = frozenset(found)
    shared: set[str] = set()
    for key, item in claims:
        if key not in taken and found.setdefault(key, item) is not item:
            shared.add(key)
    for key in shared:
        del found[key]
