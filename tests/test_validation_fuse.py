from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderacc import Item, Menu, MenuItem
from orderacc.domain.detections import Box
from orderacc.domain.verdicts import SeenItem
from orderacc.simulator.menu import DEMO_ITEMS, GROUP_OF
from orderacc.validation import FrameAnswer, fuse
from orderacc.validation.judge import DOUBT_BELOW

DEMO = Menu(DEMO_ITEMS)
PLAIN = Menu((MenuItem("Burger"), MenuItem("Cola", aliases=("Coke",))))


def frame(said, boxes, *, complete=True):
    """`Taco 2, Cola` as the model said it, and the detector's counts."""
    items = []
    for part in filter(None, said.split(", ")):
        name, _, count = part.rpartition(" ")
        items.append(Item(name, int(count)) if count.isdigit() else Item(part))
    return FrameAnswer(tuple(items), lying(boxes), 0.0, complete=complete)


def lying(boxes, *, row=0):
    """Boxes side by side, at the same places in every frame of the same row."""
    return {
        label: [Box(100 * index, row, 100 * index + 90, row + 90) for index in range(count)]
        for label, count in boxes.items()
    }


def seen(answers, menu=DEMO):
    return {item.name: (item.quantity, item.confidence) for item in fuse(answers, menu)}


def test_no_frames_tell_nothing():
    assert fuse([], DEMO) == ()


def test_frames_that_agree_are_sure():
    answers = [frame("Burger 2, Cola", {"burger": 2, "cola": 1})] * 3
    assert fuse(answers, DEMO) == (SeenItem("Burger", 2, 1.0), SeenItem("Cola", 1, 1.0))


@pytest.mark.parametrize(
    ("probabilities", "confidence"),
    [((None, None), 1.0), ((0.97, 0.8), 1.0), ((0.4, 0.01), 0.5), ((0.01, 0.01), 0.0125), ((0.4, None), 1.0)],
)
def test_what_the_model_itself_doubts_is_doubted(probabilities, confidence):
    answers = [replace(frame("Burger", {"burger": 1}), probability=one) for one in probabilities]
    assert seen(answers) == {"Burger": (1, pytest.approx(confidence))}


def test_items_bagged_early_count_as_seen_at_their_most():
    answers = [
        frame("Burger 2", {"burger": 2}),
        frame("Burger, Taco", {"burger": 1, "taco": 1}),
        frame("Taco", {"taco": 1}),
    ]
    assert seen(answers) == {"Burger": (2, 1.0), "Taco": (1, 1.0)}


def test_repeated_names_and_aliases_in_one_answer_add_up():
    assert seen([frame("Cola, Coke, COLA", {"cola": 3})]) == {"Cola": (3, 1.0)}


class TestSecondWitness:
    def test_a_larger_count_said_once_without_support_is_set_aside(self):
        answers = [frame("Taco 2", {"taco": 1}), frame("Taco", {"taco": 1}), frame("Taco", {"taco": 1})]
        assert seen(answers) == {"Taco": (1, 0.8)}

    def test_it_stands_when_the_detector_supports_it(self):
        answers = [frame("Taco 2", {"taco": 2}), frame("Taco", {"taco": 1}), frame("Taco", {"taco": 1})]
        assert seen(answers) == {"Taco": (2, 1.0)}

    def test_it_stands_when_the_others_saw_fewer_boxes(self):
        answers = [frame("Taco 3", {"taco": 2}), frame("Taco", {"taco": 1}), frame("Taco", {"taco": 1})]
        quantity, confidence = seen(answers)["Taco"]
        assert quantity == 3
        assert confidence < DOUBT_BELOW

    def test_one_supporting_frame_against_one_claim_is_not_clear(self):
        quantity, confidence = seen([frame("Taco 2", {"taco": 1}), frame("Taco", {"taco": 1})])["Taco"]
        assert quantity == 2
        assert confidence < DOUBT_BELOW

    def test_a_count_that_two_frames_say_stands_against_the_detector(self):
        answers = [frame("Taco 2", {"taco": 1}), frame("Taco 2", {"taco": 1}), frame("Taco", {"taco": 1})]
        quantity, confidence = seen(answers)["Taco"]
        assert quantity == 2
        assert confidence >= DOUBT_BELOW

    def test_an_item_said_once_that_the_detector_never_saw_is_denied(self):
        answers = [frame("Burger, Taco", {"burger": 1}), frame("Burger", {"burger": 1}), frame("Burger", {"burger": 1})]
        assert seen(answers)["Taco"] == (0, 0.8)

    def test_two_wrong_counts_are_set_aside_one_after_the_other(self):
        answers = [frame(f"Taco {count}", {"taco": 1}) for count in (3, 2, 1, 1)]
        assert seen(answers)["Taco"][0] == 1

    def test_more_boxes_than_said_in_most_frames_is_doubt_unless_the_model_repeats_itself(self):
        often = [frame("Cola", {"cola": 2}), frame("Cola", {"cola": 2}), frame("Cola", {"cola": 1})]
        once = [frame("Cola", {"cola": 2}), frame("", {"cola": 2}), frame("", {"cola": 1})]
        assert seen(often) == {"Cola": (1, 0.7)}
        quantity, confidence = seen(once)["Cola"]
        assert quantity == 1
        assert confidence < DOUBT_BELOW

    def test_one_frame_with_a_box_too_many_is_none(self):
        answers = [frame("Cola", {"cola": 2}), frame("Cola", {"cola": 1}), frame("Cola", {"cola": 1})]
        assert seen(answers) == {"Cola": (1, 1.0)}

    def test_boxes_of_what_the_model_never_says_are_doubt_about_every_name_of_the_label(self):
        answers = [frame("Burger", {"burger": 1, "fries": 1})] * 2 + [frame("Burger", {"burger": 1})]
        assert seen(answers) == {"Burger": (1, 1.0), "Small Fries": (0, 0.5), "Large Fries": (0, 0.5)}

    def test_a_box_in_one_frame_of_three_is_not(self):
        answers = [frame("Burger", {"burger": 1, "taco": 1})] + [frame("Burger", {"burger": 1})] * 2
        assert set(seen(answers)) == {"Burger"}


