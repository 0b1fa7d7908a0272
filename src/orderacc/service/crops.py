"""What was seen in a stored frame, cut out of it."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import cv2
import numpy as np

from orderacc.service.looks import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

Sides: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the frame."""

MARGIN: Final = 0.15
"""Share of a thing's longer side that is shown around it."""


def sides_in(verdict: Mapping[str, Any], frame: int) -> list[Sides]:
    """Where things were seen in a frame, in the order of the verdict's findings.

    Args:
        verdict: JSON values, `schema: 1`.
        frame: Which of the verdict's frames, counted from 0.
    """
    sightings = chain.from_iterable(finding["frames"] for finding in verdict.get("findings", ()))
    boxes = chain.from_iterable(one["boxes"] or () for one in sightings if one["frame"] == frame)
    return [(left, top, right, bottom) for left, top, right, bottom in boxes]


def cut_out(picture: bytes, sides: Sides) -> bytes | None:
    """A thing and a little around it.

    Args:
        picture: The frame, JPEG.
        sides: Where it is.

    Returns:
        JPEG; None if the frame is damaged, or nothing of the thing lies in it.
    """
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return None
    left, top, right, bottom = sides
    around = MARGIN * max(right - left, bottom - top)
    rows = slice(max(0, int(top - around)), max(0, round(bottom + around)))
    columns = slice(max(0, int(left - around)), max(0, round(right + around)))
    piece = image[rows, columns]
    return encode(np.ascontiguousarray(piece)) if piece.size else None
