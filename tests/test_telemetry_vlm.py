"""The queue and the engines as a monitoring system reads them."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from orderacc.telemetry.metrics import exposition
from orderacc.telemetry.vlm_metrics import STATES, VlmMetrics
from orderacc.vlm.statistics import BatcherCounters, BatcherStatistics, EngineStatistics

ENGINE = EngineStatistics(
    "gpu.0", "local", "ready", 3, 12, 90, {"engine_hung": 1, "device_lost": 2}, 1, 1, 1, 33.5, 1, 1
)
REMOTE = EngineStatistics("remote", "spill_over", "resting", 0, 5, 4, {"busy": 1}, 1, 0, 0, 2.5, 0, 16)


def counted() -> BatcherStatistics:
    counters = BatcherCounters(
        asked=110,
        answered=94,
        failed=6,
        refused=2,
        expired=3,
        abandoned=4,
        retried=7,
        moved=5,
        busy_s=36.0,
        waited_s=47.0,
        visual_tokens=9400,
        prompt_tokens=12_000,
        new_tokens=900,
        ttft_s=18.8,
        ttft_count=94,
        tpot_s=0.9,
        tpot_count=90,
    )
    counters.batch_sizes.update({1: 9, 3: 2, 4: 1, 9: 5})
    counters.asked_by_station.update(a=100, b=10)
    counters.answered_by_station.update(a=85, b=9)
    counters.tokens_by_station.update(a=8500, b=900)
    return counters.snapshot(waiting=2, at_door=1, in_flight=3, pressure=0.5, engines=(ENGINE, REMOTE))


def test_every_figure_can_be_scraped() -> None:
    text = exposition(list, VlmMetrics(counted)).decode()
    found: dict[tuple[Any, ...], float] = {
        (sample.name.removeprefix("orderacc_vlm_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("orderacc_vlm_")
    }
    states = {key: found.pop(key) for key in list(found) if key[0] == "engine_state"}
    assert {key[1:] for key, value in states.items() if value} == {
        ("gpu.0", "local", "ready"),
        ("remote", "spill_over", "resting"),
    }
    assert len(states) == 2 * len(STATES)
    assert found == {
        ("waiting",): 2,
        ("at_door",): 1,
        ("in_flight",): 3,
        ("pressure",): 0.5,
        ("batch_size_bucket", "1.0"): 9,
        ("batch_size_bucket", "2.0"): 9,
        ("batch_size_bucket", "4.0"): 12,
        ("batch_size_bucket", "8.0"): 12,
        ("batch_size_bucket", "16.0"): 17,
        ("batch_size_bucket", "32.0"): 17,
        ("batch_size_bucket", "+Inf"): 17,
        ("batch_size_count",): 17,
        ("batch_size_sum",): 64,
        ("retried_total",): 7,
        ("moved_total",): 5,
        ("visual_tokens_total",): 9400,
        ("prompt_tokens_total",): 12_000,
        ("new_tokens_total",): 900,
        ("wait_seconds_count",): 94,
        ("wait_seconds_sum",): 47,
        ("ttft_seconds_count",): 94,
        ("ttft_seconds_sum",): 18.8,
        ("tpot_seconds_count",): 90,
        ("tpot_seconds_sum",): 0.9,
        ("requests_total", "answered"): 94,
        ("requests_total", "refused"): 2,
        ("requests_total", "failed"): 4,
        ("requests_total", "expired"): 3,
        ("requests_total", "abandoned"): 4,
        ("station_asked_total", "a"): 100,
        ("station_asked_total", "b"): 10,
        ("station_answered_total", "a"): 85,
        ("station_answered_total", "b"): 9,
        ("station_visual_tokens_total", "a"): 8500,
        ("station_visual_tokens_total", "b"): 900,
        ("engine_batches_total", "gpu.0", "local"): 12,
        ("engine_batches_total", "remote", "spill_over"): 5,
        ("engine_answered_total", "gpu.0", "local"): 90,
        ("engine_answered_total", "remote", "spill_over"): 4,
        ("engine_breaker_trips_total", "gpu.0", "local"): 1,
        ("engine_breaker_trips_total", "remote", "spill_over"): 1,
        ("engine_hung_total", "gpu.0", "local"): 1,
        ("engine_hung_total", "remote", "spill_over"): 0,
        ("engine_replaced_total", "gpu.0", "local"): 1,
        ("engine_replaced_total", "remote", "spill_over"): 0,
        ("engine_busy_seconds_total", "gpu.0", "local"): 33.5,
        ("engine_busy_seconds_total", "remote", "spill_over"): 2.5,
        ("engine_failures_total", "device_lost", "gpu.0", "local"): 2,
        ("engine_failures_total", "engine_hung", "gpu.0", "local"): 1,
        ("engine_failures_total", "busy", "remote", "spill_over"): 1,
    }


def test_registering_asks_nobody() -> None:
    def never() -> BatcherStatistics:
        raise AssertionError

    CollectorRegistry().register(VlmMetrics(never))


def test_a_snapshot_does_not_change_when_the_counting_goes_on() -> None:
    counters = BatcherCounters()
    before = counters.snapshot(waiting=0, at_door=0, in_flight=0, pressure=0.0, engines=())
    counters.asked_by_station["a"] += 1
    assert before.asked_by_station == {}
    with pytest.raises(AttributeError):
        before.asked = 1  # type: ignore[misc]
