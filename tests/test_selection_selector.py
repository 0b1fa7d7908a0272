from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc.domain.detections import HAND, SLIP, Box, Detection
from orderacc.domain.evidence import Candidate
from orderacc.domain.frames import Frame
from orderacc.selection.selector import POOL, Selector

IMAGE = np.zeros((2, 2, 3), np.uint8)
BOX = Box(0, 0, 10, 10)


def candidate(at, *labels, score=0.8):
    """A frame with these items; `score` is per item, as perception's scores grow with what is in view."""
    detections = tuple(Detection(label, 0.9, BOX) for label in labels)
    return Candidate(Frame("s1", round(at * 10), at, IMAGE), detections, score * max(1, len(labels)))


def offered(selector, start, seconds, *labels, score=0.8, fps=10):
    for step in range(round(seconds * fps)):
        selector.offer(candidate(start + step / fps, *labels, score=score))


def labels(chosen):
    return {(found.label) for one in chosen for found in one.detections}


def times(chosen):
    return [one.frame.at for one in chosen]


def test_kinds_bagged_one_after_the_other_are_all_shown():
    selector = Selector(3)
    offered(selector, 0, 3, "burger", "burger")
    offered(selector, 3, 3, "taco", score=0.4)
    offered(selector, 6, 3, "cola", "fries")
    assert labels(selector.choose()) == {"burger", "taco", "cola", "fries"}


def test_largest_count_of_a_kind_is_shown_though_seen_briefly_and_early():
    selector = Selector(3)
    offered(selector, 0, 1, "burger", score=0.9)
    offered(selector, 1, 0.6, "burger", "burger", score=0.6)
    offered(selector, 2, 60, "burger", "cola", score=0.9)
    counts = [[found.label for found in one.detections].count("burger") for one in selector.choose()]
    assert max(counts) == 2


def test_flicker_of_two_frames_is_not_chosen():
    selector = Selector(2)
    offered(selector, 0, 10, "burger")
    offered(selector, 10, 0.2, "burger", "pizza", score=0.3)
    offered(selector, 10.2, 10, "burger")
    assert labels(selector.choose()) == {"burger"}


def test_last_state_before_the_hand_off_is_shown():
    selector = Selector(3)
    offered(selector, 0, 39, "burger", "cola", score=1.0)
    offered(selector, 39, 0.5, "burger", "cola", "salad", score=0.4)
    assert "salad" in labels(selector.choose())


def test_one_state_is_looked_at_at_different_times():
    selector = Selector(3)
    offered(selector, 0, 20, "burger", "fries")
    chosen = times(selector.choose())
    assert chosen[1] - chosen[0] > 2
    assert chosen[2] - chosen[1] > 2


def test_sharper_frame_of_the_same_things_wins():
    selector = Selector(1)
    offered(selector, 0, 5, "burger", score=0.3)
    selector.offer(candidate(5.0, "burger", score=0.9))
    offered(selector, 5.1, 5, "burger", score=0.3)
    assert times(selector.choose()) == [5.0]


def test_frames_without_food_only_when_there_is_nothing_else():
    selector = Selector(3)
    offered(selector, 0, 3, SLIP, HAND)
    assert len(selector.choose()) == 3
    offered(selector, 3, 0.5, "burger", score=0.1)
    assert all("burger" in {found.label for found in one.detections} for one in selector.choose())


def test_nothing_offered_nothing_chosen():
    assert Selector(3).choose() == ()


def test_at_least_one_frame_must_be_asked_for():
    with pytest.raises(ValueError, match="k must"):
        Selector(0)


streams = st.lists(
    st.tuples(
        st.floats(0.03, 2.0),
        st.lists(st.sampled_from(["burger", "cola", "taco", SLIP]), max_size=5),
        st.floats(0.0, 1.0),
    ),
    max_size=80,
)


def candidates(stream):
    at, made = 0.0, []
    for step, found, score in stream:
        at += step
        made.append(candidate(at, *found, score=score))
    return made


@settings(max_examples=60, deadline=None)
@given(streams, st.integers(1, 5))
def test_any_stream_is_chosen_from_in_bounded_memory_and_in_time_order(stream, k):
    selector = Selector(k)
    all_of_them = candidates(stream)
    for one in all_of_them:
        selector.offer(one)
        assert len(selector) <= POOL
    chosen = selector.choose()
    assert len(chosen) <= k
    assert bool(chosen) == bool(all_of_them)
    assert times(chosen) == sorted(times(chosen))
    assert len({id(one) for one in chosen}) == len(chosen)
    assert {id(one) for one in chosen} <= {id(one) for one in all_of_them}
    assert chosen == selector.choose()


def test_what_only_poor_frames_show_is_not_sought():
    selector = Selector(3)
    offered(selector, 0, 4, "donut")
    offered(selector, 4, 0.5, "donut", "chicken", score=0.1)
    assert labels(selector.choose()) == {"donut"}


def test_parts_joined_show_what_each_showed():
    first, second = Selector(3), Selector(3)
    offered(first, 0, 5, "burger")
    offered(second, 5, 5, "cola")
    first.absorb(second)
    assert labels(first.choose()) == {"burger", "cola"}


@settings(max_examples=60, deadline=None)
@given(streams, st.integers(0, 80))
def test_parts_selected_apart_and_joined_stay_bounded_and_in_time_order(stream, cut):
    all_of_them = candidates(stream)
    whole, part = Selector(3), Selector(3)
    for one in all_of_them[:cut]:
        whole.offer(one)
    for one in all_of_them[cut:]:
        part.offer(one)
    whole.absorb(part)
    assert len(whole) <= POOL
    assert times(whole.choose()) == sorted(times(whole.choose()))
    assert bool(whole.choose()) == bool(all_of_them)


seconds = st.floats(0.3, 5.0)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["burger", "cola", "taco", "wrap"]), min_size=1, max_size=4), st.floats(0.3, 9)
        ),
        min_size=1,
        max_size=12,
    )
)
def test_kinds_that_fit_into_k_frames_are_all_shown(states):
    """Two states hold everything that is ever seen; whatever else comes and goes, three frames show it all."""
    selector, at = Selector(3), 0.0
    everything = ["burger", "cola"], ["taco", "taco", "wrap"]
    for state, seconds in [(everything[0], 1.0), *states, (everything[1], 1.0), *states]:
        offered(selector, at, seconds, *(state if state in everything else dict.fromkeys(state)), score=0.7)
        at += seconds
    shown = [[found.label for found in one.detections] for one in selector.choose()]
    for label, count in (("burger", 1), ("cola", 1), ("taco", 2), ("wrap", 1)):
        assert max(one.count(label) for one in shown) >= count
