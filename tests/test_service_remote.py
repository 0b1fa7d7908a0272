"""Orders judged by a model on another machine: one verdict each whatever becomes of it, none accurate by failure."""

from __future__ import annotations

import json
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest
from aiohttp import web

from chat_servers import breaking_off, completion, saying, silent, staged
from orderacc.capture import Delivery, FrameReader
from orderacc.config import JudgingConfig
from orderacc.domain.detections import Box, Detection
from orderacc.domain.evidence import Candidate, Evidence
from orderacc.domain.frames import Frame
from orderacc.domain.menus import Menu
from orderacc.domain.orders import Item
from orderacc.domain.verdicts import ModelVersions
from orderacc.orders import FixedOrders
from orderacc.selection.visits import StationTracker
from orderacc.service.asking import AskPolicy
from orderacc.service.engines import VlmSetup
from orderacc.service.judging import JudgeSettings, OrderJudge
from orderacc.service.pipeline import Pipeline
from orderacc.service.station import RECORDING_EPOCH, Eyes, Station
from orderacc.simulator.menu import DEMO_ITEMS, NAMES
from orderacc.simulator.random_script import random_script
from orderacc.testing import BlankSource, PerfectObserver, StagedEngine
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.openai import OpenAiEngine
from orderacc.vlm.prompt import format_answer
from orderacc.vlm.seat import EnginePolicy, EngineSeat, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.domain.verdicts import Verdict

pytestmark = pytest.mark.anyio

MENU = Menu(DEMO_ITEMS)
SCRIPT = random_script(500_003, 2)


def setup(*urls: str, **remote: Any) -> VlmSetup:
    """The engines of a configuration that has a remote model only."""
    patience = {"retries": 0, "timeout_sec": 0.5, "circuit_breaker_cooldown_sec": 0.1}
    settings = {"urls": list(urls), "model": "demo-vlm", **patience, **remote}
    vlm = {"local": False, "remote": settings, "circuit_breaker_cooldown_sec": 0.2}
    return VlmSetup.load(JudgingConfig.model_validate({"vlm": vlm}), MENU)


async def verdicts(vlm: VlmSetup, on_verdict: Callable[[], None] = lambda: None) -> list[Verdict]:
    given: list[Verdict] = []

    async def keep(verdict: Verdict) -> None:
        given.append(verdict)
        on_verdict()

    judge = OrderJudge(vlm.batcher, MENU, JudgeSettings((56, 56)), ModelVersions(vlm=vlm.label))
    station = Station(
        FrameReader(BlankSource(SCRIPT), delivery=Delivery.LOSSLESS),
        Eyes(PerfectObserver(SCRIPT), StationTracker("counter")),
        FixedOrders({order.order_id: order.paid for order in SCRIPT.orders}),
        RECORDING_EPOCH,
        paced=False,
    )
    try:
        with anyio.fail_after(120):
            await Pipeline(judge, vlm.batcher, keep).run([station])
    finally:
        await vlm.batcher.aclose()
    return given


async def test_verdicts_name_the_remote_model_and_rest_on_its_answers() -> None:
    counts = Counter({item.name: item.quantity for item in SCRIPT.orders[0].laid})

    async def first_order(request: web.Request, body: dict[str, Any]) -> web.Response:
        del request, body
        return web.json_response(completion(format_answer(counts, NAMES)))

    async with staged(first_order) as server:
        given = await verdicts(setup(server.url))
    assert [one.order_id for one in given] == [order.order_id for order in SCRIPT.orders]
    assert {item.name: item.quantity for item in given[0].seen} == counts
    assert given[0].status in ("accurate", "inaccurate")
    assert {one.models.vlm for one in given} == {"demo-vlm"}


