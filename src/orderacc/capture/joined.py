"""One time line out of many streams: what a station's frames are stamped with through its restarts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orderacc.domain.frames import Frame

GAP: Final = 0.001
"""Least frame time between the last frame of one stream and the first of the next, seconds."""

SLOWED: Final = 0.5
"""Share of a stream's own pace at which its frame time goes on while it is ahead of the clock."""

FAR_AHEAD: Final = 5.0
"""Seconds ahead of the clock beyond which frame time all but stands still: streams that hand over many seconds at once
and break soon after would get further ahead with each."""


class JoinedTime:
    """Sets `at` and `index` of frames so that both grow through all streams.

    Within a stream frames keep their own distances. Between streams the clock decides: after an outage of a minute `at`
    is a minute later. A camera that begins with a backlog is ahead of the clock when it breaks; the next stream cannot
    begin before that, and its frames lie closer together until what it began too late is made up for.
    """

    def __init__(self, *, catches_up: bool = True) -> None:
        """Begin before the first stream.

        Args:
            catches_up: Whether frames may lie closer together than their stream says. A recording that is read faster
                than it plays is ahead of the clock rightly.
        """
        self._catches_up = catches_up
        self._born: float | None = None
        self._at = -GAP
        self._index = -1
        self._own = 0.0
        self._shift = 0.0
        self._ahead = 0.0
        self._base = 0

    def begin(self, came: float, at: float) -> None:
        """A stream begins.

        Args:
            came: When its first frame came, seconds by the clock.
            at: That frame's own time, seconds.
        """
        if self._born is None:
            self._born = came
        start = max(came - self._born, self._at + GAP)
        self._ahead = start - (came - self._born) if self._catches_up else 0.0
        self._own, self._shift = at, start - at
        self._base = self._index + 1

    def place(self, frame: Frame) -> Frame:
        """The frame as it is on the common time line.

        Args:
            frame: Of the stream begun last, and later than the ones before it.
        """
        self._catch_up(frame.at - self._own)
        self._own = frame.at
        self._at = frame.at + self._shift
        self._index = self._base + frame.index
        return replace(frame, at=self._at, index=self._index)

    def _catch_up(self, step: float) -> None:
        """Take from the next frame's distance to the one before, seconds, what can be taken."""
        most = step * (1 - SLOWED)
        if self._ahead > FAR_AHEAD:
            most = max(most, step - GAP)
        taken = min(self._ahead, most)
        self._ahead -= taken
        self._shift -= taken
