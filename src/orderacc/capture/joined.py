"""One time line out of many streams: what a station's frames are stamped with through its restarts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orderacc.domain.frames import Frame

GAP: Final = 0.001
"""Least frame time between the last frame of one stream and the first of the next, seconds."""


class JoinedTime:
    """Sets `at` and `index` of frames so that both grow through all streams.

    Within a stream frames keep their own distances. Between streams the clock decides: after an outage of a minute `at`
    is a minute later.
    """

    def __init__(self) -> None:
        self._born: float | None = None
        self._at = -GAP
        self._index = -1
        self._shift = 0.0
        self._base = 0

    def begin(self, came: float, at: float) -> None:
        """A stream begins.

        Args:
            came: When its first frame came, seconds by the clock.
            at: That frame's own time, seconds.
        """
        if self._born is None:
            self._born = came
        self._shift = max(came - self._born, self._at + GAP) - at
        self._base = self._index + 1

    def place(self, frame: Frame) -> Frame:
        """The frame as it is on the common time line.

        Args:
            frame: Of the stream begun last, and later than the ones before it.
        """
        self._at = frame.at + self._shift
        self._index = self._base + frame.index
        return replace(frame, at=self._at, index=self._index)
