"""Streaming detection over a WebSocket: pictures in, what is seen in them out, settings changed in between.

A text message is a JSON object with its `type`. A binary message is a picture: the file itself, or a header before it,
which is its length as four bytes (big-endian) and a JSON object with `frame_id`, `timestamp` and `metadata`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import Field

from orderacc.api.parting import end_with, part
from orderacc.api.routes import Route, Scope, read_query
from orderacc.api.routes_stream import owner_of
from orderacc.api.shapes import Given
from orderacc.api.streaming.messages import (
    LARGEST_MESSAGE,
    FrameGiven,
    FrameHeader,
    StreamError,
    StreamErrorCode,
    StreamSettings,
    as_text,
    check_metadata,
    error_message,
    parse,
    read,
)
from orderacc.errors import RequestError

if TYPE_CHECKING:
    from orderacc.api.streaming.session import StreamSession
    from orderacc.api.streaming.sessions import StreamSessions

SLOW: Final = 10.0
"""Seconds a client may take to take what it is sent."""

KEEP_ALIVE: Final = 30.0
"""Seconds of silence after which a client is sent a ping, as a message; it need not answer."""

PATIENCE: Final = 100
"""Messages in a row that make no sense, after which the connection is ended."""

LARGE: Final = 1 << 19
"""Characters of a message from which its JSON is read in a thread."""

LONGEST_HEADER: Final = 8192
"""Bytes of what stands before the picture in a binary message."""

_PICTURES: Final = (b"\xff\xd8", b"\x89PNG", b"RIFF")


class StreamQuery(Given):
    """How the session is set at first."""

    session_id: Annotated[str, Field(max_length=64)] | None = None
    """Taken without effect: every connection is a session of its own."""
    fps_limit: Annotated[int, Field(ge=1, le=30)] | None = None
    """Most frames a second; faster ones are dropped."""
    confidence_threshold: Annotated[float, Field(ge=0.1, le=1.0)] | None = None
    """Things less sure than this are left out."""
    enable_tracking: bool | None = None
    """Whether a thing keeps its number from frame to frame."""


class StreamSocketRoutes:
    """The route's handler.

    Args:
        sessions: All sessions.
    """

    def __init__(self, sessions: StreamSessions) -> None:
        self._sessions = sessions
        self._open: dict[web.WebSocketResponse, web.Request] = {}

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        return (
            Route(
                "GET",
                "/stream/detection",
                self.stream,
                "A WebSocket: `frame` messages, or pictures as binary messages, are answered with `detection_result`;"
                " `config_update` changes the settings, `ping` is answered with `pong`, what is wrong with `error`.",
                "Streaming",
                Scope.SUBMIT,
                status=101,
                media=None,
                query=StreamQuery,
                problems=("unavailable",),
            ),
        )

    async def close(self) -> None:
        """Tell all clients that the serving ends."""
        ending = (
            part(request, socket, WSCloseCode.GOING_AWAY, "the serving ends") for socket, request in self._open.items()
        )
        await asyncio.gather(*ending)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """`GET /stream/detection`."""
        query = read_query(request, StreamQuery)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise RequestError("this is a WebSocket: ask for an upgrade", headers={"Upgrade": "websocket"})
        settings = StreamSettings.model_validate(query.model_dump(exclude_none=True))
        session = self._sessions.begin("websocket", settings, owner_of(request))
        sending = None
        try:
            socket = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE)
            await socket.prepare(request)
            self._open[socket] = request
            session.tell(_welcome(session))
            sending = asyncio.create_task(_send(request, socket, session))
            end_with(sending, request)
            await self._listen(request, socket, session)
            return socket
        finally:
            self._sessions.end(session)
            if sending is not None:
                self._open.pop(socket, None)
                sending.cancel()
                with suppress(asyncio.CancelledError):
                    await sending

    async def _listen(self, request: web.Request, socket: web.WebSocketResponse, session: StreamSession) -> None:
        senseless = 0
        async for message in socket:
            session.touch()
            try:
                if message.type is WSMsgType.BINARY:
                    self._take_binary(session, message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._take_text(session, message.data)
                senseless = 0
            except StreamError as error:
                session.tell(error_message(error))
                senseless += error.code in (StreamErrorCode.INVALID_MESSAGE, StreamErrorCode.INVALID_CONFIG)
            if senseless > PATIENCE:
                await part(request, socket, WSCloseCode.POLICY_VIOLATION, "nothing of this is understood")
                return

    async def _take_text(self, session: StreamSession, text: str) -> None:
        data = parse(text) if len(text) < LARGE else await asyncio.to_thread(parse, text)
        kind = data.get("type")
        if kind == "frame":
            frame = read(data, FrameGiven, StreamErrorCode.INVALID_MESSAGE)
            check_metadata(frame.metadata, frame.frame_id)
            session.take(frame.image_data, frame_id=frame.frame_id, timestamp=frame.timestamp, metadata=frame.metadata)
        elif kind == "config_update":
            self._change(session, data.get("config"))
        elif kind == "ping":
            session.tell({"type": "pong", "timestamp": time.time()})
        elif kind != "pong":
            message = "type: should be frame, config_update or ping"
            raise StreamError(StreamErrorCode.INVALID_MESSAGE, message)

    def _take_binary(self, session: StreamSession, content: bytes) -> None:
        if content.startswith(_PICTURES):
            session.take(content)
            return
        length = int.from_bytes(content[:4], "big")
        if not 2 <= length <= LONGEST_HEADER or len(content) <= 4 + length:
            message = "a binary message is a picture, or four bytes of length, so many of JSON, and a picture"
            raise StreamError(StreamErrorCode.INVALID_MESSAGE, message)
        header = read(parse(content[4 : 4 + length]), FrameHeader, StreamErrorCode.INVALID_MESSAGE)
        check_metadata(header.metadata, header.frame_id)
        session.take(
            content[4 + length :], frame_id=header.frame_id, timestamp=header.timestamp, metadata=header.metadata
        )

    def _change(self, session: StreamSession, config: object) -> None:
        settings = read(config, StreamSettings, StreamErrorCode.INVALID_CONFIG)
        try:
            self._sessions.check(settings)
        except RequestError as error:
            raise StreamError(StreamErrorCode.INVALID_CONFIG, error.message) from None
        session.change(settings)
        told = session.config.model_dump(mode="json")
        session.tell({"type": "config_updated", "config": told, "timestamp": time.time()})


async def _send(request: web.Request, socket: web.WebSocketResponse, session: StreamSession) -> None:
    """Send what there is to tell until the session has ended."""
    try:
        while not session.ended or session.told_later:
            message = await session.next(KEEP_ALIVE)
            if message is None and not session.ended:
                message = {"type": "ping", "timestamp": time.time()}
            if message is not None:
                async with asyncio.timeout(SLOW):
                    await socket.send_str(as_text(message))
    except TimeoutError:
        await part(request, socket, WSCloseCode.TRY_AGAIN_LATER, "too slow")
    except ConnectionError:
        return
    else:
        await part(request, socket, WSCloseCode.GOING_AWAY, "the session has ended")


def _welcome(session: StreamSession) -> dict[str, Any]:
    return {
        "type": "session_created",
        "session_id": session.client_id,
        "client_id": session.client_id,
        "config": session.config.model_dump(mode="json"),
        "timestamp": time.time(),
    }
