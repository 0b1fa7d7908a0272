"""The newest frame of each station and what was seen in it, for people who want to look on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import cv2

from orderacc.errors import RequestError

if TYPE_CHECKING:
    from orderacc.domain.detections import Detection
    from orderacc.domain.frames import Frame, Image

QUALITY: Final = 80
"""JPEG quality of pictures for people."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A frame that was looked at.

    Attributes:
        frame: The part of it that is the counter.
        detections: What was seen in it.
        open_number: Number of the order that is open, when one is and it is known.
        open_since: Frame time since when, seconds.
        taken: When, by the monotonic clock, seconds.
    """

    frame: Frame
    detections: tuple[Detection, ...]
    open_number: str | None
    open_since: float | None
    taken: float = field(default_factory=time.monotonic)


class LatestLook:
    """The newest look at a station; those who look on share one encoding of it."""

    def __init__(self) -> None:
        self.look: Look | None = None
        self._shown = asyncio.Event()
        self._encoding: tuple[Look, int, asyncio.Task[bytes]] | None = None

    def show(self, look: Look) -> None:
        """There is a newer one."""
        self.look = look
        self._shown.set()
        self._shown = asyncio.Event()

    async def after(self, last: Look | None, seconds: float) -> Look | None:
        """A look other than the last one, waiting for it so long at most; None when there is none."""
        if self.look is last or self.look is None:
            try:
                async with asyncio.timeout(seconds):
                    await self._shown.wait()
            except TimeoutError:
                return None
        return self.look

    async def jpeg(self, look: Look, width: int) -> bytes:
        """A look as a JPEG.

        Args:
            look: Which.
            width: Most pixels across; the height follows. 0 leaves it as it is.
        """
        if self._encoding is None or self._encoding[0] is not look or self._encoding[1] != width:
            task = asyncio.create_task(asyncio.to_thread(encode, look.frame.image, width))
            self._encoding = (look, width, task)
        # One who goes away must not take the picture from the others.
        return await asyncio.shield(self._encoding[2])


def encode(image: Image, width: int = 0) -> bytes:
    """A picture as a JPEG.

    Args:
        image: BGR uint8 [H, W, 3].
        width: As in `LatestLook.jpeg`.

    Raises:
        RequestError: `no_picture` if it cannot be encoded.
    """
    height, across = image.shape[:2]
    if 0 < width < across:
        image = cv2.resize(image, (width, max(1, round(height * width / across))), interpolation=cv2.INTER_AREA)
    done, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise RequestError("the picture cannot be encoded", code="no_picture")
    return content.tobytes()
