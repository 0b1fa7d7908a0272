"""`orderacc try`: judge one recorded video."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from orderacc.config import JudgingConfig
    from orderacc.domain.verdicts import Verdict

app = typer.Typer()


@app.command("try")
def try_video(
    video: Annotated[Path, typer.Argument(help="The recording.", exists=True, dir_okay=False)],
    orders: Annotated[
        Path,
        typer.Option(help='POS orders: {"384": [{"name": "Burger", "quantity": 1}]}.', exists=True, dir_okay=False),
    ],
    inventory: Annotated[
        Path | None,
        typer.Option(
            help="The menu; that of --stations, or the demo menu, when left out.", exists=True, dir_okay=False
        ),
    ] = None,
    stations: Annotated[
        Path | None,
        typer.Option(
            help="A configuration to take models, settings of judging and the menu from.", exists=True, dir_okay=False
        ),
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames looked at per second of video.", min=1, max=60)] = 10,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per verdict and line.")] = False,
) -> None:
    """Judge every order in a recorded video.

    \b
    Examples:
      orderacc try counter/station.mp4 --orders counter/orders.json --inventory counter/inventory.json
      orderacc try counter/station.mp4 --orders counter/orders.json --stations stations.yaml
    """  # noqa: D301  click wants the character
    import anyio
    from rich.console import Console

    from orderacc.cli.verdicts import verdict_table
    from orderacc.config import Config, load_config, load_judging
    from orderacc.telemetry import configure_logs

    configure_logs("console", level="warning")
    config = load_config(stations) if stations else load_judging()
    if inventory is None and isinstance(config, Config) and config.menu:
        inventory = config.menu.file
    verdicts = anyio.run(_judge, video, orders, inventory, config, fps, json)
    if not json:
        Console().print(verdict_table(verdicts))


async def _judge(
    video: Path, orders: Path, inventory: Path | None, config: JudgingConfig, fps: float, as_json: bool
) -> list[Verdict]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from orderacc.capture import probe_video
    from orderacc.cli.verdicts import json_line, verdict_line
    from orderacc.service.replay import replay

    console: Console = Console(stderr=True)
    length = probe_video(video).duration
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    verdicts = []
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(video.name, total=length)
        judged = replay(
            video,
            orders=orders,
            inventory=inventory,
            config=config,
            station_id=video.stem,
            fps=fps,
            progress=lambda at: bar.update(task, completed=at),
        )
        async with aclosing(judged):
            async for verdict in judged:
                verdicts.append(verdict)
                if as_json:
                    print(json_line(verdict), flush=True)
                elif console.is_terminal:
                    console.print(verdict_line(verdict))
    return verdicts
