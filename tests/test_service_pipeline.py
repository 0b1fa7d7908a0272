"""Whatever goes wrong, every order opened ends in exactly one verdict, and none is accurate by failure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import anyio
import numpy as np
import pytest

from orderacc.capture import Delivery, FrameReader
from orderacc.domain.frames import Frame
from orderacc.domain.menus import Menu
from orderacc.domain.verdicts import ModelVersions
from orderacc.errors import EngineError, OrdersError, SourceError
from orderacc.orders import FixedOrders
from orderacc.selection.visits import StationTracker
from orderacc.service import station as station_module
from orderacc.service.asking import DEFAULT_POLICY, AskPolicy
from orderacc.service.judging import JudgeSettings, OrderJudge
from orderacc.service.pipeline import Pipeline
from orderacc.service.station import RECORDING_EPOCH, Eyes, Station
from orderacc.simulator.menu import DEMO_ITEMS, NAMES
from orderacc.simulator.random_script import random_script
from orderacc.testing import BlankSource, PerfectObserver, StagedEngine
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.prompt import format_answer
from orderacc.vlm.seat import EnginePolicy

pytestmark = pytest.mark.anyio

MENU = Menu(DEMO_ITEMS)
SCRIPT = random_script(500_003, 3)
NOTHING = '{"items":[]}'


class Broken(BlankSource):
    """Fails in the middle of the second order."""

    def frames(self):
        for frame in super().frames():
            if frame.at > 30:
                raise SourceError("the camera is gone", code="unreachable")
            yield frame


class NoBook:
    async def find(self, _station_id, _slip_text, _at=None):
        raise OrdersError("the POS does not answer")


def station(script=SCRIPT, *, source=None, book=None, station_id="counter", policy=DEFAULT_POLICY):
    return Station(
        FrameReader(source or BlankSource(script, station_id), delivery=Delivery.LOSSLESS),
        Eyes(PerfectObserver(script), StationTracker(station_id)),
        book or FixedOrders({order.order_id: order.paid for order in script.orders}),
        RECORDING_EPOCH,
        paced=False,
        policy=policy,
    )


async def verdicts_of(stations, answer=lambda _: NOTHING, *, stop_after=None, grace=10.0):
    engine = StagedEngine(answer)
    batcher = VlmBatcher(engine, policy=EnginePolicy(breaker_cooldown_sec=0.1))
    judge = OrderJudge(batcher, MENU, JudgeSettings((56, 56)), ModelVersions(vlm="staged"))
    given = []

    async def sink(verdict):
        given.append(verdict)
        if stop_after is not None and len(given) == stop_after:
            pipeline.stop()

    pipeline = Pipeline(judge, batcher, sink, grace=grace)
    with anyio.fail_after(120):
        await pipeline.run(stations)
    return given, engine


def truthful(script):
    """An engine that knows which frame each request is about only by when it is asked cannot be; this one knows all."""
    laid = {order.order_id: {item.name: item.quantity for item in order.laid} for order in script.orders}
    numbers = [order.order_id for order in script.orders]
    return lambda request: format_answer(laid[numbers[int(request.request_id.split("/")[0][-6:]) - 1]], NAMES)


async def test_every_order_gets_one_verdict_in_order():
    given, engine = await verdicts_of([station()], truthful(SCRIPT))
    assert [verdict.slip_text for verdict in given] == [order.order_id for order in SCRIPT.orders]
    assert len({verdict.verdict_id for verdict in given}) == 3
    assert all(verdict.status in {"accurate", "inaccurate", "unsure"} for verdict in given)
    for verdict in given:
        content = verdict.to_dict()
        assert content["station_id"] == "counter"
        assert content["models"]["vlm"] == "staged"
        assert content["opened_at"].startswith("1970-01-01T00:0")
        assert 1 <= content["vlm_calls"] <= len(content["frames"])
        assert content["timings_ms"]["order_end_to_verdict"] >= 0
        times = [frame["at"] for frame in content["frames"]]
        assert content["opened_at"] <= min(times) <= max(times) <= content["closed_at"]
    assert all("Menu: Burger" in request.prompt for batch in engine.batches for request in batch)


async def test_the_model_is_never_told_what_was_ordered():
    _, engine = await verdicts_of([station()])
    prompts = {request.prompt for batch in engine.batches for request in batch}
    assert len(prompts) == 1


async def test_stations_are_told_apart():
    other = random_script(500_004, 2)
    given, _ = await verdicts_of([station(), station(other, station_id="window")])
    assert sorted(v.slip_text for v in given if v.station_id == "window") == sorted(o.order_id for o in other.orders)
    assert sum(verdict.station_id == "counter" for verdict in given) == 3


async def test_an_engine_that_fails_leaves_orders_undetermined():
    def fail(_request):
        raise EngineError("out of memory")

    given, _ = await verdicts_of([station()], fail)
    assert [(verdict.status, verdict.reason) for verdict in given] == [("undetermined", "engine_failed")] * 3
    assert sorted(verdict.order_id for verdict in given) == sorted(order.order_id for order in SCRIPT.orders)


@pytest.mark.parametrize("text", ["I see a lovely meal and no fries.", "", "\x00"])
async def test_an_answer_that_is_no_list_is_no_empty_bag(text):
    given, _ = await verdicts_of([station()], lambda _: text)
    assert {verdict.status for verdict in given} == {"undetermined"}


async def test_an_order_with_a_frame_the_model_failed_on_is_never_accurate():
    right = truthful(SCRIPT)

    def fail_once(request):
        if request.request_id.endswith("/1"):
            raise EngineError("bad luck")
        return right(request)

    given, _ = await verdicts_of([station(policy=AskPolicy(adaptive=False, early_look=False))], fail_once)
    assert {verdict.status for verdict in given} == {"unsure"}


async def test_an_unknown_number_is_undetermined_and_costs_no_question():
    given, engine = await verdicts_of([station(book=FixedOrders({}))])
    assert {(verdict.status, verdict.reason) for verdict in given} == {("undetermined", "no_order")}
    assert all(verdict.frames for verdict in given)
    assert engine.batches == []


async def test_a_silent_pos_is_undetermined():
    given, _ = await verdicts_of([station(book=NoBook())])
    assert {(verdict.status, verdict.reason) for verdict in given} == {("undetermined", "orders_unavailable")}


async def test_a_broken_source_ends_its_station_and_no_other():
    broken, healthy = station(source=Broken(SCRIPT)), station(random_script(500_004, 2), station_id="window")
    given, _ = await verdicts_of([broken, healthy])
    assert broken.state.error is not None
    assert broken.state.error.code == "unreachable"
    assert healthy.state.error is None
    assert sum(verdict.station_id == "window" for verdict in given) == 2
    assert 1 <= sum(verdict.station_id == "counter" for verdict in given) < 3


async def test_stopping_gives_open_orders_a_verdict_and_starts_no_more():
    given, _ = await verdicts_of([station()], stop_after=1)
    assert len(given) == len({verdict.verdict_id for verdict in given})
    assert given[0].status != "undetermined"
    assert all(verdict.reason == "shutdown" for verdict in given[1:] if verdict.status == "undetermined")


async def test_orders_the_grace_period_does_not_suffice_for_end_undetermined():
    stuck = anyio.Event()

    class Stuck(StagedEngine):
        async def generate(self, _requests):
            pipeline.stop()
            await stuck.wait()

    batcher = VlmBatcher(Stuck(lambda _: NOTHING))
    given = []

    async def sink(verdict):
        given.append(verdict)

    judge = OrderJudge(batcher, MENU, JudgeSettings((56, 56)), ModelVersions())
    pipeline = Pipeline(judge, batcher, sink, grace=0.05)
    with anyio.fail_after(60):
        await pipeline.run([station()])
    assert given
    assert {(verdict.status, verdict.reason) for verdict in given} == {("undetermined", "shutdown")}
    assert len(given) == len({verdict.verdict_id for verdict in given})


async def test_the_counter_is_what_the_region_of_interest_says():
    sizes = set()

    class Measuring(PerfectObserver):
        async def observe(self, frame):
            sizes.add(frame.image.shape[:2])
            return await super().observe(frame)

    watched = station()
    watched.eyes.observer = Measuring(SCRIPT)
    watched.roi = (0.25, 0.0, 0.75, 0.5)
    await verdicts_of([watched])
    assert sizes == {(14, 14)}


async def test_the_wall_clock_of_a_live_station_follows_when_it_is_set(monkeypatch):
    ahead = 1_000.0
    monkeypatch.setattr(station_module, "wall_ahead", lambda: ahead)
    frame = Frame("counter", 0, 2.0, np.zeros((8, 8, 3), np.uint8), wall=5_000.0)
    live = replace(station(), epoch=None)
    began = live.epoch_by(frame)
    assert began.timestamp() == 4_998
    ahead += 0.5
    assert live.epoch_by(frame) == began, "kept right bit by bit"
    ahead += 3_600
    assert live.epoch_by(frame) - began == timedelta(seconds=3_600.5)
    taped = station()
    ahead += 3_600
    assert taped.epoch_by(frame) == RECORDING_EPOCH
