"""The paths of recordings that clients of another order checker know; wrong is answered as everywhere."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from orderacc.api.peer_answers import PeerRun, PeerStarted, PeerSummary, PeerVideo, PeerVideos
from orderacc.api.receiving import receive_video
from orderacc.api.routes import Route, Scope, invalid, json_answer, read_body, read_query
from orderacc.api.routes_videos import RunGiven, VideoForm, VideosQuery, begin_run, told
from orderacc.errors import RequestError

if TYPE_CHECKING:
    from aiohttp import web

    from orderacc.api.routes_videos import VideoRoutes
    from orderacc.config import CameraRulesConfig
    from orderacc.service.video_job import VideoJob

TAG: Final = "Compatibility"
RECORDING: Final = {"video_id": "The recording's name."}


class PeerVideoRoutes:
    """The routes' handlers.

    Args:
        videos: Recordings.
        rules: Which cameras may be watched.
    """

    def __init__(self, videos: VideoRoutes, rules: CameraRulesConfig) -> None:
        self._videos = videos
        self._rules = rules

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
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
        await self._videos.videos().clear()
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


def _started(job: VideoJob) -> web.Response:
    return json_answer(PeerStarted(status="started", video_id=job.video_id, filename=job.name), 202)


def _shown(job: VideoJob) -> web.Response:
    video = {**told(job).model_dump(mode="json"), "verdicts": job.verdicts}
    return json_answer(PeerVideo(status="success", video_id=job.video_id, video=video))
