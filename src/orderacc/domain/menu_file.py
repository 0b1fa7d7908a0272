"""Reading a menu, with every mistake at its line and column."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, get_args

from orderacc.documents import read_document
from orderacc.domain.menus import Container, Menu, MenuItem, Verifiability, check_contents, fold_name
from orderacc.errors import ConfigError, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orderacc.documents import Document, FieldPath

_TEXTS: Final = ("category", "group", "size")
_LISTS: Final = ("aliases", "look_alikes", "contains")
_CHOICES: Final = {"verifiability": get_args(Verifiability), "container": get_args(Container)[1:]}
_OUR_OWN: Final = ("aliases", "look_alikes", "contains", "verifiability", "threshold")
"""Keys no POS writes, so that what looks like one of them is one."""

_ALMOST: Final = 0.8
"""How alike a key must be to one of ours to be a misspelling of it and not the POS's own."""


@dataclass(frozen=True, slots=True)
class MenuFile:
    """A menu and where it says what.

    Attributes:
        menu: The menu.
        document: The file.
        places: Item name to the path of its entry; sizes of one entry share it.
    """

    menu: Menu
    document: Document
    places: Mapping[str, FieldPath]

    def finding(self, name: str, message: str, spelling: str = "") -> Finding:
        """A complaint about an item.

        Args:
            name: The item.
            message: What is wrong with it.
            spelling: The alias that is meant; the item as a whole where the file does not write it so.
        """
        path = self.places[name]
        entry = self.document.data
        for step in path:
            entry = entry[step]
        aliases = (entry.get("aliases") or []) if isinstance(entry, dict) else []
        below = ("aliases", aliases.index(spelling)) if spelling in aliases else ()
        return self.document.finding((*path, *below), message)


def read_menu(path: Path | str) -> MenuFile:
    """Read what `Menu.load` describes.

    Raises:
        ConfigError: With every finding, each with its line and column.
    """
    reading = _Reading(read_document(path))
    items = reading.items()
    synonyms = reading.synonyms()
    if not reading.findings:
        reading.check_references(items, synonyms)
    if reading.findings:
        raise ConfigError(reading.findings)
    menu = Menu(items, synonyms)
    if not menu.visible_names:
        raise ConfigError(
            [reading.document.finding((), "holds nothing that a camera can find: all is hidden or ignored")]
        )
    return MenuFile(menu, reading.document, reading.places)


@dataclass(slots=True)
class _Reading:
    """One file on its way to a menu; `findings` grows."""

    document: Document
    findings: list[Finding] = field(default_factory=list)
    places: dict[str, FieldPath] = field(default_factory=dict)
    _names: dict[str, int] = field(default_factory=dict)

    def items(self) -> tuple[MenuItem, ...]:
        data = self.document.data
        base: FieldPath = ()
        if isinstance(data, dict) and "items" in data:
            data, base = data["items"], ("items",)
        if not isinstance(data, list) or not data:
            self._complain(base, "should be a list of menu items: items: [{name: Burger}, ...]")
            return ()
        items: list[MenuItem] = []
        for index, entry in enumerate(data):
            path: FieldPath = (*base, index)
            fields = {"name": entry} if isinstance(entry, str) else entry
            wrong = list(_complaints(self.document, path, fields))
            self.findings += wrong
            if not wrong:
                items += [item for item in _items(fields) if self._is_new(item, path)]
        return tuple(items)

    def synonyms(self) -> tuple[tuple[str, ...], ...]:
        data = self.document.data
        table = (data.get("synonyms") or {}) if isinstance(data, dict) else {}
        if not isinstance(table, dict):
            self._complain(("synonyms",), "should be a table of words and their synonyms: {fries: [chips]}")
            return ()
        met: set[str] = set()
        groups: list[tuple[str, ...]] = []
        for own, others in table.items():
            words = (own, *(others if isinstance(others, list) else [others]))
            where = ("synonyms", str(own))
            if not all(isinstance(word, str) and fold_name(word) for word in words):
                self._complain(where, "should be a list of words, as text")
                continue
            for word in words:
                if word.casefold() in met:
                    self._complain(where, f"{word!r} is among the synonyms already: a word has one meaning")
                met.add(word.casefold())
            groups.append(words)
        return tuple(groups)

    def check_references(self, items: tuple[MenuItem, ...], synonyms: tuple[tuple[str, ...], ...]) -> None:
        menu = Menu(tuple(replace(item, contains=()) for item in items), synonyms)
        by_name = {item.name: item for item in items}

        def find(name: str) -> MenuItem | None:
            known = menu.find(name)
            return by_name[known.name] if known else None

        for item in items:
            for key in ("look_alikes", "contains"):
                for index, name in enumerate(getattr(item, key)):
                    if find(name) is None:
                        near = get_close_matches(name, menu.names, n=1)
                        hint = f"; did you mean {near[0]!r}?" if near else ""
                        where = (*self.places[item.name], key, index)
                        self._complain(where, f"no item of this menu is called {name!r}{hint}")
            try:
                check_contents(item, find)
            except ValueError as error:
                self._complain((*self.places[item.name], "contains"), str(error))

    def _is_new(self, item: MenuItem, path: FieldPath) -> bool:
        key, line = fold_name(item.name), self.document.where(path)[0]
        if key in self._names:
            self._complain((*path, "name"), f"{item.name!r} is on the menu already, in line {self._names[key]}")
            return False
        self._names[key] = line
        self.places[item.name] = path
        return True

    def _complain(self, path: FieldPath, message: str) -> None:
        self.findings.append(self.document.finding(path, message))


