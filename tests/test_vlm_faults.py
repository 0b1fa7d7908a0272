"""Engines that fail in every way there is: everyone who asks is told once, and no order is accurate by failure."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import TYPE_CHECKING

import anyio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderacc.domain.detections import Box, Detection
from orderacc.domain.evidence import Candidate, Evidence
from orderacc.domain.frames import Frame
from orderacc.domain.menus import Menu
from orderacc.domain.orders import Item
from orderacc.domain.verdicts import ModelVersions
from orderacc.errors import EngineError
from orderacc.orders import FixedOrders
from orderacc.service.judging import JudgeSettings, OrderJudge
from orderacc.simulator.menu import DEMO_ITEMS, NAMES
from orderacc.testing import EngineFault, StagedEngine
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.engine import VlmRequest
from orderacc.vlm.prompt import format_answer
from orderacc.vlm.seat import EnginePolicy, EngineSeat, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orderacc.domain.verdicts import Verdict

POLICY = EnginePolicy(hang_after_sec=0.03, breaker_threshold=3, breaker_window_sec=60.0, breaker_cooldown_sec=0.02)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
MENU = Menu(DEMO_ITEMS)

faults = st.lists(st.sampled_from([None, *EngineFault]), max_size=8)


class House:
    """Engines that take their faults from one list each, and go on without when it is used up.

    Args:
        answer: What they answer.
    """

    def __init__(self, answer: Callable[[VlmRequest], str]) -> None:
        self.engines: list[StagedEngine] = []
        self._answer = answer

    def seat(self, staged: Sequence[EngineFault | None], role: Role, *, replaceable: bool) -> EngineSeat:
        coming = chain(staged, repeat(None))

        def new() -> StagedEngine:
            self.engines.append(StagedEngine(self._answer, name=f"{role}", fault=lambda _: next(coming)))
            return self.engines[-1]

        async def make_engine() -> StagedEngine:
            return new()

        return EngineSeat(new(), role=role, make_engine=make_engine if replaceable else None)

    def release(self) -> None:
        for engine in self.engines:
            engine.release()


seats = st.tuples(faults, st.sampled_from(Role), st.booleans())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    staged=st.lists(seats, min_size=1, max_size=3),
    asked=st.lists(st.sampled_from(["patient", "hasty", "leaver"]), min_size=1, max_size=12),
    batch=st.integers(1, 5),
)
def test_everyone_is_told_exactly_once_whatever_the_engines_do(
    staged: list[tuple[list[EngineFault | None], Role, bool]], asked: list[str], batch: int
) -> None:
    async def play() -> None:
        house = House(lambda request: request.request_id)
        batcher = VlmBatcher(
            [house.seat(own, role, replaceable=replaceable) for own, role, replaceable in staged],
            max_batch_size=batch,
            queue_size=4,
            policy=POLICY,
            rng=random.Random(0),
        )
        outcomes: dict[str, list[str]] = {}

        async def ask(name: str, kind: str) -> None:
            told = outcomes.setdefault(name, [])
            deadline = time.monotonic() + 0.02 if kind == "hasty" else None
            picture = np.zeros((28, 28, 3), np.uint8)
            request = VlmRequest(name, picture, "?", station_id=kind, deadline=deadline)
            with anyio.move_on_after(0.01 if kind == "leaver" else None):
                try:
                    told.append((await batcher.ask(request)).text)
                except EngineError as error:
                    told.append(f"error {error.code}")
                return
            told.append("left")

        with anyio.fail_after(60):
            async with anyio.create_task_group() as server:
                await server.start(lambda *, task_status: batcher.run(task_status=task_status))
                async with anyio.create_task_group() as askers:
                    for number, kind in enumerate(asked):
                        askers.start_soon(ask, f"r{number}", kind)
                for name, told in outcomes.items():
                    assert len(told) == 1
                    assert told[0] == name or told[0] == "left" or told[0].startswith("error ")
                counted = batcher.statistics()
                assert counted.asked == counted.answered + counted.failed + counted.expired + counted.abandoned
                assert (counted.waiting, counted.at_door) == (0, 0)
                house.release()
                server.cancel_scope.cancel()

    anyio.run(play)


def evidence(visit: str, shown: dict[str, int]) -> Evidence:
    """Three frames in which the detector sees the right things."""
    boxes = [
        Detection(name, 0.9, Box(10.0 + 30 * place, 10.0, 30.0 + 30 * place, 40.0))
        for place, name in enumerate(name for name, count in shown.items() for _ in range(count))
    ]
    image = np.zeros((120, 200, 3), np.uint8)
    frames = tuple(Candidate(Frame("counter", index, index * 2.0, image), tuple(boxes), 1.0) for index in range(3))
    return Evidence(visit, "counter", "384", None, frames, 0.0, 6.0, "empty")


def verdicts(seed: int, shown: dict[str, int], paid: dict[str, int]) -> list[Verdict]:
    """Judge four orders while engines fail as chance will have it."""
    chance = random.Random(seed)
    kinds = [None, None, *EngineFault]

    async def play() -> list[Verdict]:
        house = House(lambda _: format_answer(shown, NAMES))
        roles = [Role.LOCAL, *chance.sample(list(Role), chance.randint(0, 2))]
        batcher = VlmBatcher(
            [
                house.seat([chance.choice(kinds) for _ in range(12)], role, replaceable=chance.random() < 0.7)
                for role in roles
            ],
            policy=POLICY,
            rng=random.Random(seed),
        )
        judge = OrderJudge(batcher, MENU, JudgeSettings((56, 56), deadline=5.0), ModelVersions(vlm="staged"))
        book = FixedOrders({"384": tuple(Item(name, count) for name, count in paid.items())})
        given: list[Verdict] = []

        async def judged(visit: str) -> None:
            given.append(await judge.judge(evidence(visit, shown), book, EPOCH, time.monotonic()))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as server:
                await server.start(lambda *, task_status: batcher.run(task_status=task_status))
                async with anyio.create_task_group() as orders:
                    for number in range(4):
                        orders.start_soon(judged, f"visit-{number}")
                house.release()
                server.cancel_scope.cancel()
        return given

    return anyio.run(play)


@pytest.mark.parametrize("seeds", [range(50), range(50, 100)])
def test_no_wrong_order_is_accurate_by_failure(seeds: range) -> None:
    reasons = set()
    for seed in seeds:
        given = verdicts(seed, {"Burger": 1, "Cola": 1}, {"Burger": 1, "Cola": 1, "Taco": 1})
        assert sorted(verdict.verdict_id for verdict in given) == [f"visit-{number}" for number in range(4)]
        assert {verdict.status for verdict in given} <= {"inaccurate", "unsure", "undetermined"}
        reasons |= {(verdict.status, verdict.reason) for verdict in given}
    assert ("undetermined", "engine_failed") in reasons
    assert ("inaccurate", None) in reasons


@pytest.mark.parametrize("seeds", [range(100, 150), range(150, 200)])
def test_no_right_order_is_inaccurate_by_failure_nor_accurate_unseen(seeds: range) -> None:
    statuses = set()
    for seed in seeds:
        given = verdicts(seed, {"Burger": 1, "Cola": 2}, {"Burger": 1, "Cola": 2})
        assert len({verdict.verdict_id for verdict in given}) == len(given) == 4
        for verdict in given:
            assert verdict.status in {"accurate", "unsure", "undetermined"}
            assert verdict.vlm_calls > 0 or verdict.status != "accurate"
            statuses.add(verdict.status)
    assert "accurate" in statuses
