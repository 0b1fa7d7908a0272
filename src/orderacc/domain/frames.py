"""A picture from a camera and when it was taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Image: TypeAlias = "NDArray[np.uint8]"
"""Pixels, uint8 [height, width, 3]. BGR everywhere (OpenCV's order) except at the VLM's door, which takes RGB."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One video frame.

    Attributes:
        station_id: The station whose camera took it.
        index: Position among the frames delivered by the source, from 0.
        at: Frame time in seconds (float64): the stream's presentation time, never the wall clock.
        image: BGR uint8 [H, W, 3].
        pts: Presentation time as the stream gave it, in its ticks; None where there is none. For people only.
        wall: When it was decoded, seconds since 1970 (POSIX); None for recordings. For people only.
    """

    station_id: str
    index: int
    at: float
    image: Image
    pts: int | None = None
    wall: float | None = None

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"a frame is uint8 [H, W, 3], not {self.image.dtype} {list(self.image.shape)}")
