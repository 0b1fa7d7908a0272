"""Shared fixtures."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

# Timing is not what these tests are about, and the machine may be busy.
settings.register_profile("orderacc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("orderacc")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
