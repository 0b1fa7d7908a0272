"""`orderacc run`: the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def run(
    stations: Annotated[
        Path, typer.Option("--stations", help="The configuration, e.g. stations.yaml.", exists=True, dir_okay=False)
    ],
    fast: Annotated[
        bool,
        typer.Option("--fast", help="Recordings and simulated counters as fast as the machine can; cameras as ever."),
    ] = False,
) -> None:
    """Watch every station of a configuration until stopped.

    SIGINT or SIGTERM lets the orders in flight finish, then ends with exit code 0. When all sources have ended by
    themselves it ends too: with 0, or with 1 if one of them failed. Cameras never end. SIGHUP reads the configuration
    again: only stations whose entry has changed are touched, and a wrong file changes nothing.

    Example: orderacc run --stations configs/stations.demo.yaml
    """
    from orderacc.cli.leaving import leave_on_signals

    leave_on_signals()

    from functools import partial

    import anyio

    from orderacc.cli.places import check_places
    from orderacc.config import load_config
    from orderacc.service.daemon import run_daemon
    from orderacc.telemetry import configure_logs, prefer_event_loop

    config = load_config(stations)
    check_places(config, stations)
    prefer_event_loop()
    configure_logs(config.telemetry.log_format, level=config.telemetry.log_level)
    if not anyio.run(partial(run_daemon, config, lambda: load_config(stations), fast=fast)):
        raise typer.Exit(1)
