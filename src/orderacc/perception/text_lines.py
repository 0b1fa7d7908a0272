"""Finding the lines of print on a levelled slip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from orderacc.perception.paper import print_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orderacc.domain.frames import Image
    from orderacc.perception.paper import SlipView

MAX_LINES = 16
"""Most lines looked at on one slip, from the top; bounds the reader's work."""

_MIN_LETTER, _MAX_LETTER = 6, 70
_MAX_GAP = 3.0
"""Widest gap inside a line, in letter heights: what is further apart is read apart."""


@dataclass(frozen=True, slots=True, eq=False)
class TextLine:
    """One line of print.

    Attributes:
        image: BGR uint8 [h, w, 3], the line with a margin around it.
        height: Height of its print in pixels of the slip.
        hidden: Whether something may lie on part of it, or right beside it where more print may be.
    """

    image: Image
    height: int
    hidden: bool


def find_lines(slip: SlipView) -> list[TextLine]:
    """Find the lines of print.

    Args:
        slip: From `rectify`.

    Returns:
        Lines from top to bottom.
    """
    ink = print_mask(np.asarray(cv2.cvtColor(slip.image, cv2.COLOR_BGR2GRAY), np.uint8))
    lines: list[TextLine] = []
    for left, top, right, bottom in _join(_words(_letters_only(ink)))[:MAX_LINES]:
        margin = 3 + (bottom - top) // 5
        around = np.s_[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]
        hidden = bool(slip.hidden[around].any())
        lines.append(TextLine(np.ascontiguousarray(slip.image[around]), bottom - top, hidden))
    return lines


def _letters_only(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Drop what is no letter: edges and shadows of the paper, folds, specks, whatever leaves the picture."""
    _, components, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    left, top, width, height, area = (stats[:, column] for column in range(5))
    keep = (height <= _MAX_LETTER) & (width <= 2 * _MAX_LETTER) & (area >= 4)
    keep &= (width <= 8 * height) & (height <= 7 * width)
    keep &= (left > 0) & (top > 0) & (left + width < ink.shape[1]) & (top + height < ink.shape[0])
    keep[0] = False
    return np.asarray(keep[components], np.uint8)


def _words(ink: NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
    """Boxes (left, top, right, bottom) of letters that stand close together, top to bottom."""
    closed = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, 21), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    boxes = [(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist() if _MIN_LETTER <= h <= _MAX_LETTER and w >= 3]
    return sorted(boxes, key=lambda box: box[1] + box[3])


def _join(words: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Join words that stand beside each other into lines; what is too short for a line is dropped."""
    lines: list[tuple[int, int, int, int]] = []
    for word in sorted(words):
        for index in range(len(lines) - 1, -1, -1):
            line = lines[index]
            shared = min(line[3], word[3]) - max(line[1], word[1])
            tall, low = max(line[3] - line[1], word[3] - word[1]), min(line[3] - line[1], word[3] - word[1])
            if shared > 0.6 * low >= 0.25 * tall and word[0] - line[2] < _MAX_GAP * tall:
                lines[index] = (line[0], min(line[1], word[1]), max(line[2], word[2]), max(line[3], word[3]))
                break
        else:
            lines.append(word)
    kept = [line for line in lines if line[2] - line[0] >= line[3] - line[1]]
    return sorted(kept, key=lambda line: line[1] + line[3])
