"""When a slip is read."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orderacc.perception.reading_policy import RETRY_AFTER, RETRY_LATER, VERIFY_AFTER, ReadingPolicy


def play(policy, moments, fps=10):
    """Feed (seen, alike, covered, outcome) frames; returns the times at which it read. `alike` None: as last read."""
    times, read_look = [], False
    for index, (seen, alike, covered, outcome) in enumerate(moments):
        at = index / fps
        same = read_look if alike is None else alike
        if policy.wants(at, seen=seen, alike=same, covered=covered):
            times.append(at)
            policy.tried(at, outcome)
            read_look = read_look or outcome is not None
    return times


def test_a_new_slip_is_read_in_its_second_frame_and_once_more_later():
    times = play(ReadingPolicy(), [(True, None, False, "84")] * 60)
    assert times[0] == 0.1
    assert len(times) == 2
    assert VERIFY_AFTER <= times[1] - times[0] <= VERIFY_AFTER + 0.11


def test_disagreeing_readings_are_followed_by_another():
    policy = ReadingPolicy()
    assert policy.wants(0.0, seen=True, alike=False, covered=False) is False
    for at, text in ((0.1, "84"), (0.7, "64"), (1.3, "84"), (1.9, "84")):
        assert policy.wants(at, seen=True, alike=at > 0.1, covered=False)
        policy.tried(at, text)
    assert not policy.wants(9.0, seen=True, alike=True, covered=False)


def test_an_unreadable_slip_is_tried_at_a_pace_that_slows_down():
    times = play(ReadingPolicy(), [(True, None, False, None)] * 150)
    gaps = [round(b - a, 6) for a, b in pairwise(times)]
    assert min(gaps) >= RETRY_AFTER
    assert gaps[0] < RETRY_LATER <= gaps[-1]
    assert len(times) < 18


def test_not_while_covered_and_at_once_afterwards():
    moments = [(True, None, False, "84")] * 20 + [(True, False, True, "8")] * 10 + [(True, False, False, "84")] * 2
    times = play(ReadingPolicy(), moments)
    assert not [at for at in times if 2.0 <= at < 3.0]
    assert 3.0 in times


def test_a_slip_that_comes_back_is_read_again_though_it_looks_the_same():
    moments = [(True, None, False, "84")] * 20 + [(False, None, False, None)] * 5 + [(True, True, False, "84")] * 10
    assert [at for at in play(ReadingPolicy(), moments) if at > 2.5] == [2.6]


def test_a_changed_look_is_read_again():
    moments = [(True, None, False, "84")] * 20 + [(True, False, False, "85")] + [(True, True, False, "85")] * 20
    times = play(ReadingPolicy(), moments)
    assert times[2] == 2.0
    assert len(times) == 4


frames = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.sampled_from([None, "84", "85"])), max_size=120
)


@given(frames)
def test_never_unseen_covered_or_in_a_first_frame(moments):
    times = set(play(ReadingPolicy(), moments))
    for index, (seen, _, covered, _) in enumerate(moments):
        if index / 10 in times:
            assert seen
            assert not covered
            assert index > 0
            assert moments[index - 1][0]


@given(frames)
def test_the_same_frames_give_the_same_decisions(moments):
    assert play(ReadingPolicy(), moments) == play(ReadingPolicy(), moments)
