"""Staged clocks and waiting, for the tests of stations that look after themselves."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import anyio

from orderacc.testing import StagedClock

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class ReadClock(StagedClock):
    """A staged clock that counts how often it was looked at."""

    reads = 0

    def __call__(self) -> float:
        self.reads += 1
        return super().__call__()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another thread or task."""
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110  the condition is another thread's, which sets no event of this loop
            await asyncio.sleep(0.001)


def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let supervisors look at their clock as often as they can."""
    monkeypatch.setattr("orderacc.capture.supervisor.TICK", 0.002)
    # The machine may be so busy that the process is held up while the staged clock stands still.
    monkeypatch.setattr("orderacc.capture.supervisor.HELD_UP", math.inf)
