"""The paths clients of another order checker know, over what there is here; wrong is answered as everywhere."""

from __future__ import annotations

import re
import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from pydantic import ValidationError

from orderacc.api.peer_answers import (
    PeerMode,
    PeerOrder,
    PeerRecall,
    PeerResult,
    PeerResults,
    PeerRun,
    PeerStarted,
    PeerStatistics,
    PeerSummary,
    PeerVideo,
    PeerVideos,
)
from orderacc.api.receiving import receive_video
from orderacc.api.routes import Route, Scope, invalid, json_answer, read_body, read_query
from orderacc.api.routes_videos import RunGiven, VideoForm, VideosQuery, begin_run, told
from orderacc.errors import RequestError
from orderacc.service.videos import OVER
from orderacc.storage.objects import SELECTED, visit_key
from orderacc.storage.records import VerdictFilter

if TYPE_CHECKING:
    from orderacc.api.routes_videos import VideoRoutes
    from orderacc.config import CameraRulesConfig
    from orderacc.service.ledger import Ledger
    from orderacc.service.stations import StationSet
    from orderacc.service.videos import VideoJob
    from orderacc.storage.objects import ObjectStore
    from orderacc.storage.records import StoredVerdict

TAG: Final = "Compatibility"
ORDER: Final = {"order_id": "The number on the slip."}
RECORDING: Final = {"video_id": "The recording's name."}

PAGE: Final = 100
"""Verdicts looked through at a time."""

MOST_PAGES: Final = 10
"""Pages looked through."""

RECALLED_FOR: Final = 24 * 3600.0
"""Seconds an order can be recalled by its number, which comes back the other day."""


