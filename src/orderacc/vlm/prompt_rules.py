"""Checks on the words of a request, before native code sees them: some are no text to it, and it fails on others."""

from __future__ import annotations

import re
from typing import Final

from orderacc.errors import EngineError
from orderacc.vlm.prompt import IMAGE_TAG

_RESERVED: Final = re.compile(r"<\|\w{1,40}\|>|<ov_genai_\w{0,20}")
"""The model's own marks and the runtime's tags."""


def check_prompt(prompt: str) -> None:
    """Refuse a question that native code would fail on, whatever else it is asked with.

    Args:
        prompt: Names the picture's place, `IMAGE_TAG`, once at most.

    Raises:
        EngineError: `bad_request` with what is wrong.
    """
    if not _is_unicode(prompt):
        raise EngineError("the text is not Unicode: it holds half a character", code="bad_request")
    for text in prompt.split(IMAGE_TAG, 1):
        if (found := _RESERVED.search(text)) is not None:
            raise EngineError(f"the text must not say {found[0]}", code="bad_request")


def check_grammar(grammar: str) -> None:
    """Refuse a grammar that native code cannot be handed.

    Raises:
        EngineError: `bad_grammar`.
    """
    if not _is_unicode(grammar):
        raise EngineError("the answer's grammar is not Unicode: it holds half a character", code="bad_grammar")


def _is_unicode(text: str) -> bool:
    """JSON can spell half of a pair of surrogates, which no encoding has."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
