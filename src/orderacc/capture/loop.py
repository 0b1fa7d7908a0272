"""A recording that starts again at its end, for ever."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from orderacc.capture.source import SourceStats
from orderacc.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from orderacc.capture.source import FrameSource
    from orderacc.domain.frames import Frame

PAUSE: Final = 0.1
"""Seconds of frame time between the last frame of one pass and the first of the next."""


class LoopedSource:
    """Plays sources one after the other with frame time and index running on.

    Args:
        make: Builds the source of one pass.
    """

    def __init__(self, make: Callable[[], FrameSource]) -> None:
        self._make = make
        self._current = make()
        self._closing = threading.Event()
        self._before = SourceStats()

    @property
    def station_id(self) -> str:
        """The station the frames belong to."""
        return self._current.station_id

    def close(self) -> None:
        """Make `frames()` end soon."""
        self._closing.set()
        self._current.close()

    def stats(self) -> SourceStats:
        """All passes together."""
        return self._before + self._current.stats()

    def frames(self) -> Generator[Frame, None, None]:
        """Deliver frames until closed.

        Yields:
            Frames as the source gives them, with growing `at` and `index`.

        Raises:
            SourceError: The source's own, or `end_of_stream` when a pass has no frame.
        """
        at, index = 0.0, 0
        while not self._closing.is_set():
            start, frame = at, None
            for frame in self._current.frames():
                at = start + frame.at
                yield replace(frame, at=at, index=index)
                index += 1
            if frame is None and not self._closing.is_set():
                raise SourceError(f"{self.station_id}: the recording has no frames", code="end_of_stream")
            at += PAUSE
            self._before = self._before + self._current.stats()
            self._current = self._make()
