"""Judging one recorded video, as a library call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import anyio

from orderacc.capture import Delivery, VideoFileSource
from orderacc.config import JudgingConfig
from orderacc.domain.menus import Menu
from orderacc.orders import FileOrders, FixedOrders
from orderacc.service.pipeline import Pipeline
from orderacc.service.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from pathlib import Path

    from orderacc.domain.orders import Item
    from orderacc.domain.verdicts import Verdict


async def replay(
    video: Path | str,
    *,
    orders: Path | str | Mapping[str, Iterable[Item]],
    inventory: Path | str | None = None,
    config: JudgingConfig | None = None,
    station_id: str = "recording",
    fps: float = 10.0,
    speed: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> AsyncGenerator[Verdict, None]:
    """Judge every order in a video.

    Every frame is looked at, so the same video gives the same verdicts at any speed.

    Args:
        video: MP4 or any other container `orderacc try` reads.
        orders: What was paid for: an orders.json, or lines by order number.
        inventory: The menu; the demo menu when None.
        config: Models and thresholds; the defaults when None. A whole `Config` does, its stations are left aside.
        station_id: Named in the verdicts.
        fps: Frames looked at per second of video.
        speed: Seconds of video per second of clock; as fast as the machine goes when None.
        progress: Called with the frame time reached, in seconds.

    Yields:
        Verdicts in the order they are reached.

    Raises:
        SourceError: If the video cannot be opened or read.
        ConfigError: If the orders or the inventory are wrong.
        ModelError: If a model is missing, broken or does not know the menu.
    """
    book = FixedOrders(orders) if isinstance(orders, Mapping) else FileOrders(orders)
    menu = Menu.load(inventory) if inventory is not None else None
    runtime = await asyncio.to_thread(Runtime.load, config or JudgingConfig(), menu)
    source = VideoFileSource(video, station_id, fps)
    station = runtime.station(source, book, delivery=Delivery.LOSSLESS, speed=speed)
    station.progress = progress
    send, receive = anyio.create_memory_object_stream["Verdict"](8)

    async def work() -> None:
        async with send:
            await Pipeline(runtime.judge, runtime.batcher, send.send).run([station])

    # A task, not a task group: a generator must not yield inside one.
    working = asyncio.create_task(work())
    try:
        async for verdict in receive:
            yield verdict
        await working
        if station.state.error is not None:
            raise station.state.error
    finally:
        receive.close()
        working.cancel()
        await asyncio.wait([working])
        if not working.cancelled():
            working.exception()
        await runtime.aclose()
