"""Fewer questions: which frame first, when an answer is enough, what is given up under pressure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc.capture import FrameReader
from orderacc.domain.detections import Box, Detection
from orderacc.domain.evidence import Candidate, CounterLook, Evidence
from orderacc.domain.frames import Frame
from orderacc.domain.menus import Menu, MenuItem
from orderacc.domain.orders import Item
from orderacc.domain.verdicts import ModelVersions
from orderacc.errors import EngineError
from orderacc.orders import FixedOrders
from orderacc.selection.visits import StationTracker
from orderacc.service.asking import (
    AskPolicy,
    all_at_once,
    all_there,
    asking_order,
    different_ones,
    frames_affordable,
    rounds,
)
from orderacc.service.early import Outlook
from orderacc.service.judging import Heard, JudgeSettings, OrderJudge
from orderacc.service.pipeline import Pipeline
from orderacc.service.questions import EarlyAnswers
from orderacc.service.station import Eyes, Station
from orderacc.simulator.random_script import random_script
from orderacc.testing import BlankSource, EngineFault, PerfectObserver, StagedEngine
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.engine import Priority, VlmAnswer, VlmRequest
from orderacc.vlm.prompt import format_answer

MENU = Menu(
    (
        MenuItem("Burger", group="burger"),
        MenuItem("Small Fries", group="fries"),
        MenuItem("Large Fries", group="fries"),
        MenuItem("Cola", group="cola"),
        MenuItem("Toy"),
    )
)
GROUP = {item.name: item.group for item in MENU.items}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ADAPTIVE, ALL = AskPolicy(), AskPolicy(adaptive=False)
HURRIED_ADAPTIVE = AskPolicy(hurried=True)


LABELS = ("burger", "fries", "cola", "hand")


def frame(index: int, boxes: dict[str, int], *, score: float = 1.0, row: int = 0) -> Candidate:
    """A frame whose picture is one grey that says which frame it is; pieces of a label lie side by side in a row."""
    places = [(label, 40 * LABELS.index(label) + 10 * nth) for label, count in boxes.items() for nth in range(count)]
    detections = tuple(Detection(label, 0.9, Box(x, row, x + 8, row + 8)) for label, x in places)
    return Candidate(Frame("s", index, index / 10, np.full((20, 200, 3), index, np.uint8)), detections, score)


def look_of(corner: float | None) -> CounterLook | None:
    """A grey picture, one cell darker or brighter by so much; none."""
    if corner is None:
        return None
    cells = np.full((45, 80), 100, np.float32)
    cells[0, 0] += corner
    return CounterLook(cells, 101.0)


def boxes_of(items: dict[str, int]) -> dict[str, int]:
    found = Counter[str]()
    for name, count in items.items():
        if GROUP[name]:
            found[GROUP[name]] += count
    return dict(found)


class Scene:
    """An order's frames: what each shows and what the model says about it, and which were asked about."""

    def __init__(self, *shown, said=None, boxes=None, batcher=None, rows=None):
        boxes, rows = boxes or list(map(boxes_of, shown)), rows or [0] * len(shown)
        self.frames = [frame(index, boxes[index], row=rows[index]) for index in range(len(shown))]
        self.said = list(said or shown)
        self.asked: list[int] = []
        self.engine = StagedEngine(self._answer)
        self.batcher = batcher or VlmBatcher(self.engine)

    def _answer(self, request: VlmRequest) -> str:
        index = int(request.image[0, 0, 0])
        self.asked.append(index)
        if self.said[index] is None:
            raise EngineError("it fails on this one")
        return format_answer(self.said[index], MENU.names)

    def look_like(self, corners):
        """Give the frames a picture to compare: grey, its corner darker or brighter by so much in one cell."""
        self.frames = [replace(one, look=look_of(corner)) for one, corner in zip(self.frames, corners, strict=True)]

    async def judge(self, paid: dict[str, int], policy=ADAPTIVE, *, deadline=None, pressure=0.0, heard=None):
        judge = OrderJudge(self.batcher, MENU, JudgeSettings((56, 56), deadline=deadline), ModelVersions())
        evidence = Evidence("s-1", "s", "7", None, tuple(self.frames), 0, 10, "empty")
        book = FixedOrders({"7": [Item(name, count) for name, count in paid.items()]})
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                await group.start(self.batcher.run)
                verdict = await judge.judge(evidence, book, EPOCH, 0.0, policy=policy, pressure=pressure, heard=heard)
                group.cancel_scope.cancel()
        return verdict


