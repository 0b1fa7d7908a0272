"""`orderacc check`: every mistake in a configuration at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """Check a configuration, and the files and folders it names, models too; exit 1 if anything is wrong.

    No camera is opened, `orderacc probe` does that, and no model is loaded.

    Example: orderacc check --stations stations.yaml
    """
    from orderacc.cli.places import findings_of_places
    from orderacc.config import json_schema, load_config
    from orderacc.errors import ConfigError
    from orderacc.service.cameras import findings_of_pipelines

    if schema:
        print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    if stations is None:
        raise typer.BadParameter("name the file to check", param_hint="--stations")
    config = load_config(stations)
    findings = [
        *_findings_of_named_files(config),
        *findings_of_places(config, stations),
        *findings_of_pipelines(config, stations),
        *_findings_of_models(config, stations),
    ]
    if findings:
        raise ConfigError(findings)
    names = ", ".join(f"{station.id} ({station.source.type})" for station in config.stations)
    count = len(config.stations)
    print(f"{stations}: {count} station{'' if count == 1 else 's'}: {names}. Nothing is wrong.")
    for finding in _orders_of_others(config, stations):
        print(finding)


def _orders_of_others(config: Config, file: Path) -> Iterator[Finding]:
    """What is said of stations that are not there; with an API they may come."""
    from orderacc.config import finding_in

    known = {station.id for station in config.stations}
    for name in config.orders.stations if config.orders else ():
        if name not in known:
            message = f"there is no station {name!r} unless it is added over the API"
            yield finding_in(file, ("orders", "stations", name), message)


def _findings_of_named_files(config: Config) -> Iterator[Finding]:
    from orderacc.domain.menus import Menu
    from orderacc.errors import ConfigError
    from orderacc.orders.file import findings_of_orders

    try:
        if config.menu:
            Menu.load(config.menu.file)
    except ConfigError as error:
        yield from error.findings
    if config.orders is not None and config.orders.file is not None:
        yield from findings_of_orders(config.orders.file)


def _findings_of_models(config: Config, file: Path) -> Iterator[Finding]:
    """What keeps the models from being loaded, as far as their folders tell."""
    from orderacc.config import finding_in
    from orderacc.errors import ModelError
    from orderacc.models.networks import check_networks
    from orderacc.models.store import ModelStore, check_menu
    from orderacc.perception.model_folder import DetectorFolder

    store = ModelStore()
    try:
        detector = store.resolve(config.models.detector, kind="detector")
        DetectorFolder.read(detector.path)
        check_networks(detector.path)
    except ModelError as error:
        yield finding_in(file, ("models", "detector"), error.message)
    if not config.vlm.local:
        return
    try:
        vlm = store.resolve(config.models.vlm, kind="vlm")
        check_networks(vlm.path)
    except ModelError as error:
        yield finding_in(file, ("models", "vlm"), error.message)
        return
    try:
        check_menu(vlm, _names_to_say(config))
    except ModelError as error:
        yield finding_in(file, ("menu", "file") if config.menu else ("models", "vlm"), error.message)


def _names_to_say(config: Config) -> tuple[str, ...]:
    """What the vision language model is asked about; nothing of a menu that is wrong itself."""
    from orderacc.domain.menus import Menu
    from orderacc.errors import ConfigError
    from orderacc.simulator.menu import DEMO_ITEMS

    try:
        menu = Menu.load(config.menu.file) if config.menu else Menu(DEMO_ITEMS)
    except ConfigError:
        return ()
    return menu.visible_names