def _complaints(document: Document, path: FieldPath, fields: Any) -> Iterator[Finding]:  # noqa: ANN401  parsed text
    if not isinstance(fields, dict):
        yield document.finding(path, "should be a name or a table with a name")
        return
    name = fields.get("name")
    if not isinstance(name, str) or not fold_name(name):
        yield document.finding((*path, "name"), "every menu item needs a name, as text")
    if not _is_id(fields.get("id", "")):
        yield document.finding((*path, "id"), "should be text or a number")
    for key in _TEXTS:
        if not isinstance(fields.get(key) or "", str):
            yield document.finding((*path, key), "should be text")
    for key in _LISTS:
        yield from _complaints_of_list(document, (*path, key), fields.get(key) or [])
    for key, choices in _CHOICES.items():
        if (fields.get(key) or choices[0]) not in choices:
            yield document.finding((*path, key), f"should be {', '.join(choices[:-1])} or {choices[-1]}")
    threshold = fields.get("threshold")
    if threshold is not None and not (_is_number(threshold) and 0 <= threshold <= 1):
        yield document.finding((*path, "threshold"), "should be a number from 0 to 1")
    yield from _complaints_of_sizes(document, (*path, "sizes"), fields)
    for key in fields:
        near = get_close_matches(str(key), _OUR_OWN, n=1, cutoff=_ALMOST)
        if near and key not in (*_OUR_OWN, *_CHOICES):
            yield document.finding((*path, key), f"is not read; did you mean {near[0]!r}?")


def _complaints_of_list(document: Document, path: FieldPath, names: Any) -> Iterator[Finding]:  # noqa: ANN401  likewise
    if not isinstance(names, list):
        yield document.finding(path, "should be a list of names")
        return
    for index, name in enumerate(names):
        if not isinstance(name, str):
            kind = "an alias" if path[-1] == "aliases" else "a name"
            yield document.finding((*path, index), f"{kind} should be text")


def _complaints_of_sizes(document: Document, path: FieldPath, fields: dict[str, Any]) -> Iterator[Finding]:
    sizes = fields.get("sizes")
    if sizes is None:
        return
    ids = sizes if isinstance(sizes, dict) else dict.fromkeys(sizes, "") if _is_names(sizes) else {}
    if not ids or not all(isinstance(size, str) and fold_name(size) and _is_id(key) for size, key in ids.items()):
        yield document.finding(path, "should be sizes, [small, large], or sizes and their ids, {small: f1, large: f2}")
    if fields.get("size"):
        yield document.finding(path, "an item has a size or comes in sizes, not both")
    if ids and not isinstance(sizes, dict) and len(ids) != len(sizes):
        yield document.finding(path, "a size is listed twice")


def _items(fields: dict[str, Any]) -> Iterator[MenuItem]:
    """An entry's item, or its items where it comes in sizes."""
    sizes = fields.get("sizes")
    item = _item(fields)
    if not sizes:
        yield item
        return
    ids = sizes if isinstance(sizes, dict) else dict.fromkeys(sizes, "")
    every = {size: f"{size.strip().title()} {item.name}" for size in ids}
    for size, name in every.items():
        aliases = (f"{item.name} {size}", *(text for alias in item.aliases for text in _sized(alias, size)))
        others = tuple(other for other in every.values() if other != name)
        yield MenuItem(
            name=name,
            item_id=_id(ids[size]),
            category=item.category,
            aliases=aliases,
            group=item.group,
            size=size.strip(),
            look_alikes=(*item.look_alikes, *others),
            contains=item.contains,
            container=item.container,
            verifiability=item.verifiability,
            threshold=item.threshold,
        )


def _sized(alias: str, size: str) -> tuple[str, str]:
    return f"{size} {alias}", f"{alias} {size}"


def _item(fields: dict[str, Any]) -> MenuItem:
    contains = tuple(fields.get("contains") or ())
    threshold = fields.get("threshold")
    return MenuItem(
        name=fields["name"].strip(),
        item_id=_id(fields.get("id")),
        category=fields.get("category") or "",
        aliases=tuple(fields.get("aliases") or ()),
        group=fields.get("group") or None,
        size=(fields.get("size") or "").strip(),
        look_alikes=tuple(fields.get("look_alikes") or ()),
        contains=contains,
        container=fields.get("container") or ("open" if contains else ""),
        verifiability=fields.get("verifiability") or "visible",
        threshold=None if threshold is None else float(threshold),
    )


def _id(value: object) -> str:
    return "" if value is None else str(value)


def _is_id(value: object) -> bool:
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