BOTH = {"Burger": 1, "Cola": 1}
BOXES = {"burger": 1, "cola": 1}

shown_pieces = st.dictionaries(st.sampled_from(LABELS), st.integers(1, 3))


@given(st.lists(st.tuples(shown_pieces, st.sampled_from([0.5, 1.0])), min_size=1, max_size=6))
def test_each_frame_once_and_each_adds_the_most(shown):
    frames = [frame(index, boxes, score=score) for index, (boxes, score) in enumerate(shown)]
    order = asking_order(frames)
    assert sorted(one.frame.index for one in order) == list(range(len(frames)))
    covered = Counter[str]()
    for place, chosen in enumerate(order):
        best = max((covered | other.pieces).total() for other in order[place:])
        covered |= chosen.pieces
        assert covered.total() == best


@given(
    st.lists(st.tuples(shown_pieces, st.sampled_from([None, 0.0, 90.0])), min_size=1, max_size=6),
    st.sampled_from([BOTH, {"Toy": 1}, {"Unheard of": 1}]),
)
def test_rounds_are_the_sequence_in_parts(shown, paid):
    frames = [replace(frame(index, boxes), look=look_of(corner)) for index, (boxes, corner) in enumerate(shown)]
    sequence = asking_order(frames)
    alike = len(sequence) - len(different_ones(sequence))
    paid = [Item(*line) for line in paid.items()]
    for parts in (list(rounds(sequence, paid, MENU)), list(all_at_once(sequence))):
        assert [one for part in parts for one in part] == list(sequence)
        assert all(parts)
        assert all(len(part) == 1 for part in parts[len(parts) - alike :])


@pytest.mark.anyio
async def test_one_answer_is_enough_for_an_order_that_is_all_there():
    counter = Scene({"Burger": 1}, BOTH, {"Cola": 1})
    verdict = await counter.judge(BOTH)
    assert (verdict.status, verdict.vlm_calls, counter.asked) == ("accurate", 1, [1])
    assert len(verdict.frames) == 3


