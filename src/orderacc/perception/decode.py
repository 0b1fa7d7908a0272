"""From a network's raw output to boxes: the YOLO11 layout and non-maximum suppression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Decoded: TypeAlias = "tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]"
"""Boxes float32 [M, 4], scores float32 [M] and classes intp [M], strongest first."""


def decode(output: NDArray[np.float32], *, min_score: float, max_overlap: float, max_count: int) -> Decoded:
    """Pick the boxes worth reporting.

    Args:
        output: float32 [4 + classes, N]: rows centre x, centre y, width, height in input pixels, then a score a class.
        min_score: Boxes whose best class scores less are dropped.
        max_overlap: Of two boxes of one class that overlap more (IoU), the weaker is dropped.
        max_count: Only the strongest so many are kept.

    Returns:
        Boxes float32 [M, 4] (x1, y1, x2, y2 in input pixels), scores float32 [M], classes intp [M], strongest first.
    """
    scores = output[4:].max(axis=0)
    near = np.flatnonzero(scores >= min_score)
    if not near.size:
        return np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.intp)
    picked = output[:, near]
    scores = scores[near]
    classes = picked[4:].argmax(axis=0)
    corners = np.concatenate([picked[:2] - picked[2:4] / 2, picked[2:4]]).T.astype(np.float64)
    suppress: Any = cv2.dnn.NMSBoxesBatched  # takes arrays, though its stub says sequences
    kept = np.asarray(suppress(corners, scores, classes.astype(np.int32), min_score, max_overlap), np.intp)
    kept = kept[np.argsort(-scores[kept], kind="stable")][:max_count]
    boxes = corners[kept].astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    return boxes, scores[kept], classes[kept]
