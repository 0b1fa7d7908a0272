"""Many askers, few engines: requests gather while the engines are busy and leave together when one is free."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final

import anyio

from orderacc.errors import EngineError
from orderacc.vlm.engine import Priority
from orderacc.vlm.seat import EnginePolicy, EngineSeat, Role
from orderacc.vlm.seated import LOSING, REQUESTS_FAULT, SeatedEngine
from orderacc.vlm.statistics import BatcherCounters
from orderacc.vlm.waiting import Ticket, WaitingRoom

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyio.abc import TaskStatus

    from orderacc.vlm.engine import VlmAnswer, VlmEngine, VlmRequest
    from orderacc.vlm.statistics import BatcherStatistics

MOST_MOVES: Final = 2
"""How often a request is taken back from an engine that failed, to be asked again."""


class VlmBatcher:
    """Serves closing orders first and stations in turns, on whichever engine is free.

    Requests fail alone: a batch that fails is asked again member by member. An engine that fails too often rests, one
    that hangs is replaced, and what it held is asked elsewhere, or again. When none works, those who wait are told.

    Requests of `Priority.CLOSING` wait for room; others are refused as `overloaded` when there is none, and make room
    for more urgent ones.

    Args:
        engines: Answer the batches: one, or several and how each is used.
        max_batch_size: Most requests in one call; may be changed at any time.
        queue_size: Most requests that wait; further closing ones wait at the door, in turns like those inside.
        batch_window_ms: An idle engine waits this long for others to come with the first.
        visual_token_budget: Most tokens of pictures in one call, about; None for no limit.
        spill_over_after: Requests that wait for the local engines before those of `Role.SPILL_OVER` are asked too; None
            asks them only when no local one works.
        policy: How patient it is with its engines.
        rng: Decides the jitter of waits.
    """

    def __init__(
        self,
        engines: VlmEngine | Sequence[EngineSeat],
        *,
        max_batch_size: int = 16,
        queue_size: int = 32,
        batch_window_ms: float = 0.0,
        visual_token_budget: int | None = None,
        spill_over_after: int | None = None,
        policy: EnginePolicy | None = None,
        rng: Random | None = None,
    ) -> None:
        if max_batch_size < 1 or queue_size < 1:
            raise ValueError("max_batch_size and queue_size must be 1 or more")
        seats = engines if isinstance(engines, Sequence) else (EngineSeat(engines),)
        rng, policy = rng or Random(), policy or EnginePolicy()  # noqa: S311  jitter is no secret
        self.max_batch_size = max_batch_size
        self.queue_size = queue_size
        self._window_s = batch_window_ms / 1000
        self._budget = math.inf if visual_token_budget is None else visual_token_budget
        self._spill_over_after = math.inf if spill_over_after is None else spill_over_after
        self._engines = tuple(SeatedEngine(seat, policy, self, rng) for seat in seats)
        self._room = WaitingRoom(queue_size)
        self._in_flight: dict[Ticket, SeatedEngine] = {}
        self._news = asyncio.Event()
        self._counters = BatcherCounters()
        self._stopped = False

    @property
    def pressure(self) -> float:
        """Share of the queue that is taken, 0 to 1: from 1 on, further askers wait at the door or are refused."""
        return self._room.pressure

    def has_room(self, priority: Priority) -> bool:
        """Whether a further asker would find room in the queue, if only that of somebody less urgent."""
        return self._room.has_room(priority)

    async def ask(self, request: VlmRequest) -> VlmAnswer:
        """Wait for the answer to one request. Cancelling gives the place up.

        Raises:
            EngineError: The request's own failure; `deadline` when it was not answered in time, `overloaded` when it is
                not urgent and there is no room, `engine_closed` when the batcher stopped or no engine is left.
        """
        if self._stopped:
            raise _stopped()
        if all(engine.hopeless for engine in self._engines):
            raise _none_left()
        ticket = Ticket(request, time.monotonic())
        patience = None if request.deadline is None else request.deadline - ticket.came
        self._counters.asked += 1
        self._counters.asked_by_station[request.station_id] += 1
        if (refused := self._room.enter(ticket)) is not None:
            self._counters.refused += 1
            self._fail([refused], EngineError("too many requests are waiting", code="overloaded"))
        self.engine_changed()
        try:
            with anyio.move_on_after(patience):
                await ticket.settled.wait()
            if not ticket.settled.is_set():
                self._expire(ticket)
        finally:
            if not ticket.settled.is_set():
                self._counters.abandoned += 1
                self._leave(ticket)
        if ticket.answer is None:
            raise ticket.error or _stopped()
        return ticket.answer

    def hurry(self, request_id: str, priority: Priority = Priority.CLOSING) -> bool:
        """Make a request more urgent; one that an engine is at will be so if it comes back.

        Returns:
            Whether there was one that waits and was less urgent.
        """
        for ticket in self._in_flight:
            if ticket.request.request_id == request_id:
                ticket.hurry(priority)
        return self._room.hurry(request_id, priority)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; then everyone who waits gets `engine_closed`. May be started again after it ended."""
        self._stopped = False
        try:
            async with anyio.create_task_group() as group:
                for engine in self._engines:
                    for _ in range(engine.parallel):
                        group.start_soon(self._work, engine)
                task_status.started()
                await anyio.sleep_forever()
        finally:
            self._stopped = True
            self._fail([*self._in_flight, *self._room.everyone()], _stopped())
            self._in_flight.clear()

    async def aclose(self) -> None:
        """Let the engines go; those that hang are left behind after a few seconds."""
        async with anyio.create_task_group() as group:
            for engine in self._engines:
                group.start_soon(engine.aclose)

    def statistics(self) -> BatcherStatistics:
        """What has happened so far."""
        return self._counters.snapshot(
            waiting=len(self._room) - self._room.at_door,
            at_door=self._room.at_door,
            in_flight=sum(not ticket.settled.is_set() for ticket in self._in_flight),
            pressure=self.pressure,
            engines=tuple(engine.statistics() for engine in self._engines),
        )

    def engine_changed(self) -> None:
        """See `Audience.engine_changed`."""
        self._news.set()
        self._news = asyncio.Event()

    def engine_disappointed(self, error: EngineError) -> None:
        """See `Audience.engine_disappointed`: nobody waits for engines that do not come back."""
        if not any(engine.works for engine in self._engines):
            self._fail(self._room.everyone(), EngineError(f"no engine works: {error.message}", code=error.code))

    async def _work(self, engine: SeatedEngine) -> None:
        """Keep one engine busy for as long as there is one."""
        while not engine.gone:
            if await self._waited_until_wanted(engine) and self._window_s:
                with anyio.move_on_after(self._window_s):
                    while self._room.queued < engine.limit(self.max_batch_size):
                        await self._news.wait()
            if batch := self._take(engine):
                self._in_flight.update(dict.fromkeys(batch, engine))
                await self._serve(engine, batch)
                for ticket in batch:
                    # One that was taken back may be in another engine's hands by now.
                    if self._in_flight.get(ticket) is engine:
                        del self._in_flight[ticket]
        self._tell_hopeless()

    async def _waited_until_wanted(self, engine: SeatedEngine) -> bool:
        waited = False
        while not engine.gone and not self._share(engine):
            waited = True
            with anyio.move_on_after(engine.due_in or None):
                await self._news.wait()
        return waited

    def _share(self, engine: SeatedEngine) -> int:
        """How many requests an engine may take now."""
        return 1 if self._returned(engine) is not None else self._share_of_queue(engine)

    def _returned(self, engine: SeatedEngine) -> Ticket | None:
        """One that was taken back and that an engine may be given now, before those in the queue."""
        ticket = self._room.next_taken_back(engine) if engine.limit(1) else None
        if ticket is None or self._room.goes_first(ticket) or not self._share_of_queue(engine):
            return ticket
        return None

    def _share_of_queue(self, engine: SeatedEngine) -> int:
        """How many of those in the queue an engine may take now."""
        most = engine.limit(self.max_batch_size)
        if not most:
            return 0
        waiting = self._room.queued
        if engine.works:
            # An engine that has rested is tried with the next request: those that are quick would take every one.
            waiting = max(0, waiting - sum(self._tries(one) for one in self._engines))
        locals_ = [one for one in self._engines if one.role is Role.LOCAL and one.works]
        idle = sum(one.calls < one.parallel for one in locals_)
        if engine.role is Role.LOCAL:
            return min(most, math.ceil(waiting / max(1, idle)))
        if engine.role is Role.SPILL_OVER and locals_:
            return 0 if idle else int(min(most, max(0, waiting - self._spill_over_after)))
        if engine.role is Role.FAIL_OVER and any(one.works for one in self._engines if one.role is not Role.FAIL_OVER):
            return 0
        return min(most, waiting)

    def _tries(self, engine: SeatedEngine) -> bool:
        """Whether an engine has rested and would take a request from the queue to see if it works again."""
        rested = not engine.works and engine.limit(1) > 0
        return rested and self._returned(engine) is None and self._share_of_queue(engine) > 0

    def _take(self, engine: SeatedEngine) -> list[Ticket]:
        for late in self._room.expired(time.monotonic()):
            self._expire(late)
        if (ticket := self._returned(engine)) is not None:
            # Alone: it may be what the engine before failed of.
            self._room.leave(ticket)
            return [ticket]
        return self._room.take(self._share_of_queue(engine), self._budget)

    async def _serve(self, engine: SeatedEngine, batch: list[Ticket]) -> None:
        error = await self._attempt(engine, batch)
        if error is None:
            return
        if len(batch) == 1 or error.code in LOSING:
            self._part(engine, batch, error)
            return
        for ticket in batch:
            if ticket.settled.is_set():
                continue
            if not engine.works:
                self._move(ticket, error)
                continue
            self._counters.retried += 1
            alone = await self._attempt(engine, [ticket])
            if alone is not None:
                self._part(engine, [ticket], alone)

    async def _attempt(self, engine: SeatedEngine, batch: list[Ticket]) -> EngineError | None:
        counters, began = self._counters, time.monotonic()
        counters.batch_sizes[len(batch)] += 1
        try:
            answers = await engine.ask([ticket.request for ticket in batch])
        except EngineError as error:
            return error
        finally:
            counters.busy_s += time.monotonic() - began
        for ticket, answer in zip(batch, answers, strict=True):
            if not ticket.settled.is_set():
                ticket.answer = answer if answer.engine else replace(answer, engine=engine.name)
                counters.answer(ticket.request.station_id, answer, began - ticket.came)
                ticket.settled.set()
        return None

    def _part(self, engine: SeatedEngine, tickets: list[Ticket], error: EngineError) -> None:
        """An engine was lost with requests in its hands, or failed on one alone: find another, or give up."""
        for ticket in tickets:
            ticket.hangs += error.code == "engine_hung"
            if error.code not in LOSING or engine.gone:
                ticket.tried.add(engine)
            if error.code in REQUESTS_FAULT or ticket.hangs > 1:
                self._fail([ticket], error)
            else:
                self._move(ticket, error)

    def _move(self, ticket: Ticket, error: EngineError) -> None:
        """Have a request asked by an engine that has not failed on it alone, if there is one to hope for."""
        if ticket.settled.is_set():
            return
        others = [one for one in self._engines if one not in ticket.tried and not one.gone]
        # Nobody waits for an engine to come back only to hear a second opinion.
        hope = any(one.works for one in others) if ticket.tried else bool(others)
        if ticket.moves >= MOST_MOVES or not hope:
            self._fail([ticket], error)
            return
        ticket.moves += 1
        ticket.error = error
        self._counters.moved += 1
        self._in_flight.pop(ticket, None)
        self._room.take_back(ticket)
        self.engine_changed()

    def _tell_hopeless(self) -> None:
        """An engine is gone for good: tell those who waited for nothing else."""
        for ticket in self._room.taken_back():
            if all(engine.gone or engine in ticket.tried for engine in self._engines):
                self._fail([ticket], ticket.error or _none_left())
        if all(engine.gone for engine in self._engines):
            self._fail(self._room.everyone(), _none_left())

    def _expire(self, ticket: Ticket) -> None:
        self._counters.expired += 1
        ticket.error = EngineError("the answer did not come in time", code="deadline")
        self._leave(ticket)

    def _fail(self, tickets: Iterable[Ticket], error: EngineError) -> None:
        for ticket in tickets:
            if not ticket.settled.is_set():
                # Each asker raises an error of its own: a shared one would collect all their tracebacks.
                ticket.error = EngineError(error.message, code=error.code)
                self._counters.failed += 1
                self._leave(ticket)

    def _leave(self, ticket: Ticket) -> None:
        ticket.settled.set()
        self._room.leave(ticket)


def _stopped() -> EngineError:
    return EngineError("the batcher stopped before the request was answered", code="engine_closed")


def _none_left() -> EngineError:
    return EngineError("no engine is left to answer", code="engine_closed")
