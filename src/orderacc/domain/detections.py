"""What the detector and the slip reader say about one frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SLIP: Final = "slip"
HAND: Final = "hand"
BAG: Final = "bag"
NOT_ITEMS: Final = frozenset({SLIP, HAND, BAG})
"""Detector labels that are not food; every other label is an item group of the menu."""


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box in pixels of the frame: left, top, right, bottom (exclusive)."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def area(self) -> float:
        """Area in square pixels; 0 for an empty box."""
        return max(0.0, self.x2 - self.x1) * max(0.0, self.y2 - self.y1)

    def intersection(self, other: Box) -> float:
        """Area shared with another box, in square pixels."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        return max(0.0, width) * max(0.0, height)

    def iou(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        shared = self.intersection(other)
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing the detector saw.

    Attributes:
        label: `slip`, `hand`, `bag`, or an item group.
        score: Confidence, 0 to 1.
        box: Where, in pixels of the frame.
    """

    label: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class SlipReading:
    """The order number read off a slip.

    Attributes:
        text: The number as printed, digits (and letters) only, e.g. `4821`.
        confidence: The reader's confidence, 0 to 1.
    """

    text: str
    confidence: float
