"""Shared fixtures."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import logging
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


LONGEST = (
    "test_cli_jobs",
    "test_service_live",
    "test_capture_faults",
    "test_web_page",
    "test_service_early",
    "test_storage_crash",
    "test_api_schema",
    "test_vlm_serve",
    "test_storage_s3",
    "test_service_pipeline",
    "test_web_upload",
    "test_service_scaler",
    "test_perception_picture",
    "test_capture_supervised",
)
"""Files that take longest, longest first: begun last, one would go on alone when the other workers have ended."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command sets up the logs of its process; the next test has not called it."""
    root, own = logging.getLogger(), logging.getLogger("orderacc")
    handlers, levels = set(root.handlers), (root.level, own.level)
    yield
    for handler in set(root.handlers) - handlers:
        root.removeHandler(handler)
    root.setLevel(levels[0])
    own.setLevel(levels[1])


@pytest.fixture
def rtsp_camera() -> Iterator[Callable[..., RtspServer]]:
    """`rtsp_camera({"front": clip}, ...)` starts a real RTSP camera, stopped behind the test; see `RtspServer`."""
    from rtsp_server import RtspServer, need_rtsp

    need_rtsp()
    with ExitStack() as cameras:
        yield lambda *args, **kwargs: cameras.enter_context(RtspServer(*args, **kwargs))
