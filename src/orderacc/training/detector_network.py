"""The demo detector's network and its loss: anchor-free, one prediction a cell, YOLO11 output layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from orderacc.training.detector_pictures import INPUT_SIZE, LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderacc.training.detector_pictures import Truth

STRIDES: Final = (8, 16, 32)
CLASSES: Final = len(LABELS)
HEAD_WIDTH: Final = 56

POSITIVES: Final = 8
"""Cells that learn one object."""

CENTRE_SHARE: Final = 0.6
"""Cells in this share of a box's width and height about its centre may learn it."""

BOX_WEIGHT: Final = 5.0


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, SiLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs, momentum=0.03),
        nn.SiLU(inplace=True),
    )


class Residual(nn.Module):  # type: ignore[misc]  # torch is not there when types are checked
    """A bottleneck beside an identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(conv(width, width // 2, 1), conv(width // 2, width))

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        result: Tensor = x + self.inner(x)
        return result


class DetectorNetwork(nn.Module):  # type: ignore[misc]  # likewise
    """Backbone, top-down neck and one head a stride."""

    def __init__(self) -> None:
        super().__init__()
        self.at8 = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), Residual(32), conv(32, 64, 3, 2), Residual(64))
        self.at16 = nn.Sequential(conv(64, 96, 3, 2), Residual(96))
        self.at32 = nn.Sequential(conv(96, 128, 3, 2), Residual(128), Residual(128))
        self.laterals = nn.ModuleList(conv(width, HEAD_WIDTH, 1) for width in (64, 96, 128))
        self.heads = nn.ModuleList(
            nn.Sequential(
                conv(HEAD_WIDTH, HEAD_WIDTH), conv(HEAD_WIDTH, HEAD_WIDTH), nn.Conv2d(HEAD_WIDTH, 4 + CLASSES, 1)
            )
            for _ in STRIDES
        )
        for head in self.heads:
            nn.init.constant_(head[2].bias[:4], 2.0)
            nn.init.constant_(head[2].bias[4:], -4.6)
        centres, strides = _cells()
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("strides", strides, persistent=False)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Predict.

        Args:
            x: float32 [B, 3, 256, 448], RGB 0 to 1.

        Returns:
            Class logits float32 [B, A, classes] and boxes float32 [B, A, 4] (x1, y1, x2, y2 in input pixels).
        """
        at8 = self.at8(x)
        at16 = self.at16(at8)
        top = self.laterals[2](self.at32(at16))
        middle = self.laterals[1](at16) + functional.interpolate(top, scale_factor=2.0)
        bottom = self.laterals[0](at8) + functional.interpolate(middle, scale_factor=2.0)
        raw = torch.cat(
            [head(level).flatten(2) for head, level in zip(self.heads, (bottom, middle, top), strict=True)], 2
        ).transpose(1, 2)
        reach = functional.softplus(raw[..., :4].float()) * self.strides
        boxes = torch.cat([self.centres - reach[..., :2], self.centres + reach[..., 2:]], -1)
        return raw[..., 4:].float(), boxes

    def forward(self, x: Tensor) -> Tensor:
        """The YOLO11 layout: float32 [B, 4 + classes, A], centre x, centre y, width, height, then scores."""
        logits, boxes = self.predict(x)
        low, high = boxes[..., :2], boxes[..., 2:]
        return torch.cat([(low + high) / 2, high - low, logits.sigmoid()], -1).transpose(1, 2)


