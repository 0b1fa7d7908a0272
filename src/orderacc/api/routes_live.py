"""Looking on: a station's frames over a WebSocket, as fast as whoever looks takes them."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from orderacc.api.parting import end_with, part
from orderacc.api.routes import Route, Scope, read_query
from orderacc.api.shapes_stations import LiveQuery
from orderacc.errors import RequestError, StationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orderacc.capture import StationHealth
    from orderacc.service.looks import LatestLook, Look

TAG: Final = "Stations"

IN_FLIGHT: Final = 2
"""Pictures sent and not yet acknowledged."""

SIGN_OF_LIFE: Final = 1.0
"""Seconds without a picture after which the station's state is sent alone."""

SLOW: Final = 10.0
"""Seconds a looker-on may take to take what it is sent, or to acknowledge it."""

LARGEST_MESSAGE: Final = 256
"""Bytes of an acknowledgement."""


class Looked(Protocol):
    """Stations that can be looked at; `StationSet` is one."""

    def health(self) -> Mapping[str, StationHealth]:
        """How every station is."""
        ...

    def latest(self, station_id: str) -> LatestLook:
        """The newest frame of a station."""
        ...


class LiveRoutes:
    """The route's handler.

    Args:
        stations: The stations.
    """

    def __init__(self, stations: Looked) -> None:
        self._stations = stations
        self._open: dict[web.WebSocketResponse, web.Request] = {}

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        return (
            Route(
                "GET",
                "/v1/stations/{station_id}/live",
                self.live,
                "A WebSocket: for every picture a text message with what was seen, then a binary one with the JPEG; the"
                " client answers `ack` to each picture and has at most two that it has not answered.",
                TAG,
                Scope.READ,
                status=101,
                media=None,
                query=LiveQuery,
                problems=("no_such_station",),
                parameters={"station_id": "The station's name."},
            ),
        )

    async def close(self) -> None:
        """Tell all who look on that the serving ends."""
        ending = (
            part(request, socket, WSCloseCode.GOING_AWAY, "the serving ends") for socket, request in self._open.items()
        )
        await asyncio.gather(*ending)

    async def live(self, request: web.Request) -> web.StreamResponse:
        """`GET /v1/stations/{station_id}/live`."""
        query = read_query(request, LiveQuery)
        station_id = request.match_info["station_id"]
        self._stations.latest(station_id)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise RequestError("this is a WebSocket: ask for an upgrade", headers={"Upgrade": "websocket"})
        # Pictures are compressed already; deflating them again only costs.
        socket = web.WebSocketResponse(heartbeat=15.0, max_msg_size=LARGEST_MESSAGE, compress=False)
        await socket.prepare(request)
        self._open[socket] = request
        view = _View(self._stations, station_id, request, socket, query)
        sending = asyncio.create_task(view.send())
        end_with(sending, request)
        try:
            await view.listen()
        finally:
            del self._open[socket]
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        return socket


class _View:
    """One looker-on."""

    def __init__(
        self,
        stations: Looked,
        station_id: str,
        request: web.Request,
        socket: web.WebSocketResponse,
        query: LiveQuery,
    ) -> None:
        self._stations = stations
        self._station_id = station_id
        self._request = request
        self._socket = socket
        self._query = query
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._unanswered = 0

    async def listen(self) -> None:
        """Take acknowledgements until the connection ends."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT or message.data != "ack":
                await part(self._request, self._socket, WSCloseCode.POLICY_VIOLATION, "only ack is understood")
                return
            if self._unanswered:
                self._unanswered -= 1
                self._room.release()

    async def send(self) -> None:
        """Send pictures, the newest there is whenever there is room for one."""
        try:
            await self._send()
        except StationError:
            await part(self._request, self._socket, WSCloseCode.GOING_AWAY, "the station is no more")
        except TimeoutError:
            await part(self._request, self._socket, WSCloseCode.TRY_AGAIN_LATER, "too slow")
        except ConnectionError:
            return

    async def _send(self) -> None:
        last: Look | None = None
        while True:
            async with asyncio.timeout(SLOW):
                await self._room.acquire()
            began = time.monotonic()
            latest = self._stations.latest(self._station_id)
            look = await latest.after(last, SIGN_OF_LIFE)
            if look is None:
                self._room.release()
                await self._say(self._state(None, 0))
                continue
            last = look
            content = await latest.jpeg(look, self._query.width)
            self._unanswered += 1
            await self._say(self._state(look, len(content)))
            async with asyncio.timeout(SLOW):
                await self._socket.send_bytes(content)
            await asyncio.sleep(max(0.0, began + 1 / self._query.fps - time.monotonic()))

    async def _say(self, state: dict[str, Any]) -> None:
        async with asyncio.timeout(SLOW):
            await self._socket.send_str(json.dumps(state, ensure_ascii=False, separators=(",", ":")))

    def _state(self, look: Look | None, size: int) -> dict[str, Any]:
        health = self._stations.health().get(self._station_id)
        if health is None:
            raise StationError(f"there is no station {self._station_id!r}")
        state: dict[str, Any] = {
            "station_id": self._station_id,
            "phase": str(health.phase),
            "warnings": [str(each) for each in health.warnings],
            "frame": None,
        }
        if look is not None:
            height, width = look.frame.image.shape[:2]
            state["frame"] = {
                "index": look.frame.index,
                "at": round(look.frame.at, 3),
                "age_s": round(time.monotonic() - look.taken, 3),
                "width": width,
                "height": height,
                "bytes": size,
                "open_order": look.open_number,
                "open_since": look.open_since,
                "boxes": [
                    {
                        "label": one.label,
                        "score": round(one.score, 3),
                        "box": [round(side, 1) for side in (one.box.x1, one.box.y1, one.box.x2, one.box.y2)],
                    }
                    for one in look.detections
                ],
            }
        return state
