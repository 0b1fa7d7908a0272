"""The scenery: worktops, hands with sleeves, and paper bags."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from orderacc.simulator.sprites import premultiplied

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orderacc.domain.frames import Image
    from orderacc.simulator.sprites import Sprite

SKINS: Final = ((150, 185, 235), (120, 160, 215), (85, 125, 185), (55, 85, 135))
SLEEVES: Final = ((60, 55, 50), (120, 60, 40), (50, 50, 170), (210, 205, 200), (70, 110, 60))
HANDS: Final = len(SKINS) * len(SLEEVES)
"""Different hands `hand_sprite` can draw."""

_HAND_SIZE: Final = (300, 760)


def _noise(
    rng: np.random.Generator, height: int, width: int, cells: tuple[int, int], spread: float
) -> NDArray[np.float32]:
    """Smooth noise: a small random grid blown up."""
    grid = rng.normal(0, spread, (cells[1], cells[0])).astype(np.float32)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


@lru_cache(maxsize=48)
def worktop(seed: int, width: int, height: int) -> Image:
    """An empty counter of steel, wood, laminate or stone, with a mat where orders are put together.

    Returns:
        BGR uint8 [height, width, 3]; shared, do not write into it.
    """
    rng = np.random.default_rng([seed, 11])
    kind = int(rng.integers(0, 4))
    base = np.array(((168, 166, 163), (86, 128, 176), (196, 202, 206), (92, 88, 86))[kind], np.float32)
    base = (base * rng.uniform(0.75, 1.15) + rng.normal(0, 6, 3)).astype(np.float32)
    rows, columns = height // 2, width // 2
    relief = _noise(rng, rows, columns, (3, 3), 14)
    if kind == 0:  # brushed steel
        relief += _noise(rng, rows, columns, (12, rows), 9)
    elif kind == 1:  # planks
        relief += _noise(rng, rows, columns, (6, 60), 12) + _noise(rng, rows, columns, (10, rows * 2 // 3), 6)
        for y in range(int(rng.integers(30, 100)), rows, int(rng.integers(75, 130))):
            relief[y : y + 2] -= 30
    elif kind == 2:  # speckled laminate
        relief += _noise(rng, rows, columns, (columns * 2 // 3, rows * 2 // 3), 5)
    else:  # stone
        relief += _noise(rng, rows, columns, (40, 24), 10) + _noise(rng, rows, columns, (columns // 2, rows // 2), 9)
    half = cv2.merge([np.clip(relief + channel, 0, 255).astype(np.uint8) for channel in base])
    result: Image = cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR)
    _mat(result, rng)
    _clutter(result, rng)
    return result


def _mat(surface: Image, rng: np.random.Generator) -> None:
    """A tray, a rubber mat or nothing in the middle."""
    if rng.random() < 0.35:
        return
    height, width = surface.shape[:2]
    x1, y1 = int(width * rng.uniform(0.2, 0.25)), int(height * rng.uniform(0.05, 0.12))
    x2, y2 = int(width * rng.uniform(0.76, 0.81)), int(height * rng.uniform(0.88, 0.96))
    colour = ((58, 56, 54), (70, 88, 110), (150, 120, 80), (60, 60, 120), (205, 208, 210))[int(rng.integers(0, 5))]
    layer = surface.copy()
    cv2.rectangle(layer, (x1, y1), (x2, y2), colour, -1)
    cv2.rectangle(layer, (x1, y1), (x2, y2), tuple(min(255, c + 30) for c in colour), 5)
    for y in range(y1 + 16, y2, 22):
        cv2.line(layer, (x1 + 10, y), (x2 - 10, y), tuple(max(0, c - 8) for c in colour), 1)
    surface[:] = cv2.addWeighted(layer, 0.86, surface, 0.14, 0)


def _clutter(surface: Image, rng: np.random.Generator) -> None:
    """Things that stand at the edges all day: a till's corner, tape, a napkin box, stains."""
    height, width = surface.shape[:2]
    if rng.random() < 0.6:
        x = int(rng.integers(0, width - 200))
        y = 0 if rng.random() < 0.5 else height - 46
        shade = tuple(int(v) for v in rng.integers(30, 90, 3))
        cv2.rectangle(surface, (x, y), (x + int(rng.integers(90, 260)), y + 46), shade, -1)
        cv2.rectangle(surface, (x, y), (x + 90, y + 46), tuple(v + 25 for v in shade), 2)
    for _ in range(int(rng.integers(0, 4))):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        layer = surface.copy()
        cv2.circle(layer, centre, int(rng.integers(18, 60)), (60, 70, 80), int(rng.integers(2, 6)), cv2.LINE_AA)
        surface[:] = cv2.addWeighted(layer, 0.25, surface, 0.75, 0)


