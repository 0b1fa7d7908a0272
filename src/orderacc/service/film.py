"""A station's last minutes in small pictures, of which an order's clip is made."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from orderacc.domain.frames import Frame, Image

QUALITY: Final = 75
"""JPEG quality; the pictures are encoded once more, as a video."""

LEAD: Final = 1.0
"""Seconds shown from before an order began."""


@dataclass(frozen=True, slots=True)
class Still:
    """A small picture.

    Attributes:
        at: Frame time, seconds.
        jpeg: The picture.
    """

    at: float
    jpeg: bytes


class Film:
    """Keeps small pictures of the last while; memory is bounded by their number.

    Args:
        fps: Pictures kept per second of frame time.
        width: Most pixels across.
        max_sec: Seconds kept; of a longer order the end.
    """

    def __init__(self, fps: float, width: int, max_sec: float) -> None:
        self._interval = 1 / fps
        self._width = width
        self._stills: deque[Still] = deque(maxlen=math.ceil((max_sec + LEAD) * fps) + 1)
        self._due = -math.inf

    def wants(self, at: float) -> bool:
        """Whether a frame of this time is to be kept."""
        return at >= self._due or at < self._due - self._interval

    def take(self, frame: Frame) -> None:
        """Keep a frame; takes milliseconds, so call it from a worker thread."""
        self._due = frame.at + self._interval
        done, content = cv2.imencode(".jpg", smaller(frame.image, self._width), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if done:
            self._stills.append(Still(frame.at, content.tobytes()))

    def between(self, start: float, end: float) -> tuple[Still, ...]:
        """The pictures of an order.

        Args:
            start: Frame time of its beginning, seconds.
            end: Frame time of its end.
        """
        return tuple(still for still in self._stills if start - LEAD <= still.at <= end)


def smaller(image: Image, width: int) -> Image:
    """A picture no wider than that, with the same shape."""
    height, across = image.shape[:2]
    if across <= width:
        return image
    size = (width, max(1, round(height * width / across)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
