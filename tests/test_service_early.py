"""Early looks: what is asked before an order ends changes when a verdict is there, and nothing else about it."""

from __future__ import annotations

import threading
from random import Random

import anyio
import numpy as np
import pytest

from counter_scenes import EMPTY, Moment, still
from counter_scenes import Eyes as SceneEyes
from orderacc.capture import Delivery, FrameReader
from orderacc.config import SelectionConfig, SimulatorSource, StationConfig
from orderacc.domain.evidence import Candidate
from orderacc.domain.frames import Frame
from orderacc.domain.menus import Menu
from orderacc.domain.verdicts import ModelVersions
from orderacc.errors import EngineError, OrdersError
from orderacc.orders import FixedOrders
from orderacc.selection.visits import StationTracker
from orderacc.service.asking import AskPolicy
from orderacc.service.early import GONE_FOR, STILL_FOR, Moments
from orderacc.service.judging import JudgeSettings, OrderJudge
from orderacc.service.pipeline import Pipeline
from orderacc.service.questions import EarlyAnswers, Questions
from orderacc.service.runtime import ask_policy
from orderacc.service.station import RECORDING_EPOCH, Eyes, Station
from orderacc.simulator.menu import DEMO_ITEMS, NAMES
from orderacc.simulator.random_script import random_script
from orderacc.testing import BlankSource, PerfectObserver, StagedEngine
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.engine import Priority, VlmRequest
from orderacc.vlm.prompt import format_answer
from orderacc.vlm.view_rules import ViewRules
from staged_stations import until

pytestmark = pytest.mark.anyio

MENU = Menu(DEMO_ITEMS)
SCRIPT = random_script(500_005, 4)
COSTS = ("timings_ms",)
NOTHING_SEEN = '{"items":[]}'


class NumberedSource(BlankSource):
    """Pictures of one colour that says which frame they are."""

    def frames(self):
        for frame in super().frames():
            picture = np.zeros((28, 28, 3), np.uint8)
            picture[..., 0], picture[..., 1] = divmod(frame.index, 256)
            yield Frame(frame.station_id, frame.index, frame.at, picture)


def index_of(request) -> int:
    """The view is RGB, the frame was BGR."""
    return int(request.image[0, 0, 2]) * 256 + int(request.image[0, 0, 1])


class SlowEngine(StagedEngine):
    """Lets others run for a while first, a different while each time."""

    def __init__(self, answer, seed):
        super().__init__(answer)
        self._rng = Random(seed)

    async def generate(self, requests):
        await anyio.sleep(self._rng.choice([0, 0, 0.001, 0.02]))
        return await super().generate(requests)


async def watch(policy, *, seed=0, speed=None, fail=lambda _: False, script=SCRIPT, enabled=True, book=None):
    """Watch a script to its end.

    Returns:
        The verdicts as JSON, the engine and the judge.
    """
    observer = PerfectObserver(script)

    def answer(request):
        if fail(request):
            raise EngineError("too late", code="deadline")
        return format_answer(observer.answer(index_of(request) / 10), NAMES)

    engine = SlowEngine(answer, seed)
    batcher = VlmBatcher(engine)
    judge = OrderJudge(batcher, MENU, JudgeSettings((56, 56)), ModelVersions())
    judge.early_looks = enabled
    source = NumberedSource(script, "counter")
    station = Station(
        FrameReader(source, delivery=Delivery.LOSSLESS, paced=speed is not None, speed=speed or 1.0),
        Eyes(PerfectObserver(script), StationTracker("counter")),
        book or FixedOrders({order.order_id: order.paid for order in script.orders}),
        RECORDING_EPOCH,
        paced=speed is not None,
        policy=policy,
    )
    given = []

    async def sink(verdict):
        given.append(verdict.to_dict())

    with anyio.fail_after(120):
        await Pipeline(judge, batcher, sink).run([station])
    return sorted(given, key=lambda one: one["verdict_id"]), engine, judge


def without_costs(verdicts):
    return [{key: value for key, value in one.items() if key not in COSTS} for one in verdicts]


