"""Precision and recall of a detector against the simulator's truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from orderacc.domain.detections import Box
from orderacc.training.detector_pictures import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orderacc.domain.detections import Detection
    from orderacc.training.detector_pictures import Truth

MIN_IOU: Final = 0.5


@dataclass(slots=True)
class Tally:
    """Counts of one class.

    Attributes:
        right: Things found: same class, IoU at least `MIN_IOU`.
        wrong: Detections of nothing, of something else, or of something already found.
        missed: Things not found.
    """

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        """Share of detections that are right; 1 when there are none."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """Share of things found; 1 when there are none."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0


@dataclass(slots=True)
class Measured:
    """Counts a class, and how well boxes of found things fit."""

    tallies: dict[str, Tally] = field(default_factory=lambda: {label: Tally() for label in LABELS})
    fits: list[float] = field(default_factory=list)

    @property
    def overall(self) -> Tally:
        """All classes together."""
        every = self.tallies.values()
        return Tally(sum(t.right for t in every), sum(t.wrong for t in every), sum(t.missed for t in every))

    def add(self, detections: Iterable[Detection], truth: Truth) -> None:
        """Count one picture: the strongest detection takes the truth it fits best, ignored truth counts nothing."""
        boxes = [Box(*map(float, box)) for box in truth.boxes]
        found: set[int] = set()
        for detection in sorted(detections, key=lambda one: -one.score):
            tally = self.tallies[detection.label]
            fits = [
                (detection.box.iou(box), index)
                for index, box in enumerate(boxes)
                if LABELS[truth.classes[index]] == detection.label and index not in found
            ]
            fit, index = max(fits, default=(0.0, -1))
            if fit >= MIN_IOU:
                found.add(index)
                if not truth.ignored[index]:
                    tally.right += 1
                    self.fits.append(fit)
            elif not any(self._excused(detection.box, boxes[i]) for _, i in fits if truth.ignored[i]):
                tally.wrong += 1
        for index, kind in enumerate(truth.classes):
            if index not in found and not truth.ignored[index]:
                self.tallies[LABELS[kind]].missed += 1

    @staticmethod
    def _excused(seen: Box, ignored: Box) -> bool:
        return seen.intersection(ignored) >= 0.5 * min(seen.area, ignored.area)

    def table(self) -> str:
        """A Markdown table with a line per class."""
        rows = ["| class | things | precision | recall |", "| --- | ---: | ---: | ---: |"]
        for label, tally in [*self.tallies.items(), ("all", self.overall)]:
            rows.append(f"| {label} | {tally.right + tally.missed} | {tally.precision:.3f} | {tally.recall:.3f} |")
        return "\n".join(rows)

    @property
    def mean_fit(self) -> float:
        """Mean IoU of found things; 0 when nothing was found."""
        return float(np.mean(self.fits)) if self.fits else 0.0