TOO_MANY = [
    pytest.param({"Burger": 1}, BOTH, id="extra"),
    pytest.param(BOTH, {"Burger": 2, "Cola": 1}, id="one more than paid for"),
]
OTHERWISE_WRONG = [
    pytest.param(BOTH, {"Burger": 1}, id="missing"),
    pytest.param({"Burger": 2}, {"Burger": 1}, id="one less than paid for"),
    pytest.param({"Burger": 1}, {"Cola": 1}, id="another"),
    pytest.param({"Burger": 1}, {"Burger": 1, "Small Fries": 1}, id="extra look-alike"),
    pytest.param({"Large Fries": 1}, {"Large Fries": 2}, id="more look-alikes than paid for"),
    pytest.param(BOTH, {}, id="nothing seen at all"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("paid", "shown"), TOO_MANY)
async def test_one_answer_is_enough_for_what_is_too_many_by_the_boxes_too(paid, shown):
    verdict = await Scene(shown, shown, shown).judge(paid)
    assert (verdict.status, verdict.vlm_calls) == ("inaccurate", 1)
    verdict = await Scene(shown, shown, shown).judge(paid, HURRIED_ADAPTIVE, pressure=0.75)
    assert (verdict.status, verdict.reason, verdict.vlm_calls) == ("inaccurate", None, 1)


@pytest.mark.anyio
async def test_what_is_too_many_by_the_model_alone_is_looked_at_again():
    assert (await Scene(BOTH, BOTH, BOTH, boxes=[{"burger": 1}] * 3).judge({"Burger": 1})).vlm_calls == 3


@pytest.mark.anyio
@pytest.mark.parametrize(("paid", "shown"), OTHERWISE_WRONG)
async def test_what_is_wrong_otherwise_is_looked_at_twice_and_both_questions_leave_together(paid, shown):
    counter = Scene(shown, shown, shown)
    verdict = await counter.judge(paid)
    assert (verdict.status, verdict.vlm_calls) == ("inaccurate", 2)
    assert [len(batch) for batch in counter.engine.batches] == [2]
    verdict = await Scene(shown, shown, shown).judge(paid, HURRIED_ADAPTIVE, pressure=0.75)
    assert (verdict.status, verdict.reason, verdict.vlm_calls) == ("unsure", "overloaded", 1)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("paid", "said", "boxes"),
    [
        pytest.param(BOTH, [{"Burger": 1}, BOTH, BOTH], {"burger": 1}, id="no box for the cola"),
        pytest.param({"Burger": 2}, [{"Burger": 1}, {"Burger": 2}, {"Burger": 2}], {"burger": 1}, id="one box for two"),
    ],
)
async def test_what_the_detector_never_sees_is_not_missing_if_the_model_sees_it_later(paid, said, boxes):
    verdict = await Scene({}, {}, {}, said=said, boxes=[boxes] * 3).judge(paid)
    assert verdict.status == "accurate"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("paid", "shown", "status"),
    [
        pytest.param({"Burger": 1, "Veggie Deluxe": 1}, {"Burger": 1}, "inaccurate", id="missing"),
        pytest.param({"Veggie Deluxe": 1, "Burger": 1}, {"Burger": 1}, "inaccurate", id="missing, paid first"),
        pytest.param({"Burger": 1, "Toys": 1}, {"Burger": 1, "Toy": 1}, "accurate", id="there, but no box tells"),
    ],
)
async def test_a_piece_without_second_witness_under_a_name_of_the_pos_is_looked_at_twice(paid, shown, status):
    verdict = await Scene(shown, shown, shown).judge(paid)
    assert (verdict.status, verdict.vlm_calls) == (status, 2)


@pytest.mark.anyio
async def test_an_order_judged_again_is_judged_by_all_that_was_said_before():
    small, large = ({"Burger": 1, f"{size} Fries": 1} for size in ("Small", "Large"))
    counter, heard = Scene(*[large] * 3, said=[small, large, large]), Heard()
    assert (await counter.judge({"Burger": 2}, ALL, heard=heard)).vlm_calls == 3
    verdict = await counter.judge(small, heard=heard)
    assert (verdict.status, verdict.vlm_calls, len(counter.asked)) == ("inaccurate", 3, 3)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("paid", "gone", "asked"),
    [
        pytest.param(BOTH, False, 1, id="all there"),
        pytest.param({"Burger": 1, "Cola": 2}, False, 0, id="may yet come"),
        pytest.param({"Burger": 1}, False, 0, id="more than paid for"),
        pytest.param({"Burger": 1, "Cola": 2}, True, 2, id="missing when it goes"),
        pytest.param({"Burger": 1}, True, 1, id="too many when it goes"),
    ],
)
async def test_an_order_that_may_yet_grow_is_asked_about_early_only_if_it_is_all_there(paid, gone, asked):
    counter, early = Scene(BOTH, BOTH, BOTH), EarlyAnswers()
    judge = OrderJudge(counter.batcher, MENU, JudgeSettings((56, 56)), ModelVersions())
    evidence = Evidence("s-1", "s", "7", None, tuple(counter.frames), 0, 10, "empty")
    orders = FixedOrders({"7": [Item(name, count) for name, count in paid.items()]})
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            await group.start(counter.batcher.run)
            await judge.foresee(Outlook(evidence, gone=gone), orders, early, ADAPTIVE, epoch=EPOCH)
            group.cancel_scope.cancel()
    assert len(early) == len(counter.asked) == asked


