"""Waits between attempts: longer each time, and never in step with others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

JITTER: Final = 0.5
"""Share of a wait that chance may take off, so that those who failed together do not all come back at once."""


class Backoff:
    """Doubling waits.

    Args:
        first: Seconds of the first wait.
        longest: Seconds no wait exceeds.
        rng: Decides the jitter.
    """

    def __init__(self, first: float, longest: float, rng: Random) -> None:
        self._first = first
        self._longest = longest
        self._rng = rng
        self._wait = first

    def next(self) -> float:
        """Seconds to wait now: at most the undisturbed wait, at least half of it."""
        wait = min(self._wait, self._longest)
        self._wait = min(wait * 2, self._longest)
        return wait * (1 - JITTER * self._rng.random())

    def reset(self) -> None:
        """Begin again with the first wait."""
        self._wait = self._first
