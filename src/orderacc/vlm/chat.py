"""A question and its answer as the OpenAI chat API writes them."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any, Final

from orderacc.errors import EngineError
from orderacc.vlm.engine import VlmAnswer
from orderacc.vlm.prompt import IMAGE_TAG

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from orderacc.domain.frames import Image
    from orderacc.vlm.engine import VlmRequest

STATION_HEADER: Final = "X-Orderacc-Station"
"""Who asks, so that a server of ours shares itself fairly among the stations of several machines."""

MOST: Final = 10**9
"""Largest count or measure that is believed."""

PRIORITY_HEADER: Final = "X-Orderacc-Priority"
"""How urgent it is: the number of a `Priority`. Other servers ignore both headers."""


class Question:
    """One request, ready to be sent to any server.

    Args:
        request: What to ask.
        model: What the server calls its model.
        schema: JSON Schema of the answers to requests that have a grammar; None sends none.
        jpeg_quality: 1 to 100.
    """

    def __init__(self, request: VlmRequest, *, model: str, schema: Mapping[str, Any] | None, jpeg_quality: int) -> None:
        before, _, after = (
            request.prompt.partition(IMAGE_TAG) if IMAGE_TAG in request.prompt else ("", "", request.prompt)
        )
        picture = {"type": "image_url", "image_url": {"url": _data_url(request.image, jpeg_quality)}}
        texts = [{"type": "text", "text": text} if text else None for text in (before, after)]
        self._body = {
            "model": model,
            "messages": [{"role": "user", "content": [part for part in (texts[0], picture, texts[1]) if part]}],
            "max_tokens": request.max_new_tokens,
            "temperature": 0,
        }
        self._extras: dict[str, Any] = {"logprobs": True}
        if schema is not None and request.grammar is not None:
            shape = {"name": "order_items", "strict": True, "schema": schema}
            self._extras["response_format"] = {"type": "json_schema", "json_schema": shape}

    @property
    def extras(self) -> frozenset[str]:
        """Optional parts there are to it."""
        return frozenset(self._extras)

    def body(self, extras: Collection[str]) -> bytes:
        """The request's body.

        Args:
            extras: Which optional parts to send, of `logprobs` and `response_format`.
        """
        wanted = {name: value for name, value in self._extras.items() if name in extras}
        return json.dumps({**self._body, **wanted}, ensure_ascii=False).encode()


def _data_url(image: Image, quality: int) -> str:
    import cv2

    # Colours at full resolution: small items differ by little else.
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise EngineError("the picture cannot be written as JPEG", code="bad_image")
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode("ascii")


def read_answer_body(body: bytes, request: VlmRequest, *, engine: str, elapsed_ms: float) -> VlmAnswer:
    """Read a server's answer.

    Args:
        body: As it came.
        request: What was asked.
        engine: Name of the engine.
        elapsed_ms: From sending the question to having the answer, milliseconds.

    Raises:
        EngineError: `bad_answer` when it is not one.
    """
    reply = _table(parse_json(body))
    choice = _table(_first(reply.get("choices")))
    text, reason = _table(choice.get("message")).get("content"), choice.get("finish_reason")
    if not isinstance(text, str) or reason not in ("stop", "length"):
        raise EngineError("the server's answer is no finished chat completion", code="bad_answer")
    usage, ours = _table(reply.get("usage")), _table(reply.get("orderacc"))
    return VlmAnswer(
        request_id=request.request_id,
        text=text,
        finish_reason=reason,
        prompt_tokens=_count(usage.get("prompt_tokens")) or 0,
        new_tokens=_count(usage.get("completion_tokens")) or 0,
        visual_tokens=_count(ours.get("visual_tokens")) or request.visual_tokens,
        engine_ms=elapsed_ms,
        ttft_ms=_measure(ours.get("ttft_ms")),
        tpot_ms=_measure(ours.get("tpot_ms")),
        engine=engine,
        token_confidence=_confidence(choice, ours),
    )


def answer_body(answer: VlmAnswer, *, answer_id: str, model: str, created: int) -> dict[str, Any]:
    """What a server of ours answers; `read_answer_body` reads it, and so does any client of the API.

    Args:
        answer: The engine's.
        answer_id: Unique.
        model: What the client called the model.
        created: Seconds since 1970.
    """
    return {
        "id": answer_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text},
                "logprobs": None,
                "finish_reason": answer.finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.new_tokens,
            "total_tokens": answer.prompt_tokens + answer.new_tokens,
        },
        "orderacc": {
            "visual_tokens": answer.visual_tokens,
            "engine_ms": answer.engine_ms,
            "ttft_ms": answer.ttft_ms,
            "tpot_ms": answer.tpot_ms,
            "token_confidence": answer.token_confidence,
        },
    }


def parse_json(body: bytes) -> Any:  # noqa: ANN401  parsed text
    """Parse what came from outside.

    Raises:
        EngineError: `bad_answer` when it is no JSON.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise EngineError("the server's answer is not JSON", code="bad_answer") from None


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST else None


def _measure(value: object) -> float | None:
    """A number that can be calculated with: JSON as Python reads it may hold NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= MOST else None


def _confidence(choice: Mapping[str, Any], ours: Mapping[str, Any]) -> float | None:
    given = _measure(ours.get("token_confidence"))
    if given is not None:
        return min(1.0, given)
    tokens = _table(choice.get("logprobs")).get("content")
    if not isinstance(tokens, list) or not tokens:
        return None
    # A certain token's may be rounded to a little above 0.
    costs = [
        _measure(max(0.0, -log) if isinstance(log, float | int) and log < 0.01 else None) for log in map(_log, tokens)
    ]
    known = [cost for cost in costs if cost is not None]
    return math.exp(-sum(known) / len(known)) if len(known) == len(costs) else None


def _log(token: object) -> object:
    return _table(token).get("logprob")