@pytest.mark.anyio
async def test_what_only_the_model_can_tell_is_asked_twice_too():
    paid = {"Burger": 1, "Large Fries": 1}
    counter = Scene(*[{"Burger": 1, "Small Fries": 1}] * 3)
    verdict = await counter.judge(paid)
    assert (verdict.status, verdict.vlm_calls) == ("inaccurate", 2)
    assert [len(batch) for batch in counter.engine.batches] == [1, 1]


@pytest.mark.anyio
async def test_things_bagged_early_are_found_in_another_frame():
    counter = Scene({"Burger": 1}, {"Cola": 1}, {"Cola": 1})
    verdict = await counter.judge(BOTH)
    assert (verdict.status, verdict.vlm_calls) == ("accurate", 2)
    assert 0 in counter.asked


@pytest.mark.anyio
@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([{"burger": 1, "cola": 1}, {"burger": 2, "cola": 1}, {"burger": 1, "cola": 1}], id="elsewhere"),
        pytest.param([{"burger": 1}, {"burger": 1}, {"burger": 1}], id="in all frames"),
    ],
)
async def test_witnesses_that_disagree_are_all_heard(boxes):
    counter = Scene(BOTH, BOTH, BOTH, boxes=boxes)
    verdict = await counter.judge(BOTH)
    assert verdict.vlm_calls == 3


@pytest.mark.anyio
async def test_an_item_without_a_second_witness_is_asked_about_twice():
    counter = Scene(*[{"Burger": 1, "Toy": 1}] * 3)
    verdict = await counter.judge({"Burger": 1, "Toy": 1})
    assert (verdict.status, verdict.vlm_calls) == ("accurate", 2)
    assert [len(batch) for batch in counter.engine.batches] == [2]


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "of_pos"), [("Burger", "Burgers"), ("Large Fries", "Fries Large")])
async def test_a_name_only_the_pos_uses_is_no_reason_to_ask_more(name, of_pos):
    verdict = await Scene({name: 1}, {name: 1}).judge({of_pos: 1})
    assert (verdict.status, verdict.vlm_calls) == ("accurate", 1)


@pytest.mark.anyio
async def test_a_misspelt_name_is_no_reason_to_ask_more():
    verdict = await Scene({"Cola": 1}, {"Cola": 1}).judge({"Colla": 1})
    assert (verdict.status, verdict.vlm_calls) == ("accurate", 1)
    assert verdict.confidence == pytest.approx(8 / 9)


@pytest.mark.anyio
async def test_an_answer_the_model_itself_doubts_is_not_enough():
    class Doubting(StagedEngine):
        async def generate(self, requests):
            return [
                VlmAnswer(one.request_id, answer.text, "stop", 1, 1, 1, 1.0, token_confidence=0.5)
                for one, answer in zip(requests, await super().generate(requests), strict=True)
            ]

    counter = Scene(BOTH, BOTH, BOTH)
    counter.engine = Doubting(counter._answer)
    counter.batcher = VlmBatcher(counter.engine)
    assert (await counter.judge(BOTH)).vlm_calls == 3


@pytest.mark.anyio
async def test_a_first_answer_that_fails_leads_to_the_others_and_never_to_accurate():
    counter = Scene({"Burger": 1}, BOTH, {"Cola": 1}, said=[{"Burger": 1}, None, {"Cola": 1}])
    verdict = await counter.judge(BOTH)
    assert (verdict.status, verdict.reason, verdict.vlm_calls) == ("unsure", "engine_failed", 2)


@pytest.mark.anyio
async def test_after_a_failure_what_is_left_is_asked_about_at_once():
    counter = Scene({"Burger": 1}, BOTH, {"Cola": 1}, said=[{"Burger": 1}, None, {"Cola": 1}])
    verdict = await counter.judge(BOTH)
    assert (verdict.status, verdict.reason) == ("unsure", "engine_failed")
    assert [len(batch) for batch in counter.engine.batches] == [1, 2]


