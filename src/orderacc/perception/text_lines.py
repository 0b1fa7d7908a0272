"""Finding the lines of print on a levelled slip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

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

_MAX_TALLER = 1.6
"""What stands this many times taller than the print beside it and is narrower than tall is no letter: an edge of the
paper, a streak of the table."""


_Place: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the slip."""


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
    letters, cut = _letters(ink)
    cut_off = _words(cut * (slip.hidden > 0))
    lines: list[TextLine] = []
    for line in _join(_words(letters))[:MAX_LINES]:
        left, top, right, bottom = line
        margin = 3 + (bottom - top) // 5
        around = np.s_[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]
        hidden = bool(slip.hidden[around].any()) or any(_stands_beside(line, letter) for letter in cut_off)
        lines.append(TextLine(np.ascontiguousarray(slip.image[around]), bottom - top, hidden))
    return lines


def _letters(ink: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Drop what is no letter: edges and shadows of the paper, folds, specks.

    Returns:
        What is left, and what would be left but leaves the picture.
    """
    _, components, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    left, top, width, height, area = (stats[:, column] for column in range(5))
    keep = (height <= _MAX_LETTER) & (width <= 2 * _MAX_LETTER) & (area >= 4)
    keep &= (width <= 8 * height) & (height <= 7 * width)
    keep[0] = False
    whole = keep & (left > 0) & (top > 0) & (left + width < ink.shape[1]) & (top + height < ink.shape[0])
    return np.asarray(whole[components], np.uint8), np.asarray((keep & ~whole)[components], np.uint8)


def _words(ink: NDArray[np.uint8]) -> list[_Place]:
    """Places of letters that stand close together, top to bottom."""
    closed = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, 21), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    boxes = [(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist() if _MIN_LETTER <= h <= _MAX_LETTER and w >= 3]
    return sorted(boxes, key=lambda box: box[1] + box[3])


def _join(words: list[_Place]) -> list[_Place]:
    """Join words that stand beside each other into lines; what is too short for a line is dropped."""
    lines: list[_Place] = []
    for word in sorted(words):
        for index in range(len(lines) - 1, -1, -1):
            line = lines[index]
            if _stands_beside(line, word) and not _is_streak(line, word) and not _is_streak(word, line):
                lines[index] = (line[0], min(line[1], word[1]), max(line[2], word[2]), max(line[3], word[3]))
                break
        else:
            lines.append(word)
    kept = [line for line in lines if line[2] - line[0] >= line[3] - line[1]]
    return sorted(kept, key=lambda line: line[1] + line[3])


def _stands_beside(line: _Place, word: _Place) -> bool:
    """Whether a word stands at the height of a line and not too far off."""
    shared = min(line[3], word[3]) - max(line[1], word[1])
    tall, low = max(line[3] - line[1], word[3] - word[1]), min(line[3] - line[1], word[3] - word[1])
    gap = max(word[0] - line[2], line[0] - word[2])
    return shared > 0.6 * low >= 0.25 * tall and gap < _MAX_GAP * tall


def _is_streak(place: _Place, beside: _Place) -> bool:
    height = place[3] - place[1]
    return height > _MAX_TALLER * (beside[3] - beside[1]) and place[2] - place[0] < height
