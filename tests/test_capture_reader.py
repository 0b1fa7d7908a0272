"""Frames from a thread to the event loop: order, back-pressure, freshness, failure, leaving."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import anyio
import numpy as np
import pytest

from orderacc.capture import Delivery, FrameReader, SourceStats, VideoFileSource
from orderacc.domain.frames import Frame
from orderacc.errors import SourceError
from video_files import number_of, write_video

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

pytestmark = pytest.mark.anyio

PIXELS = np.zeros((4, 4, 3), np.uint8)


class StagedSource:
    """Delivers `count` frames, one each time it is let; then ends or fails."""

    station_id = "drive-1"

    def __init__(self, count: int, *, error: Exception | None = None, step: bool = False) -> None:
        self._count = count
        self._error = error
        self._may_go = threading.Semaphore(0) if step else None
        self.produced = 0
        self.released = threading.Event()
        self.closed = False

    def let(self, frames: int) -> None:
        assert self._may_go is not None
        self._may_go.release(frames)

    def frames(self) -> Generator[Frame, None, None]:
        try:
            for index in range(self._count):
                if self._may_go is not None:
                    self._may_go.acquire()
                if self.closed:
                    return
                self.produced += 1
                yield Frame(self.station_id, index, index / 10, PIXELS)
            if self._error is not None:
                raise self._error
        finally:
            self.released.set()

    def close(self) -> None:
        self.closed = True
        if self._may_go is not None:
            self._may_go.release()

    def stats(self) -> SourceStats:
        return SourceStats(decoded=self.produced, kept=self.produced)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the other thread has got there."""
    with anyio.fail_after(5):
        while not condition():  # noqa: ASYNC110  the condition is another thread's, which sets no event of this loop
            await asyncio.sleep(0)


async def test_lossless_delivers_every_frame_in_order() -> None:
    source = StagedSource(200)
    async with FrameReader(source, queue_size=3) as frames:
        assert [frame.index async for frame in frames] == list(range(200))
        assert frames.stats().delivered == 200
        assert frames.stats().dropped == 0
    assert source.released.is_set()


async def test_lossless_holds_the_source_back() -> None:
    source = StagedSource(100)
    async with FrameReader(source, queue_size=3) as frames:
        await until(lambda: source.produced == 4)
        assert frames.stats().waiting == 3
        assert (await anext(frames)).index == 0
        await until(lambda: source.produced == 5)
    assert source.produced == 5
    assert source.released.is_set()


async def test_latest_gives_the_newest_and_counts_the_rest() -> None:
    source = StagedSource(10, step=True)
    async with FrameReader(source, delivery=Delivery.LATEST) as frames:
        source.let(5)
        await until(lambda: frames.stats().dropped == 4)
        assert (await anext(frames)).index == 4
        source.let(1)
        assert (await anext(frames)).index == 5
        stats = frames.stats()
        assert (stats.delivered, stats.dropped, stats.waiting) == (2, 4, 0)


async def test_an_error_comes_behind_the_frames_before_it() -> None:
    source = StagedSource(3, error=SourceError("the cable was pulled", code="timeout"))
    async with FrameReader(source) as frames:
        assert [(await anext(frames)).index for _ in range(3)] == [0, 1, 2]
        with pytest.raises(SourceError, match="cable") as caught:
            await anext(frames)
    assert caught.value.code == "timeout"


async def test_an_error_nobody_waits_for_is_not_an_error_of_the_consumer() -> None:
    source = StagedSource(1, error=SourceError("late"))
    async with FrameReader(source) as frames:
        await anext(frames)
        await until(source.released.is_set)


async def test_leaving_ends_a_source_that_waits_for_frames() -> None:
    source = StagedSource(10, step=True)
    async with FrameReader(source):
        pass
    assert source.released.is_set()


async def test_cancelling_ends_a_source_that_waits_for_room() -> None:
    source = StagedSource(100)
    with anyio.CancelScope() as scope:
        async with FrameReader(source, queue_size=1) as frames:
            await anext(frames)
            await until(lambda: source.produced == 3)
            scope.cancel()
            await anext(frames)
    assert scope.cancelled_caught
    assert source.released.is_set()


async def test_the_event_loop_stays_free_while_the_source_blocks() -> None:
    source = StagedSource(1, step=True)
    async with FrameReader(source) as frames, anyio.create_task_group() as group:

        async def let_go() -> None:
            await asyncio.sleep(0)
            source.let(1)

        group.start_soon(let_go)
        assert (await anext(frames)).index == 0


async def test_a_consumer_that_never_waits_leaves_room_for_others() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with FrameReader(StagedSource(50), queue_size=100) as frames, anyio.create_task_group() as group:
        group.start_soon(other)
        assert len([frame async for frame in frames]) == 50
        group.cancel_scope.cancel()
    assert turns >= 50


async def test_paced_frames_come_at_their_times() -> None:
    started = time.monotonic()
    async with FrameReader(StagedSource(5), paced=True, speed=4) as frames:
        assert len([frame async for frame in frames]) == 5
    assert time.monotonic() - started >= 0.4 / 4


async def test_a_pace_can_be_broken_off() -> None:
    async with FrameReader(StagedSource(5), paced=True, speed=1e-6) as frames:
        started = time.monotonic()
        assert (await anext(frames)).index == 0
    assert time.monotonic() - started < 5


async def test_a_video_file_through_the_loop(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    async with FrameReader(VideoFileSource(path, "drive-1", fps=10)) as frames:
        assert [number_of(frame.image) async for frame in frames] == list(range(0, 30, 3))


async def test_a_missing_file_fails_where_it_is_read(tmp_path: Path) -> None:
    async with FrameReader(VideoFileSource(tmp_path / "none.mp4", "drive-1")) as frames:
        with pytest.raises(SourceError) as caught:
            await anext(frames)
    assert caught.value.code == "not_found"


async def test_a_queue_must_hold_something() -> None:
    with pytest.raises(ValueError, match="at least one"):
        async with FrameReader(StagedSource(1), queue_size=0):
            pass