@pytest.mark.anyio
async def test_all_questions_of_an_order_share_one_deadline():
    counter = Scene({"Burger": 1}, BOTH, {"Cola": 1})
    counter.engine = StagedEngine(counter._answer, fault=lambda _: EngineFault.HANG)
    counter.batcher = VlmBatcher(counter.engine)
    ask, deadlines = counter.batcher.ask, []

    async def noted(request):
        deadlines.append(request.deadline)
        return await ask(request)

    counter.batcher.ask = noted
    verdict = await counter.judge(BOTH, AskPolicy(hurried=True), deadline=0.2)
    assert (verdict.status, verdict.reason) == ("undetermined", "engine_failed")
    assert len(deadlines) == 3
    assert len(set(deadlines)) == 1
    counter.engine.release()


@pytest.mark.anyio
async def test_a_frame_that_looks_the_same_is_asked_about_last_and_only_when_something_is_open():
    counter = Scene(BOTH, {"Burger": 1}, BOTH)
    counter.look_like([0.0, 90.0, 0.0])
    verdict = await counter.judge({"Burger": 1, "Toy": 1})
    assert (sorted(counter.asked), verdict.status, verdict.vlm_calls) == ([0, 1], "inaccurate", 2)


@pytest.mark.parametrize("paid", [{"Burger": 1}, {"Burger": 2}])
@pytest.mark.parametrize("policy", [ADAPTIVE, ALL])
@pytest.mark.anyio
async def test_one_answer_is_not_two_because_the_frames_look_alike(paid, policy):
    # The model counts one too many in the frame that is asked about first, and the detector does not.
    said = [{"Burger": 2}, {"Burger": 1}, {"Burger": 1}]
    counter = Scene(*said, boxes=[{"burger": 1}] * 3)
    counter.look_like([0.0, 0.0, 0.0])
    counter.frames[0] = replace(counter.frames[0], score=2.0)
    verdict = await counter.judge(paid, policy)
    assert sorted(counter.asked) == [0, 1, 2]
    assert verdict.status == ("accurate" if paid["Burger"] == 1 else "inaccurate")


def test_frames_that_look_like_another_come_last_so_that_others_are_affordable():
    counter = Scene(BOTH, BOTH, {"Burger": 1})
    counter.look_like([0.0, 0.0, 90.0])
    assert asking_order(counter.frames) == tuple(counter.frames[index] for index in (0, 2, 1))
    assert different_ones(asking_order(counter.frames)) == (counter.frames[0], counter.frames[2])


@pytest.mark.parametrize(
    ("cells", "boxes", "asked"),
    [
        ([0.0, 0.0, 0.0], None, 1),
        ([0.0, 8.0, 0.0], None, 1),  # noise
        ([0.0, 90.0, 0.0], None, 2),
        ([0.0, 90.0, 180.0], None, 3),
        ([None, None, None], None, 3),
        ([0.0, 0.0, 0.0], [BOXES, {"burger": 1}, {"burger": 1}], 2),
    ],
)
@pytest.mark.anyio
async def test_frames_are_the_same_by_what_is_counted_and_by_every_part_of_the_picture(cells, boxes, asked):
    counter = Scene(BOTH, BOTH, BOTH, boxes=boxes)
    counter.look_like(cells)
    verdict = await counter.judge(BOTH, ALL)
    assert len(counter.asked) == asked == verdict.vlm_calls


@pytest.mark.anyio
async def test_without_adaptive_evidence_all_are_asked_about_at_once():
    counter = Scene(BOTH, BOTH, BOTH)
    verdict = await counter.judge(BOTH, ALL)
    assert (verdict.status, verdict.vlm_calls) == ("accurate", 3)
    assert [len(batch) for batch in counter.engine.batches] == [3]


