"""The outline of a sheet of paper, and the view from straight above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orderacc.domain.frames import Image

_MIN_SHARE = 0.3
_MIN_RECTANGULARITY = 0.9
_MAX_SATURATION = 80


def find_outline(crop: Image) -> NDArray[np.float32] | None:
    """Find the corners of the sheet that fills a crop.

    Args:
        crop: BGR uint8 [H, W, 3].

    Returns:
        float32 [4, 2], x and y in pixels of the crop, clockwise from the corner nearest the top left; None when nothing
        light, pale and four-cornered fills the crop.
    """
    hsv = cv2.cvtColor(crop, cv2.COLOR_BGR2HSV)
    value = cv2.GaussianBlur(hsv[..., 2], (5, 5), 0)
    otsu, _ = cv2.threshold(value, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask = ((value > otsu) & (hsv[..., 1] < _MAX_SATURATION)).astype(np.uint8)
    reach = max(7, min(crop.shape[:2]) // 16) | 1
    kernel = np.ones((reach, reach), np.uint8)
    mask = cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel), cv2.MORPH_OPEN, kernel)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return None
    outline = max(outlines, key=cv2.contourArea)
    area = cv2.contourArea(outline)
    hull = cv2.convexHull(outline)
    corners = cv2.approxPolyDP(hull, 0.03 * cv2.arcLength(hull, closed=True), closed=True)
    if len(corners) != 4 or area < _MIN_SHARE * mask.size:
        return None
    corners = corners.reshape(4, 2).astype(np.float32)
    return _clockwise(corners) if area >= _MIN_RECTANGULARITY * cv2.contourArea(corners) else None


def square_up(crop: NDArray[np.uint8], corners: NDArray[np.float32]) -> NDArray[np.uint8]:
    """View a sheet from straight above.

    Args:
        crop: uint8 [H, W, C], 4 layers at most.
        corners: From `find_outline`.

    Returns:
        uint8 [H', W', C], the sheet alone, sides as long as in the crop.
    """
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    width, height = max(1, int(max(sides[0], sides[2]))), max(1, int(max(sides[1], sides[3])))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    squared: NDArray[np.uint8] = cv2.warpPerspective(
        crop, cv2.getPerspectiveTransform(corners, target), (width, height), flags=cv2.INTER_CUBIC
    )
    return squared


def _clockwise(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    from_centre = corners - corners.mean(axis=0)
    ordered = corners[np.argsort(np.arctan2(from_centre[:, 1], from_centre[:, 0]))]
    first = int(ordered.sum(axis=1).argmin())
    return np.ascontiguousarray(np.roll(ordered, -first, axis=0))
