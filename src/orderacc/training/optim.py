"""What the training phases share: Muon, averaged weights, the clock, and gradients averaged between processes."""

from __future__ import annotations

import math
import os
import time
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.distributed as dist
from torch import Tensor, nn

from orderacc.models.runtime import import_openvino

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

RANK: Final = int(os.environ.get("RANK", "0"))
WORLD: Final = int(os.environ.get("WORLD_SIZE", "1"))

_POLYNOMIALS: Final = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115951949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
)
"""Odd polynomials that drive singular values to one, the first steps of the Polar Express schedule."""


def device() -> torch.device:
    """Where to train: the first CUDA device, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@cache
def device_name() -> str:
    """What `device` is, as its maker calls it."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return str(import_openvino().Core().get_property("CPU", "FULL_DEVICE_NAME"))


def precision() -> AbstractContextManager[object]:
    """Around forward passes: bfloat16 on CUDA, nothing on a CPU."""
    return torch.autocast("cuda", torch.bfloat16) if torch.cuda.is_available() else nullcontext()


def start_process() -> None:
    """Prepare this process: one thread (processes share the cores) and the process group when there are several."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if WORLD > 1:
        dist.init_process_group("gloo")


def orthogonal(matrices: Tensor) -> Tensor:
    """Replace the singular values of each matrix by about one.

    Args:
        matrices: float32 [N, rows, columns], rows <= columns.
    """
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) * 1.01 + 1e-7)
    for a, b, c in _POLYNOMIALS:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Muon:
    """Momentum whose update is orthogonalised, for the matrices inside transformer blocks.

    Matrices of one shape are handled as one batch; fused query-key-value matrices are taken apart. Processes share the
    work out between them.
    """

    def __init__(self, matrices: Sequence[Tensor], *, momentum: float = 0.95, decay: float = 0.01) -> None:
        self.matrices = list(matrices)
        self.momentum, self.decay = momentum, decay
        self.state = [torch.zeros_like(matrix) for matrix in self.matrices]
        groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for index, matrix in enumerate(self.matrices):
            rows, columns = matrix.shape
            parts = rows // columns if rows % columns == 0 else 1
            shape = (min(rows // parts, columns), max(rows // parts, columns))
            groups.setdefault(shape, []).extend((index, part) for part in range(parts))
        self._groups = groups

    def step(self, rate: float) -> None:
        """Update the matrices from their gradients."""
        with torch.no_grad():
            self._update(rate, self._nudges())

    def _nudges(self) -> list[Tensor]:
        nudges = []
        for matrix, state in zip(self.matrices, self.state, strict=True):
            gradient = matrix.grad if matrix.grad is not None else torch.zeros_like(matrix)
            state.lerp_(gradient, 1 - self.momentum)
            nudges.append(gradient.lerp(state, self.momentum))
        return nudges

    def _update(self, rate: float, nudges: Sequence[Tensor]) -> None:
        for (rows, columns), members in self._groups.items():
            pieces = [self._piece(nudges[index], index, part) for index, part in members]
            batch = torch.stack([piece.T if piece.shape[0] > piece.shape[1] else piece for piece in pieces])
            share = (len(batch) + WORLD - 1) // WORLD
            mine = slice(RANK * share, min(len(batch), (RANK + 1) * share))
            if WORLD > 1:
                whole = torch.zeros(share * WORLD, rows, columns)
                whole[mine] = orthogonal(batch[mine])
                dist.all_reduce(whole)
                batch = whole
            else:
                batch = orthogonal(batch)
            for (index, part), update in zip(members, batch, strict=False):
                matrix = self._piece(self.matrices[index].data, index, part)
                step = update.T if update.shape != matrix.shape else update
                matrix.mul_(1 - rate * self.decay).add_(step, alpha=-rate * 0.2 * math.sqrt(columns))

    def _piece(self, tensor: Tensor, index: int, part: int) -> Tensor:
        rows, columns = self.matrices[index].shape
        if rows % columns:
            return tensor
        return tensor[part * columns : (part + 1) * columns]


class Optimizer:
    """Muon for block matrices, AdamW for the rest, and an exponential average of all weights.

    Args:
        named: Trainable parameters by name; their order must be the same in every process.
        average: Decay of the averaged weights.
    """

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]], *, average: float = 0.998) -> None:
        everything = [(name, parameter) for name, parameter in named if parameter.requires_grad]
        self.parameters = [parameter for _, parameter in everything]
        inside = [("blocks." in name or "layers." in name) and parameter.ndim == 2 for name, parameter in everything]
        self.muon = Muon([parameter for parameter, yes in zip(self.parameters, inside, strict=True) if yes])
        rest = [parameter for parameter, yes in zip(self.parameters, inside, strict=True) if not yes]
        self.adam = torch.optim.AdamW(rest, 1e-3, betas=(0.9, 0.98), weight_decay=0.01)
        self.average = average
        self.averaged = [parameter.detach().clone() for parameter in self.parameters]
        self.steps = 0

    def step(self, loss: Tensor, rate: float, elapsed: float) -> float:
        """Backward pass and update.

        Args:
            loss: What to go down.
            rate: Learning rate of this step.
            elapsed: This process's clock, as a share of the phase.

        Returns:
            The clock averaged over the processes, so that all of them use one learning rate and stop together.
        """
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        if WORLD > 1:
            elapsed = self._average_gradients(elapsed)
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.muon.step(rate)
        self.adam.param_groups[0]["lr"] = rate
        self.adam.step()
        self.steps += 1
        decay = min(self.average, self.steps / (self.steps + 20))
        torch._foreach_lerp_(self.averaged, [p.detach() for p in self.parameters], 1 - decay)
        return elapsed

    def _average_gradients(self, elapsed: float) -> float:
        present = [parameter for parameter in self.parameters if parameter.grad is not None]
        flat = torch.cat([*(p.grad.flatten() for p in present if p.grad is not None), torch.tensor([elapsed])])
        dist.all_reduce(flat)
        flat /= WORLD
        start = 0
        for parameter in present:
            parameter.grad = flat[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()
        return float(flat[-1])

    def restart_average(self) -> None:
        """Let the averaged weights be the live ones, after those were loaded from elsewhere."""
        with torch.no_grad():
            for parameter, averaged in zip(self.parameters, self.averaged, strict=True):
                averaged.copy_(parameter)

    def swap(self) -> None:
        """Exchange the live weights and the averaged ones; call again to undo."""
        with torch.no_grad():
            for parameter, averaged in zip(self.parameters, self.averaged, strict=True):
                kept = parameter.detach().clone()
                parameter.copy_(averaged)
                averaged.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs."""
        return {
            "live": [parameter.detach() for parameter in self.parameters],
            "averaged": self.averaged,
            "muon": self.muon.state,
            "adam": self.adam.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        with torch.no_grad():
            for mine, theirs in ((self.parameters, state["live"]), (self.averaged, state["averaged"])):
                for target, source in zip(mine, theirs, strict=True):
                    target.copy_(source)
            for target, source in zip(self.muon.state, state["muon"], strict=True):
                target.copy_(source)
        self.adam.load_state_dict(state["adam"])
        self.steps = int(state["steps"])


class Clock:
    """Counts a phase's minutes over interruptions and says when something is due.

    Args:
        minutes: Wall time the phase may take.
        used: Seconds already used by earlier runs of the phase.
    """

    def __init__(self, minutes: float, used: float = 0.0) -> None:
        self.seconds = minutes * 60
        self._start = time.monotonic() - used
        self._due: dict[str, float] = {}

    @property
    def used(self) -> float:
        """Seconds used."""
        return time.monotonic() - self._start

    @property
    def share(self) -> float:
        """How much of the phase is over, from 0."""
        return self.used / self.seconds if self.seconds > 0 else 1.0

    def due(self, what: str, every: float) -> bool:
        """Whether `every` seconds have gone by since this last said so for `what`."""
        if self.used - self._due.setdefault(what, self.used) < every:
            return False
        self._due[what] = self.used
        return True


def schedule(share: float, step: int, *, warmup: int = 50, decay: float = 0.6, floor: float = 0.01) -> float:
    """Factor of the learning rate: up, level, and down in a line over the last `decay` of the phase."""
    return min(1.0, (step + 1) / warmup) * max(floor, min(1.0, floor + (1 - floor) * (1 - share) / decay))


def save_state(path: Path, build: Callable[[], dict[str, Any]]) -> None:
    """Write a checkpoint in one move, from the first process only, with where it was made."""
    if RANK == 0:
        part = path.with_suffix(".part")
        torch.save({**build(), "device": device_name(), "processes": WORLD}, part)
        part.replace(path)
