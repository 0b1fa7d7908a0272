"""The daemon: every station of a configuration until told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import anyio

from orderacc.capture import Delivery, LoopedSource, VideoFileSource
from orderacc.config import SimulatorSource as SimulatorConfig
from orderacc.domain.menus import Menu
from orderacc.errors import ConfigError, Finding
from orderacc.orders import FileOrders, FixedOrders
from orderacc.service.pipeline import Pipeline
from orderacc.service.results import VerdictLog
from orderacc.service.runtime import Runtime
from orderacc.simulator.random_script import random_script
from orderacc.simulator.script_file import load_script
from orderacc.simulator.source import SimulatorSource
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.capture import FrameSource
    from orderacc.config import Config, StationConfig
    from orderacc.orders import OrderBook

_log = get_logger(__name__)


async def run_daemon(config: Config) -> bool:
    """Watch every station until all sources have ended, or SIGINT or SIGTERM comes.

    Orders in flight at a signal get `shutdown_grace` seconds; what is open then ends as `undetermined`.

    Returns:
        Whether every source ran without failing.

    Raises:
        ConfigError: If a station has no orders to compare with, or a file it needs is wrong.
        ModelError: If a model is missing, broken or does not know the menu.
    """
    shared = FileOrders(config.orders.file) if config.orders else None
    cameras = [camera(station, shared) for station in config.stations]
    menu = Menu.load(config.menu.file) if config.menu else None
    runtime = await asyncio.to_thread(Runtime.load, config, menu)
    stations = [
        runtime.station(source, book, delivery=Delivery.LATEST, speed=1.0, roi=entry.roi)
        for entry, (source, book) in zip(config.stations, cameras, strict=True)
    ]
    _log.info("started", stations=[station.station_id for station in stations], device=runtime.engine.device)
    with VerdictLog(config.results.file if config.results else None) as results:
        pipeline = Pipeline(runtime.judge, runtime.batcher, results.write, grace=config.shutdown_grace)
        async with anyio.create_task_group() as group:
            group.start_soon(_stop_on_signal, pipeline)
            await pipeline.run(stations)
            group.cancel_scope.cancel()
    await runtime.aclose()
    failed = [station.station_id for station in stations if station.state.error is not None]
    _log.info("stopped", verdicts=results.written, failed=failed)
    return not failed


def camera(station: StationConfig, shared: FileOrders | None) -> tuple[FrameSource, OrderBook]:
    """The source of a station and the order book that goes with it."""
    entry = station.source
    if isinstance(entry, SimulatorConfig):
        script = (
            load_script(entry.script)
            if entry.script
            else random_script(entry.seed, entry.orders, fps=station.fps, wrong_share=entry.wrong_share)
        )
        book = FixedOrders({order.order_id: order.paid for order in script.orders})
        return _looped(lambda: SimulatorSource(script, station.id), loop=entry.loop), book
    if shared is None:
        message = "needs POS orders to compare with: add `orders: {file: orders.json}`"
        raise ConfigError([Finding("stations.yaml", 0, 0, f"station {station.id}", message)])
    path = entry.path
    return _looped(lambda: VideoFileSource(path, station.id, station.fps), loop=entry.loop), shared


def _looped(make: Callable[[], FrameSource], *, loop: bool) -> FrameSource:
    return LoopedSource(make) if loop else make()


async def _stop_on_signal(pipeline: Pipeline) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            _log.info("stopping", signal=signal.Signals(number).name)
            pipeline.stop()
