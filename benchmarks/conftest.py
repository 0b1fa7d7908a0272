"""Shared by the benchmarks: recorded counters, rendered once and kept between runs, and a process as the daemon's."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from orderacc.simulator.random_script import random_script
from orderacc.simulator.video import record
from orderacc.telemetry import prefer_event_loop


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Folder the rendered videos are kept in (set ORDERACC_RECORDINGS to keep them elsewhere)."""
    folder = Path(os.environ.get("ORDERACC_RECORDINGS", Path(tempfile.gettempdir()) / "orderacc-recordings"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def recorded(recordings: Path):
    """`recorded(seed, orders)` gives the folder of that video, rendering it when it is not there yet."""

    def make(seed: int, orders: int) -> Path:
        folder = recordings / f"{seed}-{orders}"
        if not (folder / "truth.json").exists():
            record(random_script(seed, orders), folder)
        return folder

    return make


@pytest.fixture
def as_in_the_daemon():
    """Other threads give way to the loop as they do there."""
    before = sys.getswitchinterval()
    prefer_event_loop()
    yield
    sys.setswitchinterval(before)