@pytest.mark.anyio
async def test_a_look_alike_that_lies_elsewhere_is_looked_at_too():
    fries, small = {"Burger": 1, "Large Fries": 1}, {"Burger": 1, "Small Fries": 1}
    same_place = Scene(fries, fries, small)
    assert (await same_place.judge(fries)).vlm_calls == 1
    elsewhere = Scene(fries, small, rows=[0, 10])
    assert (await elsewhere.judge(fries)).vlm_calls == 2
    assert (await Scene(BOTH, BOTH, rows=[0, 10]).judge(BOTH)).vlm_calls == 1


pieces_of_one_name_each = st.dictionaries(st.sampled_from(["Burger", "Large Fries", "Cola"]), st.integers(1, 2))


@settings(max_examples=40, deadline=None)
@given(st.lists(pieces_of_one_name_each, min_size=1, max_size=3), pieces_of_one_name_each.filter(bool))
def test_perfect_witnesses_need_fewer_questions_for_the_same_verdict(shown, paid):
    few = anyio.run(Scene(*shown).judge, paid)
    every = anyio.run(Scene(*shown).judge, paid, ALL)
    for what in ("status", "missing", "extra", "quantity_mismatch", "matched"):
        assert getattr(few, what) == getattr(every, what)
    assert few.vlm_calls <= every.vlm_calls == len(shown)
    if few.missing or any(line.seen < line.expected for line in few.quantity_mismatch):
        assert few.vlm_calls >= min(2, len(shown))


def test_what_was_paid_for_is_all_there_or_not():
    both = frame(0, {"burger": 1, "cola": 1})
    assert all_there([both], [Item("Burger"), Item("Cola")], MENU)
    assert not all_there([both], [Item("Burger", 2), Item("Cola")], MENU)
    assert not all_there([both], [Item("Burger")], MENU)
    assert not all_there([both, frame(1, {"burger": 2})], [Item("Burger", 2), Item("Cola")], MENU)
    assert not all_there([], [Item("Burger")], MENU)


@given(st.floats(0, 1))
def test_the_fuller_the_queue_the_fewer_the_frames(pressure):
    most = frames_affordable(pressure)
    assert most == (0 if pressure >= 1 else 1 if pressure >= 0.75 else 2 if pressure >= 0.5 else None)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("waiting", "paid", "status", "reason", "calls"),
    [
        (0, {"Burger": 2}, "inaccurate", None, 3),
        (4, {"Burger": 2}, "unsure", "overloaded", 2),
        (6, {"Burger": 2}, "unsure", "overloaded", 1),
        (6, BOTH, "accurate", None, 1),
        (8, BOTH, "undetermined", "overloaded", 0),
    ],
)
async def test_a_counter_that_cannot_wait_gives_up_frames_before_orders(waiting, paid, status, reason, calls):
    """Everything the model says of the third frame alone, so that two answers leave something open."""
    free = anyio.Event()

    class Busy(StagedEngine):
        async def generate(self, requests):
            await free.wait()
            return await super().generate(requests)

    said = [BOTH, BOTH, BOTH]
    boxes = [{"burger": 1, "cola": 1}] * 3 if paid is BOTH else [{"burger": 1, "cola": 1}] * 2 + [{"burger": 2}]
    counter = Scene(*said, boxes=boxes)
    counter.engine = Busy(counter._answer)
    batcher = VlmBatcher(counter.engine, max_batch_size=1, queue_size=8)
    judge = OrderJudge(batcher, MENU, JudgeSettings((56, 56)), ModelVersions())
    evidence = Evidence("s-1", "s", "7", None, tuple(counter.frames), 0, 10, "empty")
    book = FixedOrders({"7": [Item(name, count) for name, count in paid.items()]})
    given = []

    async def ask(number):
        await batcher.ask(VlmRequest(f"other {number}", np.zeros((28, 28, 3), np.uint8), "", priority=Priority.CLOSING))

    async def close():
        given.append(await judge.judge(evidence, book, EPOCH, 0.0, policy=AskPolicy(hurried=True)))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            await group.start(batcher.run)
            async with anyio.create_task_group() as askers:
                for number in range(waiting + 1):  # the first is with the engine
                    askers.start_soon(ask, number)
                await anyio.wait_all_tasks_blocked()
                assert batcher.pressure == waiting / 8
                askers.start_soon(close)
                await anyio.wait_all_tasks_blocked()
                free.set()
            group.cancel_scope.cancel()
    verdict = given[0]
    assert (verdict.status, verdict.reason, verdict.vlm_calls) == (status, reason, calls)
    assert verdict.order_id == "7"


