"""An observation, reduced to the questions the tracker asks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderacc.domain.detections import SLIP

if TYPE_CHECKING:
    from orderacc.domain.detections import Detection, SlipReading
    from orderacc.tracking.observation import Observation

SECOND_SLIP_SCORE = 0.5
"""Detector score from which a second slip box is taken for a second slip."""

SAME_SLIP_OVERLAP = 0.1
"""IoU from which two slip boxes are one slip seen twice."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What lies on the counter in one frame.

    Attributes:
        at: Frame time, seconds.
        counts: Pieces of each item label.
        slip: Whether a slip is in view.
        two_slips: Whether a second one is.
        covered: Whether something lies over the slip or touches it, so that it may be read in part.
        changed: Whether the slip looks different from the one last read.
        reading: The number read in this frame.
        hand: Whether a hand is in view.
    """

    at: float
    counts: Counter[str]
    slip: bool
    two_slips: bool
    covered: bool
    changed: bool
    reading: SlipReading | None
    hand: bool

    @property
    def occupied(self) -> bool:
        """Whether an order may be here: food or a slip; a bag or a hand alone is none."""
        return self.slip or bool(self.counts)

    @classmethod
    def of(cls, observation: Observation) -> Scene:
        """Reduce an observation."""
        slips = [detection for detection in observation.detections if detection.label == SLIP]
        slip = observation.slip_seen or observation.slip is not None
        hands = observation.hands
        return cls(
            at=observation.at,
            counts=Counter(item.label for item in observation.items),
            slip=slip,
            two_slips=slip and _two(slips),
            covered=_covered(slips, observation.detections) if slips else bool(hands),
            changed=slip and observation.slip_changed,
            reading=observation.slip,
            hand=bool(hands),
        )


def _two(slips: list[Detection]) -> bool:
    sure = [slip for slip in slips if slip.score >= SECOND_SLIP_SCORE]
    return any(
        one.box.iou(other.box) < SAME_SLIP_OVERLAP for index, one in enumerate(sure) for other in sure[index + 1 :]
    )


def _covered(slips: list[Detection], detections: tuple[Detection, ...]) -> bool:
    others = [detection for detection in detections if detection.label != SLIP]
    return any(slip.box.intersection(other.box) > 0 for slip in slips for other in others)
