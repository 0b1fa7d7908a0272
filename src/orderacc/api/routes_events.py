"""What happens, as it happens: server-sent events, and the same over a WebSocket, both from where a client left off."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

from aiohttp import WSCloseCode, web
from pydantic import Field

from orderacc.api.limits import Turns
from orderacc.api.parting import cut, end_with, part
from orderacc.api.routes import Route, Scope, read_query
from orderacc.api.shapes import Given
from orderacc.errors import OrderAccError
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from orderacc.service.newsroom import Newsroom
    from orderacc.storage.records import JournalEvent

_log = get_logger(__name__)

TAG: Final = "Events"

KEEP_ALIVE: Final = 15.0
"""Seconds of silence after which a listener is sent something, so that nobody takes the line for dead."""

AT_ONCE: Final = 20
"""Events that are sent together to whoever catches up; then others have their turn."""

SLOW: Final = 10.0
"""Seconds a listener may take to take what it is sent; then it is let go and may come back where it left off."""

RETRY_MS: Final = 1000
"""Milliseconds after which a listener should come back."""

LARGEST_MESSAGE: Final = 1024
"""Bytes of what a listener may say; there is nothing to say."""


class EventsQuery(Given):
    """From where on."""

    after: Annotated[str, Field(max_length=64)] | None = None
    """Id of the last event known, where the header Last-Event-ID cannot be sent; `0` for all that are kept."""


class EventRoutes:
    """The routes' handlers.

    Args:
        newsroom: Gives the events.
    """

    def __init__(self, newsroom: Newsroom) -> None:
        self._newsroom = newsroom
        self._turns = Turns()

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        return (
            Route(
                "GET",
                "/v1/events",
                self.follow,
                "Verdicts, reviews, orders and stations' changes as they happen; goes on from Last-Event-ID. With an"
                " upgrade to WebSocket each event is a message: id, event, at, data.",
                TAG,
                Scope.READ,
                media="text/event-stream",
                query=EventsQuery,
            ),
        )

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """`GET /v1/events`."""
        query = read_query(request, EventsQuery)
        start, missed = await self._start(request.headers.get("Last-Event-ID") or query.after)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request, start, missed=missed)
        return await self._stream(request, start, missed=missed)

    async def _start(self, known: str | None) -> tuple[int, bool]:
        """The event to go on from, and whether others that the listener does not know lie before it."""
        if known is None:
            return await self._newsroom.last_event(), False
        if known == "0":
            return 0, False
        number = self._newsroom.event_id(known)
        # A box that lost power, or whose journal is a copy from before, counts again what it had told already.
        if number is None or number > await self._newsroom.last_event():
            return 0, True
        return number, False

    async def _events(self, at: int, *, missed: bool) -> AsyncIterator[Sequence[dict[str, Any]]]:
        """Events as they are sent, a few at a time; none where a sign of life is due. Ends when the serving does."""
        first = at == 0
        if missed:
            yield [self._missed(at)]
        while not self._newsroom.closed:
            known = self._newsroom.number_of_news
            news = await self._newsroom.after(at)
            if news.missed and not first:
                yield [self._missed(at)]
            first = False
            for start in range(0, len(news.events), AT_ONCE):
                some = news.events[start : start + AT_ONCE]
                yield [self._told(event) for event in some]
                at = some[-1].event_id
            if not news.events:
                await self._newsroom.wait(known, KEEP_ALIVE)
                if self._newsroom.number_of_news == known:
                    yield []

    def _missed(self, at: int) -> dict[str, Any]:
        return {"id": self._newsroom.name(at), "event": "missed", "at": None, "data": {}}

    def _told(self, event: JournalEvent) -> dict[str, Any]:
        body = event.body if event.station_id is None else {"station_id": event.station_id, **event.body}
        return {"id": self._newsroom.name(event.event_id), "event": event.kind, "at": event.at, "data": body}

    async def _stream(self, request: web.Request, start: int, *, missed: bool) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        await answer.prepare(request)
        # Who goes away or does not read is let go; what they missed is there when they come back.
        try:
            await _sent(answer, f"retry: {RETRY_MS}\n\n")
            async for events in self._events(start, missed=missed):
                async with self._turns.turn():
                    text = "".join(map(_as_text, events)) or ": alive\n\n"
                await _sent(answer, text)
        except TimeoutError:
            cut(request)
        except ConnectionError:
            pass
        except OrderAccError:
            _log.warning("events_unread", exc_info=True)  # they come back where they left off
        return answer

    async def _socket(self, request: web.Request, start: int, *, missed: bool) -> web.StreamResponse:
        socket = web.WebSocketResponse(heartbeat=KEEP_ALIVE, max_msg_size=LARGEST_MESSAGE)
        await socket.prepare(request)
        sending = asyncio.create_task(self._send(request, socket, start, missed=missed))
        end_with(sending, request)
        try:
            async for _ in socket:
                pass  # a listener has nothing to say; reading notices that it goes away
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        return socket

    async def _send(self, request: web.Request, socket: web.WebSocketResponse, start: int, *, missed: bool) -> None:
        try:
            async for events in self._events(start, missed=missed):
                async with self._turns.turn():
                    texts = [_json(event) for event in events]
                for text in texts:
                    async with asyncio.timeout(SLOW):
                        await socket.send_str(text)
        except TimeoutError:
            await part(request, socket, WSCloseCode.TRY_AGAIN_LATER, "too slow")
        except ConnectionError:
            return
        except OrderAccError:
            _log.warning("events_unread", exc_info=True)
            await part(request, socket, WSCloseCode.TRY_AGAIN_LATER, "the events cannot be read")
        else:
            await part(request, socket, WSCloseCode.GOING_AWAY, "the serving ends")


async def _sent(answer: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(SLOW):
        await answer.write(text.encode(errors="replace"))


def _as_text(event: dict[str, Any]) -> str:
    return f"id: {event['id']}\nevent: {event['event']}\ndata: {_json({'at': event['at'], 'data': event['data']})}\n\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
