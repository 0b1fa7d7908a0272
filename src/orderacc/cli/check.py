"""`orderacc check`: every mistake in a configuration at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orderacc.config import Config
    from orderacc.errors import Finding

app = typer.Typer()


@app.command()
def check(
    stations: Annotated[
        Path | None, typer.Option("--stations", help="The configuration file.", metavar="FILE", show_default=False)
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the file's JSON Schema and stop.")] = False,
) -> None:
    """Check a configuration, with the menu, the orders and the scripts it names; exit 1 if anything is wrong.

    No camera is opened: `orderacc probe` does that.

    Example: orderacc check --stations stations.yaml
    """
    from orderacc.config import json_schema, load_config
    from orderacc.errors import ConfigError

    if schema:
        print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    if stations is None:
        raise typer.BadParameter("name the file to check", param_hint="--stations")
    config = load_config(stations)
    findings = _findings_of_named_files(config)
    if findings:
        raise ConfigError(findings)
    names = ", ".join(f"{station.id} ({station.source.type})" for station in config.stations)
    count = len(config.stations)
    print(f"{stations}: {count} station{'' if count == 1 else 's'}: {names}. Nothing is wrong.")


def _findings_of_named_files(config: Config) -> list[Finding]:
    from orderacc.domain.menus import Menu
    from orderacc.errors import ConfigError
    from orderacc.service.cameras import check_cameras

    findings: list[Finding] = []
    try:
        if config.menu:
            Menu.load(config.menu.file)
    except ConfigError as error:
        findings += error.findings
    try:
        check_cameras(config)
    except ConfigError as error:
        findings += error.findings
    return findings
