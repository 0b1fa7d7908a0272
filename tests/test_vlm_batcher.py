"""Many askers, one engine: order, room, cancellation, failure of one and of all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc.errors import EngineError
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.engine import VlmAnswer, VlmRequest
from orderacc.vlm.seat import EnginePolicy, EngineSeat, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio


def request(name: str) -> VlmRequest:
    return VlmRequest(name, np.zeros((28, 28, 3), np.uint8), "?")


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

    async def ask(self, *names: str) -> None:
        for name in names:
            self.group.start_soon(self._ask, name)
        await anyio.wait_all_tasks_blocked()

    async def _ask(self, name: str) -> None:
        with anyio.CancelScope() as self.scopes[name]:
            try:
                self.outcomes[name] = (await self.batcher.ask(request(name))).text
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
        assert (statistics.answered, statistics.batches, statistics.largest_batch) == (5, 3, 3)
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
