"""Pictures that come in questions from outside: looked at before they are decoded."""

from __future__ import annotations

import base64
import math
import struct
from typing import TYPE_CHECKING, Final

from orderacc.errors import EngineError
from orderacc.vlm.engine import TOKEN_SIDE

if TYPE_CHECKING:
    from orderacc.domain.frames import Image

MOST_PIXELS: Final = 40_000_000
"""Larger pictures are not decoded: a file of a few kilobytes may hold gigabytes of one colour."""

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_NO_SIZE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def read_picture(url: str, *, max_pixels: int) -> Image:
    """Decode the picture of a question. Takes milliseconds: call it from a worker thread.

    Args:
        url: `data:image/jpeg;base64,...` or PNG; nothing is fetched from anywhere.
        max_pixels: A larger picture is shrunk to this, its aspect kept.

    Returns:
        RGB uint8 [H, W, 3], contiguous.

    Raises:
        EngineError: `bad_image` with what is wrong.
    """
    import cv2
    import numpy as np

    head, comma, encoded = url.partition(",")
    if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
        raise _bad("a picture must be in the question, as data:image/jpeg;base64,...; none is fetched")
    try:
        content = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise _bad("the picture is not base64") from None
    size = _size(content)
    if size is None:
        raise _bad("the picture is neither JPEG nor PNG")
    if not 0 < size[0] * size[1] <= MOST_PIXELS:
        raise _bad(f"the picture is {size[0]}x{size[1]}; at most {MOST_PIXELS} pixels are decoded")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise _bad("the picture is damaged")
    height, width = image.shape[:2]
    if height * width > max_pixels:
        scale = math.sqrt(max_pixels / (height * width))
        sides = [max(TOKEN_SIDE, math.floor(side * scale / TOKEN_SIDE) * TOKEN_SIDE) for side in (width, height)]
        image = cv2.resize(image, sides, interpolation=cv2.INTER_AREA)
    result: Image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return result


def _size(content: bytes) -> tuple[int, int] | None:
    """Width and height in the header of a JPEG or PNG; None when it has none."""
    try:
        if content.startswith(_PNG) and content[12:16] == b"IHDR":
            width, height = struct.unpack_from(">II", content, 16)
            return width, height
        return _jpeg_size(content) if content.startswith(b"\xff\xd8") else None
    except (struct.error, IndexError):
        return None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    at = 2
    while content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _NO_SIZE:
            at += 2
        elif marker in _FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", content, at + 2)[0]
    return None


def _bad(what: str) -> EngineError:
    return EngineError(what, code="bad_image")