@pytest.mark.parametrize("adaptive", [True, False])
async def test_verdicts_and_frames_are_the_same_with_and_without_early_looks_at_any_speed(adaptive):
    off, _, _ = await watch(AskPolicy(adaptive, early_look=False))
    assert len(off) == len(SCRIPT.orders)
    assert {one["status"] for one in off} == {"accurate", "inaccurate"}
    for seed, speed in ((1, None), (2, 60.0), (3, 25.0)):
        on, _, judge = await watch(AskPolicy(adaptive), seed=seed, speed=speed)
        assert without_costs(on) == without_costs(off)
        assert judge.counters.early_calls > 0


async def test_verdicts_are_the_same_when_early_questions_are_given_up():
    off, _, _ = await watch(AskPolicy(early_look=False))
    on, _, judge = await watch(AskPolicy(), fail=lambda request: "/early/" in request.request_id)
    assert without_costs(on) == without_costs(off)
    assert judge.counters.early_calls == 0


async def test_no_frame_is_asked_about_twice_and_most_early_answers_are_used():
    verdicts, engine, judge = await watch(AskPolicy(), speed=25.0)
    asked = [index_of(request) for batch in engine.batches for request in batch]
    assert len(set(asked)) == len(asked)
    counters = judge.counters
    assert counters.early_used >= 0.5 * counters.early_calls > 0
    assert counters.calls == counters.early_calls - counters.early_used + sum(one["vlm_calls"] for one in verdicts)


@pytest.mark.parametrize(("policy", "enabled"), [(AskPolicy(early_look=False), True), (AskPolicy(), False)])
async def test_early_looks_can_be_switched_off_at_a_station_and_for_all(policy, enabled):
    _, engine, _ = await watch(policy, enabled=enabled)
    assert {request.priority for batch in engine.batches for request in batch} == {Priority.CLOSING}


async def test_an_order_the_pos_does_not_have_is_not_asked_about_early():
    _, engine, _ = await watch(AskPolicy(), book=FixedOrders({}))
    assert engine.batches == []


@pytest.mark.parametrize("error", [OrdersError("the POS does not answer"), ZeroDivisionError("a bug")])
async def test_a_look_ahead_that_fails_costs_no_verdict(error):
    class FailsAtFirst(FixedOrders):
        looked_up = 0

        async def find(self, station_id, slip_text, at=None):
            self.looked_up += 1
            if self.looked_up == 1:
                raise error
            return await super().find(station_id, slip_text, at)

    book = FailsAtFirst({order.order_id: order.paid for order in SCRIPT.orders})
    verdicts, _, _ = await watch(AskPolicy(), book=book, speed=60.0)
    off, _, _ = await watch(AskPolicy(early_look=False))
    assert without_costs(verdicts) == without_costs(off)


class HeldScissors(ViewRules):
    """Cut no picture before they are let go."""

    __slots__ = ("asked_for", "free")

    def __init__(self):
        super().__init__((28, 28))
        object.__setattr__(self, "asked_for", threading.Event())
        object.__setattr__(self, "free", threading.Event())

    def cut(self, image, boxes, half=None):
        self.asked_for.set()
        assert self.free.wait(30)
        return super().cut(image, boxes, half)


class HeldEngine(StagedEngine):
    """Answers nothing until it is let go."""

    def __init__(self):
        super().__init__(lambda _: NOTHING_SEEN)
        self.free = anyio.Event()

    async def generate(self, requests):
        await self.free.wait()
        return await super().generate(requests)


async def test_an_order_that_ends_while_its_early_picture_is_cut_waits_behind_no_other():
    engine, scissors, early = HeldEngine(), HeldScissors(), EarlyAnswers()
    batcher = VlmBatcher(engine, max_batch_size=1)
    questions = Questions(batcher, MENU, scissors, 64, None)
    seen = Candidate(Frame("counter", 7, 0.7, np.zeros((28, 28, 3), np.uint8)), (), 1.0)
    answers = []

    async def close():
        answers.extend(await questions.ask({"counter-1/0": seen}, early))

    async def ask(name):
        picture = np.zeros((28, 28, 3), np.uint8)
        await batcher.ask(VlmRequest(name, picture, "", station_id="window", priority=Priority.CLOSING))

    async with anyio.create_task_group() as group:
        await group.start(batcher.run)
        async with anyio.create_task_group() as askers:
            askers.start_soon(ask, "window-1")
            askers.start_soon(questions.ask_early, {"counter-1/early/7": seen}, early)
            await until(scissors.asked_for.is_set)
            early.close([seen])
            askers.start_soon(close)
            await anyio.wait_all_tasks_blocked()
            scissors.free.set()
            await until(lambda: batcher.statistics().waiting == 1)
            for name in ("window-2", "window-3"):
                askers.start_soon(ask, name)
            await until(lambda: batcher.statistics().waiting == 3)
            engine.free.set()
        group.cancel_scope.cancel()
    asked = [request.request_id for batch in engine.batches for request in batch]
    assert asked == ["window-1", "counter-1/early/7", "window-2", "window-3"]
    assert [answer.text for answer in answers] == [NOTHING_SEEN]


