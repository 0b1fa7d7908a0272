"""How streaming goes, as Prometheus reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from orderacc.api.streaming.sessions import StreamSessions

BECAME: Final = ("processed", "dropped", "rate_limited", "failed")
"""What may become of a frame."""


class StreamMetrics(Collector):
    """Asks the sessions; part of no registry but the one it is asked through.

    Args:
        sessions: All sessions.
    """

    def __init__(self, sessions: StreamSessions) -> None:
        self._sessions = sessions

    def describe(self) -> Iterable[Metric]:
        """Nothing, as `StationMetrics`."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """How it goes now."""
        totals = self._sessions.totals()
        active = GaugeMetricFamily("orderacc_stream_sessions", "Streaming sessions.", labels=["kind"])
        for kind in ("websocket", "sse"):
            active.add_metric([kind], totals.by_kind.get(kind, 0))
        frames = CounterMetricFamily("orderacc_stream_frames", "Frames of streams by outcome.", labels=["outcome"])
        for outcome in BECAME:
            frames.add_metric([outcome], totals.frames.get(outcome, 0))
        yield from (active, frames)
        yield GaugeMetricFamily("orderacc_stream_queued_frames", "Frames of streams that wait.", totals.queued)
        yield GaugeMetricFamily("orderacc_stream_queued_bytes", "Their bytes.", totals.queued_bytes)
        yield GaugeMetricFamily(
            "orderacc_stream_degraded_sessions", "Sessions that gave something up.", totals.degraded
        )
        yield CounterMetricFamily("orderacc_stream_sessions_timed_out", "Sessions that ended silent.", totals.timed_out)
