"""Frame times, the choice of frames, pacing."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orderacc.capture.timing import BACKLOG, FAR, LAG, LEAP, SLACK, Decimator, FrameClock, LiveClock, Pace

if TYPE_CHECKING:
    from random import Random

times = st.lists(st.integers(1, 400), max_size=200).map(
    lambda gaps: [Fraction(sum(gaps[:i]), 1000) for i in range(len(gaps))]
)


def kept(fps: float | None, stamps: list[Fraction]) -> list[Fraction]:
    decimator = Decimator(fps)
    return [at for at in stamps if decimator.keeps(at)]


@given(
    st.lists(st.none() | st.integers(-(10**12), 10**12)), st.sampled_from([None, Fraction(1, 90000), Fraction(1, 30)])
)
def test_time_starts_at_zero_and_only_grows(stamps: list[int | None], time_base: Fraction | None) -> None:
    clock = FrameClock(time_base, Fraction(30))
    result = [clock.at(pts) for pts in stamps]
    assert result[:1] in ([], [0])
    assert all(a < b for a, b in pairwise(result))


@given(st.lists(st.integers(1, 10_000), min_size=1), st.integers(-(10**9), 10**9))
def test_growing_stamps_are_taken_as_they_are(gaps: list[int], start: int) -> None:
    clock = FrameClock(Fraction(1, 1000), Fraction(30))
    stamps = [start + sum(gaps[:i]) for i in range(len(gaps))]
    assert [clock.at(pts) for pts in stamps] == [Fraction(pts - start, 1000) for pts in stamps]


def test_a_stream_that_starts_over_goes_on_at_its_rate() -> None:
    clock = FrameClock(Fraction(1, 10), Fraction(10))
    assert [float(clock.at(pts)) for pts in (50, 51, 52, 0, 1, 2)] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_stamps_that_come_late_continue_where_guessing_stopped() -> None:
    clock = FrameClock(Fraction(1, 10), Fraction(10))
    assert [float(clock.at(pts)) for pts in (None, None, 70, 72)] == pytest.approx([0, 0.1, 0.2, 0.4])


arrivals = st.lists(st.floats(0, 30), max_size=100).map(lambda gaps: [sum(gaps[: i + 1]) for i in range(len(gaps))])


@given(st.data(), arrivals, st.sampled_from([None, Fraction(1, 90000), Fraction(1, 30)]))
def test_live_time_grows_whatever_the_camera_says_and_never_leaps(
    data: st.DataObject, came: list[float], time_base: Fraction | None
) -> None:
    clock = LiveClock(time_base, Fraction(10))
    stamps = data.draw(st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=len(came), max_size=len(came)))
    result = [clock.at(pts, at) for pts, at in zip(stamps, came, strict=True)]
    assert result[:1] in ([], [0])
    for (a, b), (before, after) in zip(pairwise(result), pairwise(came), strict=True):
        assert 0 < b - a <= max(Fraction(1, 10), Fraction(after - before)) + LEAP + Fraction(1, 1000)


def live(stamps: list[int | None], came: list[float]) -> list[float]:
    clock = LiveClock(Fraction(1, 10), Fraction(10))
    return [round(float(clock.at(pts, at)), 3) for pts, at in zip(stamps, came, strict=True)]


@pytest.mark.parametrize(
    ("stamps", "came", "expected"),
    [
        pytest.param([70, 71, 72, 73], [5, 5.13, 5.18, 5.3], [0, 0.1, 0.2, 0.3], id="the network trembles"),
        pytest.param([70, 71, 101, 102, 103], [5, 5.1, 8.3, 8.3, 8.3], [0, 0.1, 3.1, 3.2, 3.3], id="a backlog"),
        pytest.param([70, 71, 40_000, 40_001], [5, 5.1, 5.2, 5.3], [0, 0.1, 0.2, 0.3], id="an hour ahead"),
        pytest.param([70, 71, 0, 1], [5, 5.1, 6.1, 6.2], [0, 0.1, 1.1, 1.2], id="starting over"),
        pytest.param([0, 0, 0, 0], [5, 5.1, 5.2, 5.4], [0, 0.1, 0.2, 0.4], id="standing still"),
        pytest.param([None] * 4, [5, 5.1, 5.2, 5.4], [0, 0.1, 0.2, 0.4], id="missing"),
        pytest.param([None, 71, 72, 73], [5, 5, 5, 5.2], [0, 0.1, 0.2, 0.3], id="missing at first"),
        pytest.param([70, None, None, 73], [5, 5.1, 5.2, 5.3], [0, 0.1, 0.2, 0.3], id="missing at times"),
    ],
)
def test_live_time(stamps: list[int | None], came: list[float], expected: list[float]) -> None:
    assert live(stamps, came) == expected


def told(seconds: list[float], came: list[float]) -> list[float]:
    """Frame times of a camera that says these."""
    clock = LiveClock(Fraction(1, 90_000), Fraction(10))
    return [float(clock.at(round(says * 90_000), at)) for says, at in zip(seconds, came, strict=True)]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 135_000))
@example(1)
@example(3600)
@example(22_500)
@example(129_060)
@example(180_000)
def test_a_wrong_rate_does_not_add_up(ticks: int) -> None:
    came = [index / 10 for index in range(400)]
    result = told([index * ticks / 90_000 for index in range(400)], came)
    rate = ticks / 9000
    behind = 2 * (LAG + BACKLOG + 1)
    ahead = 2 * (min(FAR, max(rate - 1, 0) * BACKLOG) + 2 * LEAP + rate / 10)
    assert all(-behind <= at - real <= ahead for at, real in zip(result, came, strict=True))
    if not 0.6 < rate < 1.4:
        # By now it is known, and the arrivals tell the time.
        assert result[-1] - result[-101] == pytest.approx(10, abs=0.01)


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.lists(st.tuples(st.floats(5, 20), st.floats(0, 8)), max_size=4))
def test_a_right_clock_is_believed_through_trembling_and_backlogs(
    random: Random, stalls: list[tuple[float, float]]
) -> None:
    delays = [random.random() for _ in range(300)]
    taken = [index / 5 for index in range(300)]
    came = [at + delay for at, delay in zip(taken, delays, strict=True)]
    start = 0.0
    for pause, length in stalls:
        start += pause
        came = [start + length if start <= at < start + length else at for at in came]
        start += length
    arrived = [max(came[: index + 1]) for index in range(len(came))]
    assert told(taken, arrived) == pytest.approx(taken, abs=0.001)


def test_a_backlog_that_comes_slowly_and_one_that_is_handed_over_at_the_start_are_believed() -> None:
    taken = [index / 10 for index in range(900)]
    slowly = [at if at < 20 or at >= 44 else 28 + (at - 20) * 2 / 3 for at in taken]
    assert told(taken, slowly) == pytest.approx(taken, abs=0.001)
    at_once = [max(0.0, at - 12) for at in taken]
    assert told(taken, at_once) == pytest.approx(taken, abs=0.001)


@given(st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=200), st.sampled_from([5, 10, 25, 30]))
def test_a_camera_at_just_the_rate_asked_for_loses_nothing_to_trembling(shifts: list[float], fps: int) -> None:
    decimator = Decimator(fps, live=True)
    stamps = [Fraction(round((index + shift) * 1000 / fps), 1000) for index, shift in enumerate([0.0, 0.0, *shifts])]
    assert all(decimator.keeps(at) for at in stamps)


@given(st.lists(st.floats(-0.2, 0.2), min_size=60, max_size=200))
def test_a_third_of_a_live_stream_is_a_third_of_it(shifts: list[float]) -> None:
    decimator = Decimator(10, live=True)
    kept = sum(
        decimator.keeps(Fraction(round((index + shift) * 1000 / 30), 1000)) for index, shift in enumerate(shifts)
    )
    assert kept == pytest.approx(len(shifts) / 3, abs=2)


@given(times, st.floats(0.5, 60))
def test_no_more_frames_than_beats_and_none_early(stamps: list[Fraction], fps: float) -> None:
    chosen = kept(fps, stamps)
    assert chosen[:1] == stamps[:1]
    rate = Fraction(fps).limit_denominator(1001)
    beats = [int((at + SLACK) * rate) for at in chosen]
    assert all(a < b for a, b in pairwise(beats))


@given(times, st.floats(0.5, 60))
def test_every_beat_that_has_a_frame_gets_its_first(stamps: list[Fraction], fps: float) -> None:
    rate = Fraction(fps).limit_denominator(1001)
    first: dict[int, Fraction] = {}
    for at in stamps:
        first.setdefault(int((at + SLACK) * rate), at)
    assert kept(fps, stamps) == list(first.values())


def test_an_hour_of_broadcast_rate_does_not_drift() -> None:
    stamps = [Fraction(i * 1001, 30000) for i in range(3600 * 30)]
    chosen = kept(10, stamps)
    assert len(chosen) == 36036
    assert all(0 <= at * 10 - beat + SLACK * 10 < 10 / Fraction(29) for beat, at in enumerate(chosen))


@given(times)
def test_no_rate_keeps_all(stamps: list[Fraction]) -> None:
    assert kept(None, stamps) == stamps


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


def test_frames_are_held_until_they_are_due() -> None:
    clock = Clock()
    pace = Pace(clock.wait, clock=clock)
    assert all(pace.until(at) for at in (5.0, 5.1, 5.4))
    assert clock.waits == pytest.approx([0.1, 0.3])


def test_speed_shortens_the_waits() -> None:
    clock = Clock()
    pace = Pace(clock.wait, speed=4, clock=clock)
    assert all(pace.until(at) for at in (0, 1, 3))
    assert clock.waits == pytest.approx([0.25, 0.5])


def test_a_late_frame_is_due_at_once_and_the_rest_catches_up() -> None:
    clock = Clock()
    pace = Pace(clock.wait, clock=clock)
    pace.until(0)
    clock.now += 2.5
    assert all(pace.until(at) for at in (1, 2, 3))
    assert clock.waits == pytest.approx([0.5])


def test_a_wait_cut_short_says_so() -> None:
    pace = Pace(lambda _: True, clock=Clock())
    assert pace.until(0)
    assert not pace.until(1)


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_speed_must_be_positive(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        Pace(lambda _: True, speed=speed)
