"""Things that keep their number from frame to frame: boxes moved along and matched by overlap.

Each track is a box with a speed, both smoothed as a Kalman filter in its steady state does. Boxes of one class are
matched to where the tracks should be by now, all at once, so that no track takes another's box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import linear_sum_assignment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from orderacc.domain.detections import Detection

LEAST_OVERLAP: Final = 0.2
"""Overlap (IoU) with where a track should be from which a box is its."""

PATIENCE: Final = 1.0
"""Seconds a track is kept that no box was found for."""

TRUST_PLACE: Final = 0.85
"""Share of a difference in place that is believed at once; ..."""

TRUST_SPEED: Final = 0.4
"""... and of the speed it means."""

LONGEST_STEP: Final = 0.5
"""Seconds a track is moved along at most: what things did in a longer gap is not known."""


@dataclass(slots=True)
class _Track:
    number: int
    label: str
    box: NDArray[np.float64]
    speed: NDArray[np.float64]
    seen: float


class Tracks:
    """Gives the things of one stream their numbers."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._made = 0
        self._at: float | None = None

    def __len__(self) -> int:
        return len(self._tracks)

    def number(self, detections: Sequence[Detection], at: float) -> list[int]:
        """Number the things of the next frame.

        Args:
            detections: What was seen, at most a few dozen.
            at: When, seconds; one that lies before the last frame's counts as that.

        Returns:
            A number for each, no two of them equal.
        """
        passed = 0.0 if self._at is None else max(0.0, at - self._at)
        self._at = at if self._at is None else max(at, self._at)
        boxes = np.array([(one.box.x1, one.box.y1, one.box.x2, one.box.y2) for one in detections]).reshape(-1, 4)
        expected = np.array([track.box + track.speed * min(passed, LONGEST_STEP) for track in self._tracks])
        numbers = [0] * len(detections)
        for index, place in self._pairs(detections, boxes, expected.reshape(-1, 4)):
            track = self._tracks[place]
            off = boxes[index] - expected[place]
            track.box = expected[place] + TRUST_PLACE * off
            if passed > 0:
                track.speed = track.speed + TRUST_SPEED * off / max(passed, 0.02)
            track.seen = self._at
            numbers[index] = track.number
        for index, one in enumerate(detections):
            if not numbers[index]:
                self._made += 1
                self._tracks.append(_Track(self._made, one.label, boxes[index], np.zeros(4), self._at))
                numbers[index] = self._made
        self._tracks = [track for track in self._tracks if self._at - track.seen <= PATIENCE]
        return numbers

    def _pairs(
        self, detections: Sequence[Detection], boxes: NDArray[np.float64], expected: NDArray[np.float64]
    ) -> list[tuple[int, int]]:
        """Which box is which track's: the pairs whose overlaps add up to most."""
        if not len(boxes) or not len(expected):
            return []
        overlaps = _overlaps(boxes, expected)
        for index, one in enumerate(detections):
            for place, track in enumerate(self._tracks):
                if one.label != track.label:
                    overlaps[index, place] = 0.0
        overlaps[overlaps < LEAST_OVERLAP] = 0.0
        rows, columns = linear_sum_assignment(overlaps, maximize=True)
        return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if overlaps[row, column] > 0]


def _overlaps(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU [M, N] of boxes [M, 4] and others [N, 4], all left, top, right, bottom."""
    first, second = boxes[:, np.newaxis], others[np.newaxis]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.prod(np.clip(sides, 0, None), axis=2)
    areas = [np.prod(np.clip(each[:, 2:] - each[:, :2], 0, None), axis=1) for each in (boxes, others)]
    union = areas[0][:, np.newaxis] + areas[1] - shared
    result: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return result
