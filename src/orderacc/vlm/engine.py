"""What a vision language engine is to the rest of the house: requests in, answers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderacc.domain.frames import Image

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, eq=False)
class VlmRequest:
    """One picture and one question about it.

    Attributes:
        request_id: Unique among the requests an engine holds at a time.
        image: RGB uint8 [H, W, 3].
        prompt: From `build_prompt`; names the picture's place once at most.
        grammar: EBNF the answer must follow, or None for free text. Engines without grammars ignore it.
        max_new_tokens: The answer is cut after that many tokens.
    """

    request_id: str
    image: Image
    prompt: str
    grammar: str | None = None
    max_new_tokens: int = 256


@dataclass(frozen=True, slots=True)
class VlmAnswer:
    """What the model wrote about one request.

    Attributes:
        request_id: The request's.
        text: As written, special tokens left out.
        finish_reason: `stop` when the model ended by itself, `length` when `max_new_tokens` cut it.
        prompt_tokens: Tokens read, the picture's included.
        new_tokens: Tokens written, the closing one included.
        visual_tokens: Tokens the picture took.
        engine_ms: Wall time of the batch the request was in, milliseconds.
    """

    request_id: str
    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    new_tokens: int
    visual_tokens: int
    engine_ms: float

    @property
    def complete(self) -> bool:
        """Whether the model said all it had to say."""
        return self.finish_reason == "stop"


class VlmEngine(Protocol):
    """Answers closed batches, one batch at a time; more wait their turn."""

    async def generate(self, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
        """Answer a batch.

        Args:
            requests: At least one, with distinct ids.

        Returns:
            One answer a request, in the same order.

        Raises:
            EngineError: The batch failed as a whole: `bad_image`, `bad_request` and `bad_grammar` name the request at
                fault, `engine_failed` and `engine_closed` are the engine's.
        """
        ...

    async def aclose(self) -> None:
        """Let the engine go; requests that have not started get `EngineError` with `engine_closed`."""
        ...
