"""Stations that take few of their camera's pictures: the ones left out are signs of life too."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from orderacc.capture import CapturePolicy, StationPhase, SupervisedCapture
from orderacc.capture.source import SourceStats
from orderacc.capture.timing import Decimator, LiveClock
from orderacc.domain.frames import Frame
from staged_time import ReadClock, look_often, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orderacc.testing import StagedClock

pytestmark = pytest.mark.anyio

TICKS = 90_000
"""Of a camera's stamps, a second."""


class Stamped:
    """A camera whose pictures come when told, with stamps that run at a rate of their own."""

    station_id = "drive-1"

    def __init__(self, clock: StagedClock, fps: float, rate: float) -> None:
        self._clock = clock
        self._began = clock()
        self._rate = rate
        self._times = LiveClock(Fraction(1, TICKS))
        self._decimator = Decimator(fps, live=True)
        self._turn = threading.Semaphore(0)
        self._closed = False
        self._decoded = self._kept = 0

    def give(self) -> None:
        self._turn.release()

    def close(self) -> None:
        self._closed = True
        self._turn.release()

    def stats(self) -> SourceStats:
        return SourceStats(self._decoded, self._kept)

    def frames(self) -> Iterator[Frame]:
        while self._turn.acquire() and not self._closed:
            now = self._clock()
            at = self._times.at(round((now - self._began) * self._rate * TICKS), now)
            wanted = self._decimator.keeps(at)
            self._decoded += 1
            if wanted:
                self._kept += 1
                yield Frame("drive-1", self._kept - 1, float(at), np.zeros((4, 4, 3), np.uint8))


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    look_often(monkeypatch)


@pytest.mark.parametrize(
    ("rate", "fps", "patience", "step", "pictures"),
    [
        pytest.param(1 / 90, 10, 5, 0.5, 50, id="stamps that run slow"),
        pytest.param(0.2, 1, 5, 0.5, 80, id="stamps of another frame rate"),
        pytest.param(1.0, 1, 1, 0.1, 35, id="as few frames as patience"),
    ],
)
async def test_a_camera_whose_pictures_come_is_not_silent(
    rate: float, fps: float, patience: float, step: float, pictures: int
) -> None:
    clock = ReadClock()
    sources: list[Stamped] = []

    def make() -> Stamped:
        sources.append(Stamped(clock, fps, rate))
        return sources[-1]

    async def looked() -> None:
        reads = clock.reads
        await until(lambda: clock.reads > reads + 3)

    policy = CapturePolicy(stall_detection_sec=patience)
    async with SupervisedCapture("drive-1", make, policy, clock=clock) as capture:
        await until(lambda: len(sources) == 1)
        for given in range(1, pictures + 1):
            sources[0].give()
            await until(lambda given=given: capture.health().frames_in == given or capture.health().stalls > 0)
            await looked()
            assert capture.health().stalls == 0, f"after {given} pictures"
            if given == pictures - 10:
                kept = sources[0].stats().kept
            clock.advance(step)
            await looked()
            assert capture.health().stalls == 0, f"after {given} pictures"
        # By now the stream's times are known for what they are.
        assert sources[0].stats().kept - kept == pytest.approx(min(10, 10 * step * fps), abs=1)
        assert capture.health().phase is StationPhase.RUNNING
        clock.advance(patience)
        await until(lambda: capture.health().stalls == 1)
