"""What leads from one phase to the next; how failures are counted; how long it is waited. All without a clock."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orderacc.backoff import JITTER, Backoff
from orderacc.breaker import JITTER as SPREAD
from orderacc.breaker import MARGIN, Circuit, CircuitBreaker
from orderacc.capture import CapturePolicy, StationPhase
from orderacc.capture.life import HISTORY, OPENING, TABLE, WAITING, Event, StationLife
from orderacc.capture.recovery import Recovery

gaps = st.floats(0, 200, allow_nan=False)
chance = st.randoms(use_true_random=False)


def reachable(start: StationPhase, without: frozenset[StationPhase] = frozenset()) -> set[StationPhase]:
    found, todo = {start}, [start]
    while todo:
        for after in TABLE[todo.pop()].values():
            if after not in found | without:
                found.add(after)
                todo.append(after)
    return found


def test_every_phase_has_its_row_and_can_be_reached() -> None:
    assert set(TABLE) == set(StationPhase)
    assert reachable(StationPhase.STOPPED) == set(StationPhase)


@pytest.mark.parametrize("phase", list(StationPhase))
def test_from_everywhere_there_is_a_way_to_frames_and_one_to_the_end(phase: StationPhase) -> None:
    assert StationPhase.STOPPED in reachable(phase)
    assert StationPhase.RUNNING in reachable(phase)


@pytest.mark.parametrize("phase", [one for one in StationPhase if one not in {"stopped", "shutting_down"}])
def test_a_station_that_lives_comes_back_without_being_stopped_and_can_always_be_stopped(phase: StationPhase) -> None:
    assert StationPhase.RUNNING in reachable(phase, without=frozenset({StationPhase.SHUTTING_DOWN}))
    assert TABLE[phase][Event.STOP] is StationPhase.SHUTTING_DOWN


def test_only_a_frame_makes_a_station_run() -> None:
    ways = {(phase, event) for phase, row in TABLE.items() for event, after in row.items() if after == "running"}
    assert ways == {(StationPhase.STARTING, Event.FRAME), (StationPhase.HALF_OPEN, Event.FRAME)}


def test_an_open_circuit_is_left_by_a_probe_a_wish_or_the_end_only() -> None:
    assert set(TABLE[StationPhase.CIRCUIT_OPEN]) == {Event.PROBE, Event.RESTART, Event.STOP}


@given(st.lists(st.tuples(st.sampled_from(list(Event)), gaps), max_size=200))
def test_a_life_follows_the_table_and_remembers_the_way(events: list[tuple[Event, float]]) -> None:
    life, now, taken = StationLife(), 0.0, []
    for event, gap in events:
        now += gap
        before = life.phase
        if event in TABLE[before]:
            move = life.take(event, now, event.value)
            taken.append(move)
            assert (move.before, move.after, move.at) == (before, TABLE[before][event], now)
            assert (life.phase, life.since) == (move.after, now)
        else:
            with pytest.raises(ValueError, match="knows no"):
                life.take(event, now, event.value)
            assert life.phase is before
    assert life.moves == tuple(taken[-HISTORY:])
    assert all(a.after is b.before for a, b in pairwise(life.moves))


@given(st.integers(1, 10), st.floats(1, 300), st.floats(0.1, 60), st.lists(gaps, max_size=100))
def test_the_breaker_opens_exactly_when_the_window_is_full(
    threshold: int, window: float, cooldown: float, failures: list[float]
) -> None:
    breaker, now, counted = CircuitBreaker(threshold, window, cooldown, random.Random(1)), 0.0, []
    for gap in failures:
        now += gap
        if breaker.circuit is Circuit.OPEN:
            break
        counted.append(now)
        full = len(counted) >= threshold and now - counted[-threshold] <= window
        assert breaker.failed(now) is full
        assert (breaker.circuit is Circuit.OPEN) is full
    assert breaker.trips == (breaker.circuit is Circuit.OPEN)


@given(st.floats(0, 1000), st.floats(0.1, 60), st.floats(0, 0.99), st.floats(0, 100), chance)
def test_an_open_breaker_lets_one_through_within_the_cooldown(
    at: float, cooldown: float, early: float, late: float, rng: random.Random
) -> None:
    breaker = CircuitBreaker(1, 10, cooldown, rng)
    assert breaker.probe(at)
    assert breaker.failed(at)
    assert at + cooldown * (1 - MARGIN - SPREAD) <= breaker.probe_at * 1.0001
    assert breaker.probe_at <= (at + cooldown * (1 - MARGIN)) * 1.0001
    assert not breaker.probe(at + (breaker.probe_at - at) * early)
    assert breaker.circuit is Circuit.OPEN
    now = breaker.probe_at + late
    assert breaker.probe(now)
    assert breaker.circuit is Circuit.HALF_OPEN
    assert not breaker.probe(now)  # the one is on its way
    assert breaker.failed(now)
    assert breaker.circuit is Circuit.OPEN
    assert breaker.trips == 1


@given(st.floats(0, 30), chance)
def test_the_time_an_attempt_took_is_part_of_the_cooldown(took: float, rng: random.Random) -> None:
    breaker = CircuitBreaker(1, 10, 10, rng)
    assert breaker.failed(100 + took, 100)
    assert 100 + took <= breaker.probe_at <= max(109, 100 + took)


@given(st.lists(st.sampled_from(["fail", "close"]), max_size=50))
def test_health_forgets_everything(steps: list[str]) -> None:
    breaker = CircuitBreaker(3, 100, 10, random.Random(1))
    for now, step in enumerate(steps):
        breaker.failed(now) if step == "fail" else breaker.close()
    breaker.close()
    assert [breaker.failed(1000), breaker.failed(1000), breaker.failed(1000)] == [False, False, True]


@given(st.floats(0.01, 60), st.floats(1, 100), chance, st.integers(1, 60))
def test_waits_double_to_the_longest_and_chance_only_shortens_them(
    first: float, factor: float, rng: random.Random, count: int
) -> None:
    longest = first * factor
    backoff = Backoff(first, longest, rng)
    for turn in range(count):
        full = min(longest, first * 2**turn)
        wait = backoff.next()
        assert full * (1 - JITTER) * 0.999 <= wait <= full * 1.001
    backoff.reset()
    assert backoff.next() <= first


def test_two_stations_do_not_wait_in_step() -> None:
    waits = [[Backoff(1, 15, random.Random(seed)).next() for _ in range(5)] for seed in (1, 2)]
    assert waits[0] != waits[1]


class StationMachine(RuleBasedStateMachine):
    """Everything that can happen to a station, in any order, through the door the supervisor uses."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = CapturePolicy()
        self.recovery = Recovery(self.policy, random.Random(3))
        self.now = 0.0
        self.ran_from: float | None = None
        self.recovery.start(self.now)

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.recovery.phase in OPENING | {StationPhase.RUNNING})
    @rule()
    def frame(self) -> None:
        self.recovery.alive(self.now, self.now)
        assert self.recovery.phase is StationPhase.RUNNING

    @precondition(lambda self: self.recovery.phase in OPENING | {StationPhase.RUNNING})
    @rule()
    def silence(self) -> None:
        self.recovery.silent(self.now)
        self.fails()

    @precondition(lambda self: self.recovery.phase in OPENING | {StationPhase.RUNNING})
    @rule()
    def fails(self) -> None:
        probing = self.recovery.phase is StationPhase.HALF_OPEN
        self.recovery.failed(self.now, "timeout")
        assert self.recovery.phase in WAITING
        if probing:
            assert self.recovery.phase is StationPhase.CIRCUIT_OPEN
        self.due_in_time()

    @precondition(lambda self: self.recovery.phase not in {"stopped", "shutting_down"})
    @rule()
    def asked(self) -> None:
        self.recovery.asked(self.now, "asked for")
        assert self.recovery.phase is StationPhase.RESTARTING
        assert self.recovery.due == self.now

    @precondition(lambda self: self.recovery.phase in WAITING)
    @rule()
    def no_thread_is_free(self) -> None:
        self.recovery.blocked(self.now, "threads_stuck")
        assert self.recovery.phase is StationPhase.CIRCUIT_OPEN

    @precondition(lambda self: self.recovery.phase in WAITING)
    @rule()
    def attempt(self) -> None:
        if self.now < self.recovery.due:
            with pytest.raises(ValueError, match="no attempt is due"):
                self.recovery.retry(self.now)
            self.now = self.recovery.due
        self.recovery.retry(self.now)
        assert self.recovery.phase in OPENING

    @invariant()
    def due_in_time(self) -> None:
        """No failure of a network makes a station wait longer than this."""
        if self.recovery.phase in WAITING:
            longest = max(self.policy.reconnect_interval_max, self.policy.circuit_breaker_cooldown_sec)
            assert self.recovery.due <= self.now + longest

    @invariant()
    def uptime_is_part_of_the_time(self) -> None:
        assert 0 <= self.recovery.uptime(self.now) <= self.now + 1e-6

    def teardown(self) -> None:
        self.recovery.stop(self.now, "stopped")
        self.recovery.ended(self.now)
        assert self.recovery.phase is StationPhase.STOPPED