class TestLookAlikes:
    def test_one_piece_called_two_things_counts_once(self):
        answers = [frame("Small Fries", {"fries": 1}), frame("Large Fries", {"fries": 1})]
        found = seen(answers)
        assert sorted(quantity for quantity, _ in found.values()) == [0, 1]
        assert all(confidence < DOUBT_BELOW for _, confidence in found.values())

    def test_most_frames_decide_what_it_is(self):
        answers = [frame(name, {"fries": 1}) for name in ("Small Fries", "Large Fries", "Large Fries")]
        found = seen(answers)
        assert found["Large Fries"][0] == 1
        assert found["Large Fries"][1] >= DOUBT_BELOW
        assert found["Small Fries"][0] == 0

    def test_both_in_one_frame_are_two(self):
        answers = [
            frame("Small Fries, Large Fries", {"fries": 2}),
            frame("Small Fries", {"fries": 1}),
            frame("Large Fries", {"fries": 1}),
        ]
        assert seen(answers) == {"Small Fries": (1, 1.0), "Large Fries": (1, 1.0)}

    def test_frames_with_fewer_pieces_help_to_choose(self):
        answers = [
            frame("Cola 2", {"cola": 2}),
            frame("Cola, Diet Cola", {"cola": 2}),
            frame("Diet Cola", {"cola": 1}),
        ]
        assert seen(answers)["Diet Cola"][0] == 1


class TestUnfinishedAnswers:
    def test_a_cut_answer_does_not_support_an_absence(self):
        cut = frame("Burger", {"burger": 1}, complete=False)
        answers = [frame("Burger, Taco", {"burger": 1}), cut, cut]
        assert seen(answers)["Taco"][0] == 1

    def test_only_cut_answers_leave_the_whole_menu_in_doubt(self):
        found = seen([frame("Burger", {"burger": 1}, complete=False)])
        assert set(found) == set(DEMO.names)
        assert found["Burger"] == (1, 0.5)
        assert found["Coffee"] == (0, 0.5)


class TestWithoutDetectorLabels:
    def test_the_largest_count_with_the_frames_agreement(self):
        answers = [frame("Burger 2", {"cup": 1}), frame("Burger", {}), frame("Burger, Fish", {})]
        found = seen(answers, PLAIN)
        assert found["Burger"] == (2, 0.5 + 0.5 / 3)
        assert found["Fish"] == (1, 0.5 + 0.5 / 3)
        assert all(confidence >= DOUBT_BELOW for _, confidence in found.values())

    def test_no_menu_at_all(self):
        assert fuse([frame("burger", {}), frame("Burger", {})]) == (SeenItem("Burger", 1, 1.0),)

    def test_a_detector_that_says_nothing_is_no_witness(self):
        assert seen([frame("Taco", {}), frame("Taco", {})]) == {"Taco": (1, 1.0)}


COUNTS = st.dictionaries(st.sampled_from(DEMO.names), st.integers(1, 3), max_size=4)


@st.composite
def frames(draw):
    """A frame of any items, whose detector is right, blind or seeing double."""
    count = draw(COUNTS)
    boxes = Counter()
    for name, quantity in count.items():
        boxes[GROUP_OF[name]] += quantity
    for label in list(boxes):
        boxes[label] = max(0, boxes[label] + draw(st.sampled_from([0, 0, 0, -1, 1])))
    items = tuple(Item(name, quantity) for name, quantity in count.items())
    return FrameAnswer(
        items, lying(boxes), draw(st.floats(0, 100)), complete=draw(st.sampled_from([True, True, True, False]))
    )


