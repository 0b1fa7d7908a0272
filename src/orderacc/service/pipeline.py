"""Closed orders in, verdicts out: the queue between the stations and the judges of one process."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from orderacc.service.judging import Heard
from orderacc.service.leftovers import INTERRUPTED
from orderacc.service.questions import EarlyAnswers
from orderacc.service.station import ClosedOrder
from orderacc.service.watching import watch
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from anyio.streams.memory import MemoryObjectReceiveStream

    from orderacc.domain.evidence import Evidence
    from orderacc.domain.verdicts import Verdict
    from orderacc.service.early import Outlook
    from orderacc.service.judging import OrderJudge
    from orderacc.service.leftovers import Leftover
    from orderacc.service.revising import Revisions
    from orderacc.service.station import Station
    from orderacc.vlm.batcher import VlmBatcher
    from orderacc.vlm.statistics import BatcherStatistics

_log = get_logger(__name__)

WAITING_ORDERS: Final = 16
"""Closed orders that may wait for a judge. Then stations that can wait do; of those that cannot, orders that wait give
up frames the more of them there are, and a further one is judged at once by what was asked about it early, if anything.
An order is never dropped."""

JUDGES: Final = 32
"""Orders judged at a time; their questions share the engine's batches. Enough to fill the queue of questions by
default, when each asks about more than one frame, so that its pressure is felt too."""


class Keeper(Protocol):
    """Keeps what happens to orders; `Keeping` is one."""

    def opened(self, station: Station) -> None:
        """See `Desk.opened`."""
        ...

    def closed(self, closed: ClosedOrder) -> None:
        """An order has ended and waits for its verdict."""
        ...


class Pipeline:
    """Judges what stations see until they have ended or `stop` is called; every order opened gets exactly one verdict.

    Args:
        judge: Judges closed orders.
        batcher: Serves the judge's questions; run here.
        sink: Awaited with every verdict.
        grace: Seconds that orders in flight get after `stop`.
        keeper: Is told of orders as they are opened and closed.
        revisions: Waits for orders the till tells late, and judges again what it amends; None does neither.
        serve_model: Whether the batcher is run here; False where another pipeline does.
    """

    def __init__(
        self,
        judge: OrderJudge,
        batcher: VlmBatcher,
        sink: Callable[[Verdict], Awaitable[None]],
        *,
        grace: float = 10.0,
        keeper: Keeper | None = None,
        revisions: Revisions | None = None,
        serve_model: bool = True,
    ) -> None:
        self._judge = judge
        self._batcher = batcher
        self._sink = sink
        self._grace = grace
        self._keeper = keeper
        self._revisions = revisions
        self._serve_model = serve_model
        self._stopping = anyio.Event()
        self._taken = anyio.Event()
        self._pending: dict[str, ClosedOrder] = {}
        self._hurried = 0  # orders with a judge or waiting for one whose stations cannot wait

    def stop(self) -> None:
        """Stop watching, finish the orders in flight within the grace period, then return from `serve` or `run`."""
        self._stopping.set()

    async def run(self, stations: Sequence[Station]) -> None:
        """Watch these stations until all their sources have ended or `stop` is called."""

        async def watching() -> None:
            async with anyio.create_task_group() as group:
                for station in stations:
                    group.start_soon(watch, station, self)

        await self.serve(watching)

    async def serve(self, watching: Callable[[], Awaitable[None]]) -> None:
        """Judge what stations hand over while `watching` runs, and all of it before returning.

        Args:
            watching: Watches stations with `watch(station, pipeline)`; cancelled by `stop`.
        """
        self._queue, waiting = anyio.create_memory_object_stream[ClosedOrder](math.inf)
        async with anyio.create_task_group() as serving:
            if self._serve_model:
                await serving.start(self._batcher.run)
            self._serving = serving
            if self._revisions is not None:
                serving.start_soon(self._revisions.run, self._tell)
            with waiting, anyio.CancelScope() as judging:
                async with anyio.create_task_group() as work:
                    self._work = work
                    for _ in range(JUDGES):
                        work.start_soon(self._judge_orders, waiting)
                    with self._queue:
                        await self._until_stopped(watching)
                    if self._stopping.is_set():
                        judging.deadline = anyio.current_time() + self._grace
            for closed in list(self._pending.values()):
                reason = closed.unseen or "shutdown"
                await self._deliver(closed, self._judge.unseen(closed.evidence, closed.epoch, reason))
            serving.cancel_scope.cancel()

    def take(self, station: Station, ended: Sequence[Evidence], *, unseen: str | None = None) -> None:
        """See `Desk.take`."""
        early = station.early
        if ended:
            station.early = EarlyAnswers()
            early.close([candidate for evidence in ended for candidate in evidence.frames])
        for evidence in ended:
            assert station.epoch is not None  # noqa: S101  there is no order before the first frame
            late = station.state.at - evidence.closed_at if station.paced else 0.0
            closed = ClosedOrder(evidence, station, station.epoch, time.monotonic() - late, unseen, early)
            if self._keeper is not None:
                self._keeper.closed(closed)
            self._line_up(closed)

    def opened(self, station: Station) -> None:
        """See `Desk.opened`."""
        if self._keeper is not None:
            self._keeper.opened(station)

    async def resume(self, station: Station | None, left: Leftover) -> None:
        """Judge an order that an earlier process has left behind, when there is room for it.

        Args:
            station: Where it was; None where that is no more, and nobody knows whose orders it handed out.
            left: What there is of it.
        """
        if station is None:
            await self._tell(self._judge.unseen(left.evidence, left.epoch, INTERRUPTED))
            return
        await self.room()
        closed = ClosedOrder(left.evidence, station, left.epoch, time.monotonic(), left.unseen)
        self._line_up(closed)

    def foresee(self, station: Station, outlook: Outlook) -> None:
        """See `Desk.foresee`: it is asked about now, at low priority."""
        if station.policy.early_look:
            self._serving.start_soon(self._ask_early, station, outlook, station.early)

    def vlm(self) -> BatcherStatistics:
        """What became of the questions so far."""
        return self._batcher.statistics()

    async def room(self) -> None:
        """See `Desk.room`."""
        while self._queue.statistics().current_buffer_used >= WAITING_ORDERS:
            await self._taken.wait()

    def _line_up(self, closed: ClosedOrder) -> None:
        self._pending[closed.evidence.visit_id] = closed
        crowd = 0.0 if closed.station.can_wait else self._crowd(self._hurried)
        if crowd >= 1:
            self._work.start_soon(self._attend, closed, crowd)
        else:
            self._hurried += not closed.station.can_wait
            self._queue.send_nowait(closed)

    def _crowd(self, others: int) -> float:
        """How full the line is for an order that cannot wait, 0 to 1, by how many others there are."""
        return min(1.0, max(0, others - JUDGES) / WAITING_ORDERS)

    async def _until_stopped(self, watching: Callable[[], Awaitable[None]]) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._cancel_on_stop, group.cancel_scope)
            await watching()
            group.cancel_scope.cancel()

    async def _cancel_on_stop(self, scope: anyio.CancelScope) -> None:
        await self._stopping.wait()
        scope.cancel()

    async def _ask_early(self, station: Station, outlook: Outlook, early: EarlyAnswers) -> None:
        try:
            await self._judge.foresee(outlook, station.book, early, station.policy, epoch=station.epoch)
        except Exception as error:  # noqa: BLE001  a look ahead that fails costs nothing but itself
            _log.error("early_look_failed", visit_id=outlook.evidence.visit_id, exc_info=error)

    async def _judge_orders(self, waiting: MemoryObjectReceiveStream[ClosedOrder]) -> None:
        async for closed in waiting:
            self._taken.set()
            self._taken = anyio.Event()
            await self._attend(closed, self._crowd(self._hurried - 1))
            self._hurried -= not closed.station.can_wait

    async def _attend(self, closed: ClosedOrder, crowd: float) -> None:
        if self._revisions is not None and await self._revisions.missing(closed):
            self._work.start_soon(self._judge_late, closed, self._revisions)  # bags that wait hold up no others
        else:
            await self._judge_one(closed, crowd)

    async def _judge_late(self, closed: ClosedOrder, revisions: Revisions) -> None:
        await revisions.arrival(closed, self._stopping)
        await self._judge_one(closed, self._crowd(self._hurried))

    async def _judge_one(self, closed: ClosedOrder, crowd: float) -> None:
        heard = Heard()
        verdict = await self._verdict_on(closed, heard, crowd)
        await self._deliver(closed, verdict)
        if self._revisions is not None:
            await self._revisions.keep(closed, verdict, heard)

    async def _verdict_on(self, closed: ClosedOrder, heard: Heard, crowd: float) -> Verdict:
        evidence = closed.evidence
        if closed.unseen is not None:
            return self._judge.unseen(evidence, closed.epoch, closed.unseen)
        try:
            return await self._judge.judge(
                evidence,
                closed.station.book,
                closed.epoch,
                closed.ended,
                early=closed.early,
                policy=closed.station.policy,
                heard=heard,
                pressure=crowd,
            )
        except Exception as error:  # noqa: BLE001  one order that cannot be judged must not end the watching
            _log.error("judging_failed", visit_id=evidence.visit_id, exc_info=error)
            return self._judge.unseen(evidence, closed.epoch, "judging_failed")

    async def _deliver(self, closed: ClosedOrder, verdict: Verdict) -> None:
        await self._tell(verdict)
        del self._pending[closed.evidence.visit_id]

    async def _tell(self, verdict: Verdict) -> None:
        with anyio.CancelScope(shield=True):
            await self._sink(verdict)