TestStation = StationMachine.TestCase


@given(st.floats(0, 7), chance)
def test_by_default_a_camera_that_is_gone_is_tried_again_and_again_within_ten_seconds(
    took: float, rng: random.Random
) -> None:
    recovery, now, attempts = Recovery(CapturePolicy(), rng), 0.0, [0.0]
    recovery.start(now)
    while now < 600:
        recovery.failed(now + took, "timeout", began=now)
        now = recovery.due
        recovery.retry(now)
        attempts.append(now)
    assert max(b - a for a, b in pairwise(attempts)) <= 9.001
    assert len(attempts) < 600 / 6.9
    assert recovery.trips == 1


def test_one_failure_after_sustained_health_is_the_first_again() -> None:
    recovery = Recovery(CapturePolicy(), random.Random(1))
    recovery.start(0)
    for now in (1, 20, 40, 60):
        recovery.failed(now, "refused")
        recovery.retry(recovery.due)
    recovery.alive(80, 80)
    recovery.alive(90, 90)
    recovery.failed(91, "refused")
    assert recovery.phase is StationPhase.RESTARTING
    assert recovery.due <= 92


@pytest.mark.parametrize(
    "wrong",
    [
        {"stall_detection_sec": 0},
        {"rtsp_timeout": float("nan")},
        {"circuit_breaker_threshold": 0},
        {"reconnect_interval": 20},
    ],
)
def test_a_policy_that_makes_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        CapturePolicy(**wrong)
