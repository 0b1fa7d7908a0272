"""Cutting a slip out of a frame so that its lines of print lie level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from orderacc.domain.detections import Box
from orderacc.perception.outline import find_outline, square_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from orderacc.domain.frames import Image

SLIP_WIDTH = 360
"""Width slips are scaled to before they are levelled, in pixels: print then has one size whatever the distance."""

MAX_HEIGHT = 3 * SLIP_WIDTH
"""Longer slips are squeezed to this; it bounds the reader's work."""

_MARGIN = 0.05
_MIN_SIDE = 12
_COVER_MARGIN = 3
_EDGE = 5.0
"""Pixels along the frame's edge that count as covered where a slip reaches them: its print may go on out of view."""

_OUTLINE_BONUS = 1.15


@dataclass(frozen=True, slots=True, eq=False)
class SlipView:
    """A slip cut out of a frame, its print level.

    Attributes:
        image: BGR uint8 [H, W, 3]. Possibly sideways or upside down: the shape of print does not tell, its reader can.
        hidden: uint8 [H, W], above 0 where something else may lie on the slip, and along the frame's edge.
    """

    image: Image
    hidden: NDArray[np.uint8]

    def turned(self, quarter_turns: int) -> SlipView:
        """This view turned counter-clockwise by quarter turns."""
        image, hidden = np.rot90(self.image, quarter_turns), np.rot90(self.hidden, quarter_turns)
        return SlipView(np.ascontiguousarray(image), np.ascontiguousarray(hidden)) if quarter_turns else self


def rectify(image: Image, box: Box, covers: Sequence[Box] = ()) -> SlipView | None:
    """Cut out the slip and level its print.

    The print itself says how it lies: rows of ink with gaps between them appear at one angle only. Where the paper's
    outline is visible, perspective is taken out with it, if that makes the print no less level.

    Args:
        image: BGR uint8 [H, W, 3], the frame.
        box: The slip's box in pixels of the frame.
        covers: Boxes of what may lie on the slip, in pixels of the frame.

    Returns:
        None when the box is too small.
    """
    margin_x, margin_y = _MARGIN * (box.x2 - box.x1), _MARGIN * (box.y2 - box.y1)
    height, width = image.shape[:2]
    left, top = max(0, round(box.x1 - margin_x)), max(0, round(box.y1 - margin_y))
    crop = image[top : min(height, round(box.y2 + margin_y)), left : min(width, round(box.x2 + margin_x))]
    if min(crop.shape[:2]) < _MIN_SIDE:
        return None
    out_of_view = [edge for edge in _edges(width, height) if box.intersection(edge) > 0]
    layers = _with_covers(crop, left, top, (*covers, *out_of_view))
    levelled, clarity = _level(_scale(layers))
    corners = find_outline(crop)
    if corners is not None:
        squared = square_up(layers, corners)
        if min(squared.shape[:2]) >= _MIN_SIDE:
            squared, squared_clarity = _level(_scale(squared))
            if squared_clarity * _OUTLINE_BONUS >= clarity:
                levelled = squared
    return SlipView(np.ascontiguousarray(levelled[..., :3]), np.ascontiguousarray(levelled[..., 3]))


def _edges(width: int, height: int) -> tuple[Box, ...]:
    """Strips along the edges of a frame."""
    return (
        Box(0, 0, _EDGE, height),
        Box(0, 0, width, _EDGE),
        Box(width - _EDGE, 0, width, height),
        Box(0, height - _EDGE, width, height),
    )


def _with_covers(crop: Image, left: int, top: int, covers: Sequence[Box]) -> NDArray[np.uint8]:
    """Add a fourth layer that marks what is covered, so that it takes part in every turn: uint8 [H, W, 4]."""
    hidden = np.zeros(crop.shape[:2], np.uint8)
    for cover in covers:
        y1, x1 = max(0, int(cover.y1) - top - _COVER_MARGIN), max(0, int(cover.x1) - left - _COVER_MARGIN)
        y2, x2 = int(cover.y2) - top + _COVER_MARGIN, int(cover.x2) - left + _COVER_MARGIN
        if y2 > 0 and x2 > 0:
            hidden[y1:y2, x1:x2] = 255
    return np.dstack([crop, hidden])


def print_mask(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mark print.

    Args:
        grey: uint8 [H, W] of a slip about `SLIP_WIDTH` wide.

    Returns:
        uint8 [H, W], 1 where something is darker than its surroundings and those are as light as paper.
    """
    ink = cv2.adaptiveThreshold(grey, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 31, 14)
    light, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    near_paper = cv2.dilate((grey > light).astype(np.uint8), np.ones((9, 9), np.uint8))
    return np.asarray(ink * near_paper, np.uint8)


def _scale(paper: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height = max(_MIN_SIDE, min(MAX_HEIGHT, round(paper.shape[0] * SLIP_WIDTH / paper.shape[1])))
    shrinks = paper.shape[1] > SLIP_WIDTH
    scaled: NDArray[np.uint8] = cv2.resize(
        paper, (SLIP_WIDTH, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    return scaled


def _level(paper: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Turn a picture by at most 45 degrees so that its print lies level; also returns how clearly rows stand apart."""
    ink = print_mask(np.asarray(cv2.cvtColor(paper[..., :3], cv2.COLOR_BGR2GRAY), np.uint8))
    small = cv2.resize(ink * 255, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    coarse = max((_clarity(small, angle), angle) for angle in range(-45, 46, 3))
    clarity, angle = max(
        (_clarity(small, angle), angle) for angle in np.arange(coarse[1] - 2.25, coarse[1] + 2.3, 0.75)
    )
    if abs(angle) < 0.5:
        return paper, clarity
    matrix, size = _turning(paper.shape[1], paper.shape[0], float(angle))
    border = (*(int(value) for value in np.median(paper[..., :3].reshape(-1, 3), axis=0)), 0)
    turned = cv2.warpAffine(paper, matrix, size, flags=cv2.INTER_CUBIC, borderValue=border)
    return np.asarray(turned, np.uint8), clarity


def _clarity(ink: NDArray[np.uint8], angle: float) -> float:
    """How sharply ink starts and stops from row to row when turned by an angle, in degrees counter-clockwise."""
    matrix, size = _turning(ink.shape[1], ink.shape[0], angle)
    rows = cv2.reduce(cv2.warpAffine(ink, matrix, size, flags=cv2.INTER_NEAREST), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F)
    total = float(np.dot(rows[:, 0], rows[:, 0]))
    steps = np.diff(rows[:, 0])
    return float(np.dot(steps, steps)) / total if total > 0 else 0.0


def _turning(width: int, height: int, angle: float) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """The affine map that turns a picture about its middle, and the size that holds all of it."""
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (int(width * cos + height * sin), int(width * sin + height * cos))
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return matrix, size
