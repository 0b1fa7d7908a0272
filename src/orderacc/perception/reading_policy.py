"""When a slip is worth reading: reading costs as much as looking at ten frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIN_FRAMES: Final = 2
"""Frames in a row in which a slip must be seen before it is read; the first may be a flash."""

VERIFY_AFTER: Final = 0.5
"""Seconds after which a new number is read once more: two agreeing readings make it certain."""

RETRY_AFTER: Final = 0.4
"""Seconds between attempts on a slip that could not be read."""

PATIENCE: Final = 6
"""Attempts at that pace; after them the slip is probably unreadable where it lies."""

RETRY_LATER: Final = 1.5
"""Seconds between attempts from then on."""


@dataclass(slots=True)
class ReadingPolicy:
    """Decides frame by frame, by frame time only.

    Read are: a slip that looks unlike the one last read; one that came back into view; a new number once more for
    certainty; and a slip that could not be read, again and again at a bearable pace.
    """

    _frames: int = 0
    _failures: int = 0
    _tried_at: float = float("-inf")
    _text: str | None = None
    _agreed: bool = False

    def wants(self, at: float, *, seen: bool, alike: bool, covered: bool) -> bool:
        """Whether to read in this frame.

        Args:
            at: Frame time in seconds.
            seen: Whether a slip is in view.
            alike: Whether it looks like the one last read; False when none was.
            covered: Whether a hand is on it, it is being moved, or part of it is out of the picture.
        """
        if not seen:
            self._frames, self._agreed = 0, False
            return False
        self._frames += 1
        if covered or self._frames < MIN_FRAMES:
            return False
        if self._failures:
            return at - self._tried_at >= (RETRY_AFTER if self._failures <= PATIENCE else RETRY_LATER)
        if not alike:
            return True
        return not self._agreed and at - self._tried_at >= VERIFY_AFTER

    def tried(self, at: float, text: str | None) -> None:
        """Note the outcome of a reading: the number, or None."""
        self._tried_at = at
        if text is None:
            self._failures += 1
            return
        self._failures = 0
        self._agreed = text == self._text
        self._text = text
