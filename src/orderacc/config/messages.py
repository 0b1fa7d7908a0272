"""Validation errors in words a person can act on, with the key that was probably meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

    from orderacc.documents import FieldPath

_PLAIN: Final = {
    "string_type": "should be text; put it in quotes",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "bool_type": "should be true or false",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "model_type": "should be a table of keys",
    "model_attributes_type": "should be a table of keys",
    "missing": "is required",
    "too_short": "should not be empty",
    "string_too_short": "should not be empty",
}


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """`, did you mean 'x'?` if one of the choices is close, else nothing."""
    spelled = {choice.lower(): choice for choice in choices}
    close = get_close_matches(str(word).lower(), spelled, n=1, cutoff=0.6)
    return f", did you mean '{spelled[close[0]]}'?" if close else ""


def explain(error: ErrorDetails, written: Any, schema: dict[str, Any]) -> str:  # noqa: ANN401  parsed text
    """One validation error as a sentence.

    Args:
        error: From pydantic.
        written: The value as it stands in the file, references unresolved: a resolved one may be a secret.
        schema: The JSON Schema, which knows the keys there are.
    """
    path, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        keys = sorted(_at(schema, path[:-1]).get("properties", {}))
        message = "there is no such key" + (did_you_mean(path[-1], keys) or f"; there are: {', '.join(keys)}")
    elif kind in ("union_tag_not_found", "union_tag_invalid"):
        types = list(_mapping(_at(schema, path)))
        given = written.get("type") if isinstance(written, dict) else None
        message = f"needs a type: {_either(types)}"
        if given is not None:
            message += f"; {given!r} is none{did_you_mean(given, types)}"
    elif kind == "literal_error":
        choices = [str(choice) for choice in _choices(_at(schema, path))]
        message = f"should be {_either(choices)}, not {written!r}{did_you_mean(written, choices)}"
    elif kind == "no_file":
        message = f"there is no file {written!r} (paths are relative to this file)"
    elif kind == "string_pattern_mismatch":
        message = f"should be letters, digits, dots, dashes and underscores, at most 64, not {written!r}"
    else:
        message = _PLAIN.get(kind) or error["msg"].removeprefix("Input ").strip()
    return message[:1].lower() + message[1:]


def without_tags(schema: dict[str, Any], path: FieldPath) -> FieldPath:
    """A path as it stands in the file: pydantic puts the source's type after `source`."""
    kept: list[str | int] = []
    for index, step in enumerate(path):
        if step not in _mapping(_at(schema, path[:index])):
            kept.append(step)
    return tuple(kept)


def _mapping(node: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = node.get("discriminator", {}).get("mapping", {})
    return found


def _at(schema: dict[str, Any], path: FieldPath) -> dict[str, Any]:
    """The part of the schema that describes the value at a path; empty if there is none."""
    node = _plain(schema, schema)
    for step in path:
        if isinstance(step, int):
            inner = node.get("items") or {}
        else:
            inner = node.get("properties", {}).get(step) or {"$ref": _mapping(node).get(step)}
        node = _plain(schema, inner)
    return node


def _plain(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, and look through `or null`."""
    if node.get("$ref"):
        return _plain(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    some = [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]
    return _plain(schema, some[0]) if some else node


def _choices(node: dict[str, Any]) -> list[Any]:
    return list(node["enum"]) if "enum" in node else [node.get("const")]


def _either(choices: Iterable[str]) -> str:
    named = list(choices)
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"
