"""Stations' health as Prometheus metrics.

Nothing is counted here and nothing is global: a collector asks for the stations' snapshots whenever somebody scrapes
the registry it was registered with. A station that was removed is gone from the next scrape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from orderacc.capture.health import StationHealth

PHASES: Final = (
    "stopped",
    "starting",
    "running",
    "stalled",
    "restarting",
    "circuit_open",
    "half_open",
    "shutting_down",
)
"""Values of the label `phase`; exactly one of them is 1."""

_COUNTERS: Final[Mapping[str, tuple[str, Callable[[StationHealth], float]]]] = {
    "frames": ("Frames decoded.", lambda one: one.frames_in),
    "frames_kept": ("Frames that were looked at.", lambda one: one.kept),
    "restarts": ("Attempts at the camera after the first.", lambda one: one.restarts),
    "breaker_trips": ("How often too many failures spaced the attempts out.", lambda one: one.breaker_trips),
    "stalls": ("How often frames stopped coming though nothing failed.", lambda one: one.stalls),
    "uptime_seconds": ("Seconds in which frames came.", lambda one: one.uptime_s),
}

_GAUGES: Final[Mapping[str, tuple[str, Callable[[StationHealth], float | None]]]] = {
    "up": ("Whether frames come.", lambda one: float(one.phase == "running")),
    "fps": ("Frames a second delivered over the last seconds.", lambda one: one.fps),
    "frame_age_seconds": ("Seconds since the newest frame came.", lambda one: one.frame_age_s),
    "jitter_seconds": ("By how much frames come too early or too late, smoothed.", lambda one: one.jitter_s),
    "decode_seconds": (
        "Seconds of decoding per frame.",
        lambda one: None if one.decode_ms is None else one.decode_ms / 1000,
    ),
    "abandoned_threads": ("Threads of sources that do not end.", lambda one: one.abandoned_threads),
}


class StationMetrics(Collector):
    """Turns snapshots of stations into metrics called `orderacc_station_*`, each with the label `station`.

    Args:
        snapshots: Gives the health of every station there is; called at every scrape, in the scraping thread.
    """

    def __init__(self, snapshots: Callable[[], Iterable[StationHealth]]) -> None:
        self._snapshots = snapshots

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registry that is told no names asks for no snapshot when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One snapshot of every station, metric by metric."""
        stations = sorted(self._snapshots(), key=lambda one: one.station_id)
        for name, (text, counted) in _COUNTERS.items():
            counter = CounterMetricFamily(f"orderacc_station_{name}", text, labels=["station"])
            for one in stations:
                counter.add_metric([one.station_id], counted(one))
            yield counter
        for name, (text, measured) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"orderacc_station_{name}", text, labels=["station"])
            for one in stations:
                value = measured(one)
                if value is not None:
                    gauge.add_metric([one.station_id], value)
            yield gauge
        yield from self._by_label(stations)

    def _by_label(self, stations: list[StationHealth]) -> Iterator[Metric]:
        dropped = CounterMetricFamily(
            "orderacc_station_frames_dropped", "Frames not looked at, by cause.", labels=["station", "cause"]
        )
        failures = CounterMetricFamily(
            "orderacc_station_failures", "Attempts that failed, by code.", labels=["station", "code"]
        )
        last_error = GaugeMetricFamily(
            "orderacc_station_last_error_age_seconds",
            "Seconds since the last error, and its code.",
            labels=["station", "code"],
        )
        phase = GaugeMetricFamily("orderacc_station_phase", "Where the station is.", labels=["station", "phase"])
        warning = GaugeMetricFamily(
            "orderacc_station_picture_warning", "What is wrong with the picture now.", labels=["station", "warning"]
        )
        for one in stations:
            for cause, count in sorted(one.dropped.items()):
                dropped.add_metric([one.station_id, cause], count)
            for code, count in sorted(one.failures.items()):
                failures.add_metric([one.station_id, code], count)
            if one.last_error is not None:
                last_error.add_metric([one.station_id, one.last_error.code], max(0.0, one.at - one.last_error.at))
            for name in PHASES:
                phase.add_metric([one.station_id, name], float(one.phase == name))
            for name in one.warnings:
                warning.add_metric([one.station_id, str(name)], 1.0)
        yield from (dropped, failures, last_error, phase, warning)


def exposition(snapshots: Callable[[], Iterable[StationHealth]], *others: Collector) -> bytes:
    """All of it as Prometheus reads it (text format 0.0.4).

    Args:
        snapshots: Gives the health of every station there is.
        others: What else there is to tell.
    """
    registry = CollectorRegistry()
    for collector in (StationMetrics(snapshots), *others):
        registry.register(collector)
    return generate_latest(registry)
