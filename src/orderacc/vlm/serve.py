"""An engine behind the OpenAI chat API: one machine with a GPU for the daemons of several."""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import anyio
from aiohttp import web
from anyio import TASK_STATUS_IGNORED

from orderacc.errors import EngineError
from orderacc.telemetry import get_logger
from orderacc.vlm.chat import answer_body, parse_json
from orderacc.vlm.chat_request import ChatRequest, read_priority

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskStatus

    from orderacc.config.secrets import SecretText
    from orderacc.vlm.batcher import VlmBatcher

_log = get_logger(__name__)

LARGEST_QUESTION: Final = 16 * 2**20
"""Bytes of a request's body."""

GRACE: Final = 10.0
"""Seconds that questions in flight get when the server is told to stop."""

RETRY_AFTER: Final = "1"
"""Seconds a client that found the queue full is asked to wait."""

STATUSES: Final = {
    "bad_image": 400,
    "bad_request": 400,
    "bad_grammar": 400,
    "no_such_model": 404,
    "too_large": 413,
    "refused": 422,
    "unauthorized": 401,
    "overloaded": 429,
    "engine_closed": 503,
    "deadline": 504,
}
"""HTTP status by an error's code; 500 for all others."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How an engine is served.

    Attributes:
        model: The name clients ask for.
        host: Address to listen on.
        port: Port; 0 takes one that is free.
        token: What clients must show, or None for everybody.
        max_pixels: Larger pictures are shrunk.
    """

    model: str
    host: str = "127.0.0.1"
    port: int = 8000
    token: SecretText | None = None
    max_pixels: int = 1280 * 28 * 28


async def serve_vlm(
    batcher: VlmBatcher,
    settings: ServeSettings,
    stop: anyio.Event,
    *,
    task_status: TaskStatus[str] = TASK_STATUS_IGNORED,
) -> None:
    """Answer questions until told to stop; those in flight then get `GRACE` seconds.

    Args:
        batcher: The way to the engine; run here, not closed.
        settings: Where and for whom.
        stop: Set to stop.
        task_status: Told the address clients use, `http://host:port/v1`, when it listens.

    Raises:
        OSError: If it cannot listen there.
    """
    # A client that goes away takes its question out of the queue.
    runner = web.AppRunner(
        VlmService(batcher, settings).app(), handler_cancellation=True, access_log=None, shutdown_timeout=GRACE
    )
    async with anyio.create_task_group() as group:
        await group.start(batcher.run)
        await runner.setup()
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
            host, port = runner.addresses[0][:2]
            task_status.started(f"http://{f'[{host}]' if ':' in host else host}:{port}/v1")
            await stop.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await runner.cleanup()
            group.cancel_scope.cancel()


class VlmService:
    """The HTTP side.

    Args:
        batcher: The way to the engine.
        settings: For whom.
    """

    def __init__(self, batcher: VlmBatcher, settings: ServeSettings) -> None:
        self._batcher = batcher
        self._settings = settings
        self._numbers = count(1)
        self._started = int(time.time())

    def app(self) -> web.Application:
        """The application, to be run with `handler_cancellation`."""
        app = web.Application(client_max_size=LARGEST_QUESTION, middlewares=[self._as_the_api_says])
        for version in ("v1", "v3"):
            app.router.add_post(f"/{version}/chat/completions", self._answer)
            app.router.add_get(f"/{version}/models", self._models)
        app.router.add_get("/health", self._health)
        return app

    @web.middleware
    async def _as_the_api_says(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Check the token; turn errors into the API's."""
        try:
            if request.path != "/health":
                self._check_token(request)
            return await handler(request)
        except EngineError as error:
            return _failure(STATUSES.get(error.code, 500), error.message, error.code)
        except web.HTTPRequestEntityTooLarge:
            return _failure(413, f"the question is larger than {LARGEST_QUESTION} bytes", "too_large")
        except web.HTTPException as error:
            return _failure(error.status, error.reason, "no_such_path" if error.status == 404 else "bad_request")
        except Exception as error:  # noqa: BLE001  one question must not end the serving, nor show what went wrong inside
            _log.error("question_failed", exc_info=error)
            return _failure(500, "answering failed", "engine_failed")

    def _check_token(self, request: web.Request) -> None:
        token = self._settings.token
        if token is None:
            return
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        # In constant time: the time taken must not tell how much of it was right.
        right = hmac.compare_digest(given.strip().encode(errors="replace"), token.reveal().encode(errors="replace"))
        if scheme.lower() != "bearer" or not right:
            raise EngineError("the bearer token is missing or wrong", code="unauthorized")

    async def _answer(self, request: web.Request) -> web.Response:
        # Before the body, which may be long, is read.
        if not self._batcher.has_room(read_priority(request.headers)):
            raise EngineError("too many questions wait already", code="overloaded")
        body = await request.read()
        chat = await asyncio.to_thread(_read, body, request)
        if chat.model not in ("", self._settings.model, self._settings.model.partition("@")[0]):
            raise EngineError(
                f"there is no model {chat.model[:80]!r}, only {self._settings.model!r}", code="no_such_model"
            )
        number = next(self._numbers)
        question = await asyncio.to_thread(
            chat.engine_request, f"{self._started}-{number}", max_pixels=self._settings.max_pixels
        )
        answer = await self._batcher.ask(question)
        created = int(time.time())
        model = chat.model or self._settings.model
        return web.json_response(
            answer_body(answer, answer_id=f"chatcmpl-{question.request_id}", model=model, created=created)
        )

    async def _models(self, request: web.Request) -> web.Response:
        del request
        model = {"id": self._settings.model, "object": "model", "created": self._started, "owned_by": "orderacc"}
        return web.json_response({"object": "list", "data": [model]})

    async def _health(self, request: web.Request) -> web.Response:
        del request
        now = self._batcher.statistics()
        engines = {engine.name: engine.state for engine in now.engines}
        works = "ready" in engines.values()
        told = {"status": "ok" if works else "failing", "waiting": now.waiting, "in_flight": now.in_flight}
        return web.json_response({**told, "engines": engines}, status=200 if works else 503)


def _read(body: bytes, request: web.Request) -> ChatRequest:
    try:
        parsed = parse_json(body)
    except EngineError:
        raise EngineError("the body is not JSON", code="bad_request") from None
    return ChatRequest.read(parsed, request.headers, asker=request.remote or "")


def _failure(status: int, message: str, code: str) -> web.Response:
    kinds: dict[int, str] = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "server_error")
    error: dict[str, Any] = {"message": message, "type": kind, "param": None, "code": code}
    headers = {"Retry-After": RETRY_AFTER} if status in (429, 503) else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response({"error": error}, status=status, headers=headers)
