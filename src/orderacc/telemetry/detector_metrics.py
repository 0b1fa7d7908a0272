"""The detector's device as Prometheus metrics; as with stations nothing is counted here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client.registry import Collector

from orderacc.telemetry.families import unlabelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from orderacc.perception.request_pool import PoolStatistics

_GAUGES: Final[Mapping[str, tuple[str, Callable[[PoolStatistics], float]]]] = {
    "streams": ("Pictures the device works on at a time.", lambda now: now.streams),
    "waiting": ("Pictures that wait for the device.", lambda now: now.waiting),
}

_COUNTERS: Final[Mapping[str, tuple[str, Callable[[PoolStatistics], float]]]] = {
    "inferences": ("Pictures looked at.", lambda now: now.inferences),
    "busy_seconds": ("Seconds at work; divided by the pictures, what one takes.", lambda now: now.busy_s),
}


class DetectorMetrics(Collector):
    """Turns snapshots into metrics called `orderacc_detector_*`.

    Args:
        snapshot: Gives the statistics; called at every scrape.
    """

    def __init__(self, snapshot: Callable[[], PoolStatistics]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registry that is told no names asks for no snapshot when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One snapshot, metric by metric."""
        yield from unlabelled("orderacc_detector_", self._snapshot(), _GAUGES, _COUNTERS)