async def hang_up(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    del body
    assert request.transport is not None
    request.transport.close()
    return web.Response()


FAULTS: dict[str, Any] = {
    "out of order": saying(500),
    "unauthorized": saying(401),
    "not found": saying(404),
    "refused": saying(400),
    "busy": saying(429, Retry_After="60"),
    "starting": saying(503),
    "garbage": saying(200, "x"),
    "another json": saying(200, '{"choices": [{"message": {"content": 3}, "finish_reason": "stop"}]}'),
    "silent": silent,
    "hangs up": hang_up,
}


@pytest.mark.parametrize("name", FAULTS)
async def test_no_order_is_accurate_by_a_failure(name: str) -> None:
    async with staged(FAULTS[name]) as server:
        given = await verdicts(setup(server.url))
    assert [(one.status, one.reason) for one in given] == [("undetermined", "engine_failed")] * len(SCRIPT.orders)


@pytest.mark.parametrize("text", ["", "I see a burger?", "{}", '{"items": "no"}'])
async def test_an_answer_that_says_nothing_is_no_empty_bag(text: str) -> None:
    async with staged(saying(200, json.dumps(completion(text)))) as server:
        given = await verdicts(setup(server.url))
    assert len(given) == len(SCRIPT.orders)
    assert not {one.status for one in given} & {"accurate"}


async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answers, at the limit of what is waited for."""
    await anyio.sleep(0.15)
    return await burger(request, body)


async def burger(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answers as it should: there is a burger."""
    del request, body
    return web.json_response(completion(BURGER))


BURGER = format_answer({"Burger": 1}, NAMES)
PAID = {"right": [Item("Burger")], "wrong": [Item("Burger"), Item("Cola")]}


async def test_a_slow_server_has_its_own_time_and_not_the_local_models() -> None:
    async with staged(slow) as server:
        remote = {"urls": [server.url], "model": "demo-vlm"}
        vlm = {"local": False, "remote": remote, "hang_after_sec": 0.01}
        given = await verdicts(VlmSetup.load(JudgingConfig.model_validate({"vlm": vlm}), MENU))
    assert len(given) == len(SCRIPT.orders)
    assert "engine_failed" not in {one.reason for one in given}


async def test_200_trials_of_servers_that_fail_at_random() -> None:
    """Two servers and a model at home behind one batcher, every call at the mercy of chance; one order is right."""
    outcomes: Counter[tuple[str, str, str | None]] = Counter()
    room = anyio.CapacityLimiter(20)
    async with anyio.create_task_group() as group:
        for seed in range(200):
            group.start_soon(trial, seed, room, outcomes)
    print(dict(outcomes))
    assert sum(outcomes.values()) == 200 * len(PAID)
    assert outcomes["right", "accurate", None] > 50
    assert outcomes["wrong", "inaccurate", None] > 50
    assert {status for order, status, _ in outcomes if order == "wrong"} <= {"inaccurate", "unsure", "undetermined"}
    failed = {reason for _, status, reason in outcomes if status == "undetermined"}
    assert failed == {"engine_failed"}


async def trial(seed: int, room: anyio.CapacityLimiter, outcomes: Counter[tuple[str, str, str | None]]) -> None:
    chance = Random(seed)
    share = chance.random()
    faults = [*FAULTS.values(), slow, breaking_off]

    async def moody(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await (chance.choice(faults) if chance.random() < share else burger)(request, body)

    async with room, staged(moody) as one, staged(moody) as two:
        setting = setup(one.url, two.url, retries=1, timeout_sec=0.2)
        there = setting.engine
        assert isinstance(there, OpenAiEngine)
        seats = [EngineSeat(there, max_batch_size=1, parallel=3)]
        if chance.random() < 0.5:
            seats.append(EngineSeat(StagedEngine(lambda _: BURGER, name="home"), Role.FAIL_OVER))
        batcher = VlmBatcher(seats, policy=EnginePolicy(breaker_cooldown_sec=0.1))
        judge = OrderJudge(batcher, MENU, JudgeSettings((56, 56), deadline=30.0), ModelVersions())
        async with anyio.create_task_group() as group:
            await group.start(lambda *, task_status: batcher.run(task_status=task_status))
            with anyio.fail_after(60):
                async with anyio.create_task_group() as orders:
                    for number in PAID:
                        orders.start_soon(judged, judge, seed, number, outcomes)
            group.cancel_scope.cancel()
        counted = batcher.statistics()
        assert (counted.waiting, counted.in_flight) == (0, 0)
        await batcher.aclose()


async def judged(judge: OrderJudge, seed: int, number: str, outcomes: Counter[tuple[str, str, str | None]]) -> None:
    """One order of three frames, in each of which the detector sees a burger."""
    box, image = Detection("burger", 0.9, Box(10, 10, 30, 40)), np.zeros((60, 60, 3), np.uint8)
    frames = tuple(Candidate(Frame("counter", index, index * 2.0, image), (box,), 1.0) for index in range(3))
    evidence = Evidence(f"{seed}/{number}", "counter", number, None, frames, 0.0, 6.0, "empty")
    policy = AskPolicy(adaptive=seed % 2 == 0, hurried=True)
    verdict = await judge.judge(evidence, FixedOrders(PAID), RECORDING_EPOCH, time.monotonic(), policy=policy)
    if verdict.status == "accurate":
        assert verdict.vlm_calls
    outcomes[number, verdict.status, verdict.reason] += 1