class PeerRoutes:
    """The routes' handlers.

    Args:
        videos: Recordings.
        ledger: Verdicts.
        stations: The stations.
        objects: Where evidence is; None where none is stored.
        rules: Which cameras may be watched.
    """

    def __init__(
        self,
        videos: VideoRoutes,
        ledger: Ledger,
        stations: StationSet,
        objects: ObjectStore | None,
        rules: CameraRulesConfig,
    ) -> None:
        self._videos = videos
        self._ledger = ledger
        self._stations = stations
        self._objects = objects
        self._rules = rules

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        return (*self._of_orders(), *self._of_videos())

    def _of_orders(self) -> tuple[Route, ...]:
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

    def _of_videos(self) -> tuple[Route, ...]:
        read, submit, gone = Scope.READ, Scope.SUBMIT, ("not_found", "unavailable")
        one = "/videos/{video_id}"
        return (
            Route("POST", "/upload-video", self.upload, "Hand in a recording, as `POST /v1/videos`; the file's part may"
                  " be called `file`.", TAG, submit, PeerStarted, status=202, form=VideoForm,
                  problems=("unavailable", "bad_config")),
            Route("POST", "/run-video", self.run, "Watch a camera for a minute, as `POST /v1/runs`.", TAG, Scope.ADMIN,
                  PeerStarted, status=202, body=PeerRun, problems=("unavailable", "camera_refused")),
            Route("GET", "/videos/history", self.history, "Recordings.", TAG, read, PeerVideos, query=VideosQuery,
                  problems=("unavailable",)),
            Route("DELETE", "/videos/history", self.clear, "Forget all recordings that have been judged.", TAG, submit,
                  PeerSummary, problems=("unavailable",)),
            Route("GET", "/videos/summary", self.summary, "Recordings in figures.", TAG, read, PeerSummary,
                  problems=("unavailable",)),
            Route("GET", "/videos/current", self.current, "The recording that is being judged.", TAG, read, PeerVideo,
                  problems=("unavailable",)),
            Route("GET", one, self.video, "A recording.", TAG, read, PeerVideo, problems=gone, parameters=RECORDING),
            Route("POST", f"{one}/complete", self.complete, "Make sure that a recording has been judged.", TAG, submit,
                  PeerVideo, problems=(*gone, "conflict"), parameters=RECORDING),
            Route("POST", f"{one}/fail", self.fail, "Judge a recording no further.", TAG, submit, PeerVideo,
                  problems=gone, parameters=RECORDING),
            Route("DELETE", one, self.delete, "Forget a recording and its verdicts.", TAG, submit, PeerSummary,
                  problems=gone, parameters=RECORDING),
        )  # fmt: skip

    # Orders.

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

    # Recordings.

    async def upload(self, request: web.Request) -> web.Response:
        """`POST /upload-video`."""
        return _started(await receive_video(request, self._videos.videos()))

    async def run(self, request: web.Request) -> web.Response:
        """`POST /run-video`."""
        videos, given = self._videos.videos(), await read_body(request, PeerRun)
        if given.source_type == "file":
            message = "files of this machine are not read: hand the recording in, POST /v1/videos"
            raise RequestError(message, code="camera_refused")
        if given.source_type == "webcam":
            source: dict[str, Any] = {"type": "device", "device": given.source}
        else:
            source = {"type": given.source_type, "url": given.source}
        try:
            run = RunGiven.model_validate({"source": source})
        except ValidationError as error:
            raise invalid(error, "the body") from None
        return _started(await begin_run(videos, run, self._rules))

    async def history(self, request: web.Request) -> web.Response:
        """`GET /videos/history`."""
        query = read_query(request, VideosQuery)
        fitting = [job for job in self._videos.videos().jobs() if query.state in (None, job.state)][: query.limit]
        videos = [told(job).model_dump(mode="json") for job in fitting]
        return json_answer(PeerVideos(status="success", count=len(videos), videos=videos))

    async def clear(self, request: web.Request) -> web.Response:
        """`DELETE /videos/history`."""
        del request
        videos = self._videos.videos()
        for job in [job for job in videos.jobs() if job.state in OVER]:
            await videos.delete(job.video_id)
        return self._summed()

    async def summary(self, request: web.Request) -> web.Response:
        """`GET /videos/summary`."""
        del request
        return self._summed()

    async def current(self, request: web.Request) -> web.Response:
        """`GET /videos/current`."""
        del request
        running = [job for job in self._videos.videos().jobs() if job.state == "running"]
        if not running:
            return json_answer(PeerVideo(status="success", video_id=None, video=None))
        return _shown(running[0])

    async def video(self, request: web.Request) -> web.Response:
        """`GET /videos/{video_id}`."""
        return _shown(self._videos.videos().get(request.match_info["video_id"]))

    async def complete(self, request: web.Request) -> web.Response:
        """`POST /videos/{video_id}/complete`."""
        job = self._videos.videos().get(request.match_info["video_id"])
        if job.state != "done":
            raise RequestError(f"it is {job.state}; it is done by itself when it has been judged", code="conflict")
        return _shown(job)

    async def fail(self, request: web.Request) -> web.Response:
        """`POST /videos/{video_id}/fail`."""
        return _shown(await self._videos.videos().cancel(request.match_info["video_id"]))

    async def delete(self, request: web.Request) -> web.Response:
        """`DELETE /videos/{video_id}`."""
        await self._videos.videos().delete(request.match_info["video_id"])
        return self._summed()

    def _summed(self) -> web.Response:
        jobs = self._videos.videos().jobs()
        states = Counter[str](job.state for job in jobs)
        figures = {"videos": len(jobs), "verdicts": sum(len(job.verdicts) for job in jobs), **states}
        return json_answer(PeerSummary(status="success", summary=figures))

    def _job(self, name: str) -> VideoJob | None:
        try:
            return self._videos.videos().get(name)
        except RequestError:
            return None


def _started(job: VideoJob) -> web.Response:
    return json_answer(PeerStarted(status="started", video_id=job.video_id, filename=job.name), 202)


def _shown(job: VideoJob) -> web.Response:
    video = {**told(job).model_dump(mode="json"), "verdicts": job.verdicts}
    return json_answer(PeerVideo(status="success", video_id=job.video_id, video=video))


def _see(path: str) -> web.Response:
    return web.Response(status=307, headers={"Location": path})


def _unknown(number: str) -> RequestError:
    return RequestError(f"no order {number[:PAGE]!r} has been judged", code="not_found")
