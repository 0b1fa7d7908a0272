"""Leaving frames out when there is too much to do."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from orderacc.capture.timing import Decimator
from orderacc.service.scaling import Watching

LEAST_FPS: Final = 4.0
"""Frames a second below which nothing is left out: a slip shown for half a second must still be seen twice."""


@dataclass(slots=True)
class Throttle:
    """What all stations of a process are held to now; may be changed at any time.

    Attributes:
        watching: Which frames are looked at.
    """

    watching: Watching = Watching.ALL


class Thinner:
    """Says which frames of one station are looked at.

    Args:
        fps: Frames a second the station is configured for.
        throttle: Whether any are left out.
    """

    def __init__(self, fps: float, throttle: Throttle) -> None:
        self._throttle = throttle
        self._half = Decimator(max(fps / 2, min(fps, LEAST_FPS)), live=True)

    def wants(self, at: float, *, order_open: bool) -> bool:
        """Whether the frame at this time is looked at.

        Args:
            at: Frame time, seconds; growing.
            order_open: Whether an order is open.
        """
        watching = self._throttle.watching
        thinned = watching is Watching.HALF or (watching is Watching.HALF_IF_EMPTY and not order_open)
        # Asked in any case: it learns how the camera's times tremble.
        return self._half.keeps(Fraction(round(at * 1_000_000), 1_000_000)) or not thinned
