"""Judging a recording, or a camera for a while, on the models of a running daemon and apart from its stations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from orderacc.capture import Delivery, VideoFileSource
from orderacc.service.cameras import camera
from orderacc.service.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from orderacc.capture import FrameSource
    from orderacc.config import StationConfig
    from orderacc.domain.verdicts import Verdict
    from orderacc.orders import OrderBook
    from orderacc.service.runtime import Runtime

CONNECT: Final = 5.0
"""Seconds a network camera may take to answer."""

LONGER: Final = 30.0
"""Seconds of clock beyond those of video after which a camera's run ends, whatever came."""


class Replaying(Protocol):
    """Judges recordings and runs; `Replayer` is one."""

    async def video(
        self,
        path: Path,
        name: str,
        fps: float,
        book: OrderBook,
        *,
        sink: Callable[[Verdict], Awaitable[None]],
        progress: Callable[[float], None],
    ) -> None:
        """See `Replayer.video`."""
        ...

    async def run(
        self,
        station: StationConfig,
        seconds: float,
        book: OrderBook,
        *,
        sink: Callable[[Verdict], Awaitable[None]],
        progress: Callable[[float], None],
    ) -> None:
        """See `Replayer.run`."""
        ...


class Replayer:
    """Takes turns with the stations at the detector, and shares the model's batches.

    Args:
        runtime: The models; a pipeline of the daemon serves the questions.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def video(
        self,
        path: Path,
        name: str,
        fps: float,
        book: OrderBook,
        *,
        sink: Callable[[Verdict], Awaitable[None]],
        progress: Callable[[float], None],
    ) -> None:
        """Judge a recording, as fast as it goes.

        Args:
            path: The video.
            name: Named in the verdicts as their station.
            fps: Frames looked at per second of video.
            book: Knows what was paid for.
            sink: Awaited with every verdict.
            progress: Called with the frame time reached, in seconds.

        Raises:
            SourceError: If it cannot be read.
        """
        await self._judge(VideoFileSource(path, name, fps), Delivery.LOSSLESS, book, sink=sink, progress=progress)

    async def run(
        self,
        station: StationConfig,
        seconds: float,
        book: OrderBook,
        *,
        sink: Callable[[Verdict], Awaitable[None]],
        progress: Callable[[float], None],
    ) -> None:
        """Judge what a camera shows for a while.

        Args:
            station: Names and describes it. One whose script tells what was paid for needs no `book`.
            seconds: How long, of frame time.
            book: Knows what was paid for.
            sink: Awaited with every verdict.
            progress: Called with the frame time reached, in seconds.

        Raises:
            SourceError: If it cannot be read.
            ConfigError: If its script is wrong.
        """
        seen_by = await asyncio.to_thread(camera, station, timeout=CONNECT)
        # A script is played as fast as it goes; what a camera shows is taken as it comes.
        delivery = Delivery.LOSSLESS if seen_by.paced else Delivery.LATEST
        knows = seen_by.script_orders or book
        await self._judge(seen_by.make(), delivery, knows, sink=sink, progress=progress, seconds=seconds)

    async def _judge(
        self,
        source: FrameSource,
        delivery: Delivery,
        book: OrderBook,
        *,
        sink: Callable[[Verdict], Awaitable[None]],
        progress: Callable[[float], None],
        seconds: float | None = None,
    ) -> None:
        station = self._runtime.station(source, book, delivery=delivery, speed=None)
        pipeline = Pipeline(self._runtime.judge, self._runtime.batcher, sink, serve_model=False)

        def reached(at: float) -> None:
            progress(at)
            if seconds is not None and at >= seconds:
                pipeline.stop()

        station.progress = reached
        async with anyio.create_task_group() as group:
            if seconds is not None:
                group.start_soon(_stop_after, seconds + LONGER, pipeline)
            await pipeline.run([station])
            group.cancel_scope.cancel()
        if station.state.error is not None:
            raise station.state.error


async def _stop_after(seconds: float, pipeline: Pipeline) -> None:
    await anyio.sleep(seconds)
    pipeline.stop()
