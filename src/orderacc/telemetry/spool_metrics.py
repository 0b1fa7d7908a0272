"""What waits for the object store as Prometheus metrics; taken from a snapshot whenever somebody scrapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client.registry import Collector

from orderacc.telemetry.families import unlabelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from orderacc.storage.spool import SpoolStatistics

_GAUGES: Final[Mapping[str, tuple[str, Callable[[SpoolStatistics], float]]]] = {
    "waiting": ("Objects that wait for the object store.", lambda now: now.waiting),
    "bytes": ("Bytes that wait, and that are held for orders without a verdict.", lambda now: now.waiting_bytes),
    "oldest_seconds": ("Seconds the oldest object has waited.", lambda now: now.oldest_s),
    "failing": ("Whether the object store takes nothing now.", lambda now: float(now.failing is not None)),
}

_COUNTERS: Final[Mapping[str, tuple[str, Callable[[SpoolStatistics], float]]]] = {
    "stored": ("Objects the store has taken.", lambda now: now.stored),
    "failures": ("Attempts that failed.", lambda now: now.failures),
    "rejected": ("Objects not stored because too much waited or the disk was full.", lambda now: now.rejected),
    "refused": ("Objects the store refused for good.", lambda now: now.refused),
}


class SpoolMetrics(Collector):
    """Turns snapshots of a spool into metrics called `orderacc_spool_*`.

    Args:
        snapshot: Gives the statistics; called at every scrape, in the scraping thread.
    """

    def __init__(self, snapshot: Callable[[], SpoolStatistics]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        """Nothing, as `StationMetrics`."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One snapshot, metric by metric."""
        now = self._snapshot()
        yield from unlabelled("orderacc_spool_", now, _GAUGES, _COUNTERS)
