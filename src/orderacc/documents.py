"""Files people write (YAML or JSON), read so that every complaint can name a line and a column.

Positions are looked up only when something is wrong: a good file pays for its parsing alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import count
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from orderacc.errors import ConfigError, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import yaml

__all__ = ["Document", "FieldPath", "dotted", "read_document"]

FieldPath: TypeAlias = tuple[str | int, ...]
"""Keys and 0-based indexes from the top of a document to a value."""

MOST_VALUES: Final = 200_000
"""Most values of a YAML file once aliases are put in."""

_JSON_TOKEN = re.compile(r'[{}\[\],:"]|[^\s{}\[\],:"]+')


def dotted(path: FieldPath) -> str:
    """Write a path the way people do: `stations[1].source.path`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A parsed file that remembers where everything stood.

    Attributes:
        file: The file as the user named it.
        data: Plain dicts, lists, strings, numbers, booleans and None.
    """

    file: str
    data: Any
    _text: str = field(repr=False)
    _root: yaml.Node | None = field(repr=False)

    def where(self, path: FieldPath) -> tuple[int, int]:
        """Line and column (from 1) of the key or element at `path`, or of the deepest part of it that is there."""
        return _yaml_position(self._root, path) if self._root is not None else _json_position(self._text, path)

    def finding(self, path: FieldPath, message: str) -> Finding:
        """A complaint about the value at `path`."""
        line, column = self.where(path)
        return Finding(self.file, line, column, dotted(path), message)

    def findings(self, problems: Sequence[tuple[FieldPath, str]]) -> list[Finding]:
        """Complaints about many values; a large document is gone through once for all of them."""
        if self._root is not None:
            return [self.finding(path, message) for path, message in problems]
        wanted = {path[:depth] for path, _ in problems for depth in range(1, len(path) + 1)}
        offsets = {path: offset for path, offset in _json_offsets(self._text) if path in wanted} if wanted else {}
        found: list[Finding] = []
        for path, message in problems:
            deepest = next((path[:depth] for depth in range(len(path), 0, -1) if path[:depth] in offsets), ())
            line, column = _line_column(self._text, offsets.get(deepest, 0))
            found.append(Finding(self.file, line, column, dotted(path), message))
        return found


def read_document(path: Path | str) -> Document:
    """Read a YAML file, or a JSON file if its name ends in `.json`.

    Raises:
        ConfigError: If the file cannot be read, is not UTF-8, is not well formed, or writes a key twice.
    """
    file = str(path)
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        column = error.start - error.object.rfind(b"\n", 0, error.start)
        raise ConfigError([Finding(file, line, column, "", "not UTF-8 text: save the file as UTF-8")]) from None
    except OSError as error:
        raise ConfigError([Finding(file, 0, 0, "", f"cannot be read: {error.strerror or error}")]) from None
    try:
        return _read_json(file, text) if file.lower().endswith(".json") else _read_yaml(file, text)
    except RecursionError:
        raise ConfigError([Finding(file, 0, 0, "", "nested too deeply")]) from None


def _read_json(file: str, text: str) -> Document:
    twice: list[str] = []

    def pairs(entries: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(entries)
        if len(table) != len(entries):
            twice.append("")
        return table

    try:
        data = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise ConfigError([Finding(file, error.lineno, error.colno, "", f"not JSON: {error.msg}")]) from None
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError([Finding(file, 0, 0, "", f"not JSON: {error}")]) from None
    if twice:
        findings = []
        seen: set[FieldPath] = set()
        for path, offset in _json_offsets(text):
            if path in seen:
                findings.append(Finding(file, *_line_column(text, offset), dotted(path), "this key is written twice"))
            seen.add(path)
        raise ConfigError(findings)
    return Document(file, data, text, None)


def _read_yaml(file: str, text: str) -> Document:
    import yaml

    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        findings = [*_yaml_too_large(file, root), *_yaml_twice(file, root)]
        data = loader.construct_document(root) if root is not None and not findings else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        about = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError([Finding(file, *place, "", f"not YAML: {about}")]) from None
    except yaml.reader.ReaderError as error:
        place = _line_column(text, error.position)
        raise ConfigError([Finding(file, *place, "", f"not YAML: {error.reason}")]) from None
    except ValueError as error:  # e.g. 2026-13-45, which YAML takes for a date
        raise ConfigError([Finding(file, 0, 0, "", f"not YAML: {error}")]) from None
    if findings:
        raise ConfigError(findings)
    return Document(file, data, text, root)


def _yaml_too_large(file: str, root: yaml.Node | None) -> Iterator[Finding]:
    """Anchors that contain themselves, or that repeat each other until a short file is an endless one."""
    sizes: dict[int, float] = {}

    def size(node: yaml.Node) -> float:
        if id(node) not in sizes:
            sizes[id(node)] = inf  # as long as it is not known: what contains itself has no end
            entries = () if isinstance(node.value, str) else node.value
            sizes[id(node)] = 1 + sum(size(each) for entry in entries for each in _nodes(entry))
        return sizes[id(node)]

    if root is not None and size(root) > MOST_VALUES:
        yield Finding(file, 0, 0, "", f"more than {MOST_VALUES} values once every alias is put in")


def _nodes(entry: yaml.Node | tuple[yaml.Node, yaml.Node]) -> tuple[yaml.Node, ...]:
    return entry if isinstance(entry, tuple) else (entry,)


def _yaml_twice(file: str, root: yaml.Node | None) -> Iterator[Finding]:
    """Keys written twice in one mapping; PyYAML keeps the last one in silence."""
    import yaml

    todo: list[tuple[FieldPath, yaml.Node]] = [((), root)] if root is not None else []
    visited: set[int] = set()  # an anchor may contain itself
    while todo:
        path, node = todo.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo.extend(((*path, index), value) for index, value in enumerate(node.value))
        elif isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if name in keys and name != "<<":
                    mark = key.start_mark
                    yield Finding(
                        file, mark.line + 1, mark.column + 1, dotted((*path, name)), "this key is written twice"
                    )
                keys.add(name)
                todo.append(((*path, name), value))


def _yaml_position(root: yaml.Node | None, path: FieldPath) -> tuple[int, int]:
    import yaml

    node, mark = root, root.start_mark if root is not None else None
    for step in path:
        if isinstance(node, yaml.MappingNode):
            # the last of equal keys: construction puts what `<<` merged before a mapping's own keys
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                break
            mark, node = found[-1][0].start_mark, found[-1][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            mark = node.start_mark
        else:
            break
    return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)


def _json_position(text: str, path: FieldPath) -> tuple[int, int]:
    best, depth = 0, -1
    for found, offset in _json_offsets(text):
        if len(found) > depth and found == path[: len(found)]:
            best, depth = offset, len(found)
            if depth == len(path):
                break
    return _line_column(text, best)


def _json_offsets(text: str) -> Iterator[tuple[FieldPath, int]]:
    """Every key and element of well-formed JSON with its offset, in the order of the text."""
    strings = json.JSONDecoder()
    parents: list[tuple[FieldPath, Iterator[int] | None]] = []  # open containers; arrays count their elements
    path: FieldPath = ()
    key_next = False
    at = 0
    while match := _JSON_TOKEN.search(text, at):
        mark, at = match.group(), match.end()
        container, indexes = parents[-1] if parents else ((), None)
        if mark in ",:":
            key_next = mark == "," and indexes is None
        elif mark in "}]":
            parents.pop()
        elif key_next:
            key, at = strings.raw_decode(text, match.start())
            path, key_next = (*container, key), False
            yield path, match.start()
        else:
            if indexes is not None:
                path = (*container, next(indexes))
                yield path, match.start()
            if mark == '"':
                at = strings.raw_decode(text, match.start())[1]
            elif mark in "{[":
                parents.append((path, count() if mark == "[" else None))
                key_next = mark == "{"


def _line_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