class Held(StagedEngine):
    """Answers nothing until it is let go."""

    def __init__(self, answer):
        super().__init__(answer)
        self.free = anyio.Event()

    async def generate(self, requests):
        await self.free.wait()
        return await super().generate(requests)


NOT_WHAT_WAS_PAID = format_answer({"Burger": 1}, MENU.names)
TWO_BURGERS = FixedOrders({"7": [Item("Burger", 2)]})
HURRIED = AskPolicy(adaptive=False, early_look=False, hurried=True)


def three_frames(visit: int) -> Evidence:
    frames = tuple(frame(number, {"burger": 1}) for number in range(3))
    return Evidence(f"s/{visit}", "s", "7", None, frames, 0, 10, "empty")


@pytest.mark.anyio
async def test_orders_that_end_at_once_see_each_others_questions_coming():
    engine = Held(lambda _: NOT_WHAT_WAS_PAID)
    batcher = VlmBatcher(engine, max_batch_size=1, queue_size=8)
    judge = OrderJudge(batcher, MENU, JudgeSettings((56, 56)), ModelVersions())
    given = {}

    async def close(visit):
        given[visit] = await judge.judge(three_frames(visit), TWO_BURGERS, EPOCH, 0.0, policy=HURRIED)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            await group.start(batcher.run)
            async with anyio.create_task_group() as orders:
                for visit in range(6):
                    orders.start_soon(close, visit)
                await anyio.wait_all_tasks_blocked()
                engine.free.set()
            group.cancel_scope.cancel()
    # Of a queue of 8: 3 + 3 questions are coming, then one each is left for two, then none.
    assert [given[visit].vlm_calls for visit in range(6)] == [3, 3, 1, 1, 0, 0]
    assert [given[visit].status for visit in range(6)] == ["inaccurate"] * 2 + ["unsure"] * 2 + ["undetermined"] * 2
    assert {given[visit].reason for visit in range(2, 6)} == {"overloaded"}


@pytest.mark.anyio
async def test_with_default_limits_too_many_orders_cost_frames_and_then_verdicts_but_no_order():
    engine = Held(lambda _: NOT_WHAT_WAS_PAID)
    batcher = VlmBatcher(engine)
    judge = OrderJudge(batcher, MENU, JudgeSettings((56, 56)), ModelVersions())
    given = []

    async def sink(verdict):
        given.append(verdict)
        if verdict.status == "undetermined":
            engine.free.set()

    pipeline = Pipeline(judge, batcher, sink)
    script = random_script(500_003, 3)
    counter = Station(
        FrameReader(BlankSource(script, "s")),
        Eyes(PerfectObserver(script), StationTracker("s")),
        TWO_BURGERS,
        EPOCH,
        paced=False,
        policy=HURRIED,
    )

    async def all_at_once():
        pipeline.take(counter, [three_frames(visit) for visit in range(60)])

    with anyio.fail_after(30):
        await pipeline.serve(all_at_once)
    assert sorted(verdict.verdict_id for verdict in given) == sorted(f"s/{visit}" for visit in range(60))
    assert {verdict.vlm_calls for verdict in given} >= {0, 1, 2, 3}
    assert {(verdict.status, verdict.reason) for verdict in given} == {
        ("inaccurate", None),
        ("unsure", "overloaded"),
        ("undetermined", "overloaded"),
    }
