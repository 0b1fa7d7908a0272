"""Stand-ins for tests: a model that says what it is told to, perception that is never wrong, a camera with every fault.

Public because whoever scripts this package wants to stage the same faults.
"""

from __future__ import annotations

import asyncio
import math
import threading
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from orderacc.capture.source import SourceStats
from orderacc.domain.detections import BAG, HAND, SLIP, Detection, SlipReading
from orderacc.domain.evidence import Candidate
from orderacc.domain.frames import Frame
from orderacc.errors import EngineError
from orderacc.simulator.render import CounterCamera
from orderacc.simulator.video import frame_times
from orderacc.tracking.observation import Observation
from orderacc.vlm.engine import VlmAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from orderacc.simulator.render import Sighting
    from orderacc.simulator.script import Script
    from orderacc.vlm.engine import VlmRequest

SHOWN: Final = {HAND: 0.1, BAG: 0.3, SLIP: 0.3}
"""Visible share from which perfect perception reports a thing; items from `ITEM_SHOWN`."""

ITEM_SHOWN: Final = 0.35
LEGIBLE: Final = 0.92
"""Visible share of a resting slip from which it can be read."""


class EngineFault(StrEnum):
    """What can go wrong with a call of an engine."""

    ERROR = "error"
    """It says that it failed."""
    BUG = "bug"
    """It raises what it must not."""
    OUT_OF_MEMORY = "out_of_memory"
    """It has no memory for so much."""
    CLOSED = "closed"
    """It has ended."""
    HANG = "hang"
    """It never answers, and does not react to being cancelled for the first time; `StagedEngine.release` ends it."""
    NOTHING = "nothing"
    """It gives what is no list of answers."""
    TOO_FEW = "too_few"
    """It gives one answer less than was asked."""
    WRONG_IDS = "wrong_ids"
    """Its answers are to other requests."""
    NOT_A_NUMBER = "not_a_number"
    """Its figures are none."""


class StagedEngine:
    """A vision language engine that answers what a function says, and fails as another one says.

    Args:
        answer: Gives the text for a request, or raises `EngineError`.
        name: What it is called.
        fault: What goes wrong with a call, by its requests; None where nothing does.

    Attributes:
        batches: The requests of every call.
        closed: Whether it was closed.
    """

    def __init__(
        self,
        answer: Callable[[VlmRequest], str],
        *,
        name: str = "staged",
        fault: Callable[[Sequence[VlmRequest]], EngineFault | None] | None = None,
    ) -> None:
        self.name = name
        self.batches: list[tuple[VlmRequest, ...]] = []
        self.closed = False
        self._answer = answer
        self._fault = fault
        self._released = asyncio.Event()

    async def generate(self, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
        """See `VlmEngine.generate`."""
        self.batches.append(tuple(requests))
        fault = self._fault(requests) if self._fault else None
        if fault is EngineFault.HANG:
            await self._hang()
        elif fault is EngineFault.BUG:
            raise ZeroDivisionError(len(requests))
        elif fault in _STAGED_ERRORS:
            raise EngineError(f"staged: {fault}", code=_STAGED_ERRORS[fault])
        answers = [VlmAnswer(one.request_id, self._answer(one), "stop", 1, 1, 1, 1.0) for one in requests]
        if fault is EngineFault.NOTHING:
            return cast("list[VlmAnswer]", None)
        if fault is EngineFault.NOT_A_NUMBER:
            return [replace(one, engine_ms=math.nan) for one in answers]
        if fault is EngineFault.WRONG_IDS:
            return [replace(one, request_id=f"{one.request_id}?") for one in answers]
        return answers[1:] if fault is EngineFault.TOO_FEW else answers

    async def aclose(self) -> None:
        """Take note of it."""
        self.closed = True

    def release(self) -> None:
        """Let every call that hangs go on."""
        self._released.set()

    async def _hang(self) -> None:
        # Swallowing the first is what makes this a hang and not merely a slow answer; the second ends the event loop.
        with suppress(asyncio.CancelledError):
            await self._released.wait()
        await self._released.wait()


_STAGED_ERRORS: Final[Mapping[EngineFault | None, str]] = {
    EngineFault.ERROR: "engine_failed",
    EngineFault.OUT_OF_MEMORY: "out_of_memory",
    EngineFault.CLOSED: "engine_closed",
}


class BlankSource:
    """The frame times of a script with black pictures: for perception that does not look.

    Args:
        script: What happens.
        station_id: The station its frames are for.
    """

    def __init__(self, script: Script, station_id: str = "counter") -> None:
        self._script = script
        self.station_id = station_id
        self._closed = False

    def frames(self) -> Generator[Frame, None, None]:
        """Yield a frame of 28x28 black pixels per frame time."""
        picture = np.zeros((28, 28, 3), np.uint8)
        for index, at in enumerate(frame_times(self._script)):
            if self._closed:
                return
            yield Frame(self.station_id, index, at, picture)

    def close(self) -> None:
        """End soon."""
        self._closed = True

    def stats(self) -> SourceStats:
        """Nothing is counted."""
        return SourceStats()


class StagedClock:
    """Time that passes only when told to; safe in threads.

    Args:
        now: Seconds it begins at.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now

    def __call__(self) -> float:
        """Seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


class StagedCamera:
    """A camera with every fault: hands out a source for each attempt and decides what they do.

    Sources open at once and wait for `give`. A failure lasts, for the source that is open and for all further ones,
    until `mend`.

    Attributes:
        station_id: The station its frames are for.
        opened: How many sources have begun.
        open: How many of them have not ended.
        deaf: Whether sources ignore `close`, as one does that hangs in a driver; looked at while they wait.
    """

    def __init__(self, station_id: str = "counter") -> None:
        self.station_id = station_id
        self.opened = 0
        self.open = 0
        self.deaf = False
        self._changed = threading.Condition()
        self._given = 0
        self._failure: Exception | None = None
        self._over = False

    def make(self) -> StagedSource:
        """A source for one attempt."""
        return StagedSource(self)

    def give(self, frames: int = 1) -> None:
        """Let so many frames come, from whichever source is open; the first frame time of each source is 0."""
        with self._changed:
            self._given += frames
            self._changed.notify_all()

    def fail(self, failure: Exception) -> None:
        """Break it: every source raises this."""
        with self._changed:
            self._failure = failure
            self._changed.notify_all()

    def end(self) -> None:
        """Let every source end without an error."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def mend(self) -> None:
        """Nothing fails and nothing ends any more; sources listen again."""
        with self._changed:
            self._failure, self._over, self.deaf = None, False, False
            self._changed.notify_all()

    def play(self, source: StagedSource) -> Generator[Frame, None, None]:
        """What a source of this camera delivers."""
        picture = np.zeros((4, 4, 3), np.uint8)
        with self._changed:
            self.opened += 1
            self.open += 1
        try:
            while self._turn(source):
                source.delivered += 1
                yield Frame(self.station_id, source.delivered - 1, (source.delivered - 1) / 10, picture)
        finally:
            with self._changed:
                self.open -= 1

    def wake(self) -> None:
        """A source was closed."""
        with self._changed:
            self._changed.notify_all()

    def _turn(self, source: StagedSource) -> bool:
        """Wait for a frame; False when there will be none."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._given or self._failure or self._over or (source.closed and not self.deaf)
            )
            if source.closed and not self.deaf:
                return False
            if self._failure is not None:
                raise self._failure
            if not self._given:
                return False
            self._given -= 1
            return True


