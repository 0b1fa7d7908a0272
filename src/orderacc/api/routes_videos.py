"""Routes of recordings: handed in, judged beside the stations, and forgotten."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import Field

from orderacc.api.cameras import check_camera
from orderacc.api.receiving import LONGEST_NAME, receive_video
from orderacc.api.routes import Route, Scope, json_answer, read_body, read_query
from orderacc.api.shapes import Given, Told
from orderacc.api.shapes_stations import CameraGiven, SimulatedCamera
from orderacc.config import SimulatorSource, StationConfig
from orderacc.errors import RequestError
from orderacc.telemetry.redaction import redact

if TYPE_CHECKING:
    from orderacc.config import CameraRulesConfig
    from orderacc.service.video_job import VideoJob
    from orderacc.service.videos import Videos

TAG: Final = "Videos"
NAMED: Final = {"video_id": "The recording's name, as it was told when it was handed in."}


class VideoTold(Told):
    """A recording and where it is."""

    video_id: str
    """Its name."""
    kind: Literal["upload", "run"]
    """A recording that was handed in, or a camera that was watched for a while."""
    name: str
    """What the client called it."""
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    """Where it is."""
    progress: float | None
    """Share that has been judged, 0 to 1; null when its length is not known."""
    at_s: float
    """Seconds of it that have been judged."""
    duration_s: float | None
    """Its length in seconds, when that is known."""
    size: int
    """Its bytes."""
    fps: float
    """Frames looked at per second of it."""
    created_at: str
    """When it was handed in, ISO 8601 UTC."""
    started_at: str | None
    """When judging began."""
    ended_at: str | None
    """When it ended."""
    code: str | None
    """Why it failed; does not change."""
    message: str | None
    """Likewise, for a person."""
    verdict_count: int
    """Verdicts so far."""


class VideoDetail(VideoTold):
    """A recording, where it is, and its verdicts."""

    verdicts: list[dict[str, Any]]
    """The verdicts so far, `schema: 1`, as they came."""


class VideosTold(Told):
    """Recordings."""

    videos: list[VideoTold]
    """The newest first."""


class VideosQuery(Given):
    """Which recordings."""

    state: Literal["waiting", "running", "done", "failed", "cancelled"] | None = None
    """In this state."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    """Most recordings."""


class VideoForm(Given):
    """A recording to be judged, part by part in any order."""

    video: Annotated[bytes, Field(json_schema_extra={"contentMediaType": "application/octet-stream"})]
    """The file."""
    orders: Annotated[bytes, Field(json_schema_extra={"contentMediaType": "application/json"})] = b""
    """What was paid for, as orders.json has it; the box's own orders when left out."""
    fps: Annotated[float, Field(ge=1, le=60)] = 10.0
    """Frames looked at per second of it."""
    name: Annotated[str, Field(max_length=LONGEST_NAME)] = ""
    """What to call it; the file's own name when left out."""


class RunGiven(Given):
    """A camera to be watched for a while."""

    source: CameraGiven
    """Where the pictures come from; what the configuration allows for stations."""
    seconds: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """How long."""
    fps: Annotated[float, Field(ge=1, le=60)] = 10.0
    """Frames looked at per second."""


class VideoRoutes:
    """The routes' handlers.

    Args:
        videos: The recordings; None where none are taken.
        rules: Which cameras may be watched.
    """

    def __init__(self, videos: Videos | None, rules: CameraRulesConfig) -> None:
        self._videos = videos
        self._rules = rules

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        one, gone = "/v1/videos/{video_id}", ("not_found", "unavailable")
        return (
            Route(
                "POST",
                "/v1/videos",
                self.upload,
                "Hand in a recording, as a form.",
                TAG,
                Scope.SUBMIT,
                VideoTold,
                status=201,
                form=VideoForm,
                problems=("unavailable", "bad_config"),
            ),
            Route(
                "GET",
                "/v1/videos",
                self.list,
                "Recordings and where they are.",
                TAG,
                Scope.READ,
                VideosTold,
                query=VideosQuery,
                problems=("unavailable",),
            ),
            Route("GET", one, self.get, "A recording.", TAG, Scope.READ, VideoDetail, problems=gone, parameters=NAMED),
            Route(
                "POST",
                f"{one}/cancel",
                self.cancel,
                "Judge a recording no further; its verdicts so far stay.",
                TAG,
                Scope.SUBMIT,
                VideoTold,
                problems=gone,
                parameters=NAMED,
            ),
            Route(
                "DELETE",
                one,
                self.delete,
                "Forget a recording and its verdicts.",
                TAG,
                Scope.SUBMIT,
                status=204,
                media=None,
                problems=gone,
                parameters=NAMED,
            ),
            Route(
                "POST",
                "/v1/runs",
                self.run,
                "Watch a camera for a while, apart from the stations; it is asked about as a recording is.",
                TAG,
                Scope.ADMIN,
                VideoTold,
                status=201,
                body=RunGiven,
                problems=("unavailable", "camera_refused"),
            ),
        )

    async def upload(self, request: web.Request) -> web.Response:
        """`POST /v1/videos`."""
        job = await receive_video(request, self.videos())
        return json_answer(told(job), 201, headers={"Location": f"/v1/videos/{job.video_id}"})

    async def list(self, request: web.Request) -> web.Response:
        """`GET /v1/videos`."""
        query = read_query(request, VideosQuery)
        fitting = [job for job in self.videos().jobs() if query.state in (None, job.state)]
        return json_answer(VideosTold(videos=[told(job) for job in fitting[: query.limit]]))

    async def get(self, request: web.Request) -> web.Response:
        """`GET /v1/videos/{video_id}`."""
        job = self.videos().get(request.match_info["video_id"])
        return json_answer(VideoDetail(**told(job).model_dump(), verdicts=job.verdicts))

    async def cancel(self, request: web.Request) -> web.Response:
        """`POST /v1/videos/{video_id}/cancel`."""
        return json_answer(told(await self.videos().cancel(request.match_info["video_id"])))

    async def delete(self, request: web.Request) -> web.Response:
        """`DELETE /v1/videos/{video_id}`."""
        await self.videos().delete(request.match_info["video_id"])
        return web.Response(status=204)

    async def run(self, request: web.Request) -> web.Response:
        """`POST /v1/runs`."""
        videos = self.videos()
        given = await read_body(request, RunGiven)
        job = await begin_run(videos, given, self._rules)
        return json_answer(told(job), 201, headers={"Location": f"/v1/videos/{job.video_id}"})

    def videos(self) -> Videos:
        """The recordings.

        Raises:
            RequestError: `unavailable` where none are taken.
        """
        if self._videos is None:
            raise RequestError("no recordings are taken here", code="unavailable")
        return self._videos


async def begin_run(videos: Videos, given: RunGiven, rules: CameraRulesConfig) -> VideoJob:
    """Watch a camera, if that is allowed.

    Raises:
        RequestError: `camera_refused` or `unavailable`.
    """
    source: Any = given.source
    if isinstance(source, SimulatedCamera):
        source = SimulatorSource(**source.model_dump())
    else:
        await check_camera(source, rules)
    station = StationConfig(id="run", source=source, fps=given.fps)
    shown = {name: redact(value) for name, value in source.model_dump(mode="json").items()}
    name = str(shown.get("url", shown.get("device", shown["type"])))
    return await videos.add_run(station, name, given.seconds)


def told(job: VideoJob) -> VideoTold:
    """A recording as an answer has it."""
    values = {name: value for name, value in asdict(job).items() if name != "verdicts"}
    return VideoTold(**values, progress=job.progress, verdict_count=len(job.verdicts))
