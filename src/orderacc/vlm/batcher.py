"""Many askers, one engine: requests gather while it is busy and leave together when it is free."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from orderacc.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyio.abc import TaskStatus

    from orderacc.vlm.engine import VlmAnswer, VlmEngine, VlmRequest


@dataclass(frozen=True, slots=True)
class BatcherStatistics:
    """A snapshot of a batcher since it was made.

    Attributes:
        waiting: Requests in the queue now.
        in_flight: Requests the engine holds now.
        asked: Requests taken into the queue.
        answered: Requests that got an answer.
        failed: Requests that got an error.
        abandoned: Requests whose asker went away first.
        batches: Calls of the engine, retries included.
        retried: Requests asked again alone after their batch failed.
        largest_batch: Most requests in one call.
        busy_s: Seconds the engine was at work.
    """

    waiting: int
    in_flight: int
    asked: int
    answered: int
    failed: int
    abandoned: int
    batches: int
    retried: int
    largest_batch: int
    busy_s: float


@dataclass(slots=True, eq=False)
class _Ticket:
    """One asker's place in the queue."""

    request: VlmRequest
    settled: anyio.Event = field(default_factory=anyio.Event)
    answer: VlmAnswer | None = None
    error: EngineError | None = None
    abandoned: bool = False


@dataclass(slots=True)
class _Counters:
    asked: int = 0
    answered: int = 0
    failed: int = 0
    abandoned: int = 0
    batches: int = 0
    retried: int = 0
    largest_batch: int = 0
    busy_s: float = 0.0


class VlmBatcher:
    """Serves requests in the order they came.

    Args:
        engine: Answers the batches; the batcher does not close it.
        max_batch_size: Most requests in one call.
        queue_size: Most requests that wait; further askers wait for room.
    """

    def __init__(self, engine: VlmEngine, *, max_batch_size: int = 16, queue_size: int = 64) -> None:
        if max_batch_size < 1 or queue_size < 1:
            raise ValueError("max_batch_size and queue_size must be 1 or more")
        self._engine = engine
        self._max_batch_size = max_batch_size
        self._room = anyio.Semaphore(queue_size, max_value=queue_size)
        self._waiting: deque[_Ticket] = deque()
        self._in_flight: list[_Ticket] = []
        self._arrived = anyio.Event()
        self._counters = _Counters()
        self._stopped = False

    async def ask(self, request: VlmRequest) -> VlmAnswer:
        """Wait for the answer to one request. Cancelling gives the place up.

        Raises:
            EngineError: The request's own failure, or `engine_closed` when the batcher stopped before it was answered.
        """
        await self._room.acquire()
        if self._stopped:
            self._room.release()
            raise _stopped()
        ticket = _Ticket(request)
        self._waiting.append(ticket)
        self._counters.asked += 1
        self._arrived.set()
        try:
            await ticket.settled.wait()
        finally:
            if not ticket.settled.is_set():
                self._abandon(ticket)
        if ticket.answer is None:
            raise ticket.error or _stopped()
        return ticket.answer

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; then, or if the engine breaks down, everyone who waits gets `engine_closed`.

        May be started again after it ended.
        """
        self._stopped = False
        task_status.started()
        try:
            while True:
                await self._arrived.wait()
                self._in_flight = self._take()
                await self._serve(self._in_flight)
                self._in_flight = []
        finally:
            self._stopped = True
            left = [*self._in_flight, *self._waiting]
            self._room_back(len(self._waiting))
            self._waiting.clear()
            self._in_flight = []
            self._fail(left, _stopped())

    def statistics(self) -> BatcherStatistics:
        """What has happened so far."""
        counters = self._counters
        return BatcherStatistics(
            waiting=len(self._waiting),
            in_flight=sum(not ticket.settled.is_set() for ticket in self._in_flight),
            asked=counters.asked,
            answered=counters.answered,
            failed=counters.failed,
            abandoned=counters.abandoned,
            batches=counters.batches,
            retried=counters.retried,
            largest_batch=counters.largest_batch,
            busy_s=counters.busy_s,
        )

    def _take(self) -> list[_Ticket]:
        batch = [self._waiting.popleft() for _ in range(min(self._max_batch_size, len(self._waiting)))]
        self._room_back(len(batch))
        if not self._waiting:
            self._arrived = anyio.Event()
        return batch

    async def _serve(self, batch: list[_Ticket]) -> None:
        if not batch:
            return
        try:
            await self._call(batch)
        except EngineError as error:
            if len(batch) == 1 or error.code == "engine_closed":
                self._fail(batch, error)
            else:
                await self._serve_one_by_one(batch)

    async def _serve_one_by_one(self, batch: list[_Ticket]) -> None:
        for ticket in batch:
            if ticket.abandoned:
                continue
            self._counters.retried += 1
            try:
                await self._call([ticket])
            except EngineError as error:
                self._fail([ticket], error)

    async def _call(self, batch: list[_Ticket]) -> None:
        self._counters.batches += 1
        self._counters.largest_batch = max(self._counters.largest_batch, len(batch))
        started = time.perf_counter()
        try:
            answers = await self._engine.generate([ticket.request for ticket in batch])
        finally:
            self._counters.busy_s += time.perf_counter() - started
        if [answer.request_id for answer in answers] != [ticket.request.request_id for ticket in batch]:
            raise EngineError(f"the engine's {len(answers)} answers do not belong to the {len(batch)} requests")
        for ticket, answer in zip(batch, answers, strict=True):
            if not ticket.abandoned:
                ticket.answer = answer
                self._counters.answered += 1
                ticket.settled.set()

    def _fail(self, tickets: Iterable[_Ticket], error: EngineError) -> None:
        for ticket in tickets:
            if not ticket.abandoned and not ticket.settled.is_set():
                # Each asker raises an error of its own: a shared one would collect all their tracebacks.
                ticket.error = EngineError(error.message, code=error.code)
                self._counters.failed += 1
                ticket.settled.set()

    def _abandon(self, ticket: _Ticket) -> None:
        ticket.abandoned = True
        self._counters.abandoned += 1
        if ticket in self._waiting:
            self._waiting.remove(ticket)
            self._room_back(1)
            if not self._waiting:
                self._arrived = anyio.Event()

    def _room_back(self, places: int) -> None:
        for _ in range(places):
            self._room.release()


def _stopped() -> EngineError:
    return EngineError("the batcher stopped before the request was answered", code="engine_closed")