class StagedSource:
    """One pass of a `StagedCamera`.

    Args:
        camera: Decides what it does.

    Attributes:
        closed: Whether it was told to end.
        delivered: Frames it gave.
    """

    def __init__(self, camera: StagedCamera) -> None:
        self.station_id = camera.station_id
        self.closed = False
        self.delivered = 0
        self._camera = camera

    def frames(self) -> Generator[Frame, None, None]:
        """See `FrameSource.frames`; frames are 0.1 s apart."""
        return self._camera.play(self)

    def close(self) -> None:
        """See `FrameSource.close`."""
        self.closed = True
        self._camera.wake()

    def stats(self) -> SourceStats:
        """See `FrameSource.stats`."""
        return SourceStats(decoded=self.delivered, kept=self.delivered)


class PerfectObserver:
    """Sees exactly what is in a script, without looking at the pictures.

    Args:
        script: What happens.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._camera = CounterCamera(script)
        self._read: str | None = None
        self._layout: object = None
        self._slip_at: tuple[float, float] | None = None

    async def observe(self, frame: Frame) -> tuple[Observation, Candidate]:
        """See `Observer.observe`."""
        return self.observe_now(frame)

    def observe_now(self, frame: Frame) -> tuple[Observation, Candidate]:
        """See `Observer.observe_now`."""
        sightings = self._camera.sightings(frame.at)
        detections = tuple(
            Detection(seen.label, 0.9, seen.box)
            for seen in sightings
            if seen.visible > SHOWN.get(seen.label, ITEM_SHOWN)
        )
        slip = next((seen for seen in sightings if seen.label == SLIP and seen.visible > SHOWN[SLIP]), None)
        number = self._script.orders[slip.order].order_id if slip else None
        changed = slip is not None and number != self._read
        reading = self._reading(slip, number) if changed else None
        layout = tuple((seen.key, round(seen.box.x1), round(seen.box.y1)) for seen in sightings)
        still, self._layout = layout == self._layout, layout
        observation = Observation(
            frame.at, frame.index, detections, slip is not None, changed, reading, 0.0 if still else 0.1
        )
        return observation, Candidate(frame, detections, _score(observation) * (1.0 if still else 0.6))

    def close(self) -> None:
        """Nothing to let go."""

    def answer(self, at: float) -> dict[str, int]:
        """What a perfect model would answer about the frame of that time: pieces by menu name."""
        names = [seen.name for seen in self._camera.sightings(at) if seen.name and seen.visible >= 0.5]
        return {name: names.count(name) for name in names}

    def _reading(self, slip: Sighting | None, number: str | None) -> SlipReading | None:
        """Slips are read when they lie still and uncovered."""
        if slip is None or number is None:
            self._slip_at = None
            return None
        place, before = (slip.box.x1, slip.box.y1), self._slip_at
        self._slip_at = place
        if place != before or slip.visible < LEGIBLE:
            return None
        self._read = number
        return SlipReading(number, 0.95)


def _score(observation: Observation) -> float:
    hands = [hand.box for hand in observation.hands]
    return sum(0.3 if any(hand.intersection(item.box) > 0 for hand in hands) else 1.0 for item in observation.items)
