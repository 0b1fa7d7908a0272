"""Pictures of the items: cut from the sprite sheet, then coloured, wrapped and marked into several looks each."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, TypeAlias

import cv2
import numpy as np

from orderacc.simulator.lettering import draw_text
from orderacc.simulator.menu import GROUP_OF, GROUPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

Sprite: TypeAlias = "NDArray[np.uint8]"
"""A picture with transparency: BGRA uint8 [H, W, 4], colour premultiplied by alpha."""

CELL: Final = 160
LOOKS: Final = 3
"""Different looks of each item."""

SIZES: Final = {
    "Burger": 150,
    "Small Fries": 118,
    "Large Fries": 172,
    "Cola": 150,
    "Diet Cola": 150,
    "Chicken Leg": 146,
    "Hot Dog": 156,
    "Pizza Slice": 152,
    "Taco": 152,
    "Wrap": 158,
    "Salad": 162,
    "Donut": 132,
    "Cookie": 118,
    "Coffee": 146,
}
"""Longer side of each item in pixels of a 1280-pixel-wide frame, without its wrapper."""

_TINTS: Final = {
    # hue shift (OpenCV degrees, 0-179), saturation gain, value gain per look
    "Burger": ((0, 1.0, 1.0), (-4, 1.15, 0.82), (4, 0.8, 1.05)),
    "Chicken Leg": ((0, 1.0, 1.0), (6, 1.1, 1.05), (-3, 1.1, 0.75)),
    "Hot Dog": ((0, 1.0, 1.0), (-4, 1.0, 0.85), (3, 0.75, 1.05)),
    "Pizza Slice": ((0, 1.0, 1.0), (-3, 1.1, 0.85), (5, 0.85, 1.0)),
    "Taco": ((0, 1.0, 1.0), (-6, 1.0, 0.85), (4, 0.8, 1.05)),
    "Wrap": ((0, 1.0, 1.0), (0, 1.0, 0.8), (6, 1.2, 1.05)),
    "Salad": ((0, 1.0, 1.0), (10, 1.0, 0.85), (-8, 1.05, 1.05)),
    "Donut": ((0, 1.0, 1.0), (160, 1.35, 1.45), (12, 0.35, 1.75)),
    "Cookie": ((0, 1.0, 1.0), (-3, 1.05, 0.7), (5, 0.8, 1.05)),
    "Coffee": ((0, 1.0, 1.0), (0, 1.0, 0.85), (0, 1.3, 1.0)),
    "Small Fries": ((0, 1.0, 1.0), (108, 0.9, 0.8), (14, 0.62, 0.8)),
    "Large Fries": ((0, 1.0, 1.0), (108, 0.9, 0.8), (14, 0.62, 0.8)),
    "Cola": ((0, 1.0, 1.0), (0, 1.0, 1.0), (0, 1.0, 1.0)),
    "Diet Cola": ((0, 1.0, 1.0), (0, 1.0, 1.0), (0, 1.0, 1.0)),
}
_CUPS: Final = {
    # BGR the cup is multiplied with, per look
    "Cola": ((60, 50, 235), (40, 30, 165), (70, 90, 245)),
    "Diet Cola": ((225, 225, 225), (190, 186, 180), (240, 225, 205)),
}
_BANDS: Final = {
    # band colour, letters' colour, text
    "Cola": ((245, 245, 245), (30, 20, 170), "COLA"),
    "Diet Cola": ((35, 30, 30), (245, 245, 245), "DIET"),
}
_LINERS: Final = frozenset({"Burger", "Chicken Leg", "Hot Dog", "Pizza Slice", "Taco", "Donut", "Cookie"})
"""Items whose later looks lie on a sheet of paper."""


@cache
def _cells() -> dict[str, NDArray[np.uint8]]:
    data = resources.files("orderacc.simulator").joinpath("assets/sprites.png").read_bytes()
    sheet = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), np.uint8)
    return {group: sheet[:, index * CELL : (index + 1) * CELL].copy() for index, group in enumerate(GROUPS)}


def _tint(sprite: NDArray[np.uint8], hue: int, saturation: float, value: float) -> None:
    hsv = cv2.cvtColor(sprite[..., :3], cv2.COLOR_BGR2HSV).astype(np.int32)
    hsv[..., 0] = (hsv[..., 0] + hue) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * saturation, 0, 255)
    hsv[..., 2] = np.clip(hsv[..., 2] * value, 0, 255)
    sprite[..., :3] = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)


def _tint_carton(sprite: NDArray[np.uint8], hue: int, saturation: float, value: float) -> None:
    """Recolour the red carton of the fries and leave the fries."""
    hsv = cv2.cvtColor(sprite[..., :3], cv2.COLOR_BGR2HSV)
    red = ((hsv[..., 0] < 9) | (hsv[..., 0] > 170)) & (hsv[..., 1] > 120)
    tinted = sprite.copy()
    _tint(tinted, hue, saturation, value)
    sprite[red] = tinted[red]


def _mark(sprite: NDArray[np.uint8], letter: str) -> None:
    """Print a letter on a white disc on the carton."""
    cv2.circle(sprite, (80, 112), 27, (250, 250, 250, 255), -1, cv2.LINE_AA)
    draw_text(sprite, letter, (80, 112), height=50, colour=(30, 25, 25), font=2)


def _cup(sprite: NDArray[np.uint8], name: str, look: int) -> None:
    tint = np.array(_CUPS[name][look], np.float32)
    grey = cv2.cvtColor(sprite[..., :3], cv2.COLOR_BGR2GRAY).astype(np.float32)
    hsv = cv2.cvtColor(sprite[..., :3], cv2.COLOR_BGR2HSV)
    glass = ~((hsv[..., 1] > 150) & ((hsv[..., 0] < 9) | (hsv[..., 0] > 165)))
    coloured = np.clip(grey[..., None] / 190.0 * tint, 0, 255).astype(np.uint8)
    sprite[..., :3] = np.where(glass[..., None], coloured, sprite[..., :3])
    band, letters, text = _BANDS[name]
    body = sprite[..., 3] > 200
    rows = np.zeros_like(body)
    rows[84:124] = True
    sprite[body & rows] = (*band, 255)
    draw_text(sprite, text, (66, 104), height=30, colour=letters, font=2)


def _lay_on_paper(sprite: NDArray[np.uint8], look: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    side = int(CELL * 1.22)
    paper = np.zeros((side, side, 4), np.uint8)
    colour = (238, 242, 244) if look == 1 else (120, 168, 205)
    corners = np.array([[6, 10], [side - 9, 5], [side - 5, side - 8], [10, side - 6]], np.int32)
    corners += rng.integers(-4, 5, corners.shape).astype(np.int32)
    cv2.fillConvexPoly(paper, corners, (*colour, 255), cv2.LINE_AA)
    if look == 1:
        for offset in range(0, side, 28):
            cv2.line(paper, (offset, 0), (offset, side), (215, 205, 232, 255), 5)
            cv2.line(paper, (0, offset), (side, offset), (215, 205, 232, 255), 5)
    for _ in range(5):
        start, end = rng.integers(10, side - 10, 2), rng.integers(10, side - 10, 2)
        shade = tuple(int(c) - 16 for c in colour)
        cv2.line(paper, tuple(map(int, start)), tuple(map(int, end)), (*shade, 255), 2, cv2.LINE_AA)
    mask = np.zeros((side, side), np.uint8)
    cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_AA)
    paper[mask == 0] = 0
    offset = (side - CELL) // 2
    inner = paper[offset : offset + CELL, offset : offset + CELL]
    alpha = sprite[..., 3:].astype(np.float32) / 255
    inner[..., :3] = (sprite[..., :3] * alpha + inner[..., :3] * (1 - alpha)).astype(np.uint8)
    inner[..., 3] = np.maximum(inner[..., 3], sprite[..., 3])
    return paper


@cache
def item_sprite(name: str, look: int) -> Sprite:
    """One look of an item at its size in a 1280-pixel-wide frame.

    Args:
        name: Menu name.
        look: 0 to `LOOKS` - 1.

    Returns:
        BGRA uint8 [H, W, 4], premultiplied; shared, do not write into it.
    """
    sprite = _cells()[GROUP_OF[name]].copy()
    hue, saturation, value = _TINTS[name][look]
    if GROUP_OF[name] == "fries":
        _tint_carton(sprite, hue, saturation, value)
        _mark(sprite, name[0])
    elif GROUP_OF[name] == "cola":
        _cup(sprite, name, look)
    else:
        _tint(sprite, hue, saturation, value)
    scale = SIZES[name] / CELL
    if look and name in _LINERS:
        sprite = _lay_on_paper(sprite, look, np.random.default_rng(len(name) * 10 + look))
    return premultiplied(cv2.resize(sprite, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def premultiplied(sprite: NDArray[np.uint8]) -> Sprite:
    """Multiply colour by alpha, so that scaling and turning do not bleed the background's colour into the rim."""
    result = sprite.copy()
    result[..., :3] = (sprite[..., :3].astype(np.uint16) * sprite[..., 3:] // 255).astype(np.uint8)
    return result
