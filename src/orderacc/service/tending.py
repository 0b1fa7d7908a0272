"""Keeping one station of a set going for as long as it is wanted."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import anyio

from orderacc.capture import LastError, StationHealth
from orderacc.errors import OrderAccError
from orderacc.service.watching import watch
from orderacc.telemetry import get_logger, redact_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.config import StationConfig
    from orderacc.service.station import Station
    from orderacc.service.watching import Desk

_log = get_logger(__name__)

CRASH_PAUSE: Final = 15.0
"""Seconds before a live station that broke down as a whole is made anew: what its camera's breaker did not catch."""


class TendedStation:
    """A station and the task that watches it.

    Args:
        config: What it was made from.
        plan: Makes the station, given the number of its first visit.
        first_visit: That number.

    Attributes:
        config: What it was made from.
        plan: Makes it anew.
        station: The station there is now.
    """

    def __init__(self, config: StationConfig, plan: Callable[[int], Station], first_visit: int) -> None:
        self.config = config
        self.plan = plan
        self.station = plan(first_visit)
        self._crashes = 0
        self._scope = anyio.CancelScope()
        self._over = anyio.Event()

    @property
    def over(self) -> bool:
        """Whether it has ended, by itself or by `end`."""
        return self._over.is_set()

    @property
    def next_visit(self) -> int:
        """Number the next visit at this station will get."""
        return self.station.eyes.next_visit

    async def run(self, desk: Desk) -> None:
        """Watch until the station ends by itself or is not wanted any more; whatever breaks, nothing is raised."""
        try:
            with self._scope:
                while True:
                    if await self._watch(desk):
                        break
                    await anyio.sleep(CRASH_PAUSE)
        finally:
            self._over.set()

    async def end(self) -> None:
        """Watch it no more; returns when its orders are handed over and its camera is let go."""
        self._scope.cancel()
        await self._over.wait()

    def health(self) -> StationHealth:
        """What its camera says, and what else is known."""
        station, state = self.station, self.station.state
        health = station.capture.health() if station.capture is not None else StationHealth(station.station_id)
        failures, last_error = dict(health.failures), health.last_error
        if state.failures:
            failures["station_failed"] = state.failures
        if self._crashes:
            failures["station_crashed"] = self._crashes
        if state.error is not None and last_error is None:
            code = state.error.code if isinstance(state.error, OrderAccError) else "station_crashed"
            last_error = LastError(code, redact_text(str(state.error)), health.at)
        return replace(
            health,
            kept=health.kept - state.thinned,
            dropped=MappingProxyType({**health.dropped, "thinned": state.thinned}),
            failures=MappingProxyType(failures),
            last_error=last_error,
            warnings=state.warnings,
        )

    async def _watch(self, desk: Desk) -> bool:
        """Watch the station, made anew if it has broken down; False when it is to be tried again."""
        try:
            if self.station.state.ended:
                self.station = self.plan(self.next_visit)
            await watch(self.station, desk)
        except Exception as error:  # noqa: BLE001  whatever is wrong with one station, the others go on
            self._crashes += 1
            _log.error("station_crashed", station_id=self.config.id, crashes=self._crashes, exc_info=error)
            return not self.station.live
        return True
