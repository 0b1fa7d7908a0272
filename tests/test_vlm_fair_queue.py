"""The queue: urgency, turns by tokens, budget, expiry, displacement; nobody is lost and nobody comes twice."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from orderacc.vlm.engine import Priority
from orderacc.vlm.fair_queue import QUANTUM, FairQueue, Place

STATIONS = ("a", "b", "c", "d")
stations = st.sampled_from(STATIONS)
costs = st.integers(1, 500)


def filled(asked: dict[str, list[int]], quantum: int = QUANTUM) -> FairQueue[tuple[str, int]]:
    """A queue in which each station waits with requests of these costs; an item is its station and number."""
    queue: FairQueue[tuple[str, int]] = FairQueue(quantum)
    for station, station_costs in asked.items():
        for number, cost in enumerate(station_costs):
            queue.put((station, number), station=station, cost=cost)
    return queue


def test_the_busy_station_waits_for_itself_and_not_the_others_for_it() -> None:
    queue = filled({"busy": [QUANTUM] * 100, **{name: [QUANTUM] * 10 for name in STATIONS}})
    served = queue.take(50)
    assert Counter(station for station, _ in served) == dict.fromkeys(("busy", *STATIONS), 10)


def test_stations_get_the_same_tokens_and_not_the_same_number() -> None:
    queue = filled({"large": [480] * 100, "small": [48] * 100})
    served = Counter(station for station, _ in queue.take(55))
    assert served["large"] * 480 == pytest.approx(served["small"] * 48, abs=480 + QUANTUM)


def test_a_stations_own_requests_keep_their_order() -> None:
    queue = filled({name: [30, 500, 1, 70] for name in STATIONS})
    served = queue.take(100)
    for name in STATIONS:
        assert [number for station, number in served if station == name] == [0, 1, 2, 3]


def test_urgent_ones_go_first_whatever_their_station() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.put("shadow", station="a", cost=1, priority=Priority.SHADOW)
    queue.put("early", station="a", cost=1, priority=Priority.SPECULATIVE)
    queue.put("closing", station="b", cost=900)
    assert queue.take(3) == ["closing", "early", "shadow"]


def test_one_that_becomes_urgent_overtakes() -> None:
    queue: FairQueue[str] = FairQueue()
    first = queue.put("first", station="a", cost=1, priority=Priority.SPECULATIVE)
    second = queue.put("second", station="a", cost=1, priority=Priority.SPECULATIVE)
    assert queue.hurry(second, Priority.CLOSING)
    assert not queue.hurry(second, Priority.SPECULATIVE)
    assert queue.take(2) == ["second", "first"]
    assert not queue.hurry(first, Priority.CLOSING)


def test_nobody_overtakes_because_the_next_one_does_not_fit() -> None:
    queue = filled({"a": [60, 60, 10]})
    assert queue.take(16, budget=100) == [("a", 0)]
    assert queue.take(16, budget=100) == [("a", 1), ("a", 2)]


def test_one_larger_than_the_budget_leaves_alone() -> None:
    queue = filled({"a": [500, 1]})
    assert queue.take(16, budget=100) == [("a", 0)]
    assert queue.take(16, budget=100) == [("a", 1)]


def test_room_is_made_by_the_newest_of_the_least_urgent() -> None:
    queue: FairQueue[str] = FairQueue()
    for name, priority in (("early", Priority.SPECULATIVE), ("old", Priority.SHADOW), ("new", Priority.SHADOW)):
        queue.put(name, station="a", cost=1, priority=priority)
    left = [queue.displace(Priority.CLOSING), queue.displace(Priority.SPECULATIVE), queue.displace(Priority.SHADOW)]
    assert left == ["new", "old", None]
    assert queue.displace(Priority.CLOSING) == "early"
    assert queue.displace(Priority.CLOSING) is None


def test_turns_waited_for_do_not_count_any_more_after_going_away() -> None:
    queue: FairQueue[str] = FairQueue(quantum=10)
    dear = queue.put("dear", station="a", cost=95)
    for number in range(40):
        queue.put(f"b{number}", station="b", cost=10)
    assert "dear" not in queue.take(6)
    queue.remove(dear)
    queue.put("dear again", station="a", cost=95)
    assert "dear again" not in queue.take(8)
    assert "dear again" in queue.take(4)


def test_the_quantum_must_be_positive() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        FairQueue(0)


@given(
    asked=st.dictionaries(stations, st.lists(costs, min_size=40, max_size=40), min_size=2),
    quantum=st.integers(1, 600),
    batches=st.lists(st.integers(1, 7), min_size=1, max_size=6),
)
def test_stations_that_always_wait_get_equal_tokens(
    asked: dict[str, list[int]], quantum: int, batches: list[int]
) -> None:
    queue = filled(asked, quantum)
    got = dict.fromkeys(asked, 0)
    for batch in batches:
        for station, number in queue.take(batch):
            got[station] += asked[station][number]
        waiting = {place.station for place in queue}
        if waiting != set(asked):
            return
        # Who is on turn may be a quantum ahead; what a turn could not pay for is less than one place.
        assert max(got.values()) - min(got.values()) <= quantum + max(max(one) for one in asked.values())


@given(
    asked=st.dictionaries(stations, st.lists(costs, max_size=20)), most=st.integers(1, 9), budget=st.integers(1, 900)
)
def test_batches_keep_to_size_and_budget_and_serve_everyone_once(
    asked: dict[str, list[int]], most: int, budget: int
) -> None:
    queue = filled(asked)
    served: list[tuple[str, int]] = []
    while batch := queue.take(most, budget):
        assert len(batch) <= most
        assert len(batch) == 1 or sum(asked[station][number] for station, number in batch) <= budget
        served += batch
    assert sorted(served) == sorted((station, number) for station, own in asked.items() for number in range(len(own)))


class Model(RuleBasedStateMachine):
    """The queue beside a plain list of who should be in it."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[int] = FairQueue()
        self.waiting: dict[int, Place[int]] = {}
        self.count = 0

    @rule(station=stations, cost=costs, priority=st.sampled_from(Priority), deadline=st.floats(0, 100) | st.none())
    def put(self, station: str, cost: int, priority: Priority, deadline: float | None) -> None:
        limit = math.inf if deadline is None else deadline
        place = self.queue.put(self.count, station=station, cost=cost, priority=priority, deadline=limit)
        self.waiting[self.count] = place
        self.count += 1

    @rule(most=st.integers(1, 5), budget=st.integers(1, 1000))
    def take(self, most: int, budget: int) -> None:
        before = {number: place.priority for number, place in self.waiting.items()}
        taken = self.queue.take(most, budget)
        assert bool(taken) == bool(before)
        order = [before[number] for number in taken]
        assert order == sorted(order)
        for number in taken:
            del self.waiting[number]
        if order and self.waiting and len(taken) < most:
            assert min(place.priority for place in self.waiting.values()) >= order[-1]

    @rule(which=st.integers(0, 1000))
    def remove(self, which: int) -> None:
        if self.waiting:
            number = sorted(self.waiting)[which % len(self.waiting)]
            place = self.waiting.pop(number)
            assert self.queue.remove(place)
            assert not self.queue.remove(place)

    @rule(which=st.integers(0, 1000), priority=st.sampled_from(Priority))
    def hurry(self, which: int, priority: Priority) -> None:
        if self.waiting:
            place = self.waiting[sorted(self.waiting)[which % len(self.waiting)]]
            less_urgent = place.priority > priority
            assert self.queue.hurry(place, priority) == less_urgent

    @rule(now=st.floats(0, 100))
    def expire(self, now: float) -> None:
        late = {number for number, place in self.waiting.items() if place.deadline <= now}
        assert set(self.queue.expired(now)) == late
        for number in late:
            del self.waiting[number]

    @rule(priority=st.sampled_from(Priority))
    def displace(self, priority: Priority) -> None:
        left = self.queue.displace(priority)
        worst = max((place.priority for place in self.waiting.values()), default=priority)
        assert (left is not None) == (worst > priority)
        if left is not None:
            assert self.waiting.pop(left).priority == worst

    @invariant()
    def holds_who_waits(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert {id(place) for place in self.queue} == {id(place) for place in self.waiting.values()}


TestModel = Model.TestCase
