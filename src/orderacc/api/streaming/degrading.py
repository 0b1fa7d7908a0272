"""What a session gives up when there is too much to do, and when it gets it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orderacc.api.streaming.messages import QualityMode

LATE: Final = 2.0
"""Times between two frames (by `fps_limit`) from which a result is late."""

EARLY: Final = 0.7
"""Times between two frames up to which a result leaves room for more."""

WORSE_AFTER: Final = 1.0
"""Seconds of late results after which one more thing is given up."""

BETTER_AFTER: Final = 5.0
"""Seconds of early results after which one thing is given back."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What is left.

    Attributes:
        scale: The picture is decoded at one so-manieth of its width and height: 1, 2 or 4.
        share: Share of the frames that are looked at.
    """

    scale: int
    share: float


LADDERS: Final[Mapping[QualityMode, tuple[Quality, ...]]] = {
    "speed": (Quality(2, 1.0), Quality(4, 1.0), Quality(4, 0.5), Quality(4, 0.25)),
    "balanced": (Quality(1, 1.0), Quality(2, 1.0), Quality(2, 0.5), Quality(4, 0.5), Quality(4, 0.25)),
    "quality": (Quality(1, 1.0), Quality(1, 0.5), Quality(1, 0.25)),
}
"""Steps down, by mode: pixels are given up before frames where both may be."""


class Degradation:
    """Goes down a ladder while results are late, and up again when they are early; it does not jump.

    Args:
        mode: Which ladder.
    """

    def __init__(self, mode: QualityMode) -> None:
        self._ladder = LADDERS[mode]
        self._since: float | None = None
        self._late = False
        self.level = 0

    @property
    def quality(self) -> Quality:
        """What is left now."""
        return self._ladder[self.level]

    def change(self, mode: QualityMode) -> None:
        """Take another ladder, as far down as it goes."""
        self._ladder = LADDERS[mode]
        self.level = min(self.level, len(self._ladder) - 1)

    def note(self, took: float, interval: float, at: float, *, dropped: bool = False) -> None:
        """Take note of a result.

        Args:
            took: Seconds from the frame's arrival.
            interval: Seconds between frames by `fps_limit`, before anything was given up.
            at: Now, seconds.
            dropped: Whether it is none, because newer frames took its place in the queue.
        """
        interval /= self.quality.share
        if dropped or took > LATE * interval:
            self._count(at, late=True)
        elif took < EARLY * interval:
            self._count(at, late=False)
        else:
            self._since = None

    def _count(self, at: float, *, late: bool) -> None:
        if self._since is None or late != self._late:
            self._since, self._late = at, late
        if at - self._since >= (WORSE_AFTER if late else BETTER_AFTER):
            self.level = max(0, min(len(self._ladder) - 1, self.level + (1 if late else -1)))
            self._since = at
