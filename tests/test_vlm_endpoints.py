"""The addresses of a remote engine: what is asked next, under every story told to them."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orderacc.breaker import Circuit
from orderacc.config import SecretText
from orderacc.vlm.endpoints import Attempt, Endpoints, Health

COOLDOWN = 10.0


def endpoints(count: int = 3, threshold: int = 2) -> Endpoints:
    urls = [SecretText(f"http://box-{number}:8000/v3") for number in range(count)]
    return Endpoints(urls, threshold=threshold, cooldown=COOLDOWN, rng=Random(0))


@pytest.mark.parametrize(
    ("url", "questions", "label"),
    [
        ("http://box", "http://box/v1/chat/completions", "http://box/v1"),
        ("http://box:8000/", "http://box:8000/v1/chat/completions", "http://box:8000/v1"),
        ("https://box/v3", "https://box/v3/chat/completions", "https://box/v3"),
        ("http://u:pa%40ss@box/v1/", "http://box/v1/chat/completions", "http://box/v1/"),
        ("http://box/a?token=hunter2", "http://box/a/chat/completions?token=hunter2", "http://box/a?token=***"),
    ],
)
def test_addresses(url: str, questions: str, label: str) -> None:
    (one,) = Endpoints([SecretText(url)], threshold=1, cooldown=1, rng=Random(0)).all
    assert (str(one.questions_url), one.label) == (questions, label)
    assert (one.user, one.password) == (("u", "pa@ss") if "@" in url else (None, None))
    assert "pa@ss" not in repr(one)


def test_questions_are_spread() -> None:
    pool = endpoints()
    attempts = [pool.begin(0.0) for _ in range(9)]
    assert [attempt.endpoint for attempt in attempts if attempt] == [*pool.all] * 3


class Stories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.pool = endpoints()
        self.now = 0.0
        self.open: list[Attempt] = []

    @rule(seconds=st.floats(0, 30), left_out=st.sets(st.integers(0, 2)))
    def begin(self, seconds: float, left_out: set[int]) -> None:
        self.now += seconds
        but_not = {self.pool.all[number] for number in left_out}
        before = {one: one.outstanding for one in self.pool.all}
        attempt = self.pool.begin(self.now, but_not)
        if attempt is None:
            return
        chosen = attempt.endpoint
        assert chosen not in but_not
        assert chosen.rests_until <= self.now
        assert attempt.probe == (chosen.breaker.circuit is Circuit.HALF_OPEN)
        ready = [
            one
            for one in self.pool.all
            if one not in but_not and one.rests_until <= self.now and one.breaker.circuit is Circuit.CLOSED
        ]
        assert all(before[chosen] <= before[one] for one in ready)
        self.open.append(attempt)

    @precondition(lambda self: self.open)
    @rule(
        which=st.integers(0),
        health=st.sampled_from(Health),
        rest=st.sampled_from([0.0, 1.0, 60.0]),
        seconds=st.floats(0, 30),
    )
    def end(self, which: int, health: Health, rest: float, seconds: float) -> None:
        self.now += seconds
        self.pool.end(self.open.pop(which % len(self.open)), self.now, health, rest=rest)

    @invariant()
    def nothing_is_lost(self) -> None:
        for one in self.pool.all:
            mine = [attempt for attempt in self.open if attempt.endpoint is one]
            assert one.outstanding == len(mine)
            # In doubt only as long as somebody is finding out.
            if one.breaker.circuit is Circuit.HALF_OPEN:
                assert any(attempt.probe for attempt in mine)

    def teardown(self) -> None:
        for attempt in self.open:
            self.pool.end(attempt, self.now, Health.UNKNOWN)
        # Whatever has happened, all of them are asked again in the end.
        later = self.now + 60.0 + COOLDOWN
        again = [self.pool.begin(later) for _ in self.pool.all]
        assert {attempt.endpoint for attempt in again if attempt} == set(self.pool.all)


TestStories = Stories.TestCase


@given(st.lists(st.sampled_from([Health.GOOD, Health.BAD]), max_size=12))
def test_only_failures_in_a_row_count(healths: list[Health]) -> None:
    pool = endpoints(1, threshold=3)
    row = 0
    for health in healths:
        attempt = pool.begin(0.0)
        assert (attempt is None) == (row >= 3)
        if attempt is None:
            return
        pool.end(attempt, 0.0, health)
        row = row + 1 if health is Health.BAD else 0


def test_when_those_that_rest_may_be_asked() -> None:
    pool = endpoints(2, threshold=1)
    first, second = pool.begin(0.0), pool.begin(0.0)
    assert first is not None
    assert second is not None
    pool.end(first, 1.0, Health.GOOD, rest=4.0)
    assert pool.rest_over() == -math.inf
    pool.end(second, 1.0, Health.BAD)
    assert pool.rest_over() == 5.0
    assert pool.rest_over({first.endpoint}) is None
    assert pool.begin(4.9) is None
