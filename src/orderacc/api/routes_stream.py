"""Streaming detection by plain requests: a session, pictures posted to it, and results as server-sent events."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from aiohttp import web

from orderacc.api.guard import caller_of
from orderacc.api.parting import cut
from orderacc.api.routes import BODY_TIME, Route, Scope, json_answer, read_body
from orderacc.api.streaming.answers import (
    ServiceTold,
    StreamChanged,
    StreamClosed,
    StreamHealthTold,
    StreamQueued,
    StreamSessionTold,
    StreamStatsTold,
    StreamTotalsTold,
    model_told,
    session_stats,
)
from orderacc.api.streaming.messages import (
    LARGEST_MESSAGE,
    FrameGiven,
    StreamError,
    StreamErrorCode,
    StreamSettings,
    as_text,
    check_metadata,
    parse,
    read,
)
from orderacc.errors import RequestError

if TYPE_CHECKING:
    from orderacc.api.streaming.session import StreamSession
    from orderacc.api.streaming.sessions import StreamSessions

TAG: Final = "Streaming"
NAMED: Final = {"client_id": "The session's name, as it was told when it was made."}

KEEP_ALIVE: Final = 15.0
"""Seconds of silence after which a listener is sent a sign of life."""

SLOW: Final = 10.0
"""Seconds a listener may take to take what it is sent."""


class StreamRoutes:
    """The routes' handlers.

    Args:
        sessions: All sessions.
    """

    def __init__(self, sessions: StreamSessions) -> None:
        self._sessions = sessions
        self._listening: set[str] = set()

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        one = "/stream/sessions/{client_id}"
        gone = ("not_found",)
        return (
            Route(
                "POST",
                "/stream/sessions",
                self.begin,
                "Make a session whose results are followed as server-sent events.",
                TAG,
                Scope.SUBMIT,
                StreamSessionTold,
                body=StreamSettings,
                problems=("unavailable",),
            ),
            Route(
                "GET",
                "/stream/events/{client_id}",
                self.follow,
                "A session's results as server-sent events, each a JSON object with its type; one listener at a time.",
                TAG,
                Scope.SUBMIT,
                media="text/event-stream",
                problems=("not_found", "conflict"),
                parameters=NAMED,
            ),
            Route(
                "POST",
                "/stream/process/{client_id}",
                self.process,
                "Hand in a picture; what is seen in it comes as an event.",
                TAG,
                Scope.SUBMIT,
                StreamQueued,
                body=FrameGiven,
                problems=gone,
                parameters=NAMED,
            ),
            Route(
                "GET",
                f"{one}/stats",
                self.stats,
                "How a session goes.",
                TAG,
                Scope.SUBMIT,
                StreamStatsTold,
                problems=gone,
                parameters=NAMED,
            ),
            Route(
                "PATCH",
                f"{one}/config",
                self.change,
                "Change a session's settings; what is left out stays.",
                TAG,
                Scope.SUBMIT,
                StreamChanged,
                body=StreamSettings,
                problems=gone,
                parameters=NAMED,
            ),
            Route(
                "DELETE",
                one,
                self.end,
                "End a session.",
                TAG,
                Scope.SUBMIT,
                StreamClosed,
                problems=gone,
                parameters=NAMED,
            ),
            Route("GET", "/stream/health", self.health, "Whether streaming works.", TAG, Scope.READ, StreamHealthTold),
            Route("GET", "/stream/stats", self.totals, "How all sessions go.", TAG, Scope.READ, StreamTotalsTold),
        )

    async def begin(self, request: web.Request) -> web.Response:
        """`POST /stream/sessions`."""
        settings = await read_body(request, StreamSettings)
        session = self._sessions.begin("sse", settings, owner_of(request))
        return json_answer(
            StreamSessionTold(
                session_id=session.client_id,
                client_id=session.client_id,
                sse_endpoint=f"/stream/events/{session.client_id}",
                upload_endpoint=f"/stream/process/{session.client_id}",
                config=session.config,
                created_at=session.created,
                status="active",
            )
        )

    async def process(self, request: web.Request) -> web.Response:
        """`POST /stream/process/{client_id}`."""
        session = self._find(request)
        content = await _body(request)
        try:
            frame = read(parse(content), FrameGiven, StreamErrorCode.INVALID_MESSAGE)
            check_metadata(frame.metadata, frame.frame_id)
            frame_id = session.take(
                frame.image_data, frame_id=frame.frame_id, timestamp=frame.timestamp, metadata=frame.metadata
            )
        except StreamError as error:
            raise _refused(error) from None
        return json_answer(
            StreamQueued(status="queued", frame_id=frame_id, client_id=session.client_id, timestamp=time.time())
        )

    async def stats(self, request: web.Request) -> web.Response:
        """`GET /stream/sessions/{client_id}/stats`."""
        return json_answer(session_stats(self._find(request)))

    async def change(self, request: web.Request) -> web.Response:
        """`PATCH /stream/sessions/{client_id}/config`."""
        session = self._find(request)
        settings = await read_body(request, StreamSettings)
        self._sessions.check(settings)
        session.change(settings)
        return json_answer(
            StreamChanged(status="updated", client_id=session.client_id, config=session.config, timestamp=time.time())
        )

    async def end(self, request: web.Request) -> web.Response:
        """`DELETE /stream/sessions/{client_id}`."""
        session = self._find(request)
        self._sessions.end(session)
        return json_answer(StreamClosed(status="closed", client_id=session.client_id, timestamp=time.time()))

    async def health(self, request: web.Request) -> web.Response:
        """`GET /stream/health`."""
        del request
        totals = self._sessions.totals()
        service = ServiceTold(
            status="degraded" if totals.overloaded else "healthy",
            active_sessions=totals.active,
            max_sessions=self._sessions.config.max_sessions,
            queued_frames=totals.queued,
            degraded_sessions=totals.degraded,
        )
        model = model_told(self._sessions)
        status = service.status if model.model_loaded else "unhealthy"
        told = StreamHealthTold(status=status, streaming_service=service, model_service=model, timestamp=time.time())
        return json_answer(told)

    async def totals(self, request: web.Request) -> web.Response:
        """`GET /stream/stats`."""
        del request
        return json_answer(StreamTotalsTold.of(self._sessions))

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """`GET /stream/events/{client_id}`."""
        session = self._find(request)
        if session.kind != "sse":
            raise RequestError("this session is a WebSocket's, which has its results", code="conflict")
        if session.client_id in self._listening:
            raise RequestError("somebody listens to this session already", code="conflict")
        self._listening.add(session.client_id)
        try:
            return await self._follow(request, session)
        finally:
            self._listening.discard(session.client_id)

    async def _follow(self, request: web.Request, session: StreamSession) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        await answer.prepare(request)
        started = {"type": "stream_started", "session_id": session.client_id, "timestamp": time.time()}
        # Who goes away or does not read is let go; the session stays until its time is over.
        try:
            await _send(answer, started)
            while not session.ended or session.told_later:
                message = await session.next(KEEP_ALIVE)
                if message is not None:
                    session.touch()
                    await _send(answer, message)
                elif not session.ended:
                    await _send(answer, {"type": "ping", "timestamp": time.time()})
        except TimeoutError:
            cut(request)
        except ConnectionError:
            pass
        return answer

    def _find(self, request: web.Request) -> StreamSession:
        return self._sessions.find(request.match_info["client_id"], owner_of(request))


def owner_of(request: web.Request) -> str | None:
    """Whose token a request came with; None where there are no tokens."""
    token = caller_of(request).token
    return None if token is None else token.token_id


async def _body(request: web.Request) -> bytes:
    """The body of a request that may hold a picture.

    Raises:
        RequestError: `unsupported_media_type`, `timeout` or `too_large`.
    """
    if request.content_type != "application/json":
        message = "the body should be JSON, with Content-Type: application/json"
        raise RequestError(message, code="unsupported_media_type")
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_TIME):
            async for chunk in request.content.iter_chunked(1 << 18):
                content += chunk
                if len(content) > LARGEST_MESSAGE:
                    raise RequestError("the body is larger than this path takes", code="too_large")
    except TimeoutError:
        raise RequestError("the body did not arrive in time", code="timeout") from None
    return bytes(content)


async def _send(answer: web.StreamResponse, message: dict[str, object]) -> None:
    async with asyncio.timeout(SLOW):
        await answer.write(f"data: {as_text(message)}\n\n".encode(errors="replace"))


def _refused(error: StreamError) -> RequestError:
    """A frame that is refused, as a plain request is told of it."""
    if error.code == StreamErrorCode.RATE_LIMITED:
        return RequestError(error.message, code="rate_limited", headers={"Retry-After": "1"})
    if error.code == StreamErrorCode.FRAME_DROPPED:
        return RequestError(error.message, code="unavailable", headers={"Retry-After": "1"})
    return RequestError(error.message, code="invalid")
