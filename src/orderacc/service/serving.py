"""The HTTP side of a running daemon: what it shows, and opening and closing it."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import anyio
from anyio import TASK_STATUS_IGNORED

from orderacc.service.ledger import RecentLedger
from orderacc.service.newsroom import Newsroom
from orderacc.service.replaying import Replayer
from orderacc.service.station_events import tell_of_stations
from orderacc.service.videos import FOLDER, Videos
from orderacc.telemetry.box_metrics import BoxMetrics
from orderacc.telemetry.lag import LoopLag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anyio.abc import TaskStatus
    from prometheus_client.registry import Collector

    from orderacc.config import ApiConfig, Config
    from orderacc.domain.verdicts import Verdict
    from orderacc.orders.memory import OrderStore
    from orderacc.service.detecting import Detecting
    from orderacc.service.ledger import Ledger
    from orderacc.service.runtime import Runtime
    from orderacc.service.stations import StationSet
    from orderacc.service.storing import Storing
    from orderacc.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Part:
    """How a part of the box is.

    Attributes:
        ok: Whether it does its work.
        reason: What is wrong, for a person; None when nothing is.
    """

    ok: bool
    reason: str | None = None


@dataclass(slots=True)
class Serving:
    """What the HTTP side shows.

    Attributes:
        config: The section `api`.
        stations: The stations.
        orders: All orders the box knows.
        ledger: Verdicts, reviews and events.
        parts: Asks further parts of the box how they are, by name.
        lag: How late the event loop is.
        metrics: Counts verdicts and requests.
        since: When the process began, by the monotonic clock, seconds.
        collectors: Give further metrics.
        objects: Where evidence is; None where none is stored.
        detector: Looks at pictures others send; None where nobody may.
        videos: Recordings that are handed in; None where none are taken.
    """

    config: ApiConfig
    stations: StationSet
    orders: OrderStore
    ledger: Ledger
    parts: Mapping[str, Callable[[], Part]] = field(default_factory=dict)
    lag: LoopLag = field(default_factory=LoopLag)
    metrics: BoxMetrics = field(init=False)
    since: float = field(default_factory=time.monotonic)
    collectors: tuple[Collector, ...] = ()
    objects: ObjectStore | None = None
    detector: Detecting | None = None
    videos: Videos | None = None

    def __post_init__(self) -> None:
        self.metrics = BoxMetrics(self.lag)

    @classmethod
    def of(
        cls, config: Config, stations: StationSet, orders: OrderStore, storing: Storing | None, runtime: Runtime
    ) -> Self | None:
        """What a daemon shows; None where nothing listens.

        Args:
            config: The configuration.
            stations: The stations.
            orders: All orders the box knows.
            storing: What is kept; None where nothing is, and then the last verdicts are in memory.
            runtime: The models.
        """
        if config.api is None:
            return None
        folder = config.storage.data_dir / FOLDER if config.storage else Path(tempfile.mkdtemp(prefix="orderacc-"))
        replayer = Replayer(runtime)
        videos = Videos(folder, config.api.videos, replayer, orders, temporary=config.storage is None)
        if storing is None:
            ledger = RecentLedger(config.api.keep_verdicts)
            return cls(config.api, stations, orders, ledger, detector=runtime.detector, videos=videos)
        journal = storing.keeping.journal

        def how_the_journal_is() -> Part:
            health = journal.health()
            aside = f"{health.set_aside} damaged file(s) set aside since the start" if health.set_aside else None
            return Part(health.ok, aside if health.ok else f"{health.code}: {health.message}")

        parts = {"journal": how_the_journal_is}
        shown = cls(config.api, stations, orders, journal, parts, objects=storing.objects, videos=videos)
        shown.detector = runtime.detector
        storing.show_in(shown)
        return shown

    def also_show(self, parts: Mapping[str, Callable[[], Part]], *collectors: Collector) -> None:
        """Show further parts of the box; before `run`.

        Args:
            parts: Ask them how they are, by name.
            collectors: Give their metrics.
        """
        self.parts = {**self.parts, **parts}
        self.collectors += collectors

    def judged(self, verdict: Verdict) -> None:
        """Take note of a verdict; a journal has it from elsewhere."""
        self.metrics.judged(verdict)
        if isinstance(self.ledger, RecentLedger):
            self.ledger.record(verdict)

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

        newsroom = Newsroom(self.ledger, edition=await self.ledger.edition())
        async with anyio.create_task_group() as group:
            await group.start(self.lag.run)
            await group.start(newsroom.run)
            if isinstance(self.ledger, RecentLedger):  # a journal is told by whoever has it
                group.start_soon(tell_of_stations, self.ledger, self.stations.health)
            await serve(self, newsroom, task_status=task_status)
