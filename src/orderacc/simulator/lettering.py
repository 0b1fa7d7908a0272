"""Text drawn from the glyph sheet: receipt fonts without any font file on the machine."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

GLYPH_WIDTH: Final = 36
GLYPH_HEIGHT: Final = 64
FONTS: Final = 4
"""Rows of the sheet: Inconsolata, Courier Prime Bold, Liberation Mono Bold, Anonymous Pro Bold."""


@cache
def _sheet() -> NDArray[np.uint8]:
    data = resources.files("orderacc.simulator").joinpath("assets/glyphs.png").read_bytes()
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)


def text_mask(text: str, height: int, font: int) -> NDArray[np.uint8]:
    """Ink of one line of text.

    Args:
        text: Printable ASCII.
        height: Line height in pixels; capitals are about two thirds of it.
        font: 0 to `FONTS` - 1.

    Returns:
        uint8 [height, width], 255 where there is ink.
    """
    sheet = _sheet()[font * GLYPH_HEIGHT : (font + 1) * GLYPH_HEIGHT]
    cells = [sheet[:, (ord(c) - 32) * GLYPH_WIDTH : (ord(c) - 31) * GLYPH_WIDTH] for c in text]
    width = max(1, round(len(text) * GLYPH_WIDTH * height / GLYPH_HEIGHT))
    return np.asarray(cv2.resize(np.hstack(cells), (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def draw_text(
    picture: NDArray[np.uint8],
    text: str,
    centre: tuple[int, int],
    *,
    height: int,
    colour: tuple[int, int, int],
    font: int,
) -> None:
    """Print a line centred on a point of a BGR or BGRA picture, in place; what would stick out is cut."""
    ink = text_mask(text, height, font)
    x, y = centre[0] - ink.shape[1] // 2, centre[1] - ink.shape[0] // 2
    x1, y1 = max(0, x), max(0, y)
    x2, y2 = min(picture.shape[1], x + ink.shape[1]), min(picture.shape[0], y + ink.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    alpha = ink[y1 - y : y2 - y, x1 - x : x2 - x, None].astype(np.float32) / 255
    region = picture[y1:y2, x1:x2, :3]
    region[:] = (region * (1 - alpha) + np.array(colour, np.float32) * alpha).astype(np.uint8)
