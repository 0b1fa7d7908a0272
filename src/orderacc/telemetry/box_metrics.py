"""What the box says of itself to Prometheus beside its stations and its model."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from orderacc._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric

    from orderacc.domain.verdicts import Verdict
    from orderacc.telemetry.lag import LoopLag

STAGES: Final = ("selection", "queue", "vlm", "validation", "order_end_to_verdict")
"""Values of the label `stage`."""

STAGE_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
REQUEST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class BoxMetrics(Collector):
    """Counts verdicts and requests; part of no registry but the one it is asked through.

    Args:
        lag: Knows how late the event loop is.
    """

    def __init__(self, lag: LoopLag) -> None:
        self._lag = lag
        self._verdicts: Counter[tuple[str, str]] = Counter()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._stages = Histogram(
            "orderacc_stage_seconds",
            "Time an order's verdict took, by stage.",
            ["stage"],
            registry=None,
            buckets=STAGE_BUCKETS,
        )
        self._seconds = Histogram(
            "orderacc_http_request_seconds",
            "Time until a request was answered; streams are left out.",
            registry=None,
            buckets=REQUEST_BUCKETS,
        )

    def judged(self, verdict: Verdict) -> None:
        """Count a verdict."""
        self._verdicts[verdict.station_id or "", verdict.status] += 1
        for stage in STAGES:
            milliseconds = getattr(verdict.timings, stage)
            if milliseconds is not None:
                self._stages.labels(stage).observe(milliseconds / 1000)

    def answered(self, route: str, status: int, seconds: float | None) -> None:
        """Count a request.

        Args:
            route: What was asked for: one of a few names, whatever is asked.
            status: Of the answer.
            seconds: Until it was answered; None for a stream.
        """
        self._requests[route, str(status)] += 1
        if seconds is not None:
            self._seconds.observe(seconds)

    def describe(self) -> Iterable[Metric]:
        """Nothing, as `StationMetrics`."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Everything counted so far."""
        build = GaugeMetricFamily("orderacc_build_info", "Which version this is.", labels=["version"])
        build.add_metric([__version__], 1.0)
        verdicts = CounterMetricFamily(
            "orderacc_verdicts", "Verdicts by station and status.", labels=["station", "status"]
        )
        for (station, status), number in sorted(self._verdicts.items()):
            verdicts.add_metric([station, status], number)
        requests = CounterMetricFamily(
            "orderacc_http_requests", "Requests by route and status.", labels=["route", "status"]
        )
        for (route, code), number in sorted(self._requests.items()):
            requests.add_metric([route, code], number)
        lag, now = (
            GaugeMetricFamily(
                "orderacc_loop_lag_seconds", "How late the event loop was over the last minute.", labels=["quantile"]
            ),
            self._lag.snapshot(),
        )
        for quantile, milliseconds in (("0.5", now.p50_ms), ("0.99", now.p99_ms), ("1", now.max_ms)):
            lag.add_metric([quantile], milliseconds / 1000)
        yield from (build, verdicts, requests, lag)
        yield from self._stages.collect()
        yield from self._seconds.collect()
