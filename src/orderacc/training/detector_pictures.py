"""Pictures for the detector: rendered once, shrunk to the network's input, kept on disk, varied at every use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from orderacc.domain.detections import NOT_ITEMS
from orderacc.perception.letterbox import Letterbox

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from orderacc.simulator.samples import Sample

LABELS: Final = (
    "burger", "fries", "cola", "chicken", "hotdog", "pizza", "taco", "wrap", "salad", "donut", "cookie", "coffee",
    "slip", "hand", "bag",
)  # fmt: skip
INPUT_SIZE: Final = (448, 256)
FIRST_TRAINING_SEED: Final = 300_000_000
FIRST_HELD_OUT_SEED: Final = 910_000_000
SHARD: Final = 100
"""Pictures a file."""

HANDS_FILES: Final = (3, 4)
"""Of every five files, those with pictures of any moment. The others show hands as seldom as chosen evidence does,
which is too seldom to learn that a fist is not a chicken leg."""

MIN_VISIBLE: Final = 0.35
MIN_VISIBLE_NOT_ITEM: Final = 0.2
"""A slip, a hand or a bag shows what it is with less of itself, and a hand is mostly outside the picture."""

MIN_VISIBLE_AT_ALL: Final = 0.05
"""Between this and the least that must be found, finding it is neither right nor wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What must be found in one picture.

    Attributes:
        boxes: float32 [N, 4], x1, y1, x2, y2 in pixels.
        classes: int64 [N]; an index into `LABELS`.
        ignored: bool [N]; finding this one is neither right nor wrong.
    """

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    ignored: NDArray[np.bool_]


def truth_of(sample: Sample) -> Truth:
    """The truth of a sample, boxes in pixels of its image."""
    seen = [thing for thing in sample.objects if thing.visible >= MIN_VISIBLE_AT_ALL and thing.box.area > 0]
    boxes = [(thing.box.x1, thing.box.y1, thing.box.x2, thing.box.y2) for thing in seen]
    least = [MIN_VISIBLE_NOT_ITEM if thing.label in NOT_ITEMS else MIN_VISIBLE for thing in seen]
    return Truth(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array([LABELS.index(thing.label) for thing in seen], np.int64),
        np.array([thing.visible < bound for thing, bound in zip(seen, least, strict=True)], np.bool_),
    )


def to_input(sample: Sample) -> tuple[NDArray[np.uint8], Truth]:
    """A sample as the network sees it: BGR uint8 [256, 448, 3] and its truth in the same pixels."""
    placed = Letterbox.fit((sample.image.shape[1], sample.image.shape[0]), INPUT_SIZE)
    truth = truth_of(sample)
    scale, offset = np.array(placed.scale * 2, np.float32), np.array(placed.offset * 2, np.float32)
    return placed.apply(sample.image), Truth(truth.boxes * scale + offset, truth.classes, truth.ignored)


def render_shard(job: tuple[Path, int]) -> None:
    """Render one file of pictures unless it is there. `job` is the pool's folder and the file's number."""
    from orderacc.simulator.samples import CLEAR_SHARE, sample

    folder, number = job
    pictures_file, truth_file = folder / f"{number:04d}.npy", folder / f"{number:04d}.json"
    if truth_file.exists():
        return
    first = FIRST_TRAINING_SEED + number * SHARD
    clear_share = 0.0 if number % 5 in HANDS_FILES else CLEAR_SHARE
    made = [to_input(sample(seed, clear_share=clear_share)) for seed in range(first, first + SHARD)]
    np.save(pictures_file, np.stack([picture for picture, _ in made]))
    rows = [
        [
            [*box, int(kind), bool(ignored)]
            for box, kind, ignored in zip(t.boxes.tolist(), t.classes, t.ignored, strict=True)
        ]
        for _, t in made
    ]
    partial = truth_file.with_suffix(".partial")
    partial.write_text(json.dumps(rows), encoding="utf-8")
    partial.rename(truth_file)


class PicturePool:
    """Rendered pictures on disk, read by memory map.

    Args:
        folder: Where `render_shard` wrote.
        shards: How many of its files to use.
    """

    def __init__(self, folder: Path, shards: int) -> None:
        self._pictures: list[NDArray[np.uint8]] = []
        self._truths: list[Truth] = []
        for number in range(shards):
            self._pictures.append(np.load(folder / f"{number:04d}.npy", mmap_mode="r"))
            for rows in json.loads((folder / f"{number:04d}.json").read_text(encoding="utf-8")):
                table = np.array(rows, np.float32).reshape(-1, 6)
                self._truths.append(Truth(table[:, :4], table[:, 4].astype(np.int64), table[:, 5] > 0))

    def __len__(self) -> int:
        return len(self._truths)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], Truth]:
        return self._pictures[index // SHARD][index % SHARD], self._truths[index]

    def batch(self, seed: int, step: int, size: int) -> tuple[NDArray[np.uint8], list[Truth]]:
        """The batch of a step: uint8 [size, 256, 448, 3] and a truth each; every picture once before any twice.

        It follows from seed and step alone, so that a resumed run goes on as if it had not stopped.
        """
        rng = np.random.default_rng([seed, 2, step])
        picked = []
        for position in range(step * size, (step + 1) * size):
            order = _order(seed, position // len(self), len(self))
            picked.append(vary(*self[int(order[position % len(self)])], rng))
        return np.stack([picture for picture, _ in picked]), [truth for _, truth in picked]


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 1, epoch]).permutation(count)


def vary(picture: NDArray[np.uint8], truth: Truth, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Truth]:
    """Mirror, move, zoom and relight a picture."""
    import cv2

    height, width = picture.shape[:2]
    zoom = float(np.exp(rng.uniform(-0.22, 0.22)))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    shift = rng.uniform(-0.07, 0.07, 2) * (width, height)
    matrix = np.array(
        [
            [zoom * mirror, 0, width / 2 - zoom * mirror * width / 2 + shift[0]],
            [0, zoom, height / 2 - zoom * height / 2 + shift[1]],
        ],
        np.float32,
    )
    grey = int(rng.integers(40, 200)) if rng.random() < 0.5 else 114
    moved = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(grey, grey, grey))
    gain = rng.uniform(0.7, 1.25) * rng.uniform(0.93, 1.07, 3)
    levels = np.clip(np.arange(256)[:, None] * gain + rng.uniform(-14, 14), 0, 255).astype(np.uint8)
    moved = cv2.LUT(moved, levels.reshape(256, 1, 3))
    return np.asarray(moved, np.uint8), _move(truth, matrix, width, height)


def _move(truth: Truth, matrix: NDArray[np.float32], width: int, height: int) -> Truth:
    """The truth after an affine move without rotation; what is mostly outside the picture now is ignored."""
    xs = truth.boxes[:, [0, 2]] * matrix[0, 0] + matrix[0, 2]
    ys = truth.boxes[:, [1, 3]] * matrix[1, 1] + matrix[1, 2]
    full = np.stack([xs.min(1), ys.min(1), xs.max(1), ys.max(1)], 1)
    cut = np.clip(full, 0, np.array([width, height, width, height], np.float32)).astype(np.float32)
    share = _areas(cut) / np.maximum(_areas(full), 1e-6)
    kept = share > MIN_VISIBLE_AT_ALL
    return Truth(cut[kept], truth.classes[kept], (truth.ignored | (share < 0.5))[kept])


def _areas(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1), np.float32)
