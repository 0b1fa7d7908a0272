"""Pictures to learn from: the simulator's frames through the model's view, kept in a pool and varied at each use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from orderacc.domain.detections import NOT_ITEMS, Box
from orderacc.training.architecture import VIEW_HEIGHT, VIEW_WIDTH
from orderacc.vlm.view import render_view, view_window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from orderacc.domain.frames import Image

MOST: Final = 24
"""Items a picture can hold; frames with more are left out."""

COUNTS_FROM: Final = 0.5
"""An item at least this visible is in the answer."""

DOUBTFUL: Final = (0.25, 0.6)
"""Frames with an item visible to a share in this range are left out: nobody could say whether it counts."""

HELD_OUT: Final = 900_000_000
"""First seed of the pictures that measure the finished model; training stays below."""

WATCHED: Final = 890_000_000
"""First seed of the pictures that show how training goes; neither trained on nor measured on."""

COMPRESSED_SHARE: Final = 0.4
"""Share of uses that lose detail as a camera's compressed video does."""

MOST_EMPTY: Final = 0.04
"""Share of frames without items that is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One picture and what it shows.

    Attributes:
        picture: RGB uint8 [height, width, 3] of the view.
        classes: int64 [MOST] of menu positions, -1 for no item.
        boxes: float32 [MOST, 4] of x1, y1, x2, y2 in pixels of the view.
    """

    picture: Image
    classes: NDArray[np.int64]
    boxes: NDArray[np.float32]

    def counts(self, menu: int) -> NDArray[np.int64]:
        """How many of each menu item, int64 [menu]."""
        return np.bincount(self.classes[self.classes >= 0], minlength=menu)


def example(
    seed: int, names: Sequence[str], *, view: tuple[int, int] = (VIEW_WIDTH, VIEW_HEIGHT), jitter: float = 4.0
) -> Example | None:
    """Render the picture of a seed.

    Args:
        seed: Of the simulator's sample.
        names: The menu, in order.
        view: Width and height of the picture.
        jitter: Standard deviation in frame pixels of the boxes the view is cut by, as a detector's would be off.

    Returns:
        The example, or None when the frame is not to be learnt from.
    """
    from orderacc.simulator.samples import sample

    rng = np.random.default_rng([seed, 3])
    scene = sample(seed)
    items = [thing for thing in scene.objects if thing.label not in NOT_ITEMS]
    if any(DOUBTFUL[0] <= item.visible < DOUBTFUL[1] for item in items):
        return None
    items = [item for item in items if item.visible >= COUNTS_FROM]
    if len(items) > MOST or (not items and rng.random() > MOST_EMPTY * 4):
        return None
    size = (scene.image.shape[1], scene.image.shape[0])
    off = rng.normal(0, jitter, (len(items), 4)).clip(-3 * jitter, 3 * jitter)
    seen = [
        Box(item.box.x1 + d[0], item.box.y1 + d[1], item.box.x2 + d[2], item.box.y2 + d[3])
        for item, d in zip(items, off.tolist(), strict=True)
    ]
    window = view_window(size, seen, view)
    scale = view[0] / (window.x2 - window.x1)
    classes = np.full(MOST, -1, np.int64)
    boxes = np.zeros((MOST, 4), np.float32)
    for index, item in enumerate(items):
        classes[index] = names.index(item.name)
        corners = np.array([item.box.x1, item.box.y1, item.box.x2, item.box.y2])
        boxes[index] = (corners - [window.x1, window.y1] * 2) * scale
    return Example(render_view(scene.image, window, view), classes, boxes)


