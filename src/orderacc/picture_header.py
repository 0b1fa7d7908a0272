"""How large a picture is, read from its first bytes: what must be known before anything is decoded.

A file of a few kilobytes may hold gigabytes of one colour.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Literal

MOST_SEGMENTS: Final = 256
"""Segments of a JPEG before its size: cameras write a dozen, a colour profile a few more."""

LONGEST_PADDING: Final = 64
"""Fill bytes between two segments."""

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_SIZED: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG segments that begin with the picture's size."""

_BARE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers that stand alone."""

_ENDS: Final = frozenset({0xD8, 0xD9, 0xDA})
"""Markers behind which no size comes any more, and the one that must not come twice."""


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a picture says of itself, unchecked.

    Attributes:
        kind: Its format.
        width: Pixels.
        height: Pixels.
    """

    kind: Literal["jpeg", "png", "webp"]
    width: int
    height: int


def picture_header(content: bytes) -> PictureHeader | None:
    """Look at a picture's beginning, for a bounded time whatever is in it.

    Args:
        content: The file.

    Returns:
        What it says; None when it is no JPEG, PNG or WebP, or says nothing.
    """
    try:
        if content.startswith(b"\xff\xd8"):
            size = _jpeg_size(content)
            return None if size is None else PictureHeader("jpeg", *size)
        if content.startswith(_PNG) and content[12:16] == b"IHDR":
            width, height = struct.unpack_from(">II", content, 16)
            return PictureHeader("png", width, height)
        if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
            size = _webp_size(content)
            return None if size is None else PictureHeader("webp", *size)
    except (struct.error, IndexError):
        return None
    return None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    at = 2
    for _ in range(MOST_SEGMENTS):
        if content[at] != 0xFF:
            return None
        begin = at
        while content[at + 1] == 0xFF:
            at += 1
            if at - begin > LONGEST_PADDING:
                return None
        marker = content[at + 1]
        if marker in _ENDS:
            return None
        if marker in _SIZED:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        at += 2 if marker in _BARE else 2 + struct.unpack_from(">H", content, at + 2)[0]
    return None


def _webp_size(content: bytes) -> tuple[int, int] | None:
    kind = content[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        height = int.from_bytes(content[27:30], "little") + 1
        return (width, height) if len(content) >= 30 else None
    if kind == b"VP8 " and content[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and content[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", content, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None
