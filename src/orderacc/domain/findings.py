"""Why a verdict says what it says, line by line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from orderacc.domain.detections import Box

Strategy: TypeAlias = Literal["exact", "semantic", "hybrid"]

Outcome: TypeAlias = Literal["matched", "missing", "extra", "quantity_mismatch", "not_checked", "ignored"]

Rule: TypeAlias = Literal[
    "same_name",
    "same_item",
    "spelling",
    "container_unsaid",
    "opinion",
    "size",
    "count",
    "trait",
    "left_out",
    "container",
    "words",
    "other_item",
    "below_threshold",
    "nothing_near",
    "not_visible",
    "not_asked",
]
"""What decided about a line. Why names were taken for one thing: equal once normalised; one item of the menu; a
misspelling, an abbreviation, words joined or split; one names a container and the other does not; an outside service
said so. What tells the nearest name on the other side apart: size or volume, piece count, diet or zero or decaf, what
is left out, container, words; both are on the menu; likeness below the threshold; nothing near it at all. What is in
something closed; what nobody asks about."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one frame says about a line.

    Attributes:
        frame: Which of the verdict's frames, from 0.
        count: How many the model counted there.
        boxes: Where the detector saw pieces that may be it, in pixels of the frame; look-alikes share theirs. None
            where the detector has no word for it.
    """

    frame: int
    count: int
    boxes: tuple[Box, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The sighting as JSON values; a box is left, top, right, bottom."""
        boxes = self.boxes
        if boxes is not None:
            places = [[round(side, 1) for side in (box.x1, box.y1, box.x2, box.y2)] for box in boxes]
        return {"frame": self.frame, "count": self.count, "boxes": None if boxes is None else places}


@dataclass(frozen=True, slots=True)
class LineFinding:
    """What came of one name, and why.

    Attributes:
        outcome: Where the name is listed in the verdict. `not_checked` are units that were ordered and cannot be
            seen, `ignored` what nobody asks about; neither is listed in the verdict.
        name: As the verdict writes it.
        expected: Units ordered, those that cannot be seen included.
        seen: Units seen.
        rule: What decided.
        score: Likeness of the two names that the rule is about, 0 to 1.
        confidence: How sure the line is, 0 to 1.
        strategy: How names were compared.
        other_name: The name on the other side that the rule is about: what it was seen as, or what was nearest to it.
        detail: What differs between the two, `name`'s before `other_name`'s, as `large / small`.
        frames: What the frames say, where there are any.
    """

    outcome: Outcome
    name: str
    expected: int
    seen: int
    rule: Rule
    score: float
    confidence: float
    strategy: Strategy
    other_name: str | None = None
    detail: str = ""
    frames: tuple[Sighting, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON values, every key always present."""
        return {
            "outcome": self.outcome,
            "name": self.name,
            "expected": self.expected,
            "seen": self.seen,
            "rule": self.rule,
            "score": round(self.score, 3),
            "confidence": round(self.confidence, 3),
            "strategy": self.strategy,
            "other_name": self.other_name,
            "detail": self.detail,
            "frames": [sighting.to_dict() for sighting in self.frames],
        }
