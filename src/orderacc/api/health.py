"""How the box is: every part of it, and whether orders can be judged."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from orderacc._version import __version__
from orderacc.api.shapes_health import ComponentHealth, Health

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orderacc.capture import StationHealth
    from orderacc.service.serving import Part
    from orderacc.telemetry.lag import LoopLag
    from orderacc.vlm.statistics import BatcherStatistics

State: TypeAlias = Literal["ok", "degraded", "failed"]

LAG_LIMIT_MS: Final = 500.0
"""Lag of the event loop (99th percentile of the last minute) from which the box is said to be overloaded."""

_WORSE: Final[Mapping[State, int]] = {"ok": 0, "degraded": 1, "failed": 2}


class Watched(Protocol):
    """What is known of the stations and the model; `StationSet` is one."""

    def health(self) -> Mapping[str, StationHealth]:
        """How every station is."""
        ...

    def vlm(self) -> BatcherStatistics:
        """How the model's queue is."""
        ...


@dataclass(frozen=True, slots=True)
class HealthBoard:
    """Asks every part how it is.

    Attributes:
        stations: The stations and the model.
        lag: Knows how late the event loop is.
        others: Further parts, by name, such as storage; they make the box worse, but not unable to judge.
        since: When it all began, by the monotonic clock, seconds.
    """

    stations: Watched
    lag: LoopLag
    others: Mapping[str, Callable[[], Part]]
    since: float

    def health(self) -> Health:
        """All of it, now."""
        components = {"model": self._model(), "loop": self._loop()}
        components |= {name: _part(check()) for name, check in self.others.items()}
        stations = {name: _station(one) for name, one in self.stations.health().items()}
        components |= {f"station:{name}": one for name, one in stations.items()}
        blind = bool(stations) and all(one.status == "failed" for one in stations.values())
        unable = components["model"].status == "failed" or blind
        worst = max((one.status for one in components.values()), key=lambda status: _WORSE[status])
        return Health(
            status="failed" if unable else "ok" if worst == "ok" else "degraded",
            version=__version__,
            uptime_s=round(time.monotonic() - self.since, 1),
            components=components,
        )

    def _model(self) -> ComponentHealth:
        now = self.stations.vlm()
        well = [one for one in now.engines if one.state == "ready"]
        others = ", ".join(f"{one.name} is {one.state}" for one in now.engines if one.state != "ready")
        if not well:
            return ComponentHealth(status="failed", reason=f"no engine answers: {others or 'there is none'}")
        if others:
            return ComponentHealth(status="degraded", reason=others)
        if now.pressure >= 1:
            return ComponentHealth(status="degraded", reason="the queue is full")
        return ComponentHealth(status="ok", reason=None)

    def _loop(self) -> ComponentHealth:
        lag = self.lag.snapshot()
        if lag.p99_ms > LAG_LIMIT_MS:
            return ComponentHealth(status="degraded", reason=f"the process is {lag.p99_ms:.0f} ms late")
        return ComponentHealth(status="ok", reason=None)


def _part(part: Part) -> ComponentHealth:
    return ComponentHealth(status="ok" if part.ok else "degraded", reason=part.reason)


def _station(one: StationHealth) -> ComponentHealth:
    error = f": {one.last_error.code}" if one.last_error is not None else ""
    status: State = "ok"
    reason = None
    if one.phase in ("starting", "half_open"):
        status, reason = "degraded", f"{one.phase}{error}"
    elif one.phase != "running":
        status, reason = "failed", f"{one.phase}{error}"
    elif one.warnings:
        status, reason = "degraded", ", ".join(map(str, one.warnings))
    return ComponentHealth(status=status, reason=reason)
