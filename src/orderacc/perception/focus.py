"""How sharp the clearest edges of a whole picture are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orderacc.domain.frames import Image

STRIPS: Final = 8
"""Strips looked at in each direction."""

THICKNESS: Final = 4
"""Pixels a strip is averaged over, which halves the noise."""

REACH: Final = 8
"""An edge is as high as the step between pixels this far apart, in pixels of a picture 1280 wide."""

LEAST_EDGE: Final = 50.0
"""Grey levels; where no strip has an edge this high nothing can be said: a plain worktop is flat, not blurred."""

_NOISE: Final = 5.5
"""The largest of a strip's differences if all were noise, in medians."""


def focus(image: Image) -> float | None:
    """Steepness of the clearest edges: the share of an edge's height that lies between neighbouring pixels.

    Noise is taken out, and how bright the scene is does not count. In every strip the steepest step stands for its
    highest edge; one part of the picture in focus is enough.

    Args:
        image: BGR uint8 [H, W, 3], at least 64 x 64.

    Returns:
        0.3 to 1 for pictures as cameras take them; 0.24, 0.2 and 0.16 for a blur of 1.5, 2 and 3 pixels (sigma) at a
        width of 1280. None when there is no edge to tell by.
    """
    step = max(1, round(image.shape[1] / 1280))
    steps, heights = [], []
    for strips in (_rows(image), _columns(image)):
        near = np.abs(strips[:, step:] - strips[:, :-step])
        noise = _NOISE * _medians(near[:, :: 4 * step])
        steps.append(np.sqrt(np.maximum(near.max(axis=1).astype(np.float32) ** 2 - noise**2, 0)))
        heights.append(np.abs(strips[:, REACH * step :] - strips[:, : -REACH * step]).max(axis=1))
    steepest, highest = np.concatenate(steps), np.concatenate(heights)
    clear = highest >= max(LEAST_EDGE * THICKNESS, int(np.sort(highest)[round(0.6 * (highest.size - 1))]))
    shares = np.sort(steepest[clear] / highest[clear])
    return float(shares[round(0.8 * (shares.size - 1))]) if shares.size else None


def _rows(image: Image) -> NDArray[np.int16]:
    """Sums over strips of rows in the green layer, int16 [STRIPS, width]."""
    return np.stack([image[top : top + THICKNESS, :, 1].sum(0, np.int16) for top in _places(image.shape[0])])


def _columns(image: Image) -> NDArray[np.int16]:
    """Likewise of columns, int16 [STRIPS, height]."""
    return np.stack([image[:, left : left + THICKNESS, 1].sum(1, np.int16) for left in _places(image.shape[1])])


def _places(length: int) -> list[int]:
    return [round((index + 0.5) * (length - THICKNESS) / STRIPS) for index in range(STRIPS)]


def _medians(values: NDArray[np.int16]) -> NDArray[np.int16]:
    middle = values.shape[1] // 2
    return np.partition(values, middle, axis=1)[:, middle]
