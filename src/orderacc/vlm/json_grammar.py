"""JSON Schemas as grammars that admit compact JSON only.

A runtime's own reading of a schema lets a small model write white space for ever. What is written here has none, and
its keys come in the schema's order. A keyword that is not understood is refused: an answer that may break it would be
worse than none.
"""

from __future__ import annotations

import json
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Final

from orderacc.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_CHARACTERS: Final = 65_536
"""Longest grammar."""

MOST_VALUES: Final = 256
"""Most whole numbers between two bounds, and most places in a bounded list."""

MOST_PLACES: Final = 2_048
"""Most places in all bounded lists together: while a runtime makes ready for each of them, no question is answered."""

DEEPEST: Final = 32
"""Most tables and lists inside each other."""

_ANNOTATIONS: Final = frozenset(
    {"title", "description", "default", "examples", "deprecated", "$schema", "$id", "$comment", "$defs", "definitions"}
)
_UNDERSTOOD: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset(),
    "integer": frozenset({"minimum", "maximum"}),
    "number": frozenset(),
    "boolean": frozenset(),
    "null": frozenset(),
}
_PRIMITIVES: Final = {
    "string": 'string ::= "\\"" character* "\\""\ncharacter ::= [^"\\\\\\x00-\\x1f] | "\\\\" ["\\\\/bfnrt]\n',
    "integer": 'integer ::= "-"? whole\n',
    "number": 'number ::= "-"? whole ("." [0-9]{1,9})?\n',
    "boolean": 'boolean ::= "true" | "false"\n',
    "null": 'null ::= "null"\n',
    "whole": 'whole ::= "0" | [1-9] [0-9]{0,14}\n',
    "positive": "positive ::= [1-9] [0-9]{0,14}\n",
}


def schema_grammar(schema: Mapping[str, Any]) -> str:
    """Turn a JSON Schema into an EBNF grammar (xgrammar dialect).

    Understood are tables with named keys (all of them are written, in order), lists, texts, whole and decimal numbers,
    true and false, null, `enum`, `const`, `anyOf` and references to `$defs`.

    Args:
        schema: Parsed JSON.

    Raises:
        EngineError: `bad_grammar` with the place of what is not understood.
    """
    rules = _Rules(schema)
    root = rules.value(schema, "schema", 0)
    rules.check_progress()
    text = f"root ::= {root}\n{rules.text()}"
    if len(text) > MOST_CHARACTERS:
        raise _wrong("schema", "it is too large")
    return text


