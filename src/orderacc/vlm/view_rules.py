"""How large a picture the model gets: as it was trained, or as the smallest item needs it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orderacc.domain.detections import Box
from orderacc.vlm.engine import TOKEN_SIDE
from orderacc.vlm.view import render_view, view_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderacc.domain.frames import Image

SURROUNDINGS: Final = 0.5
"""Kept free around the outermost boxes, as a share of the smallest item's side: surroundings tell what a thing is."""

LEAST_SIDE: Final = 4
"""Fewest tokens along a side of the picture."""

SHRINK_STEP: Final = 0.97
"""By how much a picture that is too large shrinks at a time."""


@dataclass(frozen=True, slots=True)
class ViewRules:
    """How a picture is cut out of a frame.

    Attributes:
        size: Width and height of the picture in pixels, or the most it may have in all where `item_side` is given.
        item_side: Pixels the shorter side of the smallest item gets; None for a model that knows one size only.
    """

    size: tuple[int, int]
    item_side: int | None = None

    def cut(self, image: Image, boxes: Sequence[Box], half: Image | None = None) -> Image:
        """The picture of a frame.

        Args:
            image: BGR uint8 [H, W, 3].
            boxes: The items in it.
            half: The frame at half its size, if it is at hand: what shrinks to half or less is cut from it.

        Returns:
            RGB uint8 [h, w, 3], contiguous.
        """
        frame_size = (image.shape[1], image.shape[0])
        if self.item_side is None or not boxes:
            return render_view(image, view_window(frame_size, boxes, self.size), self.size, half)
        window, size = fitted_window(frame_size, boxes, self.item_side, self.size[0] * self.size[1])
        return render_view(image, window, size, half)


def fitted_window(
    frame_size: tuple[int, int], boxes: Sequence[Box], item_side: int, most_pixels: int
) -> tuple[Box, tuple[int, int]]:
    """Choose the part of a frame around all boxes, and the size it is shown at.

    Args:
        frame_size: Width and height of the frame in pixels.
        boxes: Item boxes, at least one.
        item_side: Pixels the shorter side of the smallest box should get; a frame that has fewer is not enlarged.
        most_pixels: Most pixels of the result, which takes precedence.

    Returns:
        A window inside the frame that holds the boxes, and a width and height in whole tokens. Only where the frame
        ends is a side squeezed, by less than what it lacks of whole tokens.
    """
    width, height = frame_size
    smallest = max(1.0, min(min(box.x2 - box.x1, box.y2 - box.y1) for box in boxes))
    margin = SURROUNDINGS * smallest
    left, right = _span(min(box.x1 for box in boxes) - margin, max(box.x2 for box in boxes) + margin, width)
    top, bottom = _span(min(box.y1 for box in boxes) - margin, max(box.y2 for box in boxes) + margin, height)
    scale = min(1.0, item_side / smallest)
    columns, rows = _tokens((right - left) * scale), _tokens((bottom - top) * scale)
    while columns * rows * TOKEN_SIDE**2 > most_pixels and max(columns, rows) > LEAST_SIDE:
        scale *= SHRINK_STEP
        columns, rows = _tokens((right - left) * scale), _tokens((bottom - top) * scale)
    size = (columns * TOKEN_SIDE, rows * TOKEN_SIDE)
    x1, x2 = _about((left + right) / 2, max(right - left, size[0] / scale), width)
    y1, y2 = _about((top + bottom) / 2, max(bottom - top, size[1] / scale), height)
    return Box(x1, y1, x2, y2), size


def _tokens(pixels: float) -> int:
    return max(LEAST_SIDE, math.ceil(pixels / TOKEN_SIDE - 1e-6))


def _span(start: float, end: float, most: int) -> tuple[float, float]:
    return max(0.0, min(start, most - 1.0)), min(float(most), max(end, 1.0))


def _about(centre: float, length: float, most: int) -> tuple[float, float]:
    """A stretch of a length about a point, moved into 0 to `most` and cut to it."""
    length = min(length, float(most))
    start = min(max(0.0, centre - length / 2), most - length)
    return start, start + length
