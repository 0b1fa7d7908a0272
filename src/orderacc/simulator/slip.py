"""Printed slips: a strip of thermal paper with the order number among other numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from orderacc.simulator.lettering import FONTS, text_mask
from orderacc.simulator.sprites import premultiplied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from orderacc.domain.orders import Item
    from orderacc.simulator.sprites import Sprite

FORMS: Final = ("ORDER #{}", "Order {}", "#{}", "No. {}", "ORDER NO: {}", "Order: {}")
"""How the order number is printed."""

_WIDTH: Final = 216
_SHOPS: Final = ("BURGER HOUSE 042", "CORNER GRILL", "STORE 117", "FRESH & FAST")


def _details(rng: np.random.Generator) -> list[str]:
    """Lines with numbers that are not the order's."""
    lines = [
        f"TABLE {rng.integers(1, 40)}",
        f"{rng.integers(8, 22):02d}:{rng.integers(0, 60):02d}  {rng.integers(1, 29):02d}/{rng.integers(1, 13):02d}",
        f"TEL 555-{rng.integers(0, 10000):04d}",
        f"CASHIER {rng.integers(1, 20)}",
    ]
    keep = rng.permutation(len(lines))[: rng.integers(2, 4)]
    return [lines[i] for i in sorted(keep)]


@lru_cache(maxsize=64)
def slip_sprite(number: str, items: tuple[Item, ...], seed: int) -> Sprite:
    """A slip as it lies on the counter.

    Args:
        number: The order number, as printed.
        items: Lines printed below it.
        seed: Chooses form, font, paper and the other lines.

    Returns:
        BGRA uint8 [H, W, 4], premultiplied; shared, do not write into it.
    """
    rng = np.random.default_rng([seed, 77])
    font = int(rng.integers(0, FONTS))
    heading = FORMS[int(rng.integers(0, len(FORMS)))].format(number)
    small = [_SHOPS[int(rng.integers(0, len(_SHOPS)))]]
    body = [f"{item.quantity} {item.name}" for item in items[:5]]
    total = f"TOTAL ${rng.integers(3, 60)}.{rng.integers(0, 100):02d}"
    tail = [*_details(rng), total]
    height = 34 + 46 + 23 * (len(small) + len(body) + len(tail)) + 20
    paper = _paper(height, rng)
    ink = int(rng.integers(25, 70))
    large = min(44, int(_WIDTH * 0.94 / len(heading) * 64 / 36))
    y = _print(paper, small, 14, height=20, font=font, ink=ink)
    y = _print(paper, [heading], y + 4, height=large, font=font, ink=ink)
    y = _print(paper, body, y + 4, height=20, font=font, ink=ink)
    _print(paper, tail, y + 6, height=20, font=font, ink=ink)
    return premultiplied(paper)


def _paper(height: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    paper = np.zeros((height, _WIDTH, 4), np.uint8)
    base = np.array([rng.integers(228, 246), rng.integers(234, 248), rng.integers(236, 252)], np.float32)
    curl = 1 - 0.09 * np.abs(np.linspace(-1, 1, height, dtype=np.float32)) ** 2
    paper[..., :3] = np.clip(base * curl[:, None, None] + rng.normal(0, 1.5, (height, _WIDTH, 1)), 0, 255)
    paper[..., 3] = 255
    for x in range(0, _WIDTH, 8):
        cv2.fillConvexPoly(paper, np.array([[x, height], [x + 8, height], [x + 4, height - 5]], np.int32), (0, 0, 0, 0))
    fold = int(rng.integers(height // 3, height - 30))
    paper[fold : fold + 2, :, :3] = (paper[fold : fold + 2, :, :3] * 0.93).astype(np.uint8)
    return paper


def _print(paper: NDArray[np.uint8], lines: Sequence[str], y: int, *, height: int, font: int, ink: int) -> int:
    """Print lines from y downwards; returns the next free y."""
    for line in lines:
        mask = text_mask(line, height, font)
        width = min(mask.shape[1], _WIDTH - 10)
        if mask.shape[1] > width:
            mask = np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        x = (_WIDTH - width) // 2
        alpha = mask[..., None].astype(np.float32) / 255 * 0.92
        region = paper[y : y + height, x : x + width, :3]
        region[:] = (region * (1 - alpha[: region.shape[0]]) + ink * alpha[: region.shape[0]]).astype(np.uint8)
        y += height + 3
    return y
