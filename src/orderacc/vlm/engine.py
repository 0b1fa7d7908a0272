"""What a vision language engine is to the rest of the house: requests in, answers out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Literal, Protocol

from orderacc.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderacc.domain.frames import Image

FinishReason = Literal["stop", "length"]

TOKEN_SIDE: Final = 28
"""Side in pixels of what one visual token of Qwen2.5-VL shows."""


class Priority(IntEnum):
    """Who goes first; the smallest number does."""

    CLOSING = 0
    """The order is over and its crew waits for the verdict."""
    SPECULATIVE = 1
    """The order will probably be over soon."""
    SHADOW = 2
    """Nobody waits: a second model is compared with the first."""


@dataclass(frozen=True, slots=True, eq=False)
class VlmRequest:
    """One picture and one question about it.

    Attributes:
        request_id: Unique among the requests an engine holds at a time.
        image: RGB uint8 [H, W, 3].
        prompt: From `build_prompt`; names the picture's place once at most.
        grammar: EBNF the answer must follow, or None for free text. Engines without grammars ignore it.
        max_new_tokens: The answer is cut after that many tokens, or where the engine has no room for more.
        station_id: Who asks; stations share the engine fairly.
        priority: What goes before what.
        deadline: `time.monotonic()` after which nobody wants the answer any more; None waits for ever.
    """

    request_id: str
    image: Image
    prompt: str
    grammar: str | None = None
    max_new_tokens: int = 256
    station_id: str = ""
    priority: Priority = Priority.CLOSING
    deadline: float | None = None

    @property
    def visual_tokens(self) -> int:
        """About how many tokens the picture takes, of 28 by 28 pixels each; the engine's own count is in the answer."""
        height, width = map(int, self.image.shape[:2])
        return max(1, math.ceil(height / TOKEN_SIDE) * math.ceil(width / TOKEN_SIDE))


@dataclass(frozen=True, slots=True)
class VlmAnswer:
    """What the model wrote about one request.

    Attributes:
        request_id: The request's.
        text: As written, special tokens left out.
        finish_reason: `stop` when the model ended by itself, `length` when it was cut.
        prompt_tokens: Tokens read, the picture's included.
        new_tokens: Tokens written, the closing one included.
        visual_tokens: Tokens the picture took.
        engine_ms: Wall time of the batch the request was in, milliseconds.
        ttft_ms: Time from the batch's start to its first token, milliseconds; None where the engine does not say.
        tpot_ms: Time between two tokens, milliseconds; likewise.
        engine: Name of the engine that answered; empty when there is only one.
        token_confidence: Geometric mean of the probabilities the model gave the tokens it wrote, 0 to 1; None where
            the engine does not say.
    """

    request_id: str
    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    new_tokens: int
    visual_tokens: int
    engine_ms: float
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    engine: str = ""
    token_confidence: float | None = None

    @property
    def complete(self) -> bool:
        """Whether the model said all it had to say."""
        return self.finish_reason == "stop"


class VlmEngine(Protocol):
    """Answers closed batches, one batch at a time; more wait their turn.

    Attributes:
        name: What logs, metrics and answers call it.
    """

    name: str

    async def generate(self, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
        """Answer a batch.

        Args:
            requests: At least one, with distinct ids.

        Returns:
            One answer a request, in the same order.

        Raises:
            EngineError: The batch failed as a whole: `bad_image`, `bad_request` and `bad_grammar` name the request at
                fault; `refused` is for what these requests hold, of an engine that answers others; `engine_failed`,
                `out_of_memory`, `device_lost` and `engine_closed` are the engine's.
        """
        ...

    async def aclose(self) -> None:
        """Let the engine go; requests that have not started get `EngineError` with `engine_closed`."""
        ...


def check_answers(requests: Sequence[VlmRequest], answers: object) -> list[VlmAnswer]:
    """Refuse answers that do not belong to the requests, or hold figures that are none.

    Returns:
        The answers.

    Raises:
        EngineError: `engine_failed` with what is wrong.
    """
    if not isinstance(answers, list) or not all(isinstance(answer, VlmAnswer) for answer in answers):
        raise EngineError(f"the engine gave no answers to {len(requests)} requests but {type(answers).__name__}")
    if [answer.request_id for answer in answers] != [request.request_id for request in requests]:
        raise EngineError(f"the engine's {len(answers)} answers do not belong to the {len(requests)} requests")
    for answer in answers:
        figures = [answer.prompt_tokens, answer.new_tokens, answer.visual_tokens, answer.engine_ms]
        figures += [one for one in (answer.ttft_ms, answer.tpot_ms, answer.token_confidence) if one is not None]
        if not all(isinstance(figure, int | float) and 0 <= figure < math.inf for figure in figures):
            raise EngineError(f"the engine's answer to {answer.request_id} holds figures that are none: {figures}")
    return answers
