"""Both halves together: pictures to answers, with the dense task kept as a guide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from orderacc.training.architecture import BatchedVision
from orderacc.training.language import answer_loss, build_dialogue
from orderacc.training.optim import RANK, WORLD, Clock, Optimizer, device, precision, save_state, schedule
from orderacc.training.vision import DenseTask, measure_vision

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

    from orderacc.training.pictures import Batch, Pool
    from orderacc.training.tokenizer import Script

DENSE_SHARE = 2.0
"""Weight of the dense losses against the answer's. With less, answers that are wrong for the language half's sake pull
the vision half away from what it knows."""


@dataclass(frozen=True, slots=True)
class Halves:
    """Checkpoints to begin with: the vision half's, the language half's, and the one to write and resume from."""

    vision: Path
    language: Path
    joint: Path


def load_halves(model: PreTrainedModel, task: DenseTask | None, halves: Halves) -> None:
    """Put the halves' averaged weights into a model (and the dense task)."""
    vision = torch.load(halves.vision, weights_only=True)
    model.model.visual.load_state_dict(vision["weights"])
    if task is not None:
        task.load_state_dict(vision["task"])
    model.model.language_model.load_state_dict(torch.load(halves.language, weights_only=True)["weights"])
    model.tie_weights()


def measure(model: PreTrainedModel, tower: BatchedVision, script: Script, batch: Batch) -> float:
    """Share of pictures whose whole answer is right, asked with the whole menu."""
    counts = batch.counts(len(script.names))
    right = 0.0
    for start in range(0, len(counts), 32):
        with torch.no_grad():
            seen, _ = tower(torch.from_numpy(batch.pictures[start : start + 32]).to(device()))
            _, exact = answer_loss(model, seen, build_dialogue(script, counts[start : start + 32], None))
        right += exact.float().sum().item()
    return right / len(counts)


def train_joint(
    model: PreTrainedModel,
    script: Script,
    pool: Pool,
    check: Batch | None,
    halves: Halves,
    *,
    minutes: float,
    batch: int,
    rate: float = 6e-4,
) -> None:
    """Teach the whole model; resumes from `halves.joint` when it is there.

    Args:
        model: The whole model.
        script: The tokens.
        pool: Pictures of this process.
        check: Held-out pictures for progress lines; only the first process needs them.
        halves: Where to begin and what to write.
        minutes: Wall time.
        batch: Pictures a step and process.
        rate: Highest learning rate.
    """
    menu = len(script.names)
    tower, task = BatchedVision(model.model.visual).to(device()), DenseTask(menu).to(device())
    optimizer = Optimizer([*model.named_parameters(), *((f"task.{name}", p) for name, p in task.named_parameters())])
    used, step = 0.0, 0
    if halves.joint.exists():
        state = torch.load(halves.joint, weights_only=True)
        optimizer.load_state_dict(state["optimizer"])
        used, step = state["used"], state["step"]
    else:
        load_halves(model, task, halves)
        optimizer.restart_average()
    clock = Clock(minutes, used)
    share = used / clock.seconds
    rng = np.random.default_rng([RANK, step, 9])
    losses, hits = [], []

    def checkpoint() -> dict[str, Any]:
        optimizer.swap()
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        optimizer.swap()
        return {"weights": weights, "optimizer": optimizer.state_dict(), "used": clock.used, "step": step}

    while share < 1:
        drawn = pool.draw(batch)
        with precision():
            seen, patches = tower(torch.from_numpy(drawn.pictures).to(device()))
            told, exact = answer_loss(model, seen, build_dialogue(script, drawn.counts(menu), rng))
            loss = told + DENSE_SHARE * task.loss(seen, patches, tower.patch_place, drawn)
        share = optimizer.step(loss, rate * schedule(share, step), clock.share)
        step += 1
        losses.append(told.item())
        hits.append(exact.float().mean().item())
        if check is not None and clock.due("print", 150):
            optimizer.swap()
            right, seen_right = measure(model, tower, script, check), measure_vision(tower, task, check)["exact"]
            optimizer.swap()
            print(
                f"joint {clock.used / 60:5.1f} min step {step} {step * batch * WORLD / clock.used:.1f}/s "
                f"rendered {pool.rendered} loss {np.mean(losses[-100:]):.4f} exact {np.mean(hits[-100:]):.3f} "
                f"held out: exact {right:.3f}, by sums {seen_right:.3f}",
                flush=True,
            )
        if clock.due("save", 180):
            save_state(halves.joint, checkpoint)
    save_state(halves.joint, checkpoint)
