"""Precision and recall of things that can be counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Hashable

_K = TypeVar("_K", bound="Hashable")


@dataclass(frozen=True, slots=True)
class Tally:
    """What was said against what was so.

    Attributes:
        right: Said, and so.
        wrong: Said, and not so.
        missed: So, and not said.
    """

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float | None:
        """Share of what was said that is so; None when nothing was said."""
        return _share(self.right, self.right + self.wrong)

    @property
    def recall(self) -> float | None:
        """Share of what is so that was said; None when there was nothing to say."""
        return _share(self.right, self.right + self.missed)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None when there was nothing to say and nothing was said."""
        return _share(2 * self.right, 2 * self.right + self.wrong + self.missed)

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    def to_dict(self) -> dict[str, int | float | None]:
        """Counts and shares as JSON values."""
        shares = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {
            "right": self.right,
            "wrong": self.wrong,
            "missed": self.missed,
            **{name: None if share is None else round(share, 4) for name, share in shares.items()},
        }


def tally(said: Counter[_K], so: Counter[_K]) -> Tally:
    """Compare two counts unit by unit."""
    return Tally((said & so).total(), (said - so).total(), (so - said).total())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