class Watched:
    """A station's tracker and moments, on moments in words."""

    def __init__(self):
        self.eyes, self.tracker, self.moments = SceneEyes(), StationTracker("s1"), Moments()
        self.frames, self.looks, self.ended = 0, [], []

    def play(self, seconds, moment):
        for _ in range(round(seconds * 10)):
            at = self.frames / 10
            observation = self.eyes.see(at, self.frames, moment)
            frame = Frame("s1", self.frames, at, np.zeros((2, 2, 3), np.uint8))
            candidate = Candidate(frame, observation.detections, moment.score)
            self.ended += [self.moments.settled(one) for one in self.tracker.observe(observation, candidate)]
            look = self.moments.see(observation, self.tracker)
            if look is not None:
                self.looks.append((round(at, 1), look))
            self.frames += 1
        return self


LAID = Moment(items=("burger", "cola"), slip="4821")


async def test_an_order_seems_about_to_end_when_nothing_is_left_in_view():
    watched = Watched().play(4, LAID).play(3, EMPTY)
    ((at, look),) = watched.looks
    assert look.gone
    assert at == pytest.approx(4 + GONE_FOR)
    (evidence,) = watched.ended
    assert [one.frame for one in look.evidence.frames] == [one.frame for one in evidence.frames]
    assert look.evidence.visit_id == evidence.visit_id
    assert look.evidence.slip_text == "4821"


async def test_a_hand_before_the_items_is_no_end():
    watched = Watched().play(4, LAID).play(0.2, Moment(slip="4821", hand=True)).play(2, LAID)
    assert watched.looks == []


async def test_what_lies_still_is_looked_at_once_and_the_noted_frame_stands_in():
    watched = Watched().play(1, LAID).play(2, still(LAID)).play(1, still(Moment(LAID.items, "4821", score=0.9)))
    ((at, look),) = watched.looks
    assert not look.gone
    assert at == pytest.approx(1 + STILL_FOR)
    watched.play(3, EMPTY)
    (evidence,) = watched.ended
    noted = {one.frame.index for one in look.evidence.frames}
    assert noted & {one.frame.index for one in evidence.frames}
    assert [one.frame.at for one in evidence.frames] == sorted(one.frame.at for one in evidence.frames)


async def test_what_has_grown_since_is_looked_at_again():
    more = Moment(items=("burger", "cola", "donut"), slip="4821")
    watched = Watched().play(1, LAID).play(2, still(LAID)).play(0.5, more).play(2, still(more))
    assert [look.gone for _, look in watched.looks] == [False, False]
    less = Watched().play(1, more).play(2, still(more)).play(0.5, LAID).play(2, still(LAID))
    assert len(less.looks) == 1


async def test_an_order_whose_number_is_not_known_is_not_looked_at():
    unread = Moment(items=("burger",), slip="4821", readable=False)
    assert Watched().play(1, unread).play(2, still(unread)).play(3, EMPTY).looks == []


def test_stations_have_the_last_word_on_how_they_are_asked_about():
    def station(**keys):
        return StationConfig(id="s", source=SimulatorSource(type="simulator"), **keys)

    every = SelectionConfig()
    assert ask_policy(every) == AskPolicy(adaptive=True, early_look=True, hurried=False)
    assert ask_policy(every, station(early_look=False), live=True) == AskPolicy(early_look=False, hurried=True)
    none = SelectionConfig(adaptive=False, early_look=False)
    assert ask_policy(none, station(adaptive=True)) == AskPolicy(adaptive=True, early_look=False)
