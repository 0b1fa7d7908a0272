"""How well a frame shows the items: sharp, uncovered, whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from orderacc.domain.detections import HAND, NOT_ITEMS, Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderacc.domain.detections import Detection
    from orderacc.domain.frames import Image

HALF_SHARP = 60.0
"""Normalised Laplacian variance that counts half; blurred frames lie below it, crisp ones well above."""

NEAR = 0.25
"""A hand this share of an item's size away from it is near: it is laying the item down, or taking it."""

EDGE = 3.0
"""Pixels from the frame's edge within which a box counts as cut off."""

_CUT_WEIGHT = 0.3
_NEAR_WEIGHT = 0.6


def score_candidate(image: Image, detections: Sequence[Detection]) -> float:
    """Score a frame as evidence; higher shows the items better.

    The confidences of the items add up, each lowered when a hand covers it or is near, or the frame's edge cuts it; the
    sum is weighed by how sharp the items are.

    Args:
        image: BGR uint8 [H, W, 3], the frame.
        detections: What was seen in it, boxes in its pixels.

    Returns:
        0 when no item is in view, otherwise above 0; a sharp, free frame of N items scores nearly N.
    """
    items = [detection for detection in detections if detection.label not in NOT_ITEMS]
    if not items:
        return 0.0
    hands = [detection.box for detection in detections if detection.label == HAND]
    height, width = image.shape[:2]
    worth = 0.0
    for item in items:
        free = 1.0 - covered_share(item.box, hands)
        if any(_grown(item.box, NEAR).intersection(hand) > 0 for hand in hands):
            free *= _NEAR_WEIGHT
        if is_cut(item.box, (width, height)):
            free *= _CUT_WEIGHT
        worth += item.score * free
    sharp = sharpness(image, _around([item.box for item in items]))
    return worth * sharp / (sharp + HALF_SHARP)


def sharpness(image: Image, box: Box) -> float:
    """Sharpness of a region: variance of its Laplacian, normalised by its brightness.

    Args:
        image: BGR uint8 [H, W, 3].
        box: The region in pixels.

    Returns:
        0 (flat, or no pixels) upwards; the same scene in half the light gives the same.
    """
    height, width = image.shape[:2]
    crop = image[max(0, round(box.y1)) : min(height, round(box.y2)), max(0, round(box.x1)) : min(width, round(box.x2))]
    if min(crop.shape[:2], default=0) < 4:
        return 0.0
    half = cv2.resize(crop, (crop.shape[1] // 2, crop.shape[0] // 2), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(half, cv2.COLOR_BGR2GRAY)
    _, spread = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    light = max(1.0, cv2.mean(grey)[0])
    return float(spread[0, 0] * 128.0 / light) ** 2


def covered_share(box: Box, covers: Sequence[Box]) -> float:
    """Share of a box that other boxes lie on, 0 to 1; where those overlap each other it is an upper bound."""
    if box.area <= 0:
        return 0.0
    return min(1.0, sum(box.intersection(cover) for cover in covers) / box.area)


def _grown(box: Box, share: float) -> Box:
    dx, dy = share * (box.x2 - box.x1), share * (box.y2 - box.y1)
    return Box(box.x1 - dx, box.y1 - dy, box.x2 + dx, box.y2 + dy)


def is_cut(box: Box, size: tuple[int, int]) -> bool:
    """Whether a box touches the edge of a frame of that width and height: part of the thing may be out of view."""
    return box.x1 < EDGE or box.y1 < EDGE or box.x2 > size[0] - EDGE or box.y2 > size[1] - EDGE


def _around(boxes: Sequence[Box]) -> Box:
    corners = np.array([(box.x1, box.y1, box.x2, box.y2) for box in boxes])
    return Box(*map(float, corners[:, :2].min(axis=0)), *map(float, corners[:, 2:].max(axis=0)))
