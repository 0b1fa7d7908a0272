"""Shared fixtures."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rtsp_server import RtspServer

# Timing is not what these tests are about, and the machine may be busy.
settings.register_profile("orderacc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("orderacc")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def rtsp_camera() -> Iterator[Callable[..., RtspServer]]:
    """`rtsp_camera({"front": clip}, ...)` starts a real RTSP camera, stopped behind the test; see `RtspServer`."""
    from rtsp_server import RtspServer, need_rtsp

    need_rtsp()
    with ExitStack() as cameras:
        yield lambda *args, **kwargs: cameras.enter_context(RtspServer(*args, **kwargs))
