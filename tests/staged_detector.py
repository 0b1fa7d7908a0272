"""A detector whose findings, slowness and failures a test decides."""

from __future__ import annotations

import base64
import threading
import time
from typing import TYPE_CHECKING

import cv2
import numpy as np

from orderacc.domain.detections import Box, Detection
from orderacc.perception.request_pool import PoolStatistics

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.domain.frames import Image

LABELS = ("slip", "hand", "bag", "burger", "cola")


class StagedDetector:
    """Sees what a function says; by default one burger in the middle of every picture.

    Attributes:
        slowness: Seconds a picture takes.
        gate: Pictures wait for it.
        shapes: Of the pictures it was shown.
    """

    model_id = "staged@1"
    labels = LABELS

    def __init__(self, see: Callable[[Image], tuple[Detection, ...]] | None = None) -> None:
        self._see = see or in_the_middle
        self.slowness = 0.0
        self.gate = threading.Event()
        self.gate.set()
        self.shapes: list[tuple[int, ...]] = []

    def detect_now(self, image: Image) -> tuple[Detection, ...]:
        self.shapes.append(image.shape)
        assert self.gate.wait(60)
        if self.slowness:
            time.sleep(self.slowness)
        return self._see(image)

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(streams=2, inferences=len(self.shapes), busy_s=0.0, waiting=0)


def in_the_middle(image: Image) -> tuple[Detection, ...]:
    height, width = image.shape[:2]
    return (Detection("burger", 0.9, Box(width / 4, height / 4, width * 3 / 4, height * 3 / 4)),)


def jpeg(width: int = 64, height: int = 48, *, kind: str = ".jpg") -> bytes:
    image = np.full((height, width, 3), 128, np.uint8)
    return cv2.imencode(kind, image)[1].tobytes()


def as_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
