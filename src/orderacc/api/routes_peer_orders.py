"""The paths of orders that clients of another order checker know, over the ledger; wrong is answered as everywhere."""

from __future__ import annotations

import re
import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Final

from aiohttp import web

from orderacc.api.peer_answers import (
    PeerMode,
    PeerOrder,
    PeerRecall,
    PeerResult,
    PeerResults,
    PeerStatistics,
)
from orderacc.api.routes import Route, Scope, json_answer, read_body
from orderacc.errors import RequestError
from orderacc.service.video_job import OVER
from orderacc.storage.objects import SELECTED, visit_key
from orderacc.storage.records import VerdictFilter

if TYPE_CHECKING:
    from orderacc.api.routes_videos import VideoRoutes
    from orderacc.service.ledger import Ledger
    from orderacc.service.stations import StationSet
    from orderacc.service.video_job import VideoJob
    from orderacc.storage.objects import ObjectStore
    from orderacc.storage.records import StoredVerdict

TAG: Final = "Compatibility"
ORDER: Final = {"order_id": "The number on the slip."}

PAGE: Final = 100
"""Verdicts looked through at a time."""

MOST_PAGES: Final = 10
"""Pages looked through."""

RECALLED_FOR: Final = 24 * 3600.0
"""Seconds an order can be recalled by its number, which comes back the other day."""


