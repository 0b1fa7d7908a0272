"""Time that passes only when told to."""

from __future__ import annotations


class StagedClock:
    """Time that passes only when told to; safe in threads.

    Args:
        now: Seconds it begins at.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now

    def __call__(self) -> float:
        """Seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
