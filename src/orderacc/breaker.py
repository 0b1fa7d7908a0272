"""A circuit breaker: after too many failures in a short time, attempts are spaced out."""

from __future__ import annotations

import math
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

MARGIN: Final = 0.1
"""Share of the cooldown that is left for trying: what is back works before a whole one is over."""

JITTER: Final = 0.2
"""Share that chance takes off besides, so that those who failed together do not all come back at once."""


class Circuit(StrEnum):
    """Whether attempts go through."""

    CLOSED = "closed"
    """Yes."""
    OPEN = "open"
    """Not before the cooldown is over."""
    HALF_OPEN = "half_open"
    """One is on its way; how it ends decides."""


class CircuitBreaker:
    """Counts failures in a sliding window. Time is passed in and must not run backwards.

    Args:
        threshold: Failures within the window that open it.
        window: Seconds a failure counts.
        cooldown: Seconds within which one attempt may probe while it is open.
        rng: Decides the jitter.
    """

    def __init__(self, threshold: int, window: float, cooldown: float, rng: Random) -> None:
        self._threshold = threshold
        self._window = window
        self._cooldown = cooldown
        self._rng = rng
        self._failures: deque[float] = deque(maxlen=threshold)
        self._circuit = Circuit.CLOSED
        self._probe_at = -math.inf
        self._trips = 0

    @property
    def circuit(self) -> Circuit:
        """Whether attempts go through."""
        return self._circuit

    @property
    def probe_at(self) -> float:
        """When it was or will be ready for a probe, seconds; minus infinity while it has never been open."""
        return self._probe_at

    @property
    def trips(self) -> int:
        """How often it opened; a probe that failed is not another trip."""
        return self._trips

    def failed(self, now: float, began: float | None = None) -> bool:
        """Take in a failure.

        Args:
            now: When, seconds.
            began: When the attempt that failed had begun; the time it took is part of the cooldown. None counts the
                cooldown from now.

        Returns:
            Whether it is open now.
        """
        if self._circuit is Circuit.HALF_OPEN:
            self._open(now, began)
        elif self._circuit is Circuit.CLOSED:
            self._failures.append(now)
            if len(self._failures) == self._threshold and now - self._failures[0] <= self._window:
                self.trip(now, began)
        return self._circuit is Circuit.OPEN

    def trip(self, now: float, began: float | None = None) -> None:
        """Open it, whatever the count; as in `failed`."""
        self._trips += 1
        self._open(now, began)

    def probe(self, now: float) -> bool:
        """Ask whether an attempt may be made; an open circuit whose cooldown is over becomes half open by that."""
        if self._circuit is Circuit.OPEN and now >= self._probe_at:
            self._circuit = Circuit.HALF_OPEN
            return True
        return self._circuit is Circuit.CLOSED

    def close(self) -> None:
        """Health is back: forget the failures."""
        self._circuit = Circuit.CLOSED
        self._failures.clear()

    def _open(self, now: float, began: float | None) -> None:
        self._circuit = Circuit.OPEN
        wait = self._cooldown * (1 - MARGIN - JITTER * self._rng.random())
        self._probe_at = max(now, (now if began is None else began) + wait)
        self._failures.clear()
