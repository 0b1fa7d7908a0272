"""The table of routes: what is asked for, by whom, with what, and what comes back.

The application, the checks and the OpenAPI document are all made from it, so none can say what another does not do.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from orderacc.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails

BODY_LIMIT: Final = 1 << 18
"""Bytes of a JSON body. What it is parsed into takes thirty times as much, and the event loop a few milliseconds."""

BODY_TIME: Final = 20.0
"""Seconds a body may take to arrive."""

_PATTERN: Final = re.compile(r":[^{}]*\}")
"""What a parameter of a path must be like, as aiohttp has it."""

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Model = TypeVar("Model", bound=BaseModel)


class Scope(StrEnum):
    """What a token lets its bearer do."""

    READ = "read"
    """See orders, verdicts, stations, pictures and health."""
    SUBMIT = "submit"
    """Hand in orders and reviews."""
    ADMIN = "admin"
    """Everything, changing stations included."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Attributes:
        method: In capitals.
        path: As aiohttp has it, `/v1/stations/{station_id}`.
        handler: Answers.
        summary: What it does, one sentence.
        tag: The group it belongs to.
        scope: What a token must hold; None lets everybody in.
        answer: Model of the JSON answer; None where it is something else or nothing.
        status: Of the answer when all is well.
        others: Further statuses that are no problem, such as 201 beside 200.
        media: Media type of the answer; None when it has no body.
        query: Model of the query.
        body: Model of the JSON body.
        form: Model of the body where that is a form.
        problems: Codes of what may go wrong apart from what may go wrong everywhere.
        parameters: What the path's parameters are, by name.
        metered: Whether it counts against the limits; what says that the box is alive must answer always.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    scope: Scope | None
    answer: type[BaseModel] | None = None
    status: int = 200
    others: tuple[int, ...] = ()
    media: str | None = "application/json"
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    form: type[BaseModel] | None = None
    problems: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    metered: bool = True

    @property
    def name(self) -> str:
        """Unique name: `GET /v1/stations`."""
        return f"{self.method} {_PATTERN.sub('}', self.path)}"

    @property
    def lasts(self) -> bool:
        """Whether it is answered for as long as somebody listens."""
        return self.status == 101 or self.media == "text/event-stream"


async def read_body(request: web.Request, model: type[Model], *, context: Mapping[str, Any] | None = None) -> Model:
    """The body as a model.

    Args:
        request: The request.
        model: Its shape.
        context: For the model's validators.

    Raises:
        RequestError: `unsupported_media_type`, `timeout`, `too_large`, or `invalid` with every field that is wrong.
    """
    if request.content_type != "application/json":
        raise RequestError(
            "the body should be JSON, with Content-Type: application/json", code="unsupported_media_type"
        )
    try:
        async with asyncio.timeout(BODY_TIME):
            content = await request.read()
    except TimeoutError:
        raise RequestError("the body did not arrive in time", code="timeout") from None
    try:
        return model.model_validate_json(content, context=context)
    except ValidationError as error:
        raise invalid(error, "the body", content) from None


def read_query(request: web.Request, model: type[Model]) -> Model:
    """The query as a model; a name that is given twice is a mistake.

    Raises:
        RequestError: `invalid`, with every name that is wrong.
    """
    query = request.query
    twice = sorted({name for name in query if len(query.getall(name)) > 1})
    if twice:
        raise RequestError("the query", code="invalid", details=[(name, "is given more than once") for name in twice])
    try:
        return model.model_validate_strings(dict(query))
    except ValidationError as error:
        raise invalid(error, "the query") from None


def invalid(error: ValidationError, what: str, content: bytes = b"null") -> RequestError:
    """The error of something that is not as its model says; nothing of what was sent is in it but the names.

    Args:
        error: What the model says.
        what: What it was.
        content: The JSON, where it was that.
    """
    found = error.errors(include_url=False, include_input=False)
    if any(detail["type"] == "json_invalid" for detail in found):
        return RequestError(f"{what} is not JSON: {_told(found[0])}", code="bad_request")
    data = from_json(content)
    details = [(dotted(_steps(detail["loc"], data)), _told(detail)) for detail in found]
    return RequestError(f"{what} is not as it should be", code="invalid", details=details)


def dotted(steps: Iterable[str | int]) -> str:
    """Where something is: `items[2].quantity`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")[:200]


def json_answer(model: BaseModel, status: int = 200, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """A model as an answer."""
    return web.Response(
        body=model.model_dump_json(by_alias=True).encode(),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def data_answer(data: Mapping[str, Any] | Sequence[Any], status: int = 200) -> web.Response:
    """JSON values as an answer."""
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return web.Response(body=body, status=status, content_type="application/json")


def _steps(place: Sequence[str | int], data: Any) -> Iterator[str | int]:  # noqa: ANN401  parsed JSON
    """The way to a place, without the names of shapes that pydantic puts between: nobody has sent those."""
    for number, step in enumerate(place):
        if isinstance(data, dict) and step not in data and number < len(place) - 1:
            continue
        yield step
        try:
            data = data[step]
        except (LookupError, TypeError):
            data = None


def _told(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return "is not known here"
    if detail["type"] == "missing":
        return "is missing"
    if detail["type"] == "union_tag_invalid":
        return f"should be one of {detail['ctx']['expected_tags']}"  # pydantic would repeat what was sent
    return detail["msg"].removeprefix("Input ").removeprefix("Value error, ")
