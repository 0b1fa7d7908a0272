"""What one frame says about the counter, as far as order tracking is concerned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderacc.domain.detections import HAND, NOT_ITEMS

if TYPE_CHECKING:
    from orderacc.domain.detections import Detection, SlipReading


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything perception tells the tracker about one frame.

    Attributes:
        at: Frame time in seconds; never runs backwards within one stream.
        frame_index: The frame's index in its source.
        detections: What the detector saw: items, slip, hands, bags.
        slip_seen: Whether a slip is in view, readable or not.
        slip_changed: Whether the slip in view looks different from the one last read before this frame: it may have
            been swapped. On the frame that reads a new slip it is therefore still true.
        slip: The reading made on this frame, None when none was made or it failed.
        change: How much the picture changed since the last frame, 0 (still) to 1.
    """

    at: float
    frame_index: int
    detections: tuple[Detection, ...]
    slip_seen: bool
    slip_changed: bool
    slip: SlipReading | None
    change: float

    @property
    def items(self) -> tuple[Detection, ...]:
        """The detections that are food, in the detector's order."""
        return tuple(detection for detection in self.detections if detection.label not in NOT_ITEMS)

    @property
    def hands(self) -> tuple[Detection, ...]:
        """The detections that are hands, in the detector's order."""
        return tuple(detection for detection in self.detections if detection.label == HAND)
