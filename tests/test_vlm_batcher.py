"""Many askers, one engine: order, room, cancellation, failure of one and of all."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc.errors import EngineError
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.engine import Priority, VlmAnswer, VlmRequest
from orderacc.vlm.seat import EnginePolicy, EngineSeat, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio


def request(name: str, *, side: int = 28, **changes: object) -> VlmRequest:
    return VlmRequest(name, np.zeros((side, side, 3), np.uint8), "?", **changes)  # type: ignore[arg-type]


@dataclass
class StagedEngine:
    """Answers when told to; requests whose id starts with `bad` fail the batch they are in."""

    batches: list[list[str]] = field(default_factory=list)
    gate: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(0))
    error: EngineError | None = None
    drop_answers: bool = False
    name: str = "staged"

    async def generate(self, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
        self.batches.append([request.request_id for request in requests])
        await self.gate.acquire()
        if self.error is not None:
            raise self.error
        for request in requests:
            if request.request_id.startswith("bad"):
                raise EngineError(f"{request.request_id} is bad", code="bad_image")
        answers = [VlmAnswer(request.request_id, request.request_id, "stop", 10, 2, 4, 1.0) for request in requests]
        return answers[1:] if self.drop_answers else answers

    async def aclose(self) -> None:
        pass

    def open(self, batches: int = 1000) -> None:
        for _ in range(batches):
            self.gate.release()


@dataclass
class Askers:
    """Asks and keeps what came of it."""

    batcher: VlmBatcher
    group: anyio.abc.TaskGroup
    outcomes: dict[str, str] = field(default_factory=dict)
    scopes: dict[str, anyio.CancelScope] = field(default_factory=dict)

    async def ask(self, *asked: str | VlmRequest) -> None:
        for one in asked:
            self.group.start_soon(self._ask, one if isinstance(one, VlmRequest) else request(one))
        await anyio.wait_all_tasks_blocked()

    async def _ask(self, one: VlmRequest) -> None:
        name = one.request_id
        with anyio.CancelScope() as self.scopes[name]:
            try:
                self.outcomes[name] = (await self.batcher.ask(one)).text
            except EngineError as error:
                self.outcomes[name] = error.code


async def test_requests_gather_while_the_engine_is_busy_and_leave_in_order() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine, max_batch_size=3)
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        askers = Askers(batcher, group)
        await askers.ask("a")
        await askers.ask("b", "c", "d", "e")
        assert engine.batches == [["a"]]
        assert (batcher.statistics().waiting, batcher.statistics().in_flight) == (4, 1)
        engine.open()
        await anyio.wait_all_tasks_blocked()
        assert engine.batches == [["a"], ["b", "c", "d"], ["e"]]
        assert askers.outcomes == {name: name for name in "abcde"}
        statistics = batcher.statistics()
        assert (statistics.answered, statistics.batches, statistics.batch_sizes) == (5, 3, {1: 2, 3: 1})
        assert (statistics.waiting, statistics.in_flight) == (0, 0)
        group.cancel_scope.cancel()


async def test_a_full_queue_makes_askers_wait() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine, max_batch_size=2, queue_size=2)
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        await askers.ask("a", "b", "c", "d", "e")
        assert batcher.statistics().waiting == 2
        engine.open()
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        await anyio.wait_all_tasks_blocked()
        assert askers.outcomes == {name: name for name in "abcde"}
        assert [name for batch in engine.batches for name in batch] == list("abcde")
        group.cancel_scope.cancel()


async def test_those_who_went_away_are_skipped_and_free_their_place() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine, queue_size=2)
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        askers = Askers(batcher, group)
        await askers.ask("a")
        await askers.ask("b", "c", "d")
        askers.scopes["a"].cancel()
        askers.scopes["b"].cancel()
        await anyio.wait_all_tasks_blocked()
        engine.open()
        await anyio.wait_all_tasks_blocked()
        assert engine.batches == [["a"], ["c", "d"]]
        assert askers.outcomes == {"c": "c", "d": "d"}
        statistics = batcher.statistics()
        assert (statistics.asked, statistics.answered, statistics.abandoned) == (4, 2, 2)
        group.cancel_scope.cancel()


async def test_one_bad_request_fails_alone() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine)
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        await askers.ask("a", "bad", "c")
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        engine.open()
        await anyio.wait_all_tasks_blocked()
        assert askers.outcomes == {"a": "a", "bad": "bad_image", "c": "c"}
        assert engine.batches == [["a", "bad", "c"], ["a"], ["bad"], ["c"]]
        assert (batcher.statistics().retried, batcher.statistics().failed) == (3, 1)
        await askers.ask("d")
        assert askers.outcomes["d"] == "d"
        group.cancel_scope.cancel()


async def test_one_who_went_away_is_not_retried() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine)
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        await askers.ask("bad", "b")
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        await anyio.wait_all_tasks_blocked()
        askers.scopes["bad"].cancel()
        engine.open()
        await anyio.wait_all_tasks_blocked()
        assert engine.batches == [["bad", "b"], ["b"]]
        assert askers.outcomes == {"b": "b"}
        group.cancel_scope.cancel()


async def test_a_closed_engine_fails_everyone_once() -> None:
    engine = StagedEngine(error=EngineError("gone", code="engine_closed"))
    batcher = VlmBatcher(engine)
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        await askers.ask("a", "b")
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        engine.open()
        await anyio.wait_all_tasks_blocked()
        assert askers.outcomes == {"a": "engine_closed", "b": "engine_closed"}
        assert engine.batches == [["a", "b"]]
        group.cancel_scope.cancel()


async def test_answers_that_belong_to_nobody_are_a_failure_and_not_mixed_up() -> None:
    engine = StagedEngine(drop_answers=True)
    batcher = VlmBatcher(engine)
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        await askers.ask("a", "b")
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        engine.open()
        await anyio.wait_all_tasks_blocked()
        assert askers.outcomes == {"a": "engine_failed", "b": "engine_failed"}
        group.cancel_scope.cancel()


async def test_stopping_fails_those_who_wait_and_it_can_start_again() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine, max_batch_size=1, queue_size=1)
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        async with anyio.create_task_group() as server:
            await server.start(lambda *, task_status: batcher.run(task_status=task_status))
            await askers.ask("a")
            await askers.ask("b", "c")
            server.cancel_scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert askers.outcomes == dict.fromkeys("abc", "engine_closed")
        engine.open()
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        await askers.ask("d")
        assert askers.outcomes["d"] == "d"
        group.cancel_scope.cancel()


async def test_a_bug_in_the_engine_is_a_failure_like_any_other() -> None:
    class Broken(StagedEngine):
        async def generate(self, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
            raise ZeroDivisionError(len(requests))

    batcher = VlmBatcher(Broken())
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        askers = Askers(batcher, group)
        await askers.ask("a")
        assert askers.outcomes == {"a": "engine_failed"}
        assert batcher.statistics().engines[0].failures == {"engine_failed": 1}
        group.cancel_scope.cancel()


@pytest.mark.parametrize("sizes", [{"max_batch_size": 0}, {"queue_size": 0}])
async def test_sizes_must_be_positive(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        VlmBatcher(StagedEngine(), **sizes)


def early(name: str, priority: Priority = Priority.SPECULATIVE) -> VlmRequest:
    return request(name, priority=priority)


async def test_closing_orders_go_first_and_stations_take_turns() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine, max_batch_size=2)
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        askers = Askers(batcher, group)
        await askers.ask("first")
        await askers.ask(early("shadow", Priority.SHADOW), early("early"))
        await askers.ask(*(request(f"busy {number}", station_id="busy", side=224) for number in range(3)))
        await askers.ask(request("quiet", station_id="quiet", side=224))
        engine.open()
        await anyio.wait_all_tasks_blocked()
        assert engine.batches[1:] == [["busy 0", "quiet"], ["busy 1", "busy 2"], ["early", "shadow"]]
        statistics = batcher.statistics()
        assert statistics.asked_by_station == {"": 3, "busy": 3, "quiet": 1}
        assert statistics.tokens_by_station == {"": 12, "busy": 12, "quiet": 4}
        assert (statistics.visual_tokens, statistics.prompt_tokens, statistics.new_tokens) == (28, 70, 14)
        group.cancel_scope.cancel()


async def test_one_that_became_urgent_is_hurried() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine, max_batch_size=1)
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        askers = Askers(batcher, group)
        await askers.ask("first")
        await askers.ask(early("a"), early("b"))
        assert batcher.hurry("b")
        assert not batcher.hurry("b")
        assert not batcher.hurry("nobody")
        engine.open()
        await anyio.wait_all_tasks_blocked()
        assert engine.batches == [["first"], ["b"], ["a"]]
        group.cancel_scope.cancel()


async def test_when_there_is_no_room_those_who_can_wait_are_refused_and_the_urgent_are_not() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine, queue_size=3)
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        assert batcher.pressure == 0
        await askers.ask(early("shadow", Priority.SHADOW), early("early"))
        assert batcher.pressure == pytest.approx(2 / 3)
        await askers.ask("a", early("late"))
        assert batcher.pressure == 1
        assert askers.outcomes == {"shadow": "overloaded"}
        await askers.ask(early("later"), "b", "c", "d")
        assert askers.outcomes == dict.fromkeys(("shadow", "early", "late", "later"), "overloaded")
        statistics = batcher.statistics()
        assert (statistics.waiting, statistics.at_door, statistics.refused, statistics.failed) == (3, 1, 4, 4)
        engine.open()
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        await anyio.wait_all_tasks_blocked()
        assert engine.batches == [["a", "b", "c"], ["d"]]
        assert batcher.pressure == 0
        group.cancel_scope.cancel()


async def test_a_busy_station_fills_the_queue_for_nobody_but_itself() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine, max_batch_size=2, queue_size=2)
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        askers = Askers(batcher, group)
        await askers.ask(*(request(f"busy {number}", station_id="busy", side=224) for number in range(20)))
        await askers.ask(request("quiet", station_id="quiet", side=224))
        engine.open(4)
        await anyio.wait_all_tasks_blocked()
        assert askers.outcomes["quiet"] == "quiet"
        group.cancel_scope.cancel()


@pytest.mark.parametrize("served", [False, True])
async def test_what_is_not_answered_in_time_is_given_up(*, served: bool) -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine)
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        if served:
            await group.start(lambda *, task_status: batcher.run(task_status=task_status))
            await askers.ask("first")
        await askers.ask(request("late", deadline=time.monotonic() + 0.02), "patient")
        with anyio.fail_after(30):
            while "late" not in askers.outcomes:  # noqa: ASYNC110  a deadline is about time and nothing else
                await anyio.sleep(0.005)
        assert askers.outcomes == {"late": "deadline"}
        if not served:
            await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        engine.open()
        await anyio.wait_all_tasks_blocked()
        assert askers.outcomes["patient"] == "patient"
        assert "late" not in {name for batch in engine.batches for name in batch}
        assert batcher.statistics().expired == 1
        group.cancel_scope.cancel()


async def test_one_that_is_too_late_already_is_not_asked() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine)
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        await askers.ask(request("late", deadline=time.monotonic()))
        assert askers.outcomes == {"late": "deadline"}
        assert engine.batches == []
        group.cancel_scope.cancel()


async def test_an_answer_that_comes_after_its_deadline_is_dropped() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine)
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        await askers.ask(request("late", deadline=time.monotonic() + 0.05))
        with anyio.fail_after(30):
            while "late" not in askers.outcomes:  # noqa: ASYNC110  likewise
                await anyio.sleep(0.005)
        engine.open()
        await askers.ask("next")
        assert askers.outcomes == {"late": "deadline", "next": "next"}
        statistics = batcher.statistics()
        assert (statistics.answered, statistics.expired, statistics.asked) == (1, 1, 2)
        group.cancel_scope.cancel()


async def test_a_batch_keeps_to_its_budget_of_tokens() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine, visual_token_budget=10)
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        await askers.ask(*(request(name, side=56) for name in "abcd"), request("large", side=280))
        engine.open()
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        await anyio.wait_all_tasks_blocked()
        assert engine.batches == [["a", "b"], ["c", "d"], ["large"]]
        group.cancel_scope.cancel()


async def test_an_idle_engine_may_wait_for_company_and_goes_at_once_when_full() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine, max_batch_size=3, batch_window_ms=100_000)
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        askers = Askers(batcher, group)
        await askers.ask("a")
        await askers.ask("b")
        assert engine.batches == []
        await askers.ask("c")
        assert engine.batches == [["a", "b", "c"]]
        group.cancel_scope.cancel()


async def test_company_is_not_waited_for_longer_than_the_window() -> None:
    engine = StagedEngine()
    engine.open()
    batcher = VlmBatcher(engine, batch_window_ms=20)
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        with anyio.fail_after(30):
            assert (await batcher.ask(request("a"))).text == "a"
        group.cancel_scope.cancel()


async def test_the_size_of_batches_can_be_changed_while_it_serves() -> None:
    engine = StagedEngine()
    batcher = VlmBatcher(engine, max_batch_size=1)
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        askers = Askers(batcher, group)
        await askers.ask(*"abcde")
        batcher.max_batch_size = 3
        engine.open()
        await anyio.wait_all_tasks_blocked()
        assert engine.batches == [["a"], ["b", "c", "d"], ["e"]]
        group.cancel_scope.cancel()


_STEPS = st.lists(st.sampled_from(["ask", "ask bad", "cancel oldest", "cancel newest", "engine"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(steps=_STEPS, batch=st.integers(1, 4), queue=st.integers(1, 4))
def test_everyone_gets_exactly_one_outcome(steps: list[str], batch: int, queue: int) -> None:
    async def play() -> None:
        engine = StagedEngine()
        batcher = VlmBatcher(engine, max_batch_size=batch, queue_size=queue)
        async with anyio.create_task_group() as group:
            await group.start(lambda *, task_status: batcher.run(task_status=task_status))
            askers = Askers(batcher, group)
            cancelled: set[str] = set()
            for number, step in enumerate(steps):
                open_names = [name for name in askers.scopes if name not in askers.outcomes and name not in cancelled]
                if step.startswith("ask"):
                    await askers.ask(f"{'bad' if step.endswith('bad') else 'ok'} {number}")
                elif step == "engine":
                    engine.open(1)
                elif open_names:
                    name = open_names[0 if step.endswith("oldest") else -1]
                    cancelled.add(name)
                    askers.scopes[name].cancel()
                await anyio.wait_all_tasks_blocked()
                assert batcher.statistics().waiting <= queue
            engine.open()
            await anyio.wait_all_tasks_blocked()
            for name in askers.scopes:
                expected = "bad_image" if name.startswith("bad") else name
                assert askers.outcomes.get(name) == (None if name in cancelled else expected)
            statistics = batcher.statistics()
            assert statistics.asked == statistics.answered + statistics.failed + statistics.abandoned
            assert (statistics.waiting, statistics.in_flight) == (0, 0)
            assert max(map(len, engine.batches), default=0) <= batch
            group.cancel_scope.cancel()

    anyio.run(play)


async def test_an_engine_that_has_rested_is_tried_however_quick_another_is() -> None:
    sick, well = StagedEngine(name="sick", error=EngineError("no")), StagedEngine(name="well")
    sick.open()
    well.open()
    batcher = VlmBatcher(
        (EngineSeat(sick), EngineSeat(well, Role.FAIL_OVER)),
        policy=EnginePolicy(breaker_threshold=1, breaker_cooldown_sec=0.01),
    )
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        assert (await batcher.ask(request("a"))).engine == "well"
        sick.error = None
        with anyio.fail_after(20):
            while (await batcher.ask(request("b"))).engine != "sick":  # noqa: ASYNC110  time is what it waits for
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
