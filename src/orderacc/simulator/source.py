"""The simulated counter as a camera."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from orderacc.capture.source import SourceStats
from orderacc.domain.frames import Frame
from orderacc.simulator.render import CounterCamera
from orderacc.simulator.video import frame_times

if TYPE_CHECKING:
    from collections.abc import Generator

    from orderacc.simulator.script import Script


class SimulatorSource:
    """Renders a script's frames as they are asked for; pacing by frame time is the reader's.

    Args:
        script: What happens.
        station_id: The station its frames are for.
    """

    def __init__(self, script: Script, station_id: str) -> None:
        self.script = script
        self._station_id = station_id
        self._closing = threading.Event()
        self._kept = 0

    @property
    def station_id(self) -> str:
        """The station the frames belong to."""
        return self._station_id

    def close(self) -> None:
        """Make `frames()` end after the frame it is at."""
        self._closing.set()

    def stats(self) -> SourceStats:
        """Frames so far; a simulated camera damages none."""
        return SourceStats(decoded=self._kept, kept=self._kept, damaged=0)

    def frames(self) -> Generator[Frame, None, None]:
        """Render the script.

        Yields:
            Frames as BGR uint8 [720, 1280, 3]; `at` is seconds into the script.
        """
        camera = CounterCamera(self.script)
        for at in frame_times(self.script):
            if self._closing.is_set():
                return
            self._kept += 1
            yield Frame(self._station_id, self._kept - 1, at, camera.picture(at))
