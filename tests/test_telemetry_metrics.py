"""Stations' health as a monitoring system reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from orderacc.capture import LastError, StationHealth, StationPhase
from orderacc.telemetry.metrics import PHASES, StationMetrics, exposition

HEALTH = StationHealth(
    station_id="drive-1",
    phase=StationPhase.RUNNING,
    frames_in=100,
    kept=40,
    dropped={"rate": 50, "late": 8, "damaged": 2},
    fps=9.5,
    frame_age_s=0.04,
    jitter_s=0.002,
    decode_ms=3.0,
    restarts=4,
    failures={"timeout": 3, "refused": 1},
    breaker_trips=1,
    stalls=2,
    abandoned_threads=1,
    uptime_s=1234.5,
    warnings=("black",),
    at=100.0,
    last_error=LastError("refused", "nobody listens at rtsp://h:554", 97.5),
)


def samples(*stations: StationHealth) -> dict[tuple[str, ...], float]:
    text = exposition(lambda: stations).decode()
    return {
        (sample.name, sample.labels.pop("station"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_figure_of_a_station_can_be_scraped() -> None:
    found = samples(HEALTH)
    station = "drive-1"
    phases = {key: value for key, value in found.items() if key[0] == "orderacc_station_phase"}
    assert {key[2] for key, value in phases.items() if value == 1} == {"running"}
    assert {key: value for key, value in found.items() if key not in phases} == {
        ("orderacc_station_frames_total", station): 100,
        ("orderacc_station_frames_kept_total", station): 40,
        ("orderacc_station_frames_dropped_total", station, "rate"): 50,
        ("orderacc_station_frames_dropped_total", station, "late"): 8,
        ("orderacc_station_frames_dropped_total", station, "damaged"): 2,
        ("orderacc_station_restarts_total", station): 4,
        ("orderacc_station_breaker_trips_total", station): 1,
        ("orderacc_station_stalls_total", station): 2,
        ("orderacc_station_uptime_seconds_total", station): 1234.5,
        ("orderacc_station_failures_total", station, "timeout"): 3,
        ("orderacc_station_failures_total", station, "refused"): 1,
        ("orderacc_station_last_error_age_seconds", station, "refused"): 2.5,
        ("orderacc_station_up", station): 1,
        ("orderacc_station_fps", station): 9.5,
        ("orderacc_station_frame_age_seconds", station): 0.04,
        ("orderacc_station_jitter_seconds", station): 0.002,
        ("orderacc_station_decode_seconds", station): 0.003,
        ("orderacc_station_abandoned_threads", station): 1,
        ("orderacc_station_picture_warning", station, "black"): 1,
    }


def test_the_phases_are_the_lifes() -> None:
    assert set(PHASES) == {phase.value for phase in StationPhase}


@pytest.mark.parametrize("phase", list(StationPhase))
def test_exactly_one_phase_is_on(phase: StationPhase) -> None:
    found = samples(replace(HEALTH, phase=phase))
    assert sum(value for key, value in found.items() if key[0] == "orderacc_station_phase") == 1
    assert found["orderacc_station_phase", "drive-1", phase.value] == 1
    assert found["orderacc_station_up", "drive-1"] == (phase is StationPhase.RUNNING)


def test_what_is_not_known_is_not_said() -> None:
    found = samples(StationHealth("drive-1"))
    names = {key[0] for key in found}
    assert "orderacc_station_frame_age_seconds" not in names
    assert "orderacc_station_decode_seconds" not in names
    assert "orderacc_station_last_error_age_seconds" not in names


def test_stations_come_and_go_between_scrapes() -> None:
    stations = [HEALTH]
    registry = CollectorRegistry()
    registry.register(StationMetrics(lambda: stations))
    assert registry.get_sample_value("orderacc_station_up", {"station": "drive-1"}) == 1
    stations[:] = [replace(HEALTH, station_id="drive-2")]
    assert registry.get_sample_value("orderacc_station_up", {"station": "drive-1"}) is None
    assert registry.get_sample_value("orderacc_station_up", {"station": "drive-2"}) == 1


def test_registering_asks_nobody() -> None:
    def never() -> list[StationHealth]:
        raise AssertionError

    CollectorRegistry().register(StationMetrics(never))
