"""What a client of the OpenAI chat API asks, as a request to the engine; the other side of `orderacc.vlm.chat`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orderacc.errors import EngineError
from orderacc.vlm.chat import PRIORITY_HEADER, STATION_HEADER
from orderacc.vlm.engine import Priority, VlmRequest
from orderacc.vlm.json_grammar import schema_grammar
from orderacc.vlm.prompt import IMAGE_TAG
from orderacc.vlm.prompt_rules import check_grammar, check_prompt
from orderacc.vlm.upload import read_picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_NEW_TOKENS: Final = 256
MOST_NEW_TOKENS: Final = 4096
LONGEST_STATION: Final = 64
ROLES: Final = ("system", "developer", "user")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A question that is well formed; its picture has not been looked at.

    Attributes:
        model: What the client calls the model; empty when it does not say.
        prompt: Texts in order, `IMAGE_TAG` where the picture is.
        picture_url: The picture.
        grammar: Of the answer, or None for free text.
        max_new_tokens: Longest answer.
        station_id: Who asks.
        priority: How urgent.
    """

    model: str
    prompt: str
    picture_url: str
    grammar: str | None
    max_new_tokens: int
    station_id: str
    priority: Priority

    @classmethod
    def read(cls, body: object, headers: Mapping[str, str], *, asker: str) -> ChatRequest:
        """Check a request's body.

        Args:
            body: Parsed JSON.
            headers: Of the request.
            asker: Whom to be fair to when the headers do not say.

        Raises:
            EngineError: `bad_request` or `bad_grammar` with what is wrong.
        """
        if not isinstance(body, dict):
            raise _wrong("the body should be a JSON table")
        if body.get("stream"):
            raise _wrong("answers are not streamed; leave stream out")
        if body.get("n", 1) != 1:
            raise _wrong("n should be 1")
        model = body.get("model", "")
        if not isinstance(model, str):
            raise _wrong("model should be text")
        pieces = list(_pieces(body.get("messages")))
        pictures = [url for is_picture, url in pieces if is_picture]
        if len(pictures) != 1:
            raise _wrong(f"a question should have one picture, not {len(pictures)}")
        # As a whole: what no part says they may say together.
        prompt = "".join(IMAGE_TAG if is_picture else text for is_picture, text in pieces)
        check_prompt(prompt)
        return cls(
            model=model,
            prompt=prompt,
            picture_url=pictures[0],
            grammar=_grammar(body.get("response_format")),
            max_new_tokens=_most_tokens(body),
            station_id=headers.get(STATION_HEADER, asker)[:LONGEST_STATION],
            priority=read_priority(headers),
        )

    def engine_request(self, request_id: str, *, max_pixels: int) -> VlmRequest:
        """Decode the picture. Takes milliseconds: call it from a worker thread.

        Raises:
            EngineError: `bad_image`.
        """
        return VlmRequest(
            request_id,
            read_picture(self.picture_url, max_pixels=max_pixels),
            self.prompt,
            self.grammar,
            self.max_new_tokens,
            station_id=self.station_id,
            priority=self.priority,
        )


def read_priority(headers: Mapping[str, str]) -> Priority:
    """How urgent a question is, by the headers it comes with; `CLOSING` when they do not say.

    Raises:
        EngineError: `bad_request`.
    """
    header = headers.get(PRIORITY_HEADER)
    if header is None:
        return Priority.CLOSING
    try:
        return Priority(int(header))
    except ValueError:
        raise _wrong(f"{PRIORITY_HEADER} should be one of {', '.join(str(int(one)) for one in Priority)}") from None


def _pieces(messages: object) -> Iterator[tuple[bool, str]]:
    """Texts and picture URLs in order; whether it is a picture comes first."""
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages should be a list with something in it")
    for index, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            raise _wrong(f"messages[{index}].role should be {', '.join(ROLES)}: every question stands alone")
        if index:
            yield False, "\n"
        content = message.get("content")
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else _list(content, index):
            yield _piece(part, index)


def _list(content: object, index: int) -> list[Any]:
    if not isinstance(content, list):
        raise _wrong(f"messages[{index}].content should be text or a list of parts")
    return content


def _piece(part: object, index: int) -> tuple[bool, str]:
    if isinstance(part, dict):
        if part.get("type") == "text" and isinstance(text := part.get("text"), str):
            return False, text
        if part.get("type") == "image_url":
            inner = part.get("image_url")
            url = inner.get("url") if isinstance(inner, dict) else inner
            if isinstance(url, str):
                return True, url
    raise _wrong(f"messages[{index}].content holds a part that is neither text nor image_url")


def _grammar(shape: object) -> str | None:
    if shape is None:
        return None
    kind = shape.get("type") if isinstance(shape, dict) else None
    if kind == "text":
        return None
    inner = shape.get("json_schema") if isinstance(shape, dict) else None
    schema = inner.get("schema") if isinstance(inner, dict) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        raise _wrong("response_format should be text, or json_schema with a schema")
    grammar = schema_grammar(schema)
    check_grammar(grammar)
    return grammar


def _most_tokens(body: Mapping[str, Any]) -> int:
    given = body.get("max_completion_tokens")
    most = body.get("max_tokens") if given is None else given
    if most is None:
        return DEFAULT_NEW_TOKENS
    if type(most) is not int or not 1 <= most <= MOST_NEW_TOKENS:
        raise _wrong(f"max_tokens should be 1 to {MOST_NEW_TOKENS}")
    return most


def _wrong(what: str) -> EngineError:
    return EngineError(what, code="bad_request")
