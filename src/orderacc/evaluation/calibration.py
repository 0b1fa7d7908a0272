"""Whether confidence means something: of what was held to be 90 % sure, nine in ten should be right."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """What was said with about the same confidence.

    Attributes:
        low: Least confidence, 0 to 1.
        high: Confidence it stays below; the last bin holds 1 too.
        count: How many.
        confidence: Their mean confidence.
        right: Share of them that was right.
    """

    low: float
    high: float
    count: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidence against being right.

    Attributes:
        count: How many were held against the truth.
        bins: By confidence, empty ones left out.
        error: Expected calibration error: mean distance of confidence from the share that was right, weighted by
            count, 0 to 1; None when there was nothing.
        brier: Mean squared distance of confidence from 1 (right) or 0 (wrong); None likewise.
    """

    count: int
    bins: tuple[Bin, ...]
    error: float | None
    brier: float | None

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "count": self.count,
            "error": None if self.error is None else round(self.error, 4),
            "brier": None if self.brier is None else round(self.brier, 4),
            "bins": [{name: round(value, 4) for name, value in asdict(each).items()} for each in self.bins],
        }


def calibrate(claims: Iterable[tuple[float, bool]]) -> Calibration:
    """Sort claims into bins of equal width.

    Args:
        claims: Confidence, 0 to 1, and whether it was right.
    """
    inside: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for confidence, right in claims:
        inside[min(int(confidence * BINS), BINS - 1)].append((confidence, right))
    bins = tuple(
        Bin(
            index / BINS,
            (index + 1) / BINS,
            len(held),
            sum(confidence for confidence, _ in held) / len(held),
            sum(right for _, right in held) / len(held),
        )
        for index, held in enumerate(inside)
        if held
    )
    count = sum(each.count for each in bins)
    if not count:
        return Calibration(0, (), None, None)
    error = sum(abs(each.confidence - each.right) * each.count for each in bins) / count
    brier = sum((confidence - right) ** 2 for held in inside for confidence, right in held) / count
    return Calibration(count, bins, error, brier)
