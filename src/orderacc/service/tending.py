"""Keeping one station of a set going for as long as it is wanted."""

from __future__ import annotations

import time
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
        first_visit: That number, of a station that takes nobody's place.
        before: The one whose place it takes, which has ended. When its station cannot be made it stands in until it
            can, and what it left behind is counted on.

    Raises:
        Exception: What `plan` raised, if there is nobody to stand in.

    Attributes:
        config: What it was made from.
        plan: Makes it anew.
        station: The station there is now.
    """

    def __init__(
        self,
        config: StationConfig,
        plan: Callable[[int], Station],
        first_visit: int,
        before: TendedStation | None = None,
    ) -> None:
        self.config = config
        self.plan = plan
        self._crashes = 0
        self._last_error: LastError | None = None
        if before is None:
            self.station = plan(first_visit)
        else:
            self.station = before.station
            self._make()
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

    @property
    def stuck(self) -> bool:
        """Whether its camera has left threads behind that do not end."""
        capture = self.station.capture
        return capture is not None and capture.health().abandoned_threads > 0

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

    def reopen(self) -> bool:
        """Open its camera anew, and take what that shows then for the right view.

        Returns:
            False where there is none to be opened: it watches a recording, or has ended.
        """
        station = self.station
        if not station.live or station.capture is None or station.state.ended:
            return False
        station.capture.restart("requested")
        if station.eyes.picture is not None:
            station.eyes.picture.forget_view()
        return True

    async def end(self) -> None:
        """Watch it no more; returns when its orders are handed over and its camera is let go."""
        self._scope.cancel()
        await self._over.wait()

    def health(self) -> StationHealth:
        """What its camera says, and what else is known."""
        station, state = self.station, self.station.state
        capture = station.capture
        health = StationHealth(station.station_id, at=time.monotonic()) if capture is None else capture.health()
        failures, last_error = dict(health.failures), health.last_error
        if state.failures:
            failures["station_failed"] = state.failures
        if self._crashes:
            failures["station_crashed"] = self._crashes
        own = self._last_error
        if own is not None and (last_error is None or last_error.at < own.at):
            last_error = own
        return replace(
            health,
            kept=health.kept - state.thinned,
            dropped=MappingProxyType({**health.dropped, "thinned": state.thinned}),
            failures=MappingProxyType(failures),
            last_error=last_error,
            warnings=state.warnings,
        )

    async def _watch(self, desk: Desk) -> bool:
        """Watch the station, made anew if it has ended; False when it is to be tried again."""
        if self.station.state.ended and not self._make():
            return False
        try:
            await watch(self.station, desk)
        except Exception as error:  # noqa: BLE001  whatever is wrong with one station, the others go on
            self._crashed(error)
            return not self.station.live
        if self.station.state.error is not None:
            self._note(self.station.state.error)
        return True

    def _make(self) -> bool:
        """Make the station anew; False when that failed, and the old one is there still."""
        try:
            station = self.plan(self.next_visit)
        except Exception as error:  # noqa: BLE001  likewise
            self._crashed(error)
            return False
        if station.capture is not None and self.station.capture is not None:
            station.capture.succeed(self.station.capture)
        self.station = station
        return True

    def _crashed(self, error: Exception) -> None:
        self._crashes += 1
        self._note(error)
        _log.error("station_crashed", station_id=self.config.id, crashes=self._crashes, exc_info=error)

    def _note(self, error: Exception) -> None:
        code = error.code if isinstance(error, OrderAccError) else "station_crashed"
        self._last_error = LastError(code, redact_text(str(error)), time.monotonic())
