"""Perception that is never wrong, because it knows the script, and pictures for it that hold nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from orderacc.capture.source import SourceStats
from orderacc.domain.detections import BAG, HAND, SLIP, Detection, SlipReading
from orderacc.domain.evidence import Candidate
from orderacc.domain.frames import Frame
from orderacc.simulator.render import CounterCamera
from orderacc.simulator.video import frame_times
from orderacc.tracking.observation import Observation

if TYPE_CHECKING:
    from collections.abc import Generator

    from orderacc.simulator.render import Sighting
    from orderacc.simulator.script import Script

SHOWN: Final = {HAND: 0.1, BAG: 0.3, SLIP: 0.3}
"""Visible share from which perfect perception reports a thing; items from `ITEM_SHOWN`."""

ITEM_SHOWN: Final = 0.35
LEGIBLE: Final = 0.92
"""Visible share of a resting slip from which it can be read."""


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
