"""JSON Schemas as grammars: what they admit, tried on the demo model, and what is refused."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orderacc.errors import EngineError
from orderacc.models.store import ModelStore
from orderacc.vlm.answer import parse_answer
from orderacc.vlm.engine import VlmRequest
from orderacc.vlm.genai import GenaiEngine
from orderacc.vlm.json_grammar import MOST_CHARACTERS, MOST_PLACES, MOST_VALUES, schema_grammar
from orderacc.vlm.prompt import MOST_LINES_BOUNDED, answer_grammar, answer_schema, build_prompt, format_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.anyio

NODE = {"type": "object", "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Node"}]}}}
SCHEMAS: dict[str, tuple[dict[str, Any], type | tuple[type, ...]]] = {
    "a text": ({"type": "string"}, str),
    "a whole number": ({"type": "integer"}, int),
    "a number": ({"type": "number"}, (int, float)),
    "true or false or null": ({"type": ["boolean", "null"]}, (bool, type(None))),
    "a number from 3 to 5": ({"type": "integer", "minimum": 3, "maximum": 5}, int),
    "1 or more": ({"type": "integer", "minimum": 1}, int),
    "0 or more": ({"type": "integer", "minimum": 0}, int),
    "one of these": ({"enum": ['ä"x\\', {"k": [1]}, None]}, (str, dict, type(None))),
    "this": ({"const": "x y"}, str),
    "two or three": ({"type": "array", "items": {"const": 3}, "minItems": 2, "maxItems": 3}, list),
    "none": ({"type": "array", "items": {"const": 3}, "maxItems": 0}, list),
    "lists of lists": ({"type": "array", "items": {"type": "array", "items": {"type": "boolean"}}}, list),
    "an empty table": ({"type": "object", "properties": {}, "additionalProperties": False}, dict),
    "a table in itself": ({"$ref": "#/$defs/Node", "$defs": {"Node": NODE}}, dict),
    "keys with quotes": ({"type": "object", "properties": {'a "b"': {"const": 1}}, "required": ['a "b"']}, dict),
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[GenaiEngine]:
    engine = GenaiEngine.load(ModelStore().resolve("demo-vlm").path, device="CPU", threads=1)
    yield engine
    await engine.aclose()


@contextmanager
def suppress_bad_grammar() -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        if error.code != "bad_grammar":
            raise


def request_for(grammar: str, prompt: str = "What?") -> VlmRequest:
    picture = np.random.default_rng(0).integers(0, 255, (56, 84, 3), np.uint8)
    return VlmRequest("r", picture, prompt, grammar, 60)


@pytest.mark.parametrize("name", SCHEMAS)
async def test_the_model_writes_what_the_schema_says_without_white_space(engine: GenaiEngine, name: str) -> None:
    schema, kind = SCHEMAS[name]
    (answer,) = await engine.generate([request_for(schema_grammar(schema))])
    if answer.complete:
        value = json.loads(answer.text)
        assert isinstance(value, kind)
        assert answer.text == json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    else:
        assert name in ("a text", "lists of lists", "a table in itself")


async def test_the_answers_schema_gives_the_answers_of_its_grammar(engine: GenaiEngine) -> None:
    names = ModelStore().resolve("demo-vlm").vocabulary
    assert names is not None
    prompt = build_prompt(names)
    by_grammar = await engine.generate([request_for(answer_grammar(names), prompt)])
    by_schema = await engine.generate([request_for(schema_grammar(answer_schema(names)), prompt)])
    assert by_schema[0].text == by_grammar[0].text


def as_pattern(grammar: str, rule: str = "root") -> str:
    """A grammar whose rules do not contain themselves, as a regular expression."""
    rules = dict(line.split(" ::= ", 1) for line in grammar.splitlines())
    parts = re.findall(r'"(?:[^"\\]|\\.)*"|\[[^]]*\]|\{[^}]*\}|\w+|[()|?*]', rules[rule])
    made = [
        re.escape(json.loads(part)) if part[0] == '"' else as_pattern(grammar, part) if part[0].isalpha() else part
        for part in parts
    ]
    return f"(?:{''.join(made)})"


MANY = ("Samosa", '6" Sub', "Jalape\u00f1o Bites")
LONG = (*MANY, *(f"Bites {number}" for number in range(MOST_LINES_BOUNDED)))
WRITTEN_ANSWERS = {
    "grammar": re.compile(as_pattern(answer_grammar(MANY))),
    "schema": re.compile(as_pattern(schema_grammar(answer_schema(MANY)))),
    "grammar of a long menu": re.compile(as_pattern(answer_grammar(LONG))),
    "schema of a long menu": re.compile(as_pattern(schema_grammar(answer_schema(LONG)))),
}


@pytest.mark.parametrize("kind", WRITTEN_ANSWERS)
@given(st.dictionaries(st.sampled_from(MANY), st.integers(1, 99)))
@example({"Samosa": 12})
def test_every_count_that_is_read_can_be_written(kind: str, counts: dict[str, int]) -> None:
    text = format_answer(counts, MANY)
    assert WRITTEN_ANSWERS[kind].fullmatch(text)
    assert {item.name: item.quantity for item in parse_answer(text)} == counts


@pytest.mark.parametrize("kind", WRITTEN_ANSWERS)
@pytest.mark.parametrize("quantity", [0, 100, -1])
def test_no_count_can_be_written_that_is_not_read(kind: str, quantity: int) -> None:
    text = '{"items":[{"name":"Samosa","quantity":%d}]}'
    assert WRITTEN_ANSWERS[kind].fullmatch(text % 1)
    assert not WRITTEN_ANSWERS[kind].fullmatch(text % quantity)


@pytest.mark.parametrize("kind", WRITTEN_ANSWERS)
@pytest.mark.parametrize("lines", [len(MANY), len(MANY) + 1, len(LONG)])
def test_a_short_menus_answers_end(kind: str, lines: int) -> None:
    text = json.dumps({"items": [{"name": "Samosa", "quantity": 1}] * lines}, separators=(",", ":"))
    assert bool(WRITTEN_ANSWERS[kind].fullmatch(text)) == (lines <= len(MANY) or "long" in kind)


REFUSED: dict[str, Any] = {
    "not a table": {"type": "array", "items": 3},
    "no type": {},
    "another type": {"type": "date"},
    "a pattern": {"type": "string", "pattern": "x+"},
    "any table": {"type": "object"},
    "no items": {"type": "array"},
    "too many": {"type": "array", "items": {"const": 1}, "maxItems": 100_000},
    "turned round": {"type": "array", "items": {"const": 1}, "minItems": 3, "maxItems": 2},
    "too far apart": {"type": "integer", "minimum": 0, "maximum": 10**9},
    "not whole": {"type": "integer", "minimum": 0.5},
    "nothing to choose": {"enum": []},
    "nowhere": {"$ref": "#/$defs/Nobody"},
    "elsewhere": {"$ref": "http://example.com/schema"},
    "not a name": {"$ref": ["#/$defs/x"]},
    "properties of text": {"type": "object", "properties": "x"},
    "itself": {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"const": 1}, {"$ref": "#/$defs/A"}]}}},
    "round about": {
        "$ref": "#/$defs/A",
        "$defs": {
            "A": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/B"}}, {"$ref": "#/$defs/B"}]},
            "B": {"anyOf": [{"$ref": "#/$defs/A"}]},
        },
    },
    "too large": {"enum": ["x" * MOST_CHARACTERS]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_refused_with_its_place(name: str) -> None:
    with pytest.raises(EngineError, match="the answer's JSON schema, at ") as caught:
        schema_grammar(REFUSED[name])
    assert caught.value.code == "bad_grammar"


def test_depth_is_bounded() -> None:
    schema: dict[str, Any] = {"type": "boolean"}
    for _ in range(20):
        schema = {"type": "array", "items": schema}
    assert len(schema_grammar(schema)) < 5000
    for _ in range(20):
        schema = {"type": "array", "items": schema}
    with pytest.raises(EngineError, match="too deep"):
        schema_grammar(schema)


def test_the_places_of_all_lists_together_are_bounded() -> None:
    def lists(many: int, **bounds: int) -> dict[str, Any]:
        a_list = {"type": "array", "items": {"type": "string"}, **bounds}
        return {"type": "object", "properties": {f"p{number}": a_list for number in range(many)}}

    most = MOST_PLACES // MOST_VALUES
    for bounds in ({"maxItems": MOST_VALUES}, {"minItems": MOST_VALUES}):
        assert len(schema_grammar(lists(most, **bounds))) < 5000
        with pytest.raises(EngineError, match=f"schema.p{most}: .* more than {MOST_PLACES} places together") as caught:
            schema_grammar(lists(most + 1, **bounds))
        assert caught.value.code == "bad_grammar"
    assert len(schema_grammar(lists(most * 50))) < MOST_CHARACTERS


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=4)
        | st.sampled_from(["object", "array", "integer"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "properties", "items", "enum", "anyOf", "$ref", "$defs", "minimum", "minItems"]
                ),
                inner,
            )
        ),
        max_leaves=15,
    )
)
@example({"type": {}})
@settings(max_examples=200)
def test_any_json_is_a_grammar_or_refused(schema: Any) -> None:
    with suppress_bad_grammar():
        assert schema_grammar({"anyOf": [schema]}).startswith("root ::= ")
