"""Trains the demo detector: `python -m orderacc.training detector --out DIR`.

Renders its pictures once (`OUT/pool`), trains with checkpoints (`OUT/checkpoint.pt`, taken up again on the next start
with the same arguments and refused with others), quantises, and measures what it wrote to `OUT/demo-detector` on
held-out pictures. The same arguments give the same model.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from orderacc.training.detector_network import DetectorNetwork
    from orderacc.training.detector_pictures import PicturePool

PEAK_RATE: Final = 2.5e-3
WARM_UP: Final = 60
CHECKPOINT_STEPS: Final = 100
EMA_DECAY: Final = 0.995
DECISIVE: Final = ("seed", "pictures", "steps", "batch")
"""Options that decide what the weights become."""


def main(argv: list[str]) -> int:
    """Train, export, measure. Returns the exit status."""
    options = _options(argv)
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    options.out.mkdir(parents=True, exist_ok=True)
    if refusal := _other_run(options):
        print(refusal, file=sys.stderr)
        return 2
    pool = _render(options)

    import torch

    from orderacc.training.detector_export import CALIBRATION_PICTURES, MODEL_ID, export, measure, write_card

    torch.set_num_threads(options.threads)
    network = _train(pool, options)
    folder = options.out / MODEL_ID
    stride = max(1, len(pool) // CALIBRATION_PICTURES)
    calibration = (_to_tensor(pool[index][0][None]) for index in range(0, len(pool), stride))
    export(network, calibration, folder)
    measured, cost_ms = measure(folder, options.held_out)
    settings = {**vars(options), "parameters": sum(p.numel() for p in network.parameters())}
    write_card(folder, measured, cost_ms, options.held_out, settings)
    print(measured.table())
    print(
        f"{folder}: precision {measured.overall.precision:.3f}, recall {measured.overall.recall:.3f}, {cost_ms:.1f} ms"
    )
    return 0


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m orderacc.training detector", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for pool, checkpoint and the exported model")
    parser.add_argument("--pictures", type=int, default=10_000, help="pictures to render, in hundreds (%(default)s)")
    parser.add_argument("--steps", type=int, default=2600, help="training steps (%(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="pictures a step (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="decides weights and order (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (%(default)s)")
    parser.add_argument("--held-out", type=int, default=1000, help="pictures to measure on (%(default)s)")
    return parser.parse_args(argv)


def _decisive(options: argparse.Namespace) -> dict[str, int]:
    return {name: getattr(options, name) for name in DECISIVE}


def _other_run(options: argparse.Namespace) -> str:
    """Why the checkpoint cannot be taken up; empty where it can, or where there is none."""
    file = options.out / "checkpoint.pt"
    if not file.exists():
        return ""
    import torch

    made_with = torch.load(file, map_location="cpu", weights_only=True).get("options")
    if made_with == _decisive(options):
        return ""
    told = (
        " ".join(f"--{name} {value}" for name, value in made_with.items()) if made_with else "options it does not tell"
    )
    return f"{file} was made with {told}: give the same, or name another directory"


def _render(options: argparse.Namespace) -> PicturePool:
    from orderacc.training.detector_pictures import SHARD, PicturePool, render_shard

    folder, shards = options.out / "pool", max(1, options.pictures // SHARD)
    folder.mkdir(exist_ok=True)
    with ProcessPoolExecutor(options.threads, mp_context=get_context("spawn")) as processes:
        jobs = [(folder, number) for number in range(shards)]
        for done, _ in enumerate(processes.map(render_shard, jobs), 1):
            print(f"\rpictures {done * SHARD}/{shards * SHARD}", end="\n" if done == shards else "", flush=True)
    return PicturePool(folder, shards)


def _train(pool: PicturePool, options: argparse.Namespace) -> DetectorNetwork:
    """Train to the last step, from the checkpoint if there is one; returns the averaged network on the CPU."""
    import torch

    from orderacc.training.detector_network import DetectorNetwork, loss

    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = DetectorNetwork().to(device, memory_format=torch.channels_last)
    average = DetectorNetwork().to(device).eval()
    average.load_state_dict(network.state_dict())
    decayed = [weight for weight in network.parameters() if weight.ndim > 1]
    plain = [weight for weight in network.parameters() if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=PEAK_RATE)
    file = options.out / "checkpoint.pt"
    first = 0
    if file.exists():
        state = torch.load(file, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        first = int(state["step"])
        print(f"taken up at step {first}")
    started, recent = time.monotonic(), 0.0
    for step in range(first, options.steps):
        for group in optimiser.param_groups:
            group["lr"] = _rate(step, options.steps)
        pictures, truths = pool.batch(options.seed, step, options.batch)
        cost = loss(network, _to_tensor(pictures).to(device), truths)
        optimiser.zero_grad()
        cost.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        _blend(average, network, step)
        recent = cost.item() if step == first else 0.95 * recent + 0.05 * cost.item()
        if (step + 1) % 20 == 0:
            pace = (time.monotonic() - started) / (step + 1 - first)
            left = pace * (options.steps - step - 1) / 60
            print(
                f"step {step + 1}/{options.steps} loss {recent:.3f} {pace:.2f} s/step, {left:.1f} min left", flush=True
            )
        if (step + 1) % CHECKPOINT_STEPS == 0 or step + 1 == options.steps:
            state = {
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step + 1,
                "options": _decisive(options),
            }
            torch.save(state, file.with_suffix(".partial"))
            file.with_suffix(".partial").rename(file)
            with (options.out / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps({"step": step + 1, "loss": round(recent, 4)}) + "\n")
    averaged: DetectorNetwork = average.cpu()
    return averaged


def _rate(step: int, steps: int) -> float:
    return PEAK_RATE * min(1.0, (step + 1) / WARM_UP) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _blend(average: DetectorNetwork, network: DetectorNetwork, step: int) -> None:
    """Move the averaged weights towards the current ones; quickly at first, when those still change quickly."""
    import torch

    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    with torch.no_grad():
        for old, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if old.dtype.is_floating_point:
                old.lerp_(new, 1 - decay)
            else:
                old.copy_(new)


def _to_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """BGR uint8 [B, H, W, 3] to RGB float32 [B, 3, H, W], 0 to 1."""
    import numpy as np
    import torch

    rgb = torch.from_numpy(np.ascontiguousarray(pictures[..., ::-1])).permute(0, 3, 1, 2)
    return rgb.float().div(255).contiguous(memory_format=torch.channels_last)
