"""What makes a set of frames good evidence.

The model is asked about each frame by itself and per item the largest count seen in one frame is believed. So a set is
worth, most important first:

1. **Coverage.** For each detector label, the largest count that was steadily in view should be shown by a chosen
   frame, the sharper the better. Kinds need not be together in one frame: items get bagged early. A count seen in fewer
   than `STEADY` frames is a flicker and worth nothing; above that its worth grows with the frames that showed it.
2. **A second and a third look** at the same counts by other good frames: independent answers that agree make the
   verdict sure, and one bad answer shows as a contradiction.
3. **The end.** One look at the last state before the hand-off with as much in view as possible.
4. **Spread.** Frames that show the same at almost the same time are one look, not several.

All terms are relative to the frames at hand, so the scale of `Candidate.score` does not matter, only its ratios.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import exp, exp2
from typing import TYPE_CHECKING

from orderacc.domain.detections import HAND, NOT_ITEMS

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from orderacc.domain.evidence import Candidate

STEADY = 3
"""Frames that must show a count until it is believed."""

HALF_SURE_FRAMES = 4.0
"""Frames beyond which a steady count's worth has passed half of what it can reach."""

LOOK_WORTH = (8.0, 2.0, 1.0)
"""Worth of the best, the second and the third look at a count; more looks are worth nothing."""

POOR_VIEW = 0.25
"""What the poorest view of a count is worth, of 1 for the best: it tells more than none."""

END_WORTH = 0.75
SPREAD_WORTH = 1.5
SPREAD_SECONDS = 1.5
"""Two looks at the same things this far apart in time repeat each other by about a third (1/e)."""

HANDLED = 0.4
"""What a piece's clarity is multiplied with when a hand overlaps it: it is being laid down, taken or hidden."""

Need = tuple[str, int]
"""A label and a count that at least one frame should show."""


@dataclass(frozen=True, slots=True)
class Look:
    """A candidate and what it shows.

    Attributes:
        candidate: The candidate.
        counts: Pieces of each item label it shows.
        clarity: How clearly it shows the worst piece of each label, 0 to 1: the detector's confidence, and whether a
            hand is at it.
    """

    candidate: Candidate
    counts: Counter[str]
    clarity: Mapping[str, float]

    @property
    def at(self) -> float:
        """Frame time, seconds."""
        return self.candidate.frame.at

    @property
    def order(self) -> tuple[float, int]:
        """Sorts looks by time."""
        return self.candidate.frame.at, self.candidate.frame.index

    @classmethod
    def at_candidate(cls, candidate: Candidate) -> Look:
        """Count a candidate's items."""
        pieces = [found for found in candidate.detections if found.label not in NOT_ITEMS]
        hands = [found.box for found in candidate.detections if found.label == HAND]
        clarity: dict[str, float] = {}
        for piece in pieces:
            handled = any(piece.box.intersection(hand) > 0 for hand in hands)
            clear = piece.score * (HANDLED if handled else 1.0)
            clarity[piece.label] = min(clarity.get(piece.label, 1.0), clear)
        return cls(candidate, candidate.pieces, clarity)

    def shows(self, need: Need) -> bool:
        """Whether at least so many pieces are in view."""
        return self.counts[need[0]] >= need[1]


def need_worth(frames: int) -> float:
    """Worth of showing a count that `frames` offered frames showed, 0 to 1."""
    if frames < STEADY:
        return 0.0
    return 1.0 - exp2(-(frames - STEADY + 1) / HALF_SURE_FRAMES)


def clearness(look: Look) -> float:
    """Score per piece in view."""
    return max(0.0, look.candidate.score) / max(1, look.counts.total())


def qualities(looks: Sequence[Look]) -> list[float]:
    """Scores per piece in view, relative to the best, 0 to 1.

    A score grows with the pieces in view; how many there are is the business of coverage, so that a clear view of one
    piece that was bagged early is as good as a clear view of five.
    """
    clear = [clearness(look) for look in looks]
    best = max(clear, default=0.0)
    return [value / best if best > 0 else 1.0 for value in clear]


def value(look: Look, need: Need, quality: float) -> float:
    """How well a look shows a count, 0 (not at all) to 1, given its frame's quality."""
    return POOR_VIEW + (1 - POOR_VIEW) * quality * look.clarity[need[0]] if look.shows(need) else 0.0


def likeness(one: Look, other: Look) -> float:
    """How much two looks repeat each other, 0 to 1: alike in what they show and close in time."""
    union = (one.counts | other.counts).total()
    shared: float = (one.counts & other.counts).total() / union if union else 1.0
    return shared * exp(-abs(one.at - other.at) / SPREAD_SECONDS)


def choose(looks: Sequence[Look], needs: Mapping[Need, float], k: int) -> list[Look]:
    """Pick the best set by trying all of them.

    Args:
        looks: What there is, in time order; a dozen at most.
        needs: Worth of each count to be shown.
        k: How many to pick; all of them when there are no more.

    Returns:
        The picked looks in time order.
    """
    if len(looks) <= k:
        return list(looks)
    worth = _Worth(looks, needs)
    # the earliest of equally good sets, so that the choice does not hang on rounding of later ones
    best = max(combinations(range(len(looks)), k), key=lambda chosen: round(worth.of(chosen), 9))
    return [looks[index] for index in best]


class _Worth:
    """The objective, with everything that does not depend on the set worked out once."""

    def __init__(self, looks: Sequence[Look], needs: Mapping[Need, float]) -> None:
        total = sum(needs.values()) or 1.0
        self._quality = qualities(looks)
        self._shown = [
            (share / total, [value(look, need, quality) for look, quality in zip(looks, self._quality, strict=True)])
            for need, share in needs.items()
            if share > 0
        ]
        first, last = looks[0].at, looks[-1].at
        span = last - first
        self._end = [
            sum(share for share, shown in self._shown if shown[index] > 0)
            * ((look.at - first) / span if span > 0 else 1.0)
            for index, look in enumerate(looks)
        ]
        self._likeness = [[likeness(one, other) for other in looks] for one in looks]

    def of(self, chosen: tuple[int, ...]) -> float:
        """Worth of a set of indices."""
        worth = END_WORTH * max(self._end[index] for index in chosen)
        for share, shown in self._shown:
            best = sorted((shown[index] for index in chosen if shown[index]), reverse=True)
            worth += share * sum(clear * look for clear, look in zip(best, LOOK_WORTH, strict=False))
        worth += sum(self._quality[index] for index in chosen) / len(chosen)
        return worth - SPREAD_WORTH * sum(self._likeness[one][other] for one, other in combinations(chosen, 2))
