"""Whether anything happens on the counter, and whether anything was added to it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orderacc.tracking.scene import Scene
    from orderacc.tracking.settings import TrackerSettings

GROWN_FRAMES = 3
"""Frames in a row that must show more than before until something was added."""


class Activity:
    """Watches the picture's change and the number of pieces in it.

    Attributes:
        last_change: Frame time of the last change, seconds.
    """

    def __init__(self, settings: TrackerSettings) -> None:
        self._settings = settings
        self.last_change = float("-inf")
        self._still: Counter[str] = Counter()
        self._reference: Counter[str] | None = None
        self._stirred = False
        self._grown_since: float | None = None
        self._grown_frames = 0

    def see(self, scene: Scene, change: float) -> None:
        """Take in one frame; the first one counts as a change."""
        if change > self._settings.change_threshold or self.last_change == float("-inf"):
            self.last_change = scene.at
            self._still = Counter(scene.counts)
            self._stirred = True
        else:
            self._still |= scene.counts
        if self._reference is not None and self._stirred and not scene.counts <= self._reference:
            self._grown_frames += 1
            self._grown_since = scene.at if self._grown_since is None else self._grown_since
        else:
            self._grown_frames, self._grown_since = 0, None

    def keep(self) -> None:
        """Compare the frames to come with the scene as it stands now."""
        self._reference = Counter(self._still)
        self._stirred = False
        self._grown_frames, self._grown_since = 0, None

    def grown(self, at: float) -> bool:
        """Whether pieces were added since `keep`: seen for a while, after the picture changed."""
        return (
            self._grown_since is not None
            and self._grown_frames >= GROWN_FRAMES
            and at - self._grown_since >= self._settings.glimpse
        )
