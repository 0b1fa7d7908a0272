"""Looking at pictures of all sessions: decoded and seen in a few threads of their own, on the stations' detector."""

from __future__ import annotations

import asyncio
import base64
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from orderacc.api.streaming.messages import LARGEST_PICTURE, StreamError, StreamErrorCode
from orderacc.domain.detections import Box
from orderacc.picture_header import PictureHeader, picture_header

if TYPE_CHECKING:
    from orderacc.domain.detections import Detection
    from orderacc.domain.frames import Image
    from orderacc.service.detecting import Detecting

MOST_PIXELS: Final = 25_000_000
"""Pixels of a picture that is decoded."""

LEAST_SIDE: Final = 320
"""Pixels of the longer side that are left when a picture is decoded smaller; detectors look at no fewer."""

MOST_THREADS: Final = 8
"""Pictures worked on at a time; the detector's own number when that is smaller."""

_FLAGS: Final = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in a picture.

    Attributes:
        detections: The surest first, in pixels of the picture as it was sent.
        size: Its width and height.
        scale: It was decoded at one so-manieth of that.
        seconds: What decoding and looking took.
    """

    detections: tuple[Detection, ...]
    size: tuple[int, int]
    scale: int
    seconds: float


class Lookout:
    """Looks at pictures, in the order they are handed over; every session hands over one at a time, or a few together.

    One thread more than the detector works on, so that a picture is decoded while others are looked at. The stations'
    frames take turns with these at the detector, one for one, however many sessions there are.

    Args:
        detector: The stations'.

    Attributes:
        at_once: Pictures worked on at a time.
    """

    def __init__(self, detector: Detecting) -> None:
        self.detector = detector
        self.class_ids = {label: number for number, label in reversed(list(enumerate(detector.labels)))}
        # What is wrong with a picture is told to whoever sent it; in the log it would be theirs to fill.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self.at_once = min(MOST_THREADS, detector.statistics().streams + 1)
        self._threads = ThreadPoolExecutor(self.at_once, thread_name_prefix="stream-look")

    async def look(self, content: bytes | str, scale: int) -> Seen:
        """Look at a picture.

        Args:
            content: JPEG, PNG or WebP; as text it is base64.
            scale: Decode it at one so-manieth of its width and height at least, where that leaves enough of it.

        Raises:
            StreamError: `INVALID_IMAGE`, `IMAGE_TOO_LARGE` or `INFERENCE_ERROR`.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.look_now, content, scale)

    def look_now(self, content: bytes | str, scale: int) -> Seen:
        """Likewise, in the calling thread."""
        began = time.monotonic()
        picture = from_base64(content) if isinstance(content, str) else content
        header = check_picture(picture)
        while scale > 1 and max(header.width, header.height) < LEAST_SIDE * scale:
            scale //= 2
        image = _decode(picture, scale)
        size = (header.width, header.height)
        if (image.shape[1] > image.shape[0]) != (header.width > header.height):
            size = (header.height, header.width)  # stored lying on its side, and set up by the decoder
        try:
            detections = self.detector.detect_now(image)
        except Exception as error:  # any failure is this picture's alone, and its sender is told
            raise StreamError(StreamErrorCode.INFERENCE_ERROR, "looking at the picture failed") from error
        if image.shape[1] != size[0]:
            across, down = size[0] / image.shape[1], size[1] / image.shape[0]
            detections = tuple(_scaled(one, across, down) for one in detections)
        return Seen(detections, size, scale, time.monotonic() - began)

    def close(self) -> None:
        """Let the threads end when they have nothing more to do."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def from_base64(text: str) -> bytes:
    """A picture out of base64, with the beginning of a `data:` URL or without.

    Raises:
        StreamError: `INVALID_IMAGE`.
    """
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
            raise StreamError(StreamErrorCode.INVALID_IMAGE, "image_data: should be base64")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise StreamError(StreamErrorCode.INVALID_IMAGE, "image_data: is not base64") from None


def check_picture(picture: bytes) -> PictureHeader:
    """Look at a picture's header before anything of it is decoded.

    Raises:
        StreamError: `INVALID_IMAGE` or `IMAGE_TOO_LARGE`.
    """
    if len(picture) > LARGEST_PICTURE:
        message = f"the picture has {len(picture)} bytes; at most {LARGEST_PICTURE} are taken"
        raise StreamError(StreamErrorCode.IMAGE_TOO_LARGE, message)
    header = picture_header(picture)
    if header is None or not header.width * header.height:
        raise StreamError(StreamErrorCode.INVALID_IMAGE, "the picture is neither JPEG, PNG nor WebP")
    if header.width * header.height > MOST_PIXELS:
        message = f"the picture is {header.width}x{header.height}; at most {MOST_PIXELS} pixels are decoded"
        raise StreamError(StreamErrorCode.IMAGE_TOO_LARGE, message)
    return header


def _decode(picture: bytes, scale: int) -> Image:
    try:
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), _FLAGS[scale])
    except cv2.error:
        image = None
    if image is None or not image.size:
        raise StreamError(StreamErrorCode.INVALID_IMAGE, "the picture is damaged")
    result: Image = image
    return result


def _scaled(one: Detection, across: float, down: float) -> Detection:
    box = one.box
    return replace(one, box=Box(box.x1 * across, box.y1 * down, box.x2 * across, box.y2 * down))