class PeerOrderRoutes:
    """The routes' handlers.

    Args:
        videos: Recordings, by whose names orders may be asked for.
        ledger: Verdicts.
        stations: The stations.
        objects: Where evidence is; None where none is stored.
    """

    def __init__(self, videos: VideoRoutes, ledger: Ledger, stations: StationSet, objects: ObjectStore | None) -> None:
        self._videos = videos
        self._ledger = ledger
        self._stations = stations
        self._objects = objects

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        gone = ("not_found", "gone", "unavailable")
        read, one = Scope.READ, "/orders/{order_id}"
        return (
            Route("GET", "/results/{order_id}", self.result, "What became of an order, by its number or by its"
                  " recording's name.", TAG, read, PeerResult, others=(202,), problems=gone, parameters=ORDER),
            Route("GET", "/vlm/results", self.results, "What became of the last orders.", TAG, read, PeerResults,
                  problems=("unavailable",)),
            Route("POST", "/run_vlm", self.ask, "What became of an order; it is judged by itself when it ends.", TAG,
                  Scope.SUBMIT, PeerResult, body=PeerOrder, problems=gone),
            Route("GET", "/mode", self.mode, "How many stations there are.", TAG, read, PeerMode),
            Route("GET", "/statistics", self.statistics, "The last orders in figures.", TAG, read, PeerStatistics,
                  problems=("unavailable",)),
            Route("GET", f"{one}/recall", self.recall, "An order of the last day.", TAG, read, PeerRecall,
                  problems=gone, parameters=ORDER),
            Route("GET", f"{one}/frames/{{filename}}", self.frame, "A frame of an order of the last day.", TAG, read,
                  status=307, media=None, problems=gone,
                  parameters={**ORDER, "filename": "Which frame: a number, counted from 0, in any file name."}),
            Route("GET", f"{one}/replay", self.replay, "A video of an order of the last day.", TAG, read, status=307,
                  media=None, problems=gone, parameters=ORDER),
        )  # fmt: skip

    async def result(self, request: web.Request) -> web.Response:
        """`GET /results/{order_id}`."""
        name = request.match_info["order_id"]
        stored = await self._find(name)
        if stored is not None:
            return json_answer(PeerResult.stored(stored))
        job = self._job(name)
        if job is None:
            raise _unknown(name)
        if job.verdicts:
            return json_answer(PeerResult.of(job.verdicts[-1], job.ended_at, video_id=job.video_id))
        if job.state in OVER:
            raise RequestError(f"no order was seen in it: {job.state}", code="not_found")
        return json_answer(PeerResult(status="processing", order_id=None, video_id=job.video_id), 202)

    async def results(self, request: web.Request) -> web.Response:
        """`GET /vlm/results`."""
        del request
        page = await self._ledger.verdicts(limit=PAGE)
        return json_answer(PeerResults(results=[PeerResult.stored(one) for one in page.verdicts]))

    async def ask(self, request: web.Request) -> web.Response:
        """`POST /run_vlm`."""
        given = await read_body(request, PeerOrder)
        return json_answer(PeerResult.stored(await self._need(given.order_id, given.station_id)))

    async def mode(self, request: web.Request) -> web.Response:
        """`GET /mode`."""
        del request
        stations = self._stations.ids()
        return json_answer(
            PeerMode(
                service_mode="parallel" if len(stations) > 1 else "single",
                workers=len(stations),
                station_id=stations[0] if stations else None,
            )
        )

    async def statistics(self, request: web.Request) -> web.Response:
        """`GET /statistics`."""
        del request
        statuses, stations, cursor = Counter[str](), Counter[str](), None
        for _ in range(MOST_PAGES):
            page = await self._ledger.verdicts(cursor=cursor, limit=PAGE)
            statuses.update(str(one.body["status"]) for one in page.verdicts)
            stations.update(str(one.body.get("station_id") or "") for one in page.verdicts)
            cursor = page.cursor
            if cursor is None:
                break
        judged = statuses["accurate"] + statuses["inaccurate"]
        return json_answer(
            PeerStatistics(
                total_orders=statuses.total(),
                by_status=dict(statuses),
                by_station=dict(stations),
                accuracy_rate=round(statuses["accurate"] / judged, 4) if judged else None,
            )
        )

    async def recall(self, request: web.Request) -> web.Response:
        """`GET /orders/{order_id}/recall`."""
        name = request.match_info["order_id"]
        stored, age = await self._recent(name)
        frames = 0
        if self._objects is not None:
            prefix = visit_key(SELECTED, str(stored.body["verdict_id"]))
            frames = len([one async for one in self._objects.list(prefix)])
        return json_answer(
            PeerRecall(
                status="found",
                order_id=name,
                result=PeerResult.stored(stored),
                frames_available=frames,
                has_replay=frames > 0,
                age_seconds=round(age, 1),
            )
        )

    async def frame(self, request: web.Request) -> web.Response:
        """`GET /orders/{order_id}/frames/{filename}`."""
        stored, _ = await self._recent(request.match_info["order_id"])
        number = re.search(r"[0-9]{1,3}", request.match_info["filename"])
        if number is None:
            raise RequestError("a frame is asked for by its number", code="not_found")
        return _see(f"/v1/verdicts/{stored.body['verdict_id']}/frames/{int(number.group())}")

    async def replay(self, request: web.Request) -> web.Response:
        """`GET /orders/{order_id}/replay`."""
        stored, _ = await self._recent(request.match_info["order_id"])
        return _see(f"/v1/verdicts/{stored.body['verdict_id']}/replay.mp4")

    async def _find(self, number: str, station_id: str | None = None) -> StoredVerdict | None:
        """The newest verdict on an order of exactly that number."""
        if not 1 <= len(number) <= PAGE:
            return None
        wanted, cursor = VerdictFilter(station_id=station_id, text=number), None
        for _ in range(MOST_PAGES):
            page = await self._ledger.verdicts(wanted, cursor, PAGE)
            for one in page.verdicts:
                if number in (one.body.get("slip_text"), one.body.get("order_id")):
                    return one
            cursor = page.cursor
            if cursor is None:
                break
        return None

    async def _need(self, number: str, station_id: str | None = None) -> StoredVerdict:
        found = await self._find(number, station_id)
        if found is None:
            raise _unknown(number)
        return found

    async def _recent(self, number: str) -> tuple[StoredVerdict, float]:
        """The verdict on an order of the last day, and its age in seconds."""
        found = await self._need(number)
        age = max(0.0, time.time() - datetime.fromisoformat(found.recorded_at).timestamp())
        if age > RECALLED_FOR:
            raise RequestError("the order is more than a day old; /v1/verdicts still has it", code="gone")
        return found, age

    def _job(self, name: str) -> VideoJob | None:
        try:
            return self._videos.videos().get(name)
        except RequestError:
            return None


def _see(path: str) -> web.Response:
    return web.Response(status=307, headers={"Location": path})


def _unknown(number: str) -> RequestError:
    return RequestError(f"no order {number[:PAGE]!r} has been judged", code="not_found")
