"""Time of a frame: when it was taken, whether it is wanted, and when it is due.

Stream times are exact fractions until they leave this room: floats would let the choice of frames depend on rounding.
"""

from __future__ import annotations

import math
import time
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_RATE: Final = Fraction(25)
"""Frames a second assumed of a stream that says nothing about its timing."""

SLACK: Final = Fraction(1, 1000)
"""Containers round times to as little as a millisecond: a frame that early still counts for its place in the grid."""


LEAP: Final = 2
"""Seconds a camera's times may run ahead of the arrival of its frames: more than any buffer on the way holds."""

LAG: Final = 3
"""Seconds they may fall behind it: what comes this late is a backlog."""

BACKLOG: Final = 2.0
"""Seconds it takes a backlog to come at the most; frames that go on outside for longer have a clock that is wrong."""

FAR: Final = 30.0
"""Seconds ahead that no backlog is: more than any server hands over at once."""

LEAST_STEP: Final = Fraction(1, 1000)
"""Seconds from one live frame to the next at the least."""


class FrameClock:
    """Turns a stream's presentation times into seconds since its first frame.

    Times only ever grow. A frame without a time, or one whose time does not grow (streams joined end to end start
    over), is placed one frame's duration after the one before it.
    """

    def __init__(self, time_base: Fraction | None, rate: Fraction | None) -> None:
        """Start a stream.

        Args:
            time_base: Seconds per tick of the presentation times, None when the stream has none.
            rate: Nominal frames a second, None when unknown.
        """
        self._time_base = time_base
        self._step = 1 / (rate if rate and rate > 0 else DEFAULT_RATE)
        self._origin: Fraction | None = None
        self._last: Fraction | None = None

    def at(self, pts: int | None) -> Fraction:
        """Time of the next frame.

        Args:
            pts: Its presentation time in ticks, None when missing.

        Returns:
            Seconds since the first frame, greater than the last result; 0 for the first.
        """
        expected = Fraction(0) if self._last is None else self._last + self._step
        at = expected
        if pts is not None and self._time_base:
            stamp = pts * self._time_base
            if self._origin is None:
                self._origin = stamp - expected
            if self._last is None or stamp - self._origin > self._last:
                at = stamp - self._origin
        self._last = at
        return at


class LiveClock:
    """Turns a camera's presentation times into seconds since its first frame, checked against when frames arrived.

    Times only ever grow. The stream's own times are used while they can be true: they are free of the network's jitter
    and tell a backlog that arrives at once apart. Where a time is missing, goes back (a camera that was set, a counter
    that wrapped around) or leaps ahead of the arrivals by more than `LEAP`, the time between the arrivals takes its
    place and the stream's times count from there.

    Times that get ahead of the arrivals bit by bit, or fall behind, tell of a wrong rate or of a network that got
    faster or slower. A wrong rate is known by its going on: what lasts widens the bounds of a side once; at the second
    time the stream's times are given up, and the arrivals tell the time from there.
    """

    def __init__(self, time_base: Fraction | None, rate: Fraction | None = None) -> None:
        """Start a stream.

        Args:
            time_base: Seconds per tick of the presentation times, None when the stream has none.
            rate: Nominal frames a second, None when unknown: what the first frame lasts when it has no time, for the
                next may arrive along with it.
        """
        self._time_base = time_base
        self._step = 1 / (rate if rate and rate > 0 else DEFAULT_RATE)
        self._origin: Fraction | None = None
        self._last: Fraction | None = None
        self._arrived = 0.0
        self._known: tuple[float, float] | None = None
        self._outside: float | None = None
        self._doubted: set[bool] = set()

    def at(self, pts: int | None, arrived: float) -> Fraction:
        """Time of the next frame.

        Args:
            pts: Its presentation time in ticks, None when missing.
            arrived: When it came, seconds by a monotonic clock.

        Returns:
            Seconds since the first frame, greater than the last result; 0 for the first.
        """
        at = Fraction(0)
        if self._last is not None:
            least = self._step if pts is not None and self._origin is None else LEAST_STEP
            at = self._last + max(least, Fraction(round((arrived - self._arrived) * 1_000_000), 1_000_000))
        if pts is not None and self._time_base:
            stamp = pts * self._time_base
            if self._origin is not None and self._last is not None and self._last < stamp - self._origin <= at + LEAP:
                at = stamp - self._origin
            else:
                self._origin = stamp - at
            self._compare(float(at), arrived)
        self._last, self._arrived = at, arrived
        return at

    def _compare(self, at: float, arrived: float) -> None:
        """Hold the stream's times against the arrivals; where they go their own way for good, use them no more."""
        ahead = at - arrived
        least, most = self._known or (ahead, ahead)
        self._known = (least, most)
        if least - LAG <= ahead <= most + LEAP:
            self._outside = None
            return
        if self._outside is None:
            self._outside = arrived
        if ahead > most + FAR or arrived - self._outside > BACKLOG:
            late = ahead < least
            if late in self._doubted:
                self._time_base = None
            self._doubted.add(late)
            self._known, self._outside = (min(least, ahead), max(most, ahead)), None


