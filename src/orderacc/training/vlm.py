"""Trains the demo vision language model: both halves side by side, then together, then export and measure.

Phases run as processes of one thread each: N such processes use N shared cores better than one with N threads. With a
CUDA device there is one process for each phase. Every phase leaves a checkpoint and takes up where it stopped.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedModel

    from orderacc.training.tokenizer import Script

TRAINING_SEEDS: Final = 1_000_000
"""First simulator seed of training; workers are `SEED_STRIDE` apart and all stay below the held-out ones."""

SEED_STRIDE: Final = 100_000_000

MAX_WORKERS: Final = 8

SHARES: Final = {"language": 0.2, "vision": 0.55, "joint": 0.45}
"""Of the minutes. The language half needs no turn of its own where it can run beside the vision half."""

PASSED_ON: Final = ("workers", "seed", "batch", "reuse", "pictures")
"""Options every phase gets as they were given, beside its own minutes."""

CHECK_PICTURES: Final = 192


def parser() -> argparse.ArgumentParser:
    """The subcommand's options."""
    result = argparse.ArgumentParser(prog="python -m orderacc.training vlm", description=__doc__)
    result.add_argument("--out", type=Path, required=True, help="working directory; the model ends up in OUT/demo-vlm")
    result.add_argument("--minutes", type=float, default=95.0, help="wall time of all training phases together")
    result.add_argument("--workers", type=int, default=2, choices=range(1, MAX_WORKERS + 1), help="processes on a CPU")
    result.add_argument("--seed", type=int, default=1, help="of weights and pictures")
    result.add_argument("--resume", action="store_true", help="take up the run in OUT")
    result.add_argument("--pictures", type=int, default=1000, help="held-out pictures for the final measurement")
    phases = ("all", "language", "vision", "joint", "export", "evaluate")
    result.add_argument("--phase", choices=phases, default="all", help="run one phase only, with all of --minutes")
    result.add_argument("--batch", type=int, help="pictures a step and process; default 8, or 64 with CUDA")
    result.add_argument("--until", type=float, default=1.0, help="share of the vision phase at which to stop for now")
    result.add_argument("--reuse", type=float, default=5.0, help="times each rendered picture is used")
    return result


def main(argv: Sequence[str]) -> int:
    """Run the subcommand; returns the exit status."""
    options = parser().parse_args(argv)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    import torch

    options.batch = options.batch or (64 if torch.cuda.is_available() else 8)
    if options.phase != "all":
        _phase(options)
        return 0
    kept = sorted(path.name for path in out.glob("*.pt"))
    if kept and not options.resume:
        print(f"{out} holds a run ({', '.join(kept)}): add --resume to take it up, or name another directory")
        return 2
    workers = 1 if torch.cuda.is_available() else options.workers
    total = options.minutes if workers > 1 else options.minutes / sum(SHARES.values())
    minutes = {name: share * total for name, share in SHARES.items()}
    language = ("language", minutes["language"])
    if workers > 1:
        # One process of each half side by side, then vision alone, which is the longer way, with all workers.
        beside = _start(options, "vision", minutes["vision"], until=minutes["language"] / minutes["vision"])
        _run([_start(options, *language), beside])
    else:
        _run([_start(options, *language)])
    _run(_start_group(options, "vision", minutes["vision"], workers))
    _run(_start_group(options, "joint", minutes["joint"], workers))
    _run([_start(options, "export", 0)])
    _run([_start(options, "evaluate", options.minutes)])
    return 0


def command_of(options: argparse.Namespace) -> str:
    """The whole command of a run, defaults included, as its card tells it."""
    told = " ".join(f"--{name} {getattr(options, name):g}" for name in ("minutes", *PASSED_ON))
    return f"python -m orderacc.training vlm --out DIR {told}"


def _start(
    options: argparse.Namespace,
    phase: str,
    minutes: float,
    *,
    until: float = 1.0,
    group: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "orderacc.training", "vlm", "--phase", phase, "--out", str(options.out)]
    given = {name: getattr(options, name) for name in PASSED_ON}
    for name, value in {**given, "minutes": minutes, "until": until}.items():
        command += [f"--{name}", str(value)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **(group or {})}
    return subprocess.Popen(command, env=environment)  # noqa: S603  our own module with our own options


def _start_group(
    options: argparse.Namespace, phase: str, minutes: float, workers: int
) -> list[subprocess.Popen[bytes]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(workers), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [_start(options, phase, minutes, group={**shared, "RANK": str(rank)}) for rank in range(workers)]


def _run(processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait for all; when one fails, stop the others and leave with its status."""
    left = list(processes)
    while left:
        for process in list(left):
            try:
                status = process.wait(timeout=1 if len(left) > 1 else None)
            except subprocess.TimeoutExpired:
                continue
            left.remove(process)
            if status:
                for other in left:
                    other.terminate()
                raise SystemExit(status)


def _phase(options: argparse.Namespace) -> None:
    import torch

    from orderacc.simulator.menu import NAMES
    from orderacc.training.architecture import build_model
    from orderacc.training.optim import RANK, device, start_process
    from orderacc.training.tokenizer import Script, build_tokenizer

    out: Path = options.out
    start_process()
    if options.phase == "evaluate":
        from orderacc.training.card import phases_of, write_card
        from orderacc.training.evaluate import evaluate

        found = evaluate(out / "demo-vlm", NAMES, options.pictures)
        print(found, flush=True)
        write_card(out / "demo-vlm", found, command_of(options), phases_of(out))
        return
    tokenizer = build_tokenizer(NAMES)
    torch.manual_seed(options.seed)
    model = build_model(tokenizer).to(device())
    script = Script(tokenizer, NAMES)
    if options.phase == "language":
        from orderacc.training.language import train_language

        train_language(model, script, out / "language.pt", options.minutes, seed=options.seed)
    elif options.phase == "export":
        from orderacc.training.export import export

        model.cpu().load_state_dict(torch.load(out / "joint.pt", weights_only=True)["weights"])
        export(model, tokenizer, NAMES, out / "demo-vlm")
    else:
        _with_pictures(options, model, script, RANK)


def _with_pictures(options: argparse.Namespace, model: PreTrainedModel, script: Script, rank: int) -> None:
    from orderacc.training.joint import Halves, train_joint
    from orderacc.training.pictures import Pool, held_out
    from orderacc.training.vision import train_vision

    out: Path = options.out
    first = TRAINING_SEEDS * options.seed + rank * SEED_STRIDE
    pool = Pool(out / f"pool-{rank}", script.names, first, reuse=options.reuse)
    check = held_out(CHECK_PICTURES, script.names, out / "check.npz") if rank == 0 else None
    halves = Halves(out / "vision.pt", out / "language.pt", out / "joint.pt")
    if options.phase == "vision":
        train_vision(
            model,
            pool,
            check,
            halves.vision,
            options.minutes,
            menu=len(script.names),
            batch=options.batch,
            until=options.until,
        )
    else:
        train_joint(model, script, pool, check, halves, minutes=options.minutes, batch=options.batch)