@lru_cache(maxsize=HANDS)
def hand_sprite(variant: int) -> Sprite:
    """A hand that reaches upwards, forearm and sleeve below; the finger tips are at the top centre.

    Args:
        variant: 0 to `HANDS` - 1, chooses skin and sleeve.

    Returns:
        BGRA uint8 [H, W, 4], premultiplied; shared, do not write into it.
    """
    skin = SKINS[variant % len(SKINS)]
    sleeve = SLEEVES[variant // len(SKINS) % len(SLEEVES)]
    width, height = _HAND_SIZE
    picture = np.zeros((height, width, 4), np.uint8)
    dark = tuple(int(c * 0.8) for c in skin)
    arm = np.array([[108, 250], [192, 250], [215, height], [85, height]], np.int32)
    cv2.fillConvexPoly(picture, arm, (*skin, 255), cv2.LINE_AA)
    cuff = np.array([[88, 400], [212, 400], [240, height], [60, height]], np.int32)
    cv2.fillConvexPoly(picture, cuff, (*sleeve, 255), cv2.LINE_AA)
    cv2.line(picture, (88, 402), (212, 402), (*(int(c * 0.7) for c in sleeve), 255), 6, cv2.LINE_AA)
    for x in (110, 160, 205):
        cv2.line(picture, (x, 430), (x + 8, height), (*(int(c * 0.85) for c in sleeve), 255), 5, cv2.LINE_AA)
    cv2.ellipse(picture, (150, 210), (58, 72), 0, 0, 360, (*skin, 255), -1, cv2.LINE_AA)
    for base, tip, thick in (
        ((108, 180), (88, 62), 27),
        ((134, 160), (128, 24), 29),
        ((162, 160), (170, 26), 29),
        ((188, 178), (208, 66), 26),
        ((104, 236), (46, 160), 31),
    ):
        cv2.line(picture, base, tip, (*dark, 255), thick + 4, cv2.LINE_AA)
        cv2.line(picture, base, tip, (*skin, 255), thick, cv2.LINE_AA)
        nail = tuple(min(255, c + 28) for c in skin)
        cv2.circle(picture, tip, thick // 3, (*nail, 255), -1, cv2.LINE_AA)
    cv2.ellipse(picture, (150, 214), (50, 62), 0, 0, 360, (*skin, 255), -1, cv2.LINE_AA)
    picture[..., :3] = cv2.GaussianBlur(picture[..., :3], (0, 0), 2.0)
    return premultiplied(picture)


@lru_cache(maxsize=8)
def bag_sprite(variant: int) -> Sprite:
    """A paper bag that stands open, seen from above.

    Returns:
        BGRA uint8 [H, W, 4], premultiplied; shared, do not write into it.
    """
    rng = np.random.default_rng([variant, 5])
    width, height = 250, 300
    kraft = (np.array([112, 158, 194]) * rng.uniform(0.9, 1.08)).astype(int)
    picture = np.zeros((height, width, 4), np.uint8)

    def face(corners: list[list[int]], gain: float) -> None:
        colour = tuple(int(min(255, channel * gain)) for channel in kraft)
        cv2.fillConvexPoly(picture, np.array(corners, np.int32), (*colour, 255), cv2.LINE_AA)

    face([[14, 40], [236, 30], [244, 286], [8, 292]], 0.92)
    face([[10, 36], [240, 25], [219, 125], [31, 129]], 1.12)
    face([[20, 46], [230, 38], [212, 119], [38, 122]], 0.45)
    face([[36, 124], [214, 120], [244, 286], [8, 292]], 1.0)
    face([[123, 122], [127, 122], [128, 289], [124, 289]], 0.86)
    cv2.circle(picture, (125, 205), 34, (60, 60, 190, 255), -1, cv2.LINE_AA)
    cv2.circle(picture, (125, 205), 22, (230, 235, 240, 255), -1, cv2.LINE_AA)
    return premultiplied(picture)
