"""Routes of the stations: what they are, how they are, and changing them while the others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from aiohttp import web

from orderacc.api.cameras import check_camera
from orderacc.api.routes import Route, Scope, json_answer, read_body, read_query
from orderacc.api.shapes_stations import (
    ErrorTold,
    MoveTold,
    SimulatedCamera,
    SnapshotQuery,
    StationChange,
    StationGiven,
    StationsTold,
    StationTold,
)
from orderacc.config import SimulatorSource, StationConfig
from orderacc.errors import RequestError, StationError
from orderacc.telemetry.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orderacc.capture import StationHealth
    from orderacc.config import CameraRulesConfig
    from orderacc.service.looks import LatestLook

TAG: Final = "Stations"
NAMED: Final = {"station_id": "The station's name."}


class Stations(Protocol):
    """The stations there are; `StationSet` is one."""

    def health(self) -> Mapping[str, StationHealth]:
        """How every station is."""
        ...

    def configuration(self, station_id: str) -> StationConfig:
        """What a station was made from."""
        ...

    def latest(self, station_id: str) -> LatestLook:
        """The newest frame of a station."""
        ...

    async def add(self, config: StationConfig) -> None:
        """Begin to watch one more."""
        ...

    async def remove(self, station_id: str) -> None:
        """Watch one no more."""
        ...

    async def restart(self, station_id: str) -> None:
        """Open a station's camera anew."""
        ...

    async def change(self, station_id: str, values: Mapping[str, Any]) -> None:
        """Let a station have other settings."""
        ...


