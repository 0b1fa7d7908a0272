"""Telling a camera that sends one picture for ever from a camera that looks at a still counter."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orderacc.domain.frames import Image

ALIKE: Final = 3.0
"""Mean difference in grey levels up to which two pictures may be one, encoded twice."""

REMEMBERED: Final = 256
"""Pictures known again. An encoder makes as many of one picture as there are frames from keyframe to keyframe."""


class Repetition:
    """Knows for how long no new picture has come.

    A camera's noise makes each of its pictures a new one, to the last bit; where an encoder smooths it away, the next
    keyframe brings it back. A picture that is sent again and again comes in ever the same few variants.
    """

    def __init__(self) -> None:
        self._first: NDArray[np.uint8] | None = None
        self._marks: deque[int] = deque(maxlen=REMEMBERED)
        self._seconds = 0.0

    def look(self, image: Image, passed: float) -> float:
        """Look at the next picture.

        Args:
            image: BGR uint8 [H, W, 3], always of the same size.
            passed: Seconds since the last one.

        Returns:
            Seconds since the last new picture.
        """
        sample = np.ascontiguousarray(image[4::8, 4::8, 1])
        mark = hash(sample.tobytes())
        self._seconds += passed
        if self._first is None or cv2.mean(cv2.absdiff(sample, self._first))[0] > ALIKE:
            self._first, self._seconds = sample, 0.0
            self._marks.clear()
        if mark not in self._marks:
            self._seconds = 0.0
            self._marks.append(mark)
        return self._seconds
