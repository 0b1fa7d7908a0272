"""Several engines behind one batcher: who is asked when; what becomes of those that fail, hang, close, lack memory."""

from __future__ import annotations

import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio
import numpy as np
import pytest

from orderacc.config import VlmConfig
from orderacc.errors import EngineError, ModelError
from orderacc.testing import EngineFault, StagedEngine
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.engine import Priority, VlmAnswer, VlmRequest
from orderacc.vlm.seat import EnginePolicy, EngineSeat, Role
from orderacc.vlm.seated import MORE_AFTER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

pytestmark = pytest.mark.anyio

QUICK = EnginePolicy(hang_after_sec=3600.0, breaker_threshold=3, breaker_window_sec=60.0, breaker_cooldown_sec=0.05)
WATCHFUL = replace(QUICK, hang_after_sec=0.3)


def request(name: str, **changes: object) -> VlmRequest:
    return VlmRequest(name, np.zeros((28, 28, 3), np.uint8), "?", **changes)  # type: ignore[arg-type]


class Gated(StagedEngine):
    """Answers a call when it is let through."""

    def __init__(self, name: str = "staged") -> None:
        super().__init__(lambda one: one.request_id, name=name)
        self.gate = anyio.Semaphore(0)

    async def generate(self, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
        answers = await super().generate(requests)
        await self.gate.acquire()
        return answers

    def open(self, calls: int = 1000) -> None:
        for _ in range(calls):
            self.gate.release()


def engine(name: str = "staged", fault: Callable[[Sequence[VlmRequest]], EngineFault | None] | None = None):
    return StagedEngine(lambda one: one.request_id, name=name, fault=fault)


def names(one: StagedEngine) -> list[list[str]]:
    return [[request.request_id for request in batch] for batch in one.batches]


@dataclass
class Askers:
    batcher: VlmBatcher
    group: anyio.abc.TaskGroup
    outcomes: dict[str, str] = field(default_factory=dict)
    answers: dict[str, VlmAnswer] = field(default_factory=dict)

    async def ask(self, *asked: str | VlmRequest) -> None:
        for one in asked:
            self.group.start_soon(self._ask, one if isinstance(one, VlmRequest) else request(one))
        await anyio.wait_all_tasks_blocked()

    async def _ask(self, one: VlmRequest) -> None:
        try:
            self.answers[one.request_id] = await self.batcher.ask(one)
            self.outcomes[one.request_id] = self.answers[one.request_id].text
        except EngineError as error:
            self.outcomes[one.request_id] = error.code


@asynccontextmanager
async def serving(engines: object, **changes: object) -> AsyncIterator[Askers]:
    settings = {"policy": QUICK, "rng": random.Random(0), **changes}
    batcher = VlmBatcher(engines, **settings)  # type: ignore[arg-type]
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            await group.start(lambda *, task_status: batcher.run(task_status=task_status))
            yield Askers(batcher, group)
            group.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  the batcher has no event for what is waited for
        await anyio.sleep(0.002)


async def test_idle_engines_share_what_waits_and_answers_name_theirs() -> None:
    one, two = Gated("one"), Gated("two")
    async with serving([EngineSeat(one), EngineSeat(two)]) as askers:
        await askers.ask("a", "b")
        await askers.ask(*"cdefgh")
        one.open()
        two.open()
        await until(lambda: len(askers.outcomes) == 8)
        assert {len(batch) for batch in (*names(one), *names(two))} <= {1, 6}
        assert {one_answer.engine for one_answer in askers.answers.values()} == {"one", "two"}


async def test_the_remote_engine_gets_what_is_too_much_for_the_local_one() -> None:
    local, remote = Gated("local"), Gated("remote")
    seats = [EngineSeat(local), EngineSeat(remote, role=Role.SPILL_OVER, max_batch_size=1, parallel=4)]
    async with serving(seats, spill_over_after=3, max_batch_size=2) as askers:
        await askers.ask("a")
        await askers.ask("b", "c", "d")
        assert (names(local), names(remote)) == ([["a"]], [])
        await askers.ask("e", "f")
        assert names(remote) == [["b"], ["c"]]
        remote.open()
        await anyio.wait_all_tasks_blocked()
        assert names(remote) == [["b"], ["c"]]
        local.open()
        await until(lambda: len(askers.outcomes) == 6)
        assert names(local) == [["a"], ["d", "e"], ["f"]]


async def test_without_a_number_nothing_spills_over_while_the_local_engine_works() -> None:
    local, remote = Gated("local"), engine("remote")
    async with serving([EngineSeat(local), EngineSeat(remote, role=Role.SPILL_OVER)]) as askers:
        await askers.ask(*(f"r{number}" for number in range(60)))
        assert remote.batches == []


@pytest.mark.parametrize("role", [Role.FAIL_OVER, Role.SPILL_OVER])
async def test_another_engine_takes_over_and_gives_back(role: Role) -> None:
    broken = [True]
    local = engine("local", lambda _: EngineFault.ERROR if broken[0] else None)
    remote = engine("remote")
    async with serving([EngineSeat(local), EngineSeat(remote, role=role)]) as askers:
        await askers.ask("a", "b", "c", "d")
        await until(lambda: len(askers.outcomes) == 4)
        assert askers.outcomes == {name: name for name in "abcd"}
        assert askers.batcher.statistics().engines[0].trips == 1
        broken[0] = False
        number = 0
        while askers.batcher.statistics().engines[0].state != "ready":
            number += 1
            await askers.ask(f"e{number}")
            await anyio.sleep(0.005)
        asked = len(remote.batches)
        await askers.ask("last")
        assert askers.answers["last"].engine == "local"
        assert len(remote.batches) == asked
        assert all(name == text for name, text in askers.outcomes.items())


@pytest.mark.parametrize(("role", "state"), [(Role.LOCAL, "ready"), (Role.SPILL_OVER, "resting")])
async def test_a_busy_engine_rests_only_where_others_do_its_work(role: Role, state: str) -> None:
    def busy(_: VlmRequest) -> str:
        raise EngineError("come back later", code="busy")

    seats = [EngineSeat(StagedEngine(busy, name="busy"), role=role, max_batch_size=1)]
    async with serving(seats, policy=replace(QUICK, breaker_cooldown_sec=3600.0)) as askers:
        for name in "abcd"[: 4 if role is Role.LOCAL else 3]:
            await askers.ask(name)
            await until(lambda name=name: name in askers.outcomes)
        assert set(askers.outcomes.values()) == {"busy"}
        (seen,) = askers.batcher.statistics().engines
        assert (seen.state, seen.failures["busy"]) == (state, len(askers.outcomes))


async def test_a_busy_engine_that_is_tried_goes_on_resting() -> None:
    codes = ["engine_failed"] * 3 + ["busy"]

    def failing(_: VlmRequest) -> str:
        raise EngineError("not now", code=codes.pop(0))

    async with serving(StagedEngine(failing), max_batch_size=1) as askers:
        for name in "abcd":
            await askers.ask(name)
            await until(lambda name=name: name in askers.outcomes)
        assert [askers.outcomes[name] for name in "cd"] == ["engine_failed", "busy"]
        assert [one.state for one in askers.batcher.statistics().engines] == ["resting"]


async def test_one_poisoned_request_is_asked_elsewhere_before_it_fails() -> None:
    def poisoned(requests: Sequence[VlmRequest]) -> EngineFault | None:
        return EngineFault.ERROR if any(one.request_id == "bad" for one in requests) else None

    one, two = engine("one", poisoned), engine("two", poisoned)
    async with serving([EngineSeat(one), EngineSeat(two, role=Role.FAIL_OVER)]) as askers:
        await askers.ask("a", "bad", "c")
        await until(lambda: len(askers.outcomes) == 3)
        assert askers.outcomes == {"a": "a", "bad": "engine_failed", "c": "c"}
        assert names(two) == [["bad"]]


async def test_a_resting_engine_is_tried_with_one_request_and_those_who_wait_follow() -> None:
    broken = [True]
    one = engine(fault=lambda _: EngineFault.ERROR if broken[0] else None)
    async with serving(one) as askers:
        await askers.ask("a")
        await askers.ask("b")
        await askers.ask("c")
        assert askers.outcomes == dict.fromkeys("abc", "engine_failed")
        assert askers.batcher.statistics().engines[0].state == "resting"
        broken[0] = False
        await askers.ask(*"defgh")
        await until(lambda: len(askers.outcomes) == 8)
        assert names(one)[3:] == [["d"], ["e", "f", "g", "h"]]
        assert askers.batcher.statistics().engines[0].state == "ready"


async def test_nobody_waits_for_an_engine_that_does_not_come_back() -> None:
    one = engine(fault=lambda _: EngineFault.OUT_OF_MEMORY)
    async with serving(one) as askers:
        for name in "abc":
            await askers.ask(name)
        await askers.ask(*"defgh")
        await until(lambda: len(askers.outcomes) == 8)
        assert askers.outcomes == dict.fromkeys("abcdefgh", "out_of_memory")
        assert names(one)[3:] == [["d"]]


async def test_a_failing_batch_does_not_condemn_those_its_engine_rests_before() -> None:
    calls = [0]

    def fault(_: Sequence[VlmRequest]) -> EngineFault | None:
        calls[0] += 1
        return EngineFault.ERROR if calls[0] <= 3 else None

    one = engine(fault=fault)
    batcher = VlmBatcher(one, policy=QUICK, rng=random.Random(0))
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        await askers.ask(*"abcde")
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        await until(lambda: len(askers.outcomes) == 5)
        assert askers.outcomes == {"a": "engine_failed", "b": "engine_failed", "c": "c", "d": "d", "e": "e"}
        assert batcher.statistics().moved == 3
        group.cancel_scope.cancel()


async def test_an_engine_out_of_memory_is_given_smaller_batches() -> None:
    one = engine(fault=lambda requests: EngineFault.OUT_OF_MEMORY if len(requests) > 2 else None)
    batcher = VlmBatcher(one, policy=QUICK)
    async with anyio.create_task_group() as group:
        askers = Askers(batcher, group)
        await askers.ask(*"abcd")
        await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        await until(lambda: len(askers.outcomes) == 4)
        await askers.ask(*"efgh")
        await until(lambda: len(askers.outcomes) == 8)
        assert askers.outcomes == {name: name for name in "abcdefgh"}
        assert [len(batch) for batch in names(one)] == [4, 1, 1, 1, 1, 2, 2]
        group.cancel_scope.cancel()


async def test_batches_grow_again_when_memory_is_back() -> None:
    short = True
    one = engine(fault=lambda requests: EngineFault.OUT_OF_MEMORY if short and len(requests) > 1 else None)
    seat = EngineSeat(one, max_batch_size=3)
    async with serving([seat], policy=QUICK) as askers:
        await askers.ask("a", "b", "c")
        await until(lambda: len(askers.outcomes) == 3)
        short = False
        for number in range(2 * MORE_AFTER):
            group = [f"{number}-{member}" for member in range(3)]
            await askers.ask(*group)
            await until(lambda group=group: all(name in askers.outcomes for name in group))
        sizes = [len(batch) for batch in names(one)]
        assert sizes[:4] == [3, 1, 1, 1]
        assert max(sizes[4:]) == 3
        assert sizes[-1] == 3
        assert sizes[4:14] == [1] * 10


async def test_a_hung_engine_is_replaced_and_nobody_notices_more_than_a_wait() -> None:
    hung = engine("old", lambda _: EngineFault.HANG)
    new = engine("new")

    async def make_engine() -> StagedEngine:
        return new

    async with serving([EngineSeat(hung, make_engine=make_engine)], policy=WATCHFUL) as askers:
        await askers.ask("a", "b", "c")
        await until(lambda: len(askers.outcomes) == 3)
        assert askers.outcomes == {name: name for name in "abc"}
        # What an engine hung on is asked again alone: one of them may be why.
        assert sorted(names(new)) == [["a"], ["b"], ["c"]]
        (seat,) = askers.batcher.statistics().engines
        assert (seat.hung, seat.replaced, seat.state, seat.failures) == (1, 1, "ready", {"engine_hung": 1})
        assert hung.closed
        hung.release()
        await anyio.wait_all_tasks_blocked()
        assert askers.outcomes == {name: name for name in "abc"}


def early(name: str, priority: Priority = Priority.SPECULATIVE) -> VlmRequest:
    return request(name, priority=priority)


async def test_what_is_taken_back_is_asked_by_its_urgency_and_behind_who_is_more_urgent() -> None:
    hung, new, made = engine("old", lambda _: EngineFault.HANG), engine("new"), anyio.Event()

    async def make_engine() -> StagedEngine:
        await made.wait()
        return new

    batcher = VlmBatcher([EngineSeat(hung, make_engine=make_engine)], policy=WATCHFUL)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            askers = Askers(batcher, group)
            for one in (*map(early, "abcd"), early("shadow", Priority.SHADOW), "closing"):
                await askers.ask(one)
            await group.start(lambda *, task_status: batcher.run(task_status=task_status))
            await until(lambda: bool(hung.batches))
            # One becomes urgent in the hands of the engine that hangs, one when it has come back.
            assert not batcher.hurry("c")
            await until(lambda: batcher.statistics().moved == 6)
            assert batcher.hurry("b")
            assert not batcher.hurry("b")
            await askers.ask("later")
            await askers.ask(early("company"))
            made.set()
            await until(lambda: len(askers.outcomes) == 8)
            group.cancel_scope.cancel()
    hung.release()
    assert names(new) == [["closing"], ["b"], ["c"], ["later", "company"], ["a"], ["d"], ["shadow"]]


async def test_a_lesser_request_taken_back_does_not_wait_for_what_its_engine_may_not_take() -> None:
    class Picky(Gated):
        async def generate(self, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
            answers = await super().generate(requests)
            if requests[0].request_id == "bad":
                raise EngineError("not this one")
            return answers

    local, remote = Picky("local"), engine("remote")
    async with serving([EngineSeat(local), EngineSeat(remote, role=Role.FAIL_OVER)], max_batch_size=1) as askers:
        await askers.ask(early("bad"))
        await askers.ask("a", "b")
        local.open(1)
        await until(lambda: "bad" in askers.outcomes)
        assert (names(local), names(remote)) == ([["bad"], ["a"]], [["bad"]])
        local.open()
        await until(lambda: len(askers.outcomes) == 3)


async def test_by_default_what_an_engine_hangs_on_is_answered_elsewhere_before_its_deadline() -> None:
    defaults, sooner = VlmConfig(), 40  # times as fast
    assert defaults.deadline_sec is not None
    assert EnginePolicy().hang_after_sec == defaults.hang_after_sec < defaults.deadline_sec / 2
    patience, policy = defaults.deadline_sec / sooner, EnginePolicy(hang_after_sec=defaults.hang_after_sec / sooner)
    local, remote = engine("local", lambda _: EngineFault.HANG), engine("remote")
    async with serving([EngineSeat(local), EngineSeat(remote, role=Role.FAIL_OVER)], policy=policy) as askers:
        await askers.ask(*(request(name, deadline=time.monotonic() + patience) for name in "abc"))
        await anyio.sleep(policy.hang_after_sec / 2)
        await askers.ask(*(request(name, deadline=time.monotonic() + patience) for name in "def"))
        await until(lambda: len(askers.outcomes) == 6)
        assert askers.outcomes == {name: name for name in "abcdef"}
        local.release()


async def test_a_remote_engine_that_is_slow_with_one_question_keeps_the_others() -> None:
    slow = Gated("remote")
    seat = EngineSeat(slow, max_batch_size=1, parallel=2, watched=False)
    async with serving([seat], policy=replace(QUICK, hang_after_sec=0.01)) as askers:
        await askers.ask("a", "b")
        await anyio.sleep(0.1)
        slow.open()
        await until(lambda: len(askers.outcomes) == 2)
        assert askers.outcomes == {"a": "a", "b": "b"}
        assert [one.hung for one in askers.batcher.statistics().engines] == [0]


async def test_what_hangs_every_engine_fails_alone() -> None:
    engines: list[StagedEngine] = []

    async def make_engine() -> StagedEngine:
        def poisoned(requests: Sequence[VlmRequest]) -> EngineFault | None:
            return EngineFault.HANG if any(one.request_id == "bad" for one in requests) else None

        engines.append(engine("x", poisoned))
        return engines[-1]

    batcher = VlmBatcher([EngineSeat(await make_engine(), make_engine=make_engine)], policy=WATCHFUL)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            askers = Askers(batcher, group)
            await askers.ask("a", "bad", "c")
            await group.start(lambda *, task_status: batcher.run(task_status=task_status))
            await until(lambda: len(askers.outcomes) == 3)
            assert askers.outcomes == {"a": "a", "bad": "engine_hung", "c": "c"}
            assert len(engines) == 3
            group.cancel_scope.cancel()
    for one in engines:
        one.release()


async def test_a_hung_engine_without_another_is_gone_and_the_other_goes_on() -> None:
    hung, other = engine("hung", lambda _: EngineFault.HANG), engine("other")
    async with serving([EngineSeat(hung), EngineSeat(other)], policy=WATCHFUL) as askers:
        await askers.ask("a", "b")
        await until(lambda: len(askers.outcomes) == 2)
        assert askers.outcomes == {"a": "a", "b": "b"}
        assert [one.state for one in askers.batcher.statistics().engines] == ["gone", "ready"]
        hung.release()


async def test_when_the_only_engine_is_gone_everyone_is_told_at_once() -> None:
    hung = engine(fault=lambda _: EngineFault.HANG)
    async with serving(hung, max_batch_size=1, policy=WATCHFUL) as askers:
        await askers.ask("a", "b")
        await until(lambda: len(askers.outcomes) == 2)
        assert askers.outcomes == {"a": "engine_hung", "b": "engine_closed"}
        await askers.ask("c")
        assert askers.outcomes["c"] == "engine_closed"
        hung.release()


async def test_an_engine_that_closed_is_replaced_too() -> None:
    async def make_engine() -> StagedEngine:
        return engine("new")

    closed = engine("old", lambda _: EngineFault.CLOSED)
    async with serving([EngineSeat(closed, make_engine=make_engine)]) as askers:
        await askers.ask("a", "b")
        await until(lambda: len(askers.outcomes) == 2)
        assert askers.outcomes == {"a": "a", "b": "b"}


@pytest.mark.parametrize("failure", [ModelError("no such device", code="device_missing"), ZeroDivisionError("a bug")])
async def test_when_no_replacement_can_be_made_those_who_wait_are_told_and_it_is_tried_again(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orderacc.vlm.seated.FIRST_WAIT", 0.02)
    attempts: list[Exception] = []

    async def make_engine() -> StagedEngine:
        if not attempts:
            attempts.append(failure)
            raise failure
        return engine("new")

    async with serving([EngineSeat(engine("old", lambda _: EngineFault.CLOSED), make_engine=make_engine)]) as askers:
        await askers.ask("a", "b")
        await until(lambda: len(askers.outcomes) == 2)
        assert set(askers.outcomes.values()) == {"engine_failed"}
        await askers.ask("c")
        await until(lambda: len(askers.outcomes) == 3)
        assert askers.outcomes["c"] == "c"


async def test_no_more_engines_are_made_while_those_that_hang_hold_their_memory() -> None:
    made: list[StagedEngine] = []

    class Stuck(StagedEngine):
        async def aclose(self) -> None:
            await self._hang()

    async def make_engine() -> StagedEngine:
        made.append(Stuck(lambda one: one.request_id, name="stuck", fault=lambda _: EngineFault.HANG))
        return made[-1]

    try:
        async with serving([EngineSeat(await make_engine(), make_engine=make_engine)], policy=WATCHFUL) as askers:
            await askers.ask("a", "b")
            await until(lambda: len(askers.outcomes) == 2)
            assert askers.outcomes == dict.fromkeys("ab", "engine_hung")
            await askers.ask("c")
            assert askers.outcomes["c"] == "engine_closed"
            assert len(made) == 2
            made[0].release()
            await until(lambda: askers.batcher.statistics().engines[0].state == "ready")
            assert len(made) == 3
    finally:
        for one in made:
            one.release()


async def test_stopping_and_closing_do_not_wait_for_an_engine_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderacc.vlm.seated.CLOSE_WITHIN", 0.02)

    class Stuck(StagedEngine):
        async def aclose(self) -> None:
            await self._hang()

    hung = Stuck(lambda one: one.request_id, fault=lambda _: EngineFault.HANG)
    batcher = VlmBatcher(hung)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            askers = Askers(batcher, group)
            async with anyio.create_task_group() as server:
                await server.start(lambda *, task_status: batcher.run(task_status=task_status))
                await askers.ask("a")
                server.cancel_scope.cancel()
            await anyio.wait_all_tasks_blocked()
            assert askers.outcomes == {"a": "engine_closed"}
            await batcher.aclose()
            hung.release()


async def test_an_engine_whose_trial_was_cut_off_is_tried_again() -> None:
    one = Gated()
    calls: list[int] = []
    one._fault = lambda _: calls.append(1) or (EngineFault.ERROR if len(calls) <= 3 else None)
    batcher = VlmBatcher(one, policy=QUICK, rng=random.Random(0))
    one.open(0)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            askers = Askers(batcher, group)
            async with anyio.create_task_group() as server:
                await server.start(lambda *, task_status: batcher.run(task_status=task_status))
                for name in "abc":
                    await askers.ask(name)
                await askers.ask("d")
                await until(lambda: len(calls) == 4)
                assert batcher.statistics().engines[0].state == "probing"
                server.cancel_scope.cancel()
            await anyio.wait_all_tasks_blocked()
            assert batcher.statistics().engines[0].state == "resting"
            one.open()
            async with anyio.create_task_group() as server:
                await server.start(lambda *, task_status: batcher.run(task_status=task_status))
                await askers.ask("e")
                await until(lambda: "e" in askers.outcomes)
                server.cancel_scope.cancel()
            assert askers.outcomes == {**dict.fromkeys("abc", "engine_failed"), "d": "engine_closed", "e": "e"}
