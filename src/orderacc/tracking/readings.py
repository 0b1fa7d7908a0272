"""Which of several readings of one slip to believe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orderacc.domain.detections import SlipReading

MAX_NUMBERS = 16
"""Different numbers remembered of one slip; more would only be noise."""

AGREEING = 2
"""Readings that must agree where none is confident."""


@dataclass(slots=True)
class Tally:
    """How often each number was read, and how surely.

    Attributes:
        votes: Number -> (times read, best confidence, summed confidence), in order of first reading.
    """

    votes: dict[str, tuple[int, float, float]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.votes)

    def __contains__(self, text: str) -> bool:
        return text in self.votes

    def add(self, reading: SlipReading) -> None:
        """Count one reading."""
        self._add(reading.text, (1, reading.confidence, reading.confidence))

    def merge(self, other: Tally) -> None:
        """Count all readings of another tally too."""
        for text, vote in other.votes.items():
            self._add(text, vote)

    def weight(self, text: str) -> tuple[int, float]:
        """Times read and summed confidence: what a majority is decided by."""
        count, _, total = self.votes.get(text, (0, 0.0, 0.0))
        return count, total

    def agreed(self, text: str) -> bool:
        """Whether a number was read twice."""
        return self.weight(text)[0] >= AGREEING

    def confirmed(self, text: str, confident: float) -> bool:
        """Whether a number was read twice, or once with confidence `confident`."""
        count, best, _ = self.votes.get(text, (0, 0.0, 0.0))
        return self.agreed(text) or (count > 0 and best >= confident)

    def _add(self, text: str, vote: tuple[int, float, float]) -> None:
        known = self.votes.get(text)
        if known is None and len(self.votes) >= MAX_NUMBERS:
            del self.votes[min(self.votes, key=self.weight)]
        count, best, total = known or (0, 0.0, 0.0)
        self.votes[text] = (count + vote[0], max(best, vote[1]), total + vote[2])


def is_fragment(part: str, whole: str) -> bool:
    """Whether `part` is what remains of `whole` when some of its digits are hidden at an edge."""
    return len(part) < len(whole) and (whole.startswith(part) or whole.endswith(part))
