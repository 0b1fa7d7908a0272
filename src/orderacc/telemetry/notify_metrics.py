"""What goes out to receivers as Prometheus metrics; taken from snapshots whenever somebody scrapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from orderacc.notify.statistics import SinkStatistics

STATES: Final = ("ready", "resting", "gone")
"""Values of the label `state`; exactly one of them is 1."""

_COUNTERS: Final[Mapping[str, tuple[str, Callable[[SinkStatistics], float]]]] = {
    "delivered": ("Messages the receiver has.", lambda one: one.delivered),
    "failed": ("Attempts that failed.", lambda one: one.failed),
    "dead": ("Messages that were given up.", lambda one: one.dead),
}

_GAUGES: Final[Mapping[str, tuple[str, Callable[[SinkStatistics], float]]]] = {
    "pending": ("Messages that wait.", lambda one: one.pending),
    "oldest_seconds": ("Seconds the oldest of them has waited.", lambda one: one.oldest_s),
}


class NotifyMetrics(Collector):
    """Turns snapshots of receivers into metrics called `orderacc_notify_*`, each with the label `sink`.

    Args:
        snapshots: Gives the statistics of every receiver; called at every scrape, in the scraping thread.
    """

    def __init__(self, snapshots: Callable[[], Iterable[SinkStatistics]]) -> None:
        self._snapshots = snapshots

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registry that is told no names asks for no snapshot when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One snapshot of every receiver, metric by metric."""
        sinks = sorted(self._snapshots(), key=lambda one: one.name)
        for name, (text, counted) in _COUNTERS.items():
            counter = CounterMetricFamily(f"orderacc_notify_{name}", text, labels=["sink"])
            for one in sinks:
                counter.add_metric([one.name], counted(one))
            yield counter
        for name, (text, measured) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"orderacc_notify_{name}", text, labels=["sink"])
            for one in sinks:
                gauge.add_metric([one.name], measured(one))
            yield gauge
        state = GaugeMetricFamily("orderacc_notify_state", "Whether messages go out.", labels=["sink", "state"])
        for one in sinks:
            for name in STATES:
                state.add_metric([one.name, name], float(one.state == name))
        yield state
