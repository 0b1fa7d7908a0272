"""Testing a camera before it becomes a station: opened once, watched for a moment, closed."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from orderacc.api.cameras import check_camera
from orderacc.api.routes import Route, Scope, json_answer, read_body
from orderacc.api.shapes import Given, Told
from orderacc.api.shapes_stations import CameraGiven, SimulatedCamera
from orderacc.capture.probing import probe_each
from orderacc.config import SimulatorSource, StationConfig
from orderacc.service.cameras import camera
from orderacc.service.looks import encode
from orderacc.telemetry.redaction import redact_text

if TYPE_CHECKING:
    from aiohttp import web

    from orderacc.capture.probing import Probe
    from orderacc.config import CameraRulesConfig

TAG: Final = "Stations"

AT_ONCE: Final = 2
"""Cameras tested at a time: each takes a thread and may decode."""

TIMEOUT: Final = 5.0
"""Seconds a network camera may take to answer."""

WIDTH: Final = 640
"""Most pixels across of the picture that is shown."""


class CameraTest(Given):
    """A camera to be tested."""

    source: CameraGiven
    """Where the pictures come from."""
    seconds: Annotated[float, Field(ge=1, le=10)] = 2.0
    """Longest to watch it."""


class CameraTested(Told):
    """What came of it."""

    ok: bool
    """Whether pictures came."""
    code: str | None
    """What went wrong, stable; null when nothing did."""
    message: str | None
    """For people; credentials masked."""
    frames: int
    """Pictures that came."""
    fps: float | None
    """Pictures a second; null with fewer than two."""
    width: int | None
    """Pixels across."""
    height: int | None
    """Pixels down."""
    codec: str | None
    """Such as `h264`; null where it is not known."""
    picture: str | None
    """The last picture, JPEG in base64."""


class CameraRoutes:
    """The route's handler.

    Args:
        rules: Which cameras may be added, and so tested.
    """

    def __init__(self, rules: CameraRulesConfig) -> None:
        self._rules = rules
        self._room = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        return (
            Route(
                "POST",
                "/v1/cameras/test",
                self.test,
                "Open a camera once and say what it sends, or why it cannot be seen.",
                TAG,
                Scope.ADMIN,
                CameraTested,
                body=CameraTest,
                problems=("camera_refused",),
            ),
        )

    async def test(self, request: web.Request) -> web.Response:
        """`POST /v1/cameras/test`."""
        given = await read_body(request, CameraTest)
        if isinstance(given.source, SimulatedCamera):
            once = given.source.model_dump() | {"orders": 1, "loop": False}
            station = StationConfig(id="test", source=SimulatorSource(**once))
        else:
            await check_camera(given.source, self._rules)
            station = StationConfig(id="test", source=given.source)
        async with self._room:
            found = await asyncio.to_thread(_tested, station, given.seconds)
            return json_answer(await asyncio.to_thread(_told, found))


def _tested(station: StationConfig, seconds: float) -> Probe:
    return probe_each([camera(station, timeout=TIMEOUT).make()], seconds)[0]


def _told(found: Probe) -> CameraTested:
    picture, error = found.picture, found.error
    return CameraTested(
        ok=picture is not None,
        code=error.code if error else None,
        message=redact_text(error.message) if error else None,
        frames=found.frames,
        fps=None if found.fps is None else round(found.fps, 1),
        width=None if picture is None else picture.shape[1],
        height=None if picture is None else picture.shape[0],
        codec=found.info.codec if found.info else None,
        picture=None if picture is None else b64encode(encode(picture, WIDTH)).decode(),
    )
