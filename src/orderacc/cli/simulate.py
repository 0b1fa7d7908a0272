"""`orderacc simulate`: write a video of a simulated counter with its truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def simulate(
    out: Annotated[Path, typer.Option("--out", help="Folder to write into; made if missing.", file_okay=False)],
    seed: Annotated[int, typer.Option(help="Decides everything.", min=0)] = 7,
    orders: Annotated[int, typer.Option(help="How many orders.", min=1)] = 6,
    fps: Annotated[float, typer.Option(help="Frames a second, 5 to 30.", min=5, max=30)] = 10,
    wrong_share: Annotated[
        float, typer.Option(help="Share of orders whose POS lines differ from the counter.", min=0, max=1)
    ] = 0.4,
    script: Annotated[
        Path | None, typer.Option(help="Play this script (YAML or JSON) instead.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Write station.mp4, truth.json, orders.json and inventory.json of a simulated counter.

    Example: orderacc simulate --seed 7 --orders 6 --out recorded
    """
    from rich.console import Console
    from rich.progress import Progress

    from orderacc.simulator.random_script import random_script
    from orderacc.simulator.script_file import load_script
    from orderacc.simulator.video import record

    played = load_script(script) if script else random_script(seed, orders, fps=fps, wrong_share=wrong_share)
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("Rendering", total=None)
        truth = record(played, out, progress=lambda done, total: bar.update(task, completed=done, total=total))
    wrong = sum(order["status"] == "inaccurate" for order in truth["orders"])
    print(f"{out}: {len(truth['orders'])} orders ({wrong} wrong), {played.seconds:.0f} s of video")
