"""`orderacc demo`: simulated counters, judged live, held against the truth."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from orderacc.domain.verdicts import Verdict
    from orderacc.service.station import Station
    from orderacc.simulator.script import Script

app = typer.Typer()


@app.command()
def demo(
    orders: Annotated[int, typer.Option(help="Orders at each counter.", min=1)] = 2,
    stations: Annotated[int, typer.Option(help="How many counters.", min=1, max=16)] = 2,
    seed: Annotated[int, typer.Option(help="Decides what happens.", min=0)] = 910_100,
    fast: Annotated[bool, typer.Option("--fast", help="As fast as the machine can, not at the speed of life.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per verdict and line, the summary last.")
    ] = False,
) -> None:
    """Watch simulated counters with the demo models and compare the verdicts with the truth.

    Example: orderacc demo --stations 2 --orders 3
    """
    import anyio

    from orderacc.simulator.random_script import random_script
    from orderacc.telemetry import configure_logs

    configure_logs("console", level="warning")
    scripts = {f"counter-{number + 1}": random_script(seed + number, orders) for number in range(stations)}
    anyio.run(_run, scripts, fast, as_json)


async def _run(scripts: dict[str, Script], fast: bool, as_json: bool) -> None:
    import anyio
    from rich.console import Console
    from rich.live import Live

    from orderacc.capture import Delivery
    from orderacc.cli.verdicts import json_line, verdict_line
    from orderacc.config import JudgingConfig
    from orderacc.orders import FixedOrders
    from orderacc.service.pipeline import Pipeline
    from orderacc.service.runtime import Runtime
    from orderacc.service.summary import summarise
    from orderacc.simulator.source import SimulatorSource

    console = Console(stderr=as_json)
    with console.status("Loading the demo models"):
        runtime = await anyio.to_thread.run_sync(Runtime.load, JudgingConfig())
    watched = [
        runtime.station(
            SimulatorSource(script, name),
            FixedOrders({order.order_id: order.paid for order in script.orders}),
            delivery=Delivery.LOSSLESS if fast else Delivery.LATEST,
            speed=None if fast else 1.0,
        )
        for name, script in scripts.items()
    ]
    verdicts: list[Verdict] = []

    async def show(verdict: Verdict) -> None:
        verdicts.append(verdict)
        if as_json:
            sys.stdout.write(json_line(verdict) + "\n")
            sys.stdout.flush()
        else:
            console.print(verdict_line(verdict), soft_wrap=True)

    table = Live(get_renderable=lambda: station_table(watched, scripts), console=console, transient=True)
    with table if console.is_terminal else console.status(""):
        await Pipeline(runtime.judge, runtime.batcher, show).run(watched)
    await runtime.aclose()
    summary = summarise(scripts, watched, verdicts)
    if as_json:
        sys.stdout.write(json.dumps({"summary": summary}) + "\n")
    else:
        console.print(summary_table(summary))


def station_table(stations: Sequence[Station], scripts: dict[str, Script]) -> RenderableType:
    """What each counter is doing now."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("Counter", "Time", "Frames", "Order on the counter"):
        table.add_column(heading)
    for station in stations:
        tracker, state = station.tracker, station.state
        if state.ended:
            now = "done"
        elif tracker.open_since is None:
            now = "empty"
        else:
            now = f"{tracker.open_number or 'slip not read yet'}, for {state.at - tracker.open_since:.0f} s"
        length = scripts[station.station_id].seconds
        table.add_row(station.station_id, f"{state.at:.0f}/{length:.0f} s", str(state.frames), now)
    return table


def summary_table(summary: dict[str, Any]) -> RenderableType:
    """The summary for a person."""
    from rich.table import Table

    orders, waits = summary["orders"], summary["order_end_to_verdict_s"]
    table = Table(box=None, show_header=False, pad_edge=False, title="Against the truth", title_justify="left")
    table.add_row("Verdicts right", f"{summary['right']} of {orders}")
    table.add_row("Slips read", f"{summary['slips_read']} of {orders}")
    table.add_row("Order end to verdict", f"p50 {waits['p50']} s, p95 {waits['p95']} s")
    table.add_row("VLM calls per order", str(summary["vlm_calls_per_order"]))
    for line in summary["wrong"]:
        table.add_row("Wrong", line)
    return table
