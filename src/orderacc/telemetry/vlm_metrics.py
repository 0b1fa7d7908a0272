"""The vision language model's queue and engines as Prometheus metrics.

As with stations nothing is counted here: a batcher's snapshot is taken whenever somebody scrapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector

from orderacc.telemetry.families import unlabelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from orderacc.vlm.statistics import BatcherStatistics, EngineStatistics

STATES: Final = ("ready", "resting", "probing", "replacing", "gone")
"""Values of the label `state`; exactly one of them is 1."""

BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32)

_GAUGES: Final[Mapping[str, tuple[str, Callable[[BatcherStatistics], float]]]] = {
    "waiting": ("Pictures in the queue.", lambda now: now.waiting),
    "at_door": ("Pictures that wait for room in the queue.", lambda now: now.at_door),
    "in_flight": ("Pictures the engines hold.", lambda now: now.in_flight),
    "pressure": ("Share of the queue that is taken.", lambda now: now.pressure),
}

_COUNTERS: Final[Mapping[str, tuple[str, Callable[[BatcherStatistics], float]]]] = {
    "retried": ("Pictures asked about again alone after their batch failed.", lambda now: now.retried),
    "moved": ("Pictures taken back from an engine to be asked about elsewhere or again.", lambda now: now.moved),
    "visual_tokens": ("Tokens of the pictures that were answered.", lambda now: now.visual_tokens),
    "prompt_tokens": ("Tokens read for the answers, the pictures' included.", lambda now: now.prompt_tokens),
    "new_tokens": ("Tokens written.", lambda now: now.new_tokens),
}

_OUTCOMES: Final[Mapping[str, Callable[[BatcherStatistics], float]]] = {
    "answered": lambda now: now.answered,
    "refused": lambda now: now.refused,
    "failed": lambda now: now.failed - now.refused,
    "expired": lambda now: now.expired,
    "abandoned": lambda now: now.abandoned,
}

_TIMES: Final[Mapping[str, tuple[str, Callable[[BatcherStatistics], tuple[int, float]]]]] = {
    "wait_seconds": ("Time until the call that answered.", lambda now: (now.answered, now.waited_s)),
    "ttft_seconds": ("Time from a call to its first token.", lambda now: (now.ttft_count, now.ttft_s)),
    "tpot_seconds": ("Time between two tokens.", lambda now: (now.tpot_count, now.tpot_s)),
}

_ENGINE_COUNTERS: Final[Mapping[str, tuple[str, Callable[[EngineStatistics], float]]]] = {
    "batches": ("Calls.", lambda one: one.batches),
    "answered": ("Pictures answered.", lambda one: one.answered),
    "breaker_trips": ("How often too many failures made it rest.", lambda one: one.trips),
    "hung": ("How often it was given up because it did not answer.", lambda one: one.hung),
    "replaced": ("How often another one took its place.", lambda one: one.replaced),
    "busy_seconds": ("Seconds at work.", lambda one: one.busy_s),
}


class VlmMetrics(Collector):
    """Turns a batcher's snapshots into metrics called `orderacc_vlm_*`.

    Args:
        snapshot: Gives the statistics; called at every scrape, in the scraping thread.
    """

    def __init__(self, snapshot: Callable[[], BatcherStatistics]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registry that is told no names asks for no snapshot when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One snapshot, metric by metric."""
        now = self._snapshot()
        yield from unlabelled("orderacc_vlm_", now, _GAUGES, _COUNTERS)
        for name, (text, timed) in _TIMES.items():
            count, seconds = timed(now)
            yield SummaryMetricFamily(f"orderacc_vlm_{name}", text, count_value=count, sum_value=seconds)
        yield _batch_sizes(now)
        outcomes = CounterMetricFamily("orderacc_vlm_requests", "Pictures asked about, by outcome.", labels=["outcome"])
        for outcome, ended in _OUTCOMES.items():
            outcomes.add_metric([outcome], ended(now))
        yield outcomes
        yield from _by_station(now)
        yield from _by_engine(now.engines)


def _batch_sizes(now: BatcherStatistics) -> Metric:
    up_to = [(f"{most}.0", sum(n for size, n in now.batch_sizes.items() if size <= most)) for most in BATCH_BUCKETS]
    pictures = sum(size * calls for size, calls in now.batch_sizes.items())
    return HistogramMetricFamily(
        "orderacc_vlm_batch_size", "Pictures in one call.", buckets=[*up_to, ("+Inf", now.batches)], sum_value=pictures
    )


def _by_station(now: BatcherStatistics) -> Iterator[Metric]:
    for name, text, counts in (
        ("asked", "Pictures asked about.", now.asked_by_station),
        ("answered", "Pictures answered.", now.answered_by_station),
        ("visual_tokens", "Tokens of the pictures that were answered.", now.tokens_by_station),
    ):
        family = CounterMetricFamily(f"orderacc_vlm_station_{name}", text, labels=["station"])
        for station, count in sorted(counts.items()):
            family.add_metric([station], count)
        yield family


def _by_engine(engines: tuple[EngineStatistics, ...]) -> Iterator[Metric]:
    for name, (text, counted) in _ENGINE_COUNTERS.items():
        family = CounterMetricFamily(f"orderacc_vlm_engine_{name}", text, labels=["engine", "role"])
        for one in engines:
            family.add_metric([one.name, one.role], counted(one))
        yield family
    failures = CounterMetricFamily(
        "orderacc_vlm_engine_failures", "Calls that failed by its fault, by code.", labels=["engine", "role", "code"]
    )
    state = GaugeMetricFamily("orderacc_vlm_engine_state", "How it is.", labels=["engine", "role", "state"])
    for one in engines:
        for code, count in sorted(one.failures.items()):
            failures.add_metric([one.name, one.role, code], count)
        for name in STATES:
            state.add_metric([one.name, one.role, name], float(one.state == name))
    yield from (failures, state)