class Decimator:
    """Brings a stream down to a rate: the first frame at or after each beat of a fixed grid is kept.

    The grid is anchored at the first frame, so errors do not add up, and the choice depends on stream times alone.
    Cameras do not keep time exactly: in a live stream, a frame up to half a frame early counts for its beat, or a
    camera that gives just the rate asked for would lose every other frame to trembling.
    """

    def __init__(self, fps: float | None, *, live: bool = False) -> None:
        """Set the grid.

        Args:
            fps: Beats a second; None keeps every frame.
            live: Whether frame times tremble.

        Raises:
            ValueError: If the rate is not positive and finite.
        """
        if fps is not None and not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"frames a second must be a positive number, not {fps!r}")
        self._fps = None if fps is None else Fraction(fps).limit_denominator(1001)
        self._beat = -1
        self._live = live
        self._slack = SLACK
        self._last: Fraction | None = None

    def keeps(self, at: Fraction) -> bool:
        """Whether the frame at this time (seconds since the first frame, growing from call to call) is wanted."""
        if self._fps is None:
            return True
        if self._live:
            self._learn(at)
        beat = math.floor((at + self._slack) * self._fps)
        if beat <= self._beat:
            return False
        self._beat = beat
        return True

    def _learn(self, at: Fraction) -> None:
        """Half of what lies between this camera's frames, a pause counting as little."""
        if self._last is not None:
            half = float(at - self._last) / 2
            known = float(self._slack)
            learnt = half if self._slack == SLACK else known + (min(half, 2 * known) - known) / 8
            self._slack = max(SLACK, Fraction(round(learnt * 1000), 1000))
        self._last = at


class Pace:
    """Holds frames back until their time has come, so that a recording plays like a camera.

    Due times are counted from the first frame: a frame that comes late is due at once and the ones after it catch up.
    """

    def __init__(
        self, wait: Callable[[float], bool], *, speed: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Set the pace.

        Args:
            wait: Blocks for so many seconds; True when it was cut short (`threading.Event.wait`).
            speed: Seconds of stream per second of clock.
            clock: Seconds, monotonic.

        Raises:
            ValueError: If the speed is not positive.
        """
        if not speed > 0:
            raise ValueError(f"speed must be greater than 0, not {speed!r}")
        self._wait = wait
        self._speed = speed
        self._clock = clock
        self._start: float | None = None

    def until(self, at: float) -> bool:
        """Block until a frame is due.

        Args:
            at: Its frame time, seconds.

        Returns:
            False when the wait was cut short and the frame is no longer wanted.
        """
        now = self._clock()
        if self._start is None:
            self._start = now - at / self._speed
        remaining = self._start + at / self._speed - now
        return remaining <= 0 or not self._wait(remaining)