class _Rules:
    """Rules found so far; those of `$defs` are named, so that a table may contain itself.

    `_owner` is the definition whose beginning is being written; None inside its tables and lists.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._named: dict[str, str] = {}
        self._references: dict[str, str] = {}
        self._begins_with: dict[str, set[str]] = {}
        self._owner: str | None = ""
        self._places = 0

    def text(self) -> str:
        return "".join(self._named.values())

    def check_progress(self) -> None:
        """Refuse what begins with itself: no text can ever be that, and looking for one would not end."""
        try:
            TopologicalSorter(self._begins_with).prepare()
        except CycleError:
            raise _wrong("$defs", "something there stands for itself") from None

    def value(self, schema: object, place: str, depth: int) -> str:
        if not isinstance(schema, dict):
            raise _wrong(place, "a schema is a table")
        if depth > DEEPEST:
            raise _wrong(place, "it goes too deep")
        keys = schema.keys() - _ANNOTATIONS
        if "$ref" in keys:
            return self._reference(schema, place, depth)
        if "const" in keys:
            return _literal(schema["const"])
        if "enum" in keys:
            return self._choice([_literal(one) for one in _list(schema["enum"], f"{place}.enum")])
        if "anyOf" in keys:
            _only(keys, {"anyOf"}, place)
            options = _list(schema["anyOf"], f"{place}.anyOf")
            return self._choice([self.value(one, f"{place}.anyOf", depth + 1) for one in options])
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._choice([self._typed(schema, one, place, depth) for one in _list(kind, f"{place}.type")])
        _only(keys, {"type", *_UNDERSTOOD.get(str(kind), ())}, place)
        return self._typed(schema, kind, place, depth)

    def _typed(self, schema: dict[str, Any], kind: object, place: str, depth: int) -> str:
        if kind in ("object", "array"):
            owner, self._owner = self._owner, None
            text = self._object(schema, place, depth) if kind == "object" else self._array(schema, place, depth)
            self._owner = owner
            return text
        if kind == "integer" and ("minimum" in schema or "maximum" in schema):
            return self._bounded(schema, place)
        if not isinstance(kind, str) or kind not in _UNDERSTOOD:
            raise _wrong(f"{place}.type", f"there is no type {kind!r:.40}")
        return self._primitive(kind)

    def _object(self, schema: dict[str, Any], place: str, depth: int) -> str:
        properties = schema.get("properties", {})
        if not isinstance(properties, dict):
            raise _wrong(f"{place}.properties", "it should be a table")
        if not properties and schema.get("additionalProperties", True) is not False:
            raise _wrong(place, "a table needs its keys named")
        keys = [
            f"{_quoted(json.dumps(name, ensure_ascii=False) + ':')} {self.value(one, f'{place}.{name:.40}', depth + 1)}"
            for name, one in properties.items()
        ]
        return '"{" ' + ' "," '.join(keys) + ' "}"'

    def _array(self, schema: dict[str, Any], place: str, depth: int) -> str:
        # By name, because it is written twice: nested lists would double the grammar at every level.
        item = self._name(self.value(schema.get("items"), f"{place}.items", depth + 1))
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if not _is_count(least) or not (most is None or (_is_count(most) and most >= least)):
            raise _wrong(place, f"its length should be bounded by whole numbers up to {MOST_VALUES}")
        if most == 0:
            return '"[]"'
        self._places += least if most is None else most
        if self._places > MOST_PLACES:
            raise _wrong(place, f"its bounded lists have more than {MOST_PLACES} places together")
        more = f'("," {item}){{{max(0, least - 1)},{"" if most is None else most - 1}}}'
        filled = f"{item} {more}"
        return f'"[" {filled if least else f"({filled})?"} "]"'

    def _bounded(self, schema: dict[str, Any], place: str) -> str:
        least, most = schema.get("minimum"), schema.get("maximum")
        if most is None and least in (0, 1) and not isinstance(least, bool):
            return self._primitive("positive" if least else "whole")
        if not (type(least) is int and type(most) is int and 0 <= most - least < MOST_VALUES):
            raise _wrong(
                place, f"its bounds should be whole numbers less than {MOST_VALUES} apart, or a minimum 0 or 1"
            )
        return self._choice([f'"{value}"' for value in range(least, most + 1)])

    def _reference(self, schema: dict[str, Any], place: str, depth: int) -> str:
        _only(schema.keys() - _ANNOTATIONS, {"$ref"}, place)
        target = str(schema["$ref"])
        where, _, name = target.rpartition("/")
        table = self._schema.get(where.removeprefix("#/"), {})
        if where not in ("#/$defs", "#/definitions") or not isinstance(table, dict) or name not in table:
            raise _wrong(place, f"the reference {target[:60]!r} leads nowhere")
        rule = self._references.get(target)
        if rule is None:
            # The name first: what it stands for may contain itself.
            rule = self._references[target] = f"defined{len(self._references)}"
            owner, self._owner = self._owner, rule
            self._named[rule] = f"{rule} ::= {self.value(table[name], name[:40], depth + 1)}\n"
            self._owner = owner
        if self._owner is not None:
            self._begins_with.setdefault(self._owner, set()).add(rule)
        return rule

    def _name(self, text: str) -> str:
        rule = f"part{len(self._named)}"
        self._named[rule] = f"{rule} ::= {text}\n"
        return rule

    def _primitive(self, kind: str) -> str:
        if kind in ("integer", "number"):
            self._named.setdefault("whole", _PRIMITIVES["whole"])
        self._named.setdefault(kind, _PRIMITIVES[kind])
        return kind

    @staticmethod
    def _choice(options: Iterable[str]) -> str:
        return f"({' | '.join(options)})"


def _literal(value: object) -> str:
    return _quoted(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _quoted(text: str) -> str:
    """A text as a terminal of the grammar."""
    return json.dumps(text, ensure_ascii=False)


def _list(value: object, place: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise _wrong(place, "it should be a list with something in it")
    return value


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= MOST_VALUES


def _only(keys: Iterable[str], understood: Iterable[str], place: str) -> None:
    if unknown := sorted(set(keys) - set(understood)):
        raise _wrong(place, f"{unknown[0][:40]!r} is not understood here")


def _wrong(place: str, what: str) -> EngineError:
    return EngineError(f"the answer's JSON schema, at {place}: {what}", code="bad_grammar")
