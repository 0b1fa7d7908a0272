"""The daemon: the stations of a configuration until told to stop, and what signals do to them."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import anyio
from anyio import TASK_STATUS_IGNORED

from orderacc.domain.menus import Menu
from orderacc.errors import ConfigError
from orderacc.service.building import StationBuilder
from orderacc.service.cameras import check_cameras
from orderacc.service.notifying import Notifying
from orderacc.service.pipeline import Pipeline
from orderacc.service.results import VerdictLog
from orderacc.service.revising import revisions
from orderacc.service.runtime import Runtime
from orderacc.service.scaler import Scaler, scaling_policy
from orderacc.service.serving import Serving
from orderacc.service.station_events import tell_of_stations
from orderacc.service.stations import StationSet
from orderacc.service.storing import open_storing
from orderacc.service.thinning import Throttle
from orderacc.storage.lock import DataLock
from orderacc.telemetry import get_logger, loaded_things_spared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.abc import TaskStatus

    from orderacc.config import Config
    from orderacc.domain.verdicts import Verdict
    from orderacc.service.storing import Storing
    from orderacc.storage.journal import Journal

_log = get_logger(__name__)


@dataclass(slots=True)
class _Sink:
    """Where a verdict goes: it is kept, then told.

    Attributes:
        results: The log and the results' file.
        notifying: Told that there may be something to send.
        storing: Keeps it; None where nothing is kept.
        on_verdict: Awaited with it at last.
        serving: Shows it; None where nothing listens.
    """

    results: VerdictLog
    notifying: Notifying
    storing: Storing | None
    on_verdict: Callable[[Verdict], Awaitable[None]] | None
    serving: Serving | None = None

    async def __call__(self, verdict: Verdict) -> None:
        if self.storing is not None:
            verdict = await self.storing.record(verdict)
        self.notifying.wake()
        if self.serving is not None:
            self.serving.judged(verdict)
        await self.results.write(verdict)
        if self.on_verdict is not None:
            await self.on_verdict(verdict)


async def run_daemon(
    config: Config,
    reread: Callable[[], Config] | None = None,
    *,
    signals: bool = True,
    fast: bool = False,
    on_verdict: Callable[[Verdict], Awaitable[None]] | None = None,
    task_status: TaskStatus[StationSet] = TASK_STATUS_IGNORED,
) -> bool:
    """Watch every station until all have ended, or somebody stops it. Cameras never end; recordings do.

    Orders in flight then get `shutdown_grace` seconds; what is open after that ends as `undetermined`.

    ```python
    async with anyio.create_task_group() as group:
        stations = await group.start(partial(orderacc.run_daemon, config, signals=False))
        await stations.restart("drive-1")
        print(stations.health()["drive-1"].phase)
        stations.stop()
    ```

    Args:
        config: What to watch.
        reread: Reads the configuration again at SIGHUP; without it the signal does nothing.
        signals: Whether SIGINT and SIGTERM stop it and SIGHUP rereads. They belong to the main thread.
        fast: Whether recordings and simulated counters go as fast as they can be looked at, not at the speed of life.
        on_verdict: Awaited with every verdict, behind the log and the results' file.
        task_status: Told the stations when they are being watched.

    Returns:
        Whether every station ran without failing.

    Raises:
        ConfigError: If a station has no orders to compare with, or a file it needs is wrong.
        ModelError: If a model is missing, broken or does not know the menu.
        StorageError: If `storage.data_dir` cannot be used, or another process uses it.
    """
    async with AsyncExitStack() as resources:
        # From the first moment on: unheard, these signals would end the process while the models load.
        hangups = resources.enter_context(anyio.open_signal_receiver(signal.SIGHUP)) if signals else None
        stops = resources.enter_context(anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM)) if signals else None
        if config.storage is not None:
            resources.enter_context(DataLock(config.storage.data_dir))
        runtime = await asyncio.to_thread(_load, config)
        results = resources.enter_context(VerdictLog(config.results.file if config.results else None))
        notifying = await asyncio.to_thread(Notifying.load, config.notify)
        opening = open_storing(config.storage, notifying.messages) if config.storage else None
        storing = await resources.enter_async_context(opening) if opening else None
        leftovers = await storing.leftovers(config.stations) if storing else None

        sink = _Sink(results, notifying, storing, on_verdict)
        throttle = Throttle()
        builder = StationBuilder(runtime, config, throttle, fast=fast)
        till = builder.orders
        if storing is not None:
            await till.keep_in(storing.keeping.journal)
        pipeline = Pipeline(
            runtime.judge,
            runtime.batcher,
            sink,
            grace=config.shutdown_grace,
            keeper=storing,
            revisions=revisions(runtime.judge, till, config.orders),
        )
        stations = StationSet(
            pipeline,
            builder,
            config,
            first_visit=storing.first_visit if storing else 1,
            leftovers=leftovers,
        )
        sink.serving = serving = Serving.of(config, stations, till.store, storing, runtime)
        notifying.show_in(serving)
        resources.enter_context(loaded_things_spared())
        _log.info("started", stations=[station.id for station in config.stations], device=runtime.engine.device)
        try:
            async with anyio.create_task_group() as listening:
                if stops is not None:
                    listening.start_soon(_stop_on_signal, stops, stations)
                if config.scaling.mode == "auto":
                    policy = scaling_policy(config.scaling, config.vlm.max_batch_size)
                    listening.start_soon(Scaler(runtime.batcher, runtime.detector, runtime.judge, throttle, policy).run)
                if serving is not None:
                    await listening.start(serving.run)
                listening.start_soon(till.run)
                if storing is not None:
                    await listening.start(_tell, storing.keeping.journal, notifying, stations)
                async with anyio.create_task_group() as watching:
                    await watching.start(stations.run)
                    task_status.started(stations)
                    if hangups is not None:
                        listening.start_soon(_reread_on_hangup, hangups, reread, stations)
                await notifying.settle(config.shutdown_grace)
                listening.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await runtime.aclose()
    failed = stations.failed()
    _log.info("stopped", verdicts=results.written, failed=list(failed))
    return not failed


def _load(config: Config) -> Runtime:
    check_cameras(config)
    return Runtime.load(config, Menu.load(config.menu.file) if config.menu else None)


async def _tell(journal: Journal, notifying: Notifying, stations: StationSet, *, task_status: TaskStatus[None]) -> None:
    """Tell the journal of the stations, and the outside of what is in the journal."""
    async with anyio.create_task_group() as group:
        group.start_soon(tell_of_stations, journal, stations.health)
        await notifying.run(journal.outbox, stations.health, task_status=task_status)


async def _stop_on_signal(stops: AsyncIterator[signal.Signals], stations: StationSet) -> None:
    async for number in stops:
        _log.info("stopping", signal=signal.Signals(number).name)
        stations.stop()


async def _reread_on_hangup(
    hangups: AsyncIterator[signal.Signals], reread: Callable[[], Config] | None, stations: StationSet
) -> None:
    async for _ in hangups:
        if reread is None:
            _log.info("reload_ignored", reason="the configuration is no file's")
            continue
        try:
            changes = await stations.apply(await asyncio.to_thread(reread))
        except ConfigError as error:
            _log.error("reload_refused", findings=[str(found) for found in error.findings] or [error.message])
        except Exception as error:  # noqa: BLE001  whatever is wrong with a file, the watching goes on
            _log.error("reload_failed", exc_info=error)
        else:
            _log.info("reloaded", **asdict(changes))
