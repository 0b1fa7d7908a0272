"""Cheap answers to "does this still look the same?", for a slip and for the whole counter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from orderacc.domain.evidence import CounterLook
from orderacc.perception.letterbox import shrink

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orderacc.domain.detections import Box
    from orderacc.domain.frames import Image

COUNTER_SIZE = (80, 45)
"""Cells the counter is compared in; 16 pixels of a 1280x720 frame each."""

CELL_CHANGED = 14.0
"""Grey levels by which a cell must differ; noise averages out within a cell, and a drift of the light is taken out."""

SLIP_SCALE = 0.5
"""Slips are compared at this share of a 1280-pixel-wide frame's resolution: digits are still told apart."""

_REACH = 6
_TEMPLATE_SHARE = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class SlipLook:
    """What a slip looks like in one frame.

    Attributes:
        patch: float32 [h, w], its grey picture, high-pass filtered so that light and shadow do not count.
    """

    patch: NDArray[np.float32]


def look_at_slip(image: Image, box: Box) -> SlipLook | None:
    """Remember what the slip in a box looks like.

    Args:
        image: BGR uint8 [H, W, 3], the frame.
        box: The slip's box in its pixels.

    Returns:
        None for a box without pixels.
    """
    height, width = image.shape[:2]
    left, top = max(0, round(box.x1)), max(0, round(box.y1))
    crop = image[top : min(height, round(box.y2)), left : min(width, round(box.x2))]
    scale = SLIP_SCALE * 1280 / width
    size = (round(crop.shape[1] * scale), round(crop.shape[0] * scale))
    if min(size) < 4 * _REACH:
        return None
    grey = cv2.cvtColor(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY).astype(np.float32)
    grey = cv2.GaussianBlur(grey, (0, 0), 1.0)
    return SlipLook(np.asarray(grey - cv2.blur(grey, (15, 15)), np.float32))


def likeness(before: SlipLook, now: SlipLook) -> float:
    """How alike two looks are, 1 for the same print; a shift of a few pixels does not count.

    The middle of one is looked for in the other.
    """
    height = min(before.patch.shape[0], now.patch.shape[0])
    width = min(before.patch.shape[1], now.patch.shape[1])
    template = _middle(before.patch, int(height * _TEMPLATE_SHARE), int(width * _TEMPLATE_SHARE))
    room = (template.shape[0] + 2 * _REACH, template.shape[1] + 2 * _REACH)
    field = _middle(now.patch, min(room[0], now.patch.shape[0]), min(room[1], now.patch.shape[1]))
    return float(cv2.matchTemplate(field, template, cv2.TM_CCOEFF_NORMED).max())


def _middle(patch: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    top, left = (patch.shape[0] - height) // 2, (patch.shape[1] - width) // 2
    return patch[top : top + height, left : left + width]


def look_at_counter(image: Image) -> CounterLook:
    """Remember a frame in 45 x 80 cells.

    Args:
        image: The frame, or the frame at half its size, which is still larger than that: BGR uint8 [H, W, 3].
    """
    grey = cv2.cvtColor(shrink(image, COUNTER_SIZE), cv2.COLOR_BGR2GRAY)
    cells = np.asarray(grey, np.float32)
    return CounterLook(cells, float(np.median(cells)) + 1)


def change_between(before: CounterLook, now: CounterLook) -> float:
    """Share of the picture that changed, 0 (still) to 1.

    Light that comes up or goes down everywhere alike, camera noise and a shake of a pixel or two are no change.
    """
    difference = np.abs(now.cells - before.cells * (now.level / before.level))
    return np.count_nonzero(difference > CELL_CHANGED) / difference.size
