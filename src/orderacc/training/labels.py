"""Dense labels: what each visual token and each patch should know about the items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from orderacc.training.architecture import CELL, COLUMNS, PATCH, ROWS, TEXT_WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

BLUR: Final = 3.0
"""Half width in pixels of the edge between two cells over which an item's centre passes from one to the other: a hard
edge would ask the impossible of a picture of an item right on it."""


def split_centres(centres: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Share every centre out between the cells it touches.

    Args:
        centres: float32 [..., 2] of x and y in pixels of the view.

    Returns:
        Cells int64 [..., 4] and their shares float32 [..., 4], which sum to 1.
    """
    reach = BLUR / CELL
    limit = np.array([COLUMNS, ROWS], np.float32)
    point = np.clip(centres / CELL, reach, limit - reach - 1e-4)
    low = np.floor(point - reach).astype(np.int64)
    high = np.floor(point + reach).astype(np.int64)
    above = np.where(high > low, (point + reach - high) / (2 * reach), 0.0).astype(np.float32)
    cells = [y * COLUMNS + x for y in (low[..., 1], high[..., 1]) for x in (low[..., 0], high[..., 0])]
    shares = [v * u for v in (1 - above[..., 1], above[..., 1]) for u in (1 - above[..., 0], above[..., 0])]
    return np.stack(cells, -1), np.stack(shares, -1)


def centre_map(classes: NDArray[np.int64], centres: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """How much of which item is centred in each cell.

    Args:
        classes: int64 [B, N] of menu positions, -1 for no item.
        centres: float32 [B, N, 2] of x and y in pixels.
        count: Length of the menu.

    Returns:
        float32 [B, ROWS * COLUMNS, count]; sums over cells are the counts.
    """
    cells, shares = split_centres(centres)
    result = np.zeros((len(classes), ROWS * COLUMNS, count), np.float32)
    picture = np.broadcast_to(np.arange(len(classes))[:, None, None], cells.shape)
    kind = np.broadcast_to(classes[..., None], cells.shape)
    real = kind >= 0
    np.add.at(result, (picture[real], cells[real], kind[real]), shares[real])
    return result


def patch_map(
    classes: NDArray[np.int64], boxes: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Which item lies under each patch's centre, and where its own centre is.

    Args:
        classes: int64 [B, N] of menu positions, -1 for no item.
        boxes: float32 [B, N, 4] of x1, y1, x2, y2 in pixels.
        count: Length of the menu; also the label of the background.

    Returns:
        Labels int64 [B, 2 ROWS * 2 COLUMNS] and offsets float32 [..., 2] to the item's centre in cells.
    """
    ys, xs = np.mgrid[0 : 2 * ROWS, 0 : 2 * COLUMNS].reshape(2, -1).astype(np.float32) * PATCH + PATCH / 2
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = np.maximum((boxes[..., 2:] - boxes[..., :2]) / 2, 1.0)
    dx = middle[..., 0, None] - xs
    dy = middle[..., 1, None] - ys
    inside = np.maximum(np.abs(dx) / half[..., 0, None], np.abs(dy) / half[..., 1, None])
    inside = np.where(classes[..., None] >= 0, inside, np.inf)
    best = inside.argmin(1)[:, None]
    near = np.take_along_axis(inside, best, 1)[:, 0] < 0.95
    kind = np.take_along_axis(np.broadcast_to(classes[..., None], inside.shape), best, 1)[:, 0]
    offset = np.stack([np.take_along_axis(d, best, 1)[:, 0] for d in (dx, dy)], -1) / CELL
    return np.where(near, kind, count), np.where(near[..., None], offset, 0).astype(np.float32)


def codebook(count: int) -> Tensor:
    """The vectors the vision tower is taught to say: one per menu item, the last for none.

    Vision and language learn apart from each other and agree on these.

    Returns:
        float32 [count + 1, TEXT_WIDTH], the same in every process.
    """
    return torch.randn(count + 1, TEXT_WIDTH, generator=torch.Generator().manual_seed(5)) * 0.3


def encode(centred: Tensor, book: Tensor) -> Tensor:
    """The ideal visual tokens for a `centre_map`.

    Args:
        centred: float32 [B, cells, count].
        book: From `codebook`.

    Returns:
        float32 [B, cells, TEXT_WIDTH].
    """
    none = (1 - centred.sum(-1, keepdim=True)).clamp(min=0)
    return torch.cat([centred, none], -1) @ book