ANSWERS = st.lists(frames(), min_size=1, max_size=5)


@given(ANSWERS, st.randoms(use_true_random=False), st.sampled_from([DEMO, PLAIN, None]))
def test_the_frames_order_decides_nothing(answers, random, menu):
    shuffled = list(answers)
    random.shuffle(shuffled)
    assert fuse(answers, menu) == fuse(shuffled, menu)


@given(ANSWERS)
def test_nothing_is_counted_that_no_frame_says(answers):
    said = [Counter({item.name: item.quantity for item in answer.items}) for answer in answers]
    for item in fuse(answers, DEMO):
        assert item.quantity <= max(count[item.name] for count in said)
        assert 0 <= item.confidence <= 1


@given(ANSWERS, frames())
def test_without_labels_one_more_frame_never_lowers_a_count(answers, more):
    before = {item.name: item.quantity for item in fuse(answers, PLAIN)}
    after = {item.name: item.quantity for item in fuse([*answers, more], PLAIN)}
    assert all(after.get(name, 0) >= quantity for name, quantity in before.items())


@given(st.lists(COUNTS, min_size=1, max_size=4))
def test_where_the_detector_always_agrees_the_largest_total_of_each_group_is_taken(counts):
    answers = []
    for count in counts:
        boxes = Counter()
        for name, quantity in count.items():
            boxes[GROUP_OF[name]] += quantity
        answers.append(FrameAnswer(tuple(Item(*pair) for pair in count.items()), lying(boxes), 0.0))
    totals = Counter()
    for item in fuse(answers, DEMO):
        totals[GROUP_OF[item.name]] += item.quantity
    for group in set(GROUP_OF.values()):
        assert totals[group] == max(len(answer.detected.get(group, ())) for answer in answers)


@given(frames(), st.integers(1, 4))
def test_a_frame_said_again_changes_no_count(answer, times):
    once = [(item.name, item.quantity) for item in fuse([answer], DEMO) if item.quantity]
    again = [(item.name, item.quantity) for item in fuse([answer] * times, DEMO) if item.quantity]
    assert once == again


def test_a_look_alike_bagged_before_the_others_came_counts_too():
    early = FrameAnswer((Item("Cola"),), lying({"cola": 1}, row=300), 1.0)
    late = FrameAnswer((Item("Diet Cola", 2),), lying({"cola": 2}), 2.0)
    assert seen([early, late, late]) == {"Cola": (1, 1.0), "Diet Cola": (2, 1.0)}


@pytest.mark.parametrize(("sure", "confidence"), [((0.9, 0.9), 1.0), ((0.2, 0.9), 0.25), ((0.9, 0.2), 0.25)])
def test_of_frames_that_are_added_up_the_least_sure_counts(sure, confidence):
    early = FrameAnswer((Item("Cola"),), lying({"cola": 1}, row=300), 1.0, probability=sure[0])
    late = FrameAnswer((Item("Diet Cola", 2),), lying({"cola": 2}), 2.0, probability=sure[1])
    assert seen([early, late]) == {"Cola": (1, pytest.approx(confidence)), "Diet Cola": (2, pytest.approx(confidence))}


def test_a_look_alike_in_the_same_place_is_the_same_piece_misread():
    misread = FrameAnswer((Item("Cola"),), lying({"cola": 1}), 1.0)
    late = FrameAnswer((Item("Diet Cola", 2),), lying({"cola": 2}), 2.0)
    assert seen([misread, late, late])["Cola"][0] == 0


def test_a_look_alike_laid_where_another_was_taken_away_counts_too():
    early = FrameAnswer((Item("Diet Cola"),), lying({"cola": 1}), 1.0)
    between = FrameAnswer((Item("Taco"),), lying({"taco": 1}), 2.0)
    late = FrameAnswer((Item("Cola"), Item("Taco")), lying({"cola": 1, "taco": 1}), 3.0)
    found = seen([early, between, late])
    assert (found["Diet Cola"][0], found["Cola"][0], found["Taco"][0]) == (1, 1, 1)


def test_boxes_here_and_there_of_what_the_model_never_says_are_no_doubt():
    one = FrameAnswer((Item("Taco"),), lying({"taco": 1}) | lying({"chicken": 1}, row=300), 1.0)
    other = FrameAnswer((Item("Taco"),), lying({"taco": 1}) | lying({"chicken": 1}, row=600), 2.0)
    assert seen([one, other]) == {"Taco": (1, 1.0)}
    assert seen([one, one])["Chicken Leg"][0] == 0
