"""Snapshots as Prometheus metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.core import Metric

Snapshot = TypeVar("Snapshot")


def unlabelled(
    prefix: str,
    now: Snapshot,
    gauges: Mapping[str, tuple[str, Callable[[Snapshot], float]]],
    counters: Mapping[str, tuple[str, Callable[[Snapshot], float]]],
) -> Iterator[Metric]:
    """Metrics without labels, out of one snapshot.

    Args:
        prefix: What their names begin with, e.g. `orderacc_vlm_`.
        now: The snapshot.
        gauges: By the rest of their names: the help text, and how to read them off.
        counters: Likewise.
    """
    for name, (text, measured) in gauges.items():
        yield GaugeMetricFamily(prefix + name, text, value=measured(now))
    for name, (text, counted) in counters.items():
        yield CounterMetricFamily(prefix + name, text, value=counted(now))
