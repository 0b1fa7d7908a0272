"""The event loop's lag."""

from __future__ import annotations

import asyncio
import gc
import sys
import time

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderacc.telemetry import LagSnapshot, LoopLag, loaded_things_spared, prefer_event_loop


def test_nothing_sampled_yet() -> None:
    assert LoopLag().snapshot() == LagSnapshot(0, 0, 0, 0)


def test_percentiles_are_nearest_ranks_in_milliseconds() -> None:
    lag = LoopLag()
    for millisecond in range(1, 101):
        lag.record(millisecond / 1000)
    snapshot = lag.snapshot()
    assert (snapshot.p50_ms, snapshot.p99_ms, snapshot.max_ms) == pytest.approx((50, 99, 100))


@given(st.lists(st.floats(-1, 10), min_size=1), st.integers(1, 20))
def test_percentiles_are_ordered_and_of_the_last_samples(samples: list[float], window: int) -> None:
    lag = LoopLag(window=window)
    for sample in samples:
        lag.record(sample)
    snapshot = lag.snapshot()
    assert 0 <= snapshot.p50_ms <= snapshot.p99_ms <= snapshot.max_ms
    assert snapshot.max_ms == max(0.0, *samples[-window:]) * 1000
    assert snapshot.samples == min(window, len(samples))


@pytest.mark.anyio
async def test_a_blocked_loop_shows() -> None:
    lag = LoopLag(interval=0.001)
    async with anyio.create_task_group() as group:
        await group.start(lag.run)
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251  the fault that is to be seen
        with anyio.fail_after(5):
            while not lag.snapshot().samples:  # noqa: ASYNC110  it samples by the clock and sets no event
                await asyncio.sleep(0)
        group.cancel_scope.cancel()
    assert lag.snapshot().max_ms >= 40


def test_other_threads_give_way_sooner_than_by_default() -> None:
    before = sys.getswitchinterval()
    try:
        prefer_event_loop()
        assert sys.getswitchinterval() < 0.001
    finally:
        sys.setswitchinterval(before)


def test_the_collector_passes_by_what_is_loaded_and_sees_it_again_afterwards() -> None:
    loaded = [[] for _ in range(10_000)]
    with loaded_things_spared():
        assert len(gc.get_objects()) < len(loaded)
    assert len(gc.get_objects()) > len(loaded)