def _cells() -> tuple[Tensor, Tensor]:
    """Centres of all cells float32 [A, 2] in input pixels, and their strides float32 [A, 1]."""
    centres, strides = [], []
    for stride in STRIDES:
        rows, columns = INPUT_SIZE[1] // stride, INPUT_SIZE[0] // stride
        y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
        centres.append(torch.stack([x, y], -1).reshape(-1, 2) * stride)
        strides.append(torch.full((rows * columns, 1), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def loss(network: DetectorNetwork, x: Tensor, truths: Sequence[Truth]) -> Tensor:
    """Task-aligned loss of a batch.

    Each object is learned by the `POSITIVES` cells near its centre that predict it best; their score learns how well
    they do (IoU), all others learn 0. Cells on an ignored object are not punished for its class.
    """
    logits, boxes = network.predict(x)
    wanted, kinds, valid, ignored = (part.to(x.device) for part in _pad(truths))
    with torch.no_grad():
        scores, target, weight = _assign(
            logits.sigmoid(), boxes, wanted, kinds, valid & ~ignored, centres=network.centres
        )
        free = _inside(network.centres, wanted, 1.0) & (valid & ignored)[..., None]
        care = 1 - torch.einsum("bna,bnc->bac", free.float(), functional.one_hot(kinds, CLASSES).float()).clamp(max=1)
        care = torch.where(scores > 0, torch.ones_like(care), care)
        total = scores.sum().clamp(min=1.0)
    probability = logits.sigmoid()
    focus = torch.where(scores > 0, scores, 0.75 * probability.detach() ** 2)
    classified = functional.binary_cross_entropy_with_logits(logits, scores, reduction="none") * focus * care
    learns = weight > 0
    fit = _giou(boxes[learns], target[learns])
    return (classified.sum() + BOX_WEIGHT / 2 * ((1 - fit) * weight[learns]).sum()) / total


def _assign(
    scores: Tensor, boxes: Tensor, wanted: Tensor, kinds: Tensor, valid: Tensor, *, centres: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose which cell learns which object.

    Returns:
        Target scores [B, A, classes], target boxes [B, A, 4] and box weights [B, A] (0 for cells that learn no box).
    """
    batch, count, cells = wanted.shape[0], wanted.shape[1], boxes.shape[1]
    may = _inside(centres, wanted, CENTRE_SHARE) & valid[..., None]
    overlap = _iou(wanted[:, :, None], boxes[:, None]).clamp(min=1e-4)
    own = scores.gather(2, kinds[:, None].expand(batch, cells, count)).transpose(1, 2)
    match = torch.where(may, own.clamp(min=1e-4).sqrt() * overlap**4, torch.full_like(overlap, -1.0))
    best = match.topk(POSITIVES, dim=2)
    chosen = torch.zeros_like(match).scatter_(2, best.indices, 1.0).bool() & may
    match = match * chosen
    # a cell in the middle of two objects learns the one it fits better
    owner = (overlap * chosen).argmax(1)
    chosen &= functional.one_hot(owner, count).transpose(1, 2).bool()
    taken = chosen.any(1)
    match = match * chosen
    quality = match / match.amax(2, keepdim=True).clamp(min=1e-9) * (overlap * chosen).amax(2, keepdim=True)
    weight = quality.gather(1, owner[:, None]).squeeze(1) * taken
    target = wanted.gather(1, owner[..., None].expand(batch, cells, 4))
    kind = kinds.gather(1, owner)
    return functional.one_hot(kind, CLASSES).float() * weight[..., None], target, weight


def _inside(centres: Tensor, boxes: Tensor, share: float) -> Tensor:
    """Whether each cell's centre lies in the middle `share` of each box: bool [B, N, A]."""
    middle, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2 * share
    return ((centres - middle[:, :, None]).abs() < half[:, :, None]).all(-1)


def _iou(a: Tensor, b: Tensor) -> Tensor:
    shared = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    area_a, area_b = (a[..., 2:] - a[..., :2]).prod(-1), (b[..., 2:] - b[..., :2]).prod(-1)
    return shared / (area_a + area_b - shared).clamp(min=1e-6)


def _giou(a: Tensor, b: Tensor) -> Tensor:
    """IoU less the share of the common hull that neither covers: has a slope where boxes do not touch."""
    shared = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    union = (a[:, 2:] - a[:, :2]).prod(-1) + (b[:, 2:] - b[:, :2]).prod(-1) - shared
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(-1)
    return shared / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


def _pad(truths: Sequence[Truth]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Truths of a batch as boxes [B, N, 4], classes [B, N], valid [B, N] and ignored [B, N]."""
    count = max(1, *(len(truth.classes) for truth in truths))
    boxes = torch.zeros(len(truths), count, 4)
    kinds = torch.zeros(len(truths), count, dtype=torch.long)
    valid = torch.zeros(len(truths), count, dtype=torch.bool)
    ignored = torch.zeros(len(truths), count, dtype=torch.bool)
    for index, truth in enumerate(truths):
        size = len(truth.classes)
        boxes[index, :size] = torch.from_numpy(truth.boxes)
        kinds[index, :size] = torch.from_numpy(truth.classes)
        valid[index, :size] = True
        ignored[index, :size] = torch.from_numpy(truth.ignored)
    return boxes, kinds, valid, ignored
