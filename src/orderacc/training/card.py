"""The demo vision language model's card: what it is, how it was made, what it gets right."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from orderacc.training.architecture import SERVED_HEIGHT, SERVED_WIDTH, VIEW_HEIGHT, VIEW_WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orderacc.training.evaluate import Score

PHASES: Final = ("language", "vision", "joint")
"""Names of the checkpoints, in the order they are made."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What was done of one phase.

    Attributes:
        name: `language`, `vision` or `joint`.
        device: Where it ran at last.
        processes: How many took its last step.
        steps: Steps from the beginning, over interruptions.
        minutes: Wall time.
    """

    name: str
    device: str
    processes: int
    steps: int
    minutes: float


def phases_of(out: Path) -> list[Phase]:
    """The phases whose checkpoints are in a training's working directory; some may have been run elsewhere."""
    import torch

    phases = []
    for name in PHASES:
        if (file := out / f"{name}.pt").is_file():
            state = torch.load(file, map_location="cpu", weights_only=True)
            # Older checkpoints tell neither device nor processes.
            where = str(state.get("device", "?")), int(state.get("processes", 0))
            phases.append(Phase(name, *where, state["step"], state["used"] / 60))
    return phases


def write_card(directory: Path, found: Score, command: str, phases: Sequence[Phase]) -> None:
    """Write `MODEL_CARD.md` and the figures as JSON next to the model.

    Args:
        directory: The exported model.
        found: What was measured.
        command: What made it.
        phases: How it was trained.
    """
    done = "\n".join(
        f"| {one.name} | {one.device} | {one.processes} | {one.steps:,} | {one.minutes:.0f} |" for one in phases
    )
    rows = "\n".join(f"| {name} | {p:.3f} | {r:.3f} |" for name, (p, r) in found.items.items())
    served, learnt = f"{SERVED_WIDTH} x {SERVED_HEIGHT}", f"{VIEW_WIDTH} x {VIEW_HEIGHT}"
    size = sum(file.stat().st_size for file in directory.iterdir() if file.is_file()) / 1e6
    card = f"""# demo-vlm

A Qwen2.5-VL of four million parameters that lists the demo menu's items in one picture of a counter, as JSON. It has
the real model's architecture and file layout and none of its weights: it was trained from nothing on frames of
`orderacc.simulator`, knows those fourteen items and nothing else, and exists so that the whole product runs offline.
It is not a model of real food.

- Input: one RGB picture of {served} cut by `orderacc.vlm.view`, and the question of `orderacc.vlm.prompt`. It learnt
  from {learnt}; its first layer was then fitted to half of that.
- Weights: INT8, {size:.1f} MB with everything around them. Licence Apache-2.0.
- Left out of training and measuring: frames with an item between 25 % and 60 % visible, where the truth is a matter of
  opinion. Items less visible than that count as absent.

## Training

`{command}`

| phase | device | processes | steps | minutes |
|---|---|---|---|---|
{done}

Phases end by the clock: the same command makes another model elsewhere.

## Measured

{found.pictures} frames from seeds never trained on, through openvino-genai with the answer grammar:

| | |
|---|---|
| exactly the right list | {found.exact:.3f} |
| at most one unit off | {found.within_one:.3f} |
| precision by unit | {found.precision:.3f} |
| recall by unit | {found.recall:.3f} |

| item | precision | recall |
|---|---|---|
{rows}
"""
    (directory / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    (directory / "measured.json").write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
