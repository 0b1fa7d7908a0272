"""The vision half alone: from pictures to the vectors the language half is taught to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name every torch programmer knows
from torch import Tensor, nn

from orderacc.training.architecture import VISION_WIDTH, BatchedVision
from orderacc.training.labels import centre_map, codebook, encode, patch_map
from orderacc.training.optim import RANK, WORLD, Clock, Optimizer, device, precision, save_state, schedule

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

    from orderacc.training.pictures import Batch, Pool


class DenseTask(nn.Module):  # type: ignore[misc]  # torch is not followed
    """Says for every visual token what is centred there, and for every patch what lies there and where its centre is.

    Only training needs it: it tells each place of a picture what it should have seen, which one answer cannot.

    Args:
        menu: Length of the menu.
    """

    book: Tensor

    def __init__(self, menu: int) -> None:
        super().__init__()
        self.menu = menu
        book = codebook(menu)
        self.register_buffer("book", book, persistent=False)
        self.bias = nn.Parameter(torch.zeros(menu + 1))
        self.patch = nn.Linear(VISION_WIDTH, menu + 1 + 2)
        self._scale = 8.0 / float(book.pow(2).sum(1).mean())

    def beliefs(self, cells: Tensor) -> Tensor:
        """Probabilities [B, CELLS, menu + 1] of what is centred in each cell; the last is nothing."""
        return (cells @ self.book.T * self._scale + self.bias).softmax(-1)

    def loss(self, cells: Tensor, patches: Tensor, place: Tensor, batch: Batch) -> Tensor:
        """The dense losses of a batch.

        Args:
            cells: Visual tokens [B, CELLS, width].
            patches: Patch states [B, PATCHES, VISION_WIDTH].
            place: `BatchedVision.patch_place`.
            batch: What the pictures show.
        """
        where = cells.device
        middle = (batch.boxes[..., :2] + batch.boxes[..., 2:]) * np.float32(0.5)
        centred = torch.from_numpy(centre_map(batch.classes, middle, self.menu)).to(where)
        none = (1 - centred.sum(-1, keepdim=True)).clamp(min=0)
        wanted = torch.cat([centred, none], -1)
        wanted = wanted / wanted.sum(-1, keepdim=True)
        logits = cells @ self.book.T * self._scale + self.bias
        # Most cells hold nothing; they count less, not nothing.
        weight = 1 - 0.7 * wanted[..., -1]
        choice = -(wanted * logits.log_softmax(-1)).sum(-1)
        loss = (choice * weight).sum() / weight.sum()
        loss = loss + 0.5 * F.mse_loss(cells, encode(centred, self.book)) / 0.09

        kinds, offsets = patch_map(batch.classes, batch.boxes, self.menu)
        kind = torch.from_numpy(kinds).to(where)[:, place]
        offset = torch.from_numpy(offsets).to(where)[:, place]
        said = self.patch(F.rms_norm(patches, (VISION_WIDTH,)))
        covered = kind < self.menu
        balance = torch.ones(self.menu + 1, device=where)
        balance[-1] = 0.4
        loss = loss + 0.5 * F.cross_entropy(said[..., :-2].flatten(0, 1), kind.flatten(), weight=balance)
        far = (said[..., -2:] - offset).abs().sum(-1) * covered
        return loss + 0.5 * far.sum() / covered.sum().clamp(min=1)


def measure_vision(tower: BatchedVision, task: DenseTask, batch: Batch) -> dict[str, float]:
    """How good the tower is, read off its beliefs without the language half.

    Returns:
        `exact`: share of pictures whose beliefs, summed over cells and rounded, are the right counts; `off`: mean
        absolute error of a picture's counts in items; `patch`: share of item patches named right.
    """
    counts = batch.counts(task.menu)
    kinds, _ = patch_map(batch.classes, batch.boxes, task.menu)
    sums, right, total = [], 0, 0
    for start in range(0, len(counts), 32):
        pictures = torch.from_numpy(batch.pictures[start : start + 32]).to(device())
        with torch.no_grad():
            cells, patches = tower(pictures)
            sums.append(task.beliefs(cells)[..., :-1].sum(1).cpu().numpy())
            said = task.patch(F.rms_norm(patches, (VISION_WIDTH,)))[..., :-2].argmax(-1).cpu().numpy()
        kind = kinds[start : start + 32][:, tower.patch_place.cpu().numpy()]
        right += int(((said == kind) & (kind < task.menu)).sum())
        total += int((kind < task.menu).sum())
    wrong = np.abs(np.rint(np.concatenate(sums)) - counts).sum(1)
    return {"exact": float((wrong == 0).mean()), "off": float(wrong.mean()), "patch": right / max(total, 1)}


def train_vision(
    model: PreTrainedModel,
    pool: Pool,
    check: Batch | None,
    path: Path,
    minutes: float,
    *,
    menu: int,
    batch: int,
    until: float = 1.0,
) -> None:
    """Teach the vision half; resumes from `path` when it is there.

    Args:
        model: The whole model; only its vision half is trained.
        pool: Pictures of this process.
        check: Held-out pictures for progress lines; only the first process needs them.
        path: Checkpoint to write.
        minutes: Wall time.
        menu: Length of the menu.
        batch: Pictures a step and process.
        until: Share of the minutes at which to stop for now.
    """
    tower, task = BatchedVision(model.model.visual).to(device()), DenseTask(menu).to(device())
    named = [*model.model.visual.named_parameters(), *((f"task.{name}", p) for name, p in task.named_parameters())]
    optimizer = Optimizer(named)
    used, step = 0.0, 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        optimizer.load_state_dict(state["optimizer"])
        used, step = state["used"], state["step"]
    clock = Clock(minutes, used)
    share, losses = used / clock.seconds, []

    def checkpoint() -> dict[str, Any]:
        optimizer.swap()
        weights = {name: value.clone() for name, value in model.model.visual.state_dict().items()}
        heads = {name: value.clone() for name, value in task.state_dict().items()}
        optimizer.swap()
        return {
            "weights": weights, "task": heads, "optimizer": optimizer.state_dict(), "used": clock.used, "step": step,
        }  # fmt: skip

    while share < until:
        drawn = pool.draw(batch)
        with precision():
            cells, patches = tower(torch.from_numpy(drawn.pictures).to(device()))
            loss = task.loss(cells, patches, tower.patch_place, drawn)
        # The joint phase goes on from here, so the rate ends at a fifth and not at nothing.
        share = optimizer.step(loss, 2e-3 * schedule(share, step, floor=0.2), clock.share)
        step += 1
        losses.append(loss.item())
        if check is not None and clock.due("print", 90):
            optimizer.swap()
            found = measure_vision(tower, task, check)
            optimizer.swap()
            print(
                f"vision {clock.used / 60:5.1f} min step {step} {step * batch * WORLD / clock.used:.1f}/s "
                f"rendered {pool.rendered} loss {np.mean(losses[-50:]):.4f} "
                + " ".join(f"{key} {value:.3f}" for key, value in found.items()),
                flush=True,
            )
        if RANK == 0 and clock.due("save", 180):
            save_state(path, checkpoint)
    save_state(path, checkpoint)
