"""The question put to the model, and the grammar its answer must follow.

The model is told the menu and never what was ordered: a prompt that names the expected items biases the answer towards
them. Text comes before the picture so that prefix caching reuses it between requests.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from orderacc.vlm.answer import MAX_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IMAGE_TAG = "<ov_genai_image_0>"
"""Where openvino-genai puts the picture's tokens."""

MOST_LINES_BOUNDED: Final = 32
"""Names up to which an answer has no more lines than there are names.

The runtime reads the grammar anew for each question, and the bound takes longer than the names do: 1.4 of 2.1 ms for
196 names, 0.4 of 0.8 for 70 (2 cores of a Xeon at 2.0 GHz). Answers that run on are cut by `max_new_tokens`, which
leaves no room for more lines than this unless it is raised or a line takes fewer than 8 tokens.
"""


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
    lines: dict[str, Any] = {"type": "array", "items": item}
    if len(names) <= MOST_LINES_BOUNDED:
        lines["maxItems"] = len(names)
    return {
        "type": "object",
        "properties": {"items": lines},
        "required": ["items"],
        "additionalProperties": False,
    }


def answer_grammar(names: Sequence[str]) -> str:
    """An EBNF grammar (xgrammar dialect) that admits every answer `format_answer` can write, up to 99 of a kind.

    Names are the menu's and each line is compact: a JSON schema would let the model write endless white space.
    """
    literals = " | ".join(json.dumps(json.dumps(name, ensure_ascii=False)[1:-1], ensure_ascii=False) for name in names)
    more = f"{{0,{len(names) - 1}}}" if len(names) <= MOST_LINES_BOUNDED else "*"
    return (
        f'root ::= "{{\\"items\\":[" (item ("," item){more})? "]}}"\n'
        'item ::= "{\\"name\\":\\"" name "\\",\\"quantity\\":" [1-9] [0-9]? "}"\n'
        f"name ::= {literals}\n"
    )