class StationRoutes:
    """The routes' handlers.

    Args:
        stations: The stations.
        rules: Which cameras may be added.
    """

    def __init__(self, stations: Stations, rules: CameraRulesConfig) -> None:
        self._stations = stations
        self._rules = rules

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        one, gone = "/v1/stations/{station_id}", ("no_such_station",)
        changing = ("no_such_station", "bad_config", "camera_refused", "not_running")
        return (
            Route("GET", "/v1/stations", self.list, "All stations and how they are.", TAG, Scope.READ, StationsTold),
            Route(
                "POST",
                "/v1/stations",
                self.add,
                "Begin to watch one more station, until the process ends or its configuration is read again.",
                TAG,
                Scope.ADMIN,
                StationTold,
                status=201,
                body=StationGiven,
                problems=("station_exists", "bad_config", "camera_refused", "not_running"),
            ),
            Route(
                "GET",
                one,
                self.get,
                "One station and how it is.",
                TAG,
                Scope.READ,
                StationTold,
                problems=gone,
                parameters=NAMED,
            ),
            Route(
                "PUT",
                one,
                self.change,
                "Let a station have another camera or other settings; its open order ends as undetermined.",
                TAG,
                Scope.ADMIN,
                StationTold,
                body=StationChange,
                problems=changing,
                parameters=NAMED,
            ),
            Route(
                "DELETE",
                one,
                self.remove,
                "Watch a station no more; its open order ends as undetermined.",
                TAG,
                Scope.ADMIN,
                status=204,
                media=None,
                problems=("no_such_station", "not_running"),
                parameters=NAMED,
            ),
            Route(
                "POST",
                f"{one}/restart",
                self.restart,
                "Open a station's camera anew, at once; an order that is open stays open.",
                TAG,
                Scope.ADMIN,
                StationTold,
                status=202,
                problems=("no_such_station", "not_running"),
                parameters=NAMED,
            ),
            Route(
                "GET",
                f"{one}/snapshot.jpg",
                self.snapshot,
                "The newest frame that was looked at.",
                TAG,
                Scope.READ,
                media="image/jpeg",
                query=SnapshotQuery,
                problems=("no_such_station", "no_picture"),
                parameters=NAMED,
            ),
        )

    async def list(self, request: web.Request) -> web.Response:
        """`GET /v1/stations`."""
        del request
        return json_answer(StationsTold(stations=[self._told(name) for name in self._stations.health()]))

    async def get(self, request: web.Request) -> web.Response:
        """`GET /v1/stations/{station_id}`."""
        return json_answer(self._told(request.match_info["station_id"]))

    async def add(self, request: web.Request) -> web.Response:
        """`POST /v1/stations`."""
        given = await read_body(request, StationGiven)
        config = StationConfig(id=given.id, **await self._values(given))
        await self._stations.add(config)
        return json_answer(self._told(given.id), 201, headers={"Location": f"/v1/stations/{given.id}"})

    async def change(self, request: web.Request) -> web.Response:
        """`PUT /v1/stations/{station_id}`."""
        given = await read_body(request, StationChange)
        station_id = request.match_info["station_id"]
        self._stations.configuration(station_id)
        await self._stations.change(station_id, await self._values(given))
        return json_answer(self._told(station_id))

    async def remove(self, request: web.Request) -> web.Response:
        """`DELETE /v1/stations/{station_id}`."""
        await self._stations.remove(request.match_info["station_id"])
        return web.Response(status=204)

    async def restart(self, request: web.Request) -> web.Response:
        """`POST /v1/stations/{station_id}/restart`."""
        station_id = request.match_info["station_id"]
        await self._stations.restart(station_id)
        return json_answer(self._told(station_id), 202)

    async def snapshot(self, request: web.Request) -> web.Response:
        """`GET /v1/stations/{station_id}/snapshot.jpg`."""
        query = read_query(request, SnapshotQuery)
        latest = self._stations.latest(request.match_info["station_id"])
        if latest.look is None:
            raise RequestError("no frame of this station has been looked at yet", code="no_picture")
        look = latest.look
        content = await latest.jpeg(look, query.width or 0)
        headers = {"X-Frame-Index": str(look.frame.index), "X-Frame-Time": f"{look.frame.at:.3f}"}
        return web.Response(body=content, content_type="image/jpeg", headers=headers)

    async def _values(self, given: StationChange) -> dict[str, Any]:
        """Fields of a station's configuration.

        Raises:
            RequestError: `invalid`, or `camera_refused`.
        """
        if given.roi is not None and not (given.roi[0] < given.roi[2] and given.roi[1] < given.roi[3]):
            wrong = "should be left, top, right, bottom, with left < right and top < bottom"
            raise RequestError("the body is not as it should be", code="invalid", details=[("roi", wrong)])
        values = {name: getattr(given, name) for name in StationChange.model_fields}
        if isinstance(given.source, SimulatedCamera):
            values["source"] = SimulatorSource(**given.source.model_dump())
        else:
            await check_camera(given.source, self._rules)
        return values

    def _told(self, station_id: str) -> StationTold:
        health = self._stations.health().get(station_id)
        if health is None:
            raise StationError(f"there is no station {station_id!r}")
        return station_told(self._stations.configuration(station_id), health, self._stations.latest(station_id))


def station_told(config: StationConfig, health: StationHealth, latest: LatestLook) -> StationTold:
    """A station as an answer has it."""
    error = health.last_error
    return StationTold(
        id=config.id,
        source={name: redact(value) for name, value in config.source.model_dump(mode="json").items()},
        fps=config.fps,
        roi=config.roi,
        phase=str(health.phase),
        phase_s=_ago(health, health.since) if health.moves else 0.0,
        warnings=[str(each) for each in health.warnings],
        open_order=latest.look.open_number if latest.look else None,
        frames_in=health.frames_in,
        frames_kept=health.kept,
        frames_dropped=dict(health.dropped),
        measured_fps=round(health.fps, 2),
        frame_age_s=None if health.frame_age_s is None else round(health.frame_age_s, 3),
        restarts=health.restarts,
        failures=dict(health.failures),
        uptime_s=round(health.uptime_s, 1),
        last_error=None
        if error is None
        else ErrorTold(code=error.code, message=error.message, age_s=_ago(health, error.at)),
        moves=[
            MoveTold(phase=str(move.after), reason=move.reason, age_s=_ago(health, move.at)) for move in health.moves
        ],
    )


def _ago(health: StationHealth, at: float) -> float:
    return round(max(0.0, health.at - at), 1)
