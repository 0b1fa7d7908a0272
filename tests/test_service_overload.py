"""Too many orders at once: a counter goes on being watched, and each of its orders ends in one verdict all the same."""

from __future__ import annotations

import anyio
import pytest

from orderacc.capture import Delivery, FrameReader
from orderacc.domain.evidence import Evidence
from orderacc.domain.orders import Item
from orderacc.domain.verdicts import ModelVersions
from orderacc.orders import FixedOrders
from orderacc.selection.visits import StationTracker
from orderacc.service.asking import AskPolicy
from orderacc.service.early import Outlook
from orderacc.service.judging import JudgeSettings, OrderJudge
from orderacc.service.pipeline import JUDGES, WAITING_ORDERS, Pipeline
from orderacc.service.station import Eyes, Station
from orderacc.service.watching import watch
from orderacc.simulator.random_script import random_script
from orderacc.testing import BlankSource, PerfectObserver
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.prompt import format_answer
from staged_stations import until
from test_service_asking import BOTH, EPOCH, MENU, Held, Scene, three_frames

pytestmark = pytest.mark.anyio

SCRIPT = random_script(500_003, 2)
FULL = JUDGES + WAITING_ORDERS
ONE_QUESTION = AskPolicy(early_look=False, hurried=True)
THREE_QUESTIONS = AskPolicy(adaptive=False, early_look=False, hurried=True)


def counter(policy, *, station_id="s", paced=True):
    """A counter where orders of one burger are handed out, and those of the script where it is watched."""
    paid = {"7": [Item("Burger")], **{order.order_id: order.paid for order in SCRIPT.orders}}
    return Station(
        FrameReader(BlankSource(SCRIPT, station_id), delivery=Delivery.LOSSLESS),
        Eyes(PerfectObserver(SCRIPT), StationTracker(station_id)),
        FixedOrders(paid),
        EPOCH,
        paced=paced,
        policy=policy,
    )


class Desk:
    """A pipeline whose engine answers nothing until it is let go."""

    def __init__(self, queue_size=256):
        self.engine = Held(lambda _: format_answer({"Burger": 1}, MENU.names))
        batcher = VlmBatcher(self.engine, max_batch_size=3, queue_size=queue_size)
        self.judge = OrderJudge(batcher, MENU, JudgeSettings((28, 28)), ModelVersions())
        self.given = []
        self.pipeline = Pipeline(self.judge, batcher, self._sink)

    async def _sink(self, verdict):
        self.given.append(verdict)

    async def take(self, station, visits):
        self.pipeline.take(station, [three_frames(visit) for visit in visits])
        await anyio.wait_all_tasks_blocked()

    async def serve(self, watching):
        with anyio.fail_after(60):
            await self.pipeline.serve(watching)

    def outcomes(self, station_id):
        return [(one.status, one.reason) for one in self.given if one.station_id == station_id]


@pytest.mark.parametrize("queue_size", [32, 256])
async def test_a_counter_is_watched_on_while_judging_is_behind(queue_size):
    desk, watched = Desk(queue_size), counter(ONE_QUESTION, station_id="drive")

    async def watching():
        await desk.take(counter(ONE_QUESTION), range(FULL))
        assert desk.given == []
        with anyio.fail_after(20):
            await watch(watched, desk.pipeline)
        await until(lambda: len(desk.given) == len(SCRIPT.orders))
        desk.engine.free.set()

    await desk.serve(watching)
    assert desk.outcomes("drive") == [("undetermined", "overloaded")] * len(SCRIPT.orders)
    assert [one.order_id for one in desk.given[:2]] == [order.order_id for order in SCRIPT.orders]
    assert desk.outcomes("s") == [("accurate", None)] * FULL
    assert len({one.verdict_id for one in desk.given}) == len(desk.given)


@pytest.mark.parametrize("policy", [AskPolicy(), ONE_QUESTION], ids=["once", "over and over"])
async def test_a_recording_read_at_will_waits_while_judging_is_behind(policy):
    desk, watched = Desk(), counter(policy, station_id="tape", paced=False)

    async def watching():
        await desk.take(counter(ONE_QUESTION), range(FULL))
        async with anyio.create_task_group() as group:
            group.start_soon(watch, watched, desk.pipeline)
            await until(lambda: watched.state.frames)
            await anyio.wait_all_tasks_blocked()
            assert not watched.state.ended
            desk.engine.free.set()

    await desk.serve(watching)
    assert {status for status, _ in desk.outcomes("tape")} <= {"accurate", "inaccurate", "unsure"}
    assert len(desk.outcomes("tape")) == len(SCRIPT.orders)


async def test_orders_that_wait_give_up_frames_before_further_ones_are_given_up():
    desk = Desk()

    async def watching():
        await desk.take(counter(THREE_QUESTIONS), range(JUDGES))
        await desk.take(counter(THREE_QUESTIONS), range(JUDGES, FULL + 1))
        assert [(one.verdict_id, one.vlm_calls) for one in desk.given] == [(f"s/{FULL}", 0)]
        desk.engine.free.set()

    await desk.serve(watching)
    calls = {one.verdict_id: one.vlm_calls for one in desk.given}
    assert [calls[f"s/{visit}"] for visit in range(JUDGES)] == [3] * JUDGES
    waited = [calls[f"s/{visit}"] for visit in range(JUDGES, FULL)]
    assert waited == sorted(waited), "the shorter the line behind an order, the more frames it may ask about"
    assert 1 <= waited[0] < 3 == waited[-1]


async def test_what_was_asked_early_is_a_verdict_where_there_is_no_time_to_ask():
    desk, ahead = Desk(), counter(AskPolicy(hurried=True))

    async def watching():
        desk.engine.free.set()
        outlook = Outlook(three_frames(FULL), gone=True)
        await desk.judge.foresee(outlook, ahead.book, ahead.early, ahead.policy, epoch=EPOCH)
        desk.engine.free = anyio.Event()
        await desk.take(counter(ONE_QUESTION), range(FULL))
        desk.pipeline.take(ahead, [outlook.evidence])
        await until(lambda: desk.given)
        desk.engine.free.set()

    await desk.serve(watching)
    assert (desk.given[0].verdict_id, desk.given[0].status) == (f"s/{FULL}", "accurate")


async def test_a_frame_that_looks_like_another_takes_no_frames_place_under_pressure():
    scene = Scene(BOTH, BOTH, BOTH)
    scene.look_like([0.0, 0.0, 90.0])
    evidence = Evidence("s/0", "s", "7", None, tuple(scene.frames), 0, 10, "empty")
    judge = OrderJudge(scene.batcher, MENU, JudgeSettings((56, 56)), ModelVersions())
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            await group.start(scene.batcher.run)
            book = FixedOrders({"7": [Item("Burger", 2)]})
            await judge.judge(evidence, book, EPOCH, 0.0, policy=AskPolicy(hurried=True), pressure=0.5)
            group.cancel_scope.cancel()
    assert sorted(scene.asked) == [0, 2]
