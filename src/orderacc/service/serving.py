"""The HTTP side of a running daemon: what it shows, and opening and closing it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
from anyio import TASK_STATUS_IGNORED

from orderacc.service.newsroom import Newsroom

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyio.abc import TaskStatus

    from orderacc.api.health import Check
    from orderacc.api.metrics import DoorMetrics
    from orderacc.config import ApiConfig
    from orderacc.orders.memory import OrderStore
    from orderacc.service.ledger import Ledger
    from orderacc.service.stations import StationSet
    from orderacc.telemetry.lag import LoopLag

LOOK_EVERY: Final = 0.25
"""Seconds between looks at the stations for changes that listeners are told."""


@dataclass(slots=True)
class Serving:
    """What the HTTP side shows.

    Attributes:
        config: The section `api`.
        stations: The stations.
        orders: All orders the box knows.
        ledger: Verdicts, reviews and events.
        metrics: Counts verdicts and requests.
        lag: How late the event loop is.
        checks: Further parts of the box's health, by name.
        since: When the process began, by the monotonic clock, seconds.
    """

    config: ApiConfig
    stations: StationSet
    orders: OrderStore
    ledger: Ledger
    metrics: DoorMetrics
    lag: LoopLag
    checks: Mapping[str, Check] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)

    async def run(self, *, task_status: TaskStatus[str] = TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled.

        Args:
            task_status: Told the address, `http://127.0.0.1:8080`, when it listens.

        Raises:
            ConfigError: If the tokens' file or the certificate is bad.
            OSError: If it cannot listen there.
        """
        # The door stands above everything it shows; it is opened from here so that the daemon has one to close.
        from orderacc.api.door import serve

        newsroom = Newsroom(self.ledger)
        async with anyio.create_task_group() as group:
            await group.start(self.lag.run)
            await group.start(newsroom.run)
            group.start_soon(self._tell_of_stations)
            await serve(self, newsroom, task_status=task_status)

    async def _tell_of_stations(self) -> None:
        """Make events of what changes at the stations."""
        known: dict[str, tuple[str, tuple[str, ...]]] = {}
        while True:
            now = {
                name: (str(health.phase), tuple(map(str, health.warnings)))
                for name, health in self.stations.health().items()
            }
            for name, (phase, warnings) in now.items():
                if known.get(name) != (phase, warnings):
                    await self.ledger.station_event(name, {"phase": phase, "warnings": list(warnings)})
            for name in known.keys() - now.keys():
                await self.ledger.station_event(name, {"phase": "removed", "warnings": []})
            known = now
            await anyio.sleep(LOOK_EVERY)
