"""The question put to the model, and the grammar its answer must follow.

The model is told the menu and never what was ordered: a prompt that names the expected items biases the answer towards
them. Text comes before the picture so that prefix caching reuses it between requests.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orderacc.vlm.answer import MAX_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IMAGE_TAG = "<ov_genai_image_0>"
"""Where openvino-genai puts the picture's tokens."""


def build_prompt(names: Sequence[str]) -> str:
    """The question for one picture.

    Args:
        names: The menu's item names, in menu order.

    Returns:
        Text holding `IMAGE_TAG` once.
    """
    return f"Menu: {', '.join(names)}.\n{IMAGE_TAG}List every menu item in the picture and how many, as JSON."


def format_answer(counts: Mapping[str, int], names: Sequence[str]) -> str:
    """The one right answer, as the model is trained to write it: compact JSON in menu order."""
    items = [{"name": name, "quantity": counts[name]} for name in names if counts.get(name)]
    return json.dumps({"items": items}, separators=(",", ":"), ensure_ascii=False)


def answer_schema(names: Sequence[str]) -> dict[str, Any]:
    """The same answers as a JSON Schema, for engines that take no grammar."""
    item = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "enum": list(names)},
            "quantity": {"type": "integer", "minimum": 1, "maximum": MAX_QUANTITY},
        },
        "required": ["name", "quantity"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"items": {"type": "array", "items": item, "maxItems": len(names)}},
        "required": ["items"],
        "additionalProperties": False,
    }


def answer_grammar(names: Sequence[str]) -> str:
    """An EBNF grammar (xgrammar dialect) that admits exactly the answers `format_answer` can write, up to 99 of a kind.

    Names are the menu's and each line is compact: a JSON schema would let the model write endless white space.
    """
    literals = " | ".join(json.dumps(json.dumps(name, ensure_ascii=False)[1:-1], ensure_ascii=False) for name in names)
    most = len(names) - 1
    return (
        f'root ::= "{{\\"items\\":[" (item ("," item){{0,{most}}})? "]}}"\n'
        'item ::= "{\\"name\\":\\"" name "\\",\\"quantity\\":" [1-9] [0-9]? "}"\n'
        f"name ::= {literals}\n"
    )
