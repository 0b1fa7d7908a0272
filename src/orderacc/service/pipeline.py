"""Frames in, verdicts out: the tasks of one process and the queues between them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import anyio
import numpy as np

from orderacc.errors import SourceError
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from orderacc.capture.reader import FrameReader
    from orderacc.domain.evidence import Evidence
    from orderacc.domain.frames import Frame
    from orderacc.domain.verdicts import Verdict
    from orderacc.orders import OrderBook
    from orderacc.perception.observer import Observer
    from orderacc.selection.visits import StationTracker
    from orderacc.service.judging import OrderJudge
    from orderacc.vlm.batcher import VlmBatcher

_log = get_logger(__name__)

WAITING_ORDERS: Final = 16
"""Closed orders that may wait for a judge; then stations wait, and live ones drop frames. An order is never dropped."""

JUDGES: Final = 8
"""Orders judged at a time; their questions share the engine's batches."""


@dataclass(slots=True)
class StationState:
    """What a station is doing now.

    Attributes:
        frames: Frames looked at.
        at: Frame time of the newest, seconds.
        error: What ended the station, None while it runs or when its source simply ended.
        ended: Whether it has stopped watching.
    """

    frames: int = 0
    at: float = 0.0
    error: SourceError | None = None
    ended: bool = False


@dataclass(slots=True)
class Station:
    """One camera at one counter, ready to run.

    Attributes:
        reader: Delivers its frames.
        observer: Looks at them.
        tracker: Tells its orders apart.
        book: Knows what was paid for.
        epoch: Wall-clock time of frame time 0.
        paced: Whether frames come at the speed of the clock; a recording that is read as fast as it goes is not.
        roi: Part of the picture that is the counter: left, top, right, bottom as shares; None for all of it.
        progress: Called with the frame time of every frame looked at.
        state: What it is doing now.
    """

    reader: FrameReader
    observer: Observer
    tracker: StationTracker
    book: OrderBook
    epoch: datetime
    paced: bool
    roi: tuple[float, float, float, float] | None = None
    progress: Callable[[float], None] | None = None
    state: StationState = field(default_factory=StationState)

    @property
    def station_id(self) -> str:
        """The station."""
        return self.reader.station_id


@dataclass(frozen=True, slots=True)
class _Closed:
    """An order waiting for its verdict, and when it ended by the monotonic clock."""

    evidence: Evidence
    station: Station
    ended: float


class Pipeline:
    """Runs stations until their sources end or `stop` is called; every order opened gets exactly one verdict.

    Args:
        judge: Judges closed orders.
        batcher: Serves the judge's questions; run here.
        sink: Awaited with every verdict.
        grace: Seconds that orders in flight get after `stop`.
    """

    def __init__(
        self, judge: OrderJudge, batcher: VlmBatcher, sink: Callable[[Verdict], Awaitable[None]], *, grace: float = 10.0
    ) -> None:
        self._judge = judge
        self._batcher = batcher
        self._sink = sink
        self._grace = grace
        self._stopping = anyio.Event()
        self._pending: dict[str, _Closed] = {}

    def stop(self) -> None:
        """Stop watching, finish the orders in flight within the grace period, then return from `run`."""
        self._stopping.set()

    async def run(self, stations: Sequence[Station]) -> None:
        """Watch until all sources have ended or `stop` is called."""
        send, receive = anyio.create_memory_object_stream[_Closed](WAITING_ORDERS)
        async with anyio.create_task_group() as serving:
            await serving.start(self._batcher.run)
            with anyio.CancelScope() as judging:
                async with anyio.create_task_group() as work:
                    for _ in range(JUDGES):
                        work.start_soon(self._judge_orders, receive.clone())
                    receive.close()
                    async with send:
                        await self._watch_all(stations, send)
                    if self._stopping.is_set():
                        judging.deadline = anyio.current_time() + self._grace
            for closed in list(self._pending.values()):
                await self._deliver(closed, self._judge.stopped(closed.evidence, closed.station.epoch))
            serving.cancel_scope.cancel()

    async def _watch_all(self, stations: Sequence[Station], send: MemoryObjectSendStream[_Closed]) -> None:
        async with anyio.create_task_group() as watching:
            watching.start_soon(self._cancel_on_stop, watching.cancel_scope)
            async with anyio.create_task_group() as running:
                for station in stations:
                    running.start_soon(self._watch, station, send)
            watching.cancel_scope.cancel()

    async def _cancel_on_stop(self, scope: anyio.CancelScope) -> None:
        await self._stopping.wait()
        scope.cancel()

    async def _watch(self, station: Station, send: MemoryObjectSendStream[_Closed]) -> None:
        state = station.state
        try:
            async with station.reader as frames:
                async for frame in frames:
                    observation, candidate = await station.observer.observe(cropped(frame, station.roi))
                    state.frames, state.at = state.frames + 1, frame.at
                    if station.progress:
                        station.progress(frame.at)
                    await self._close(
                        station.tracker.observe(observation, candidate if candidate.score > 0 else None), station, send
                    )
        except SourceError as error:
            state.error = error
            _log.error("source_failed", station_id=station.station_id, code=error.code, message=error.message)
        except anyio.get_cancelled_exc_class():
            # Orders still open will not be seen to their end: they wait for their verdict as cancelled ones.
            self._note(station.tracker.finish(state.at), station)
            raise
        finally:
            station.observer.close()
            state.ended = True
        await self._close(station.tracker.finish(state.at), station, send)

    async def _close(self, ended: Sequence[Evidence], station: Station, send: MemoryObjectSendStream[_Closed]) -> None:
        for closed in self._note(ended, station):
            await send.send(closed)

    def _note(self, ended: Sequence[Evidence], station: Station) -> list[_Closed]:
        """Remember orders that await a verdict, all of them before anything can interrupt."""
        noted = []
        for evidence in ended:
            late = station.state.at - evidence.closed_at if station.paced else 0.0
            noted.append(_Closed(evidence, station, time.monotonic() - late))
            self._pending[evidence.visit_id] = noted[-1]
        return noted

    async def _judge_orders(self, receive: MemoryObjectReceiveStream[_Closed]) -> None:
        async with receive:
            async for closed in receive:
                verdict = await self._judge.judge(
                    closed.evidence, closed.station.book, closed.station.epoch, closed.ended
                )
                await self._deliver(closed, verdict)

    async def _deliver(self, closed: _Closed, verdict: Verdict) -> None:
        with anyio.CancelScope(shield=True):
            await self._sink(verdict)
        del self._pending[closed.evidence.visit_id]


def cropped(frame: Frame, roi: tuple[float, float, float, float] | None) -> Frame:
    """The part of a frame that is the counter; `roi` as in `Station`."""
    if roi is None:
        return frame
    height, width = frame.image.shape[:2]
    left, top, right, bottom = roi
    image = frame.image[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
    return replace(frame, image=np.ascontiguousarray(image))