def examples(
    first: int, names: Sequence[str], *, view: tuple[int, int] = (VIEW_WIDTH, VIEW_HEIGHT)
) -> Iterator[Example]:
    """Endless examples from seed `first` on."""
    seed = first
    while True:
        if (made := example(seed, names, view=view)) is not None:
            yield made
        seed += 1


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pictures RGB uint8 [B, H, W, 3], classes int64 [B, MOST], boxes float32 [B, MOST, 4]."""

    pictures: NDArray[np.uint8]
    classes: NDArray[np.int64]
    boxes: NDArray[np.float32]

    def counts(self, menu: int) -> NDArray[np.int64]:
        """How many of each menu item, int64 [B, menu]."""
        return np.stack([np.bincount(row[row >= 0], minlength=menu) for row in self.classes])


def stack(made: Sequence[Example]) -> Batch:
    """A batch of examples as they are."""
    return Batch(
        np.stack([one.picture for one in made]),
        np.stack([one.classes for one in made]),
        np.stack([one.boxes for one in made]),
    )


def held_out(count: int, names: Sequence[str], path: Path, *, first: int = WATCHED) -> Batch:
    """Pictures no training sees, kept in a file between calls."""
    if path.exists():
        with np.load(path) as kept:
            if len(kept["pictures"]) >= count:
                return Batch(kept["pictures"][:count], kept["classes"][:count], kept["boxes"][:count])
    source = examples(first, names)
    batch = stack([next(source) for _ in range(count)])
    part = path.with_suffix(".part.npz")
    np.savez(part, pictures=batch.pictures, classes=batch.classes, boxes=batch.boxes)
    part.replace(path)
    return batch


class Pool:
    """A ring of rendered pictures on disk; each is drawn several times, varied each time.

    Rendering a frame costs a good part of a training step, so pictures are used again while they are young.

    Args:
        path: Prefix of the pool's files; an existing pool is taken over.
        names: The menu.
        seed: First simulator seed of this pool.
        size: Pictures kept.
        reuse: Draws for each picture rendered.
    """

    def __init__(self, path: Path, names: Sequence[str], seed: int, *, size: int = 12_000, reuse: float = 4.0) -> None:
        self._names, self._size, self._reuse = names, size, reuse
        shapes = {
            "pictures": ((size, VIEW_HEIGHT, VIEW_WIDTH, 3), np.uint8),
            "classes": ((size, MOST), np.int64),
            "boxes": ((size, MOST, 4), np.float32),
            "state": ((2,), np.int64),
        }
        self._arrays = {}
        for name, (shape, kind) in shapes.items():
            file = path.with_name(f"{path.name}-{name}.npy")
            fresh = not file.exists()
            self._arrays[name] = np.lib.format.open_memmap(
                file, mode="w+" if fresh else "r+", dtype=kind, shape=shape if fresh else None
            )
        self._state = self._arrays["state"]
        if not self._state[1]:
            self._state[1] = seed
        self._owed = 0.0
        self._rng = np.random.default_rng([seed, int(self._state[0])])

    @property
    def rendered(self) -> int:
        """Pictures rendered so far."""
        return int(self._state[0])

    def _render(self) -> None:
        while True:
            made = example(int(self._state[1]), self._names)
            self._state[1] += 1
            if made is not None:
                break
        place = self.rendered % self._size
        for name in ("pictures", "classes", "boxes"):
            self._arrays[name][place] = getattr(made, name.removesuffix("s") if name == "pictures" else name)
        self._state[0] += 1

    def draw(self, count: int) -> Batch:
        """A varied batch of `count` pictures."""
        self._owed += count / self._reuse
        while self._owed >= 1 or self.rendered < count:
            self._render()
            self._owed = max(0.0, self._owed - 1)
        filled = min(self.rendered, self._size)
        chosen = self._rng.choice(filled, count, replace=False)
        batch = Batch(*(self._arrays[name][chosen] for name in ("pictures", "classes", "boxes")))
        return vary(batch, self._rng)


def vary(batch: Batch, rng: np.random.Generator) -> Batch:
    """Shift, scale, turn, recolour and compress each picture; boxes follow. No mirroring: items have letters."""
    import cv2

    pictures = np.empty_like(batch.pictures)
    boxes = batch.boxes.copy()
    grain = rng.normal(0, 1, (VIEW_HEIGHT + 64, VIEW_WIDTH + 64, 3)).astype(np.float32)
    for index, picture in enumerate(batch.pictures):
        matrix = cv2.getRotationMatrix2D(
            (VIEW_WIDTH / 2, VIEW_HEIGHT / 2), float(rng.normal(0, 1.5)), float(rng.uniform(0.94, 1.03))
        )
        matrix[:, 2] += rng.uniform(-7, 7, 2)
        moved = cv2.warpAffine(
            picture, matrix, (VIEW_WIDTH, VIEW_HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        gain = rng.uniform(0.85, 1.18) * rng.uniform(0.94, 1.06, 3)
        colours = moved.astype(np.float32)
        colours *= gain.astype(np.float32)
        colours += np.float32(rng.uniform(-18, 18))
        if rng.random() < 0.5:
            top, left = rng.integers(0, 64, 2)
            colours += grain[top : top + VIEW_HEIGHT, left : left + VIEW_WIDTH] * np.float32(rng.uniform(0, 7))
        pictures[index] = np.clip(colours, 0, 255)
        if rng.random() < COMPRESSED_SHARE:
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 92))]
            _, packed = cv2.imencode(".jpg", pictures[index], quality)
            pictures[index] = cast("Image", cv2.imdecode(packed, cv2.IMREAD_COLOR))
        corners = boxes[index].reshape(-1, 2, 2)
        middle = corners.mean(1) @ matrix[:, :2].T + matrix[:, 2]
        half = (corners[:, 1] - corners[:, 0]) / 2 * np.hypot(matrix[0, 0], matrix[0, 1])
        boxes[index] = np.concatenate([middle - half, middle + half], 1)
    return Batch(pictures, batch.classes, boxes)
