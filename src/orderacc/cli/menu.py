"""`orderacc menu`: what is wrong with a menu before an order finds out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from orderacc.domain.menu_file import MenuFile
    from orderacc.validation.menu_check import MenuProblem

app = typer.Typer(help="The menu: what items are called, and whether everything can be told apart.")


@app.callback()
def menu() -> None:
    """The menu: what items are called, and whether everything can be told apart."""


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The menu, JSON or YAML.")] = None,
    stations: Annotated[
        Path | None, typer.Option(help="Take menu, models and threshold from this configuration.", metavar="FILE")
    ] = None,
    vlm: Annotated[str | None, typer.Option(help="Check against this model's names.", metavar="MODEL")] = None,
    detector: Annotated[
        str | None, typer.Option(help="Check against this detector's classes.", metavar="MODEL")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least likeness of two names of one thing.", show_default="0.85")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find aliases that collide, names the matcher cannot tell apart, and items no model covers; exit 1 if there are.

    Examples:
      orderacc menu check menu.yaml --detector demo-detector
      orderacc menu check --stations stations.yaml
    """
    from orderacc.config import load_config
    from orderacc.domain.menu_file import read_menu
    from orderacc.errors import ConfigError
    from orderacc.validation.menu_check import check_coverage, check_names

    if (file is None) == (stations is None):
        raise typer.BadParameter("name the menu, or a configuration with --stations", param_hint="FILE")
    if stations is not None:
        config = load_config(stations)
        if config.menu is None:
            raise ConfigError(f"{stations} names no menu, so the demo menu is used: nothing to check", code="no_menu")
        file = config.menu.file
        vlm = vlm or (config.models.vlm if config.vlm.local else None)
        detector = detector or config.models.detector
        threshold = config.validation.threshold if threshold is None else threshold
    assert file is not None  # noqa: S101  one of the two was named
    read = read_menu(file)
    problems = [
        *check_names(read.menu, 0.85 if threshold is None else threshold),
        *check_coverage(read.menu, labels=_labels(detector), vocabulary=_vocabulary(vlm)),
    ]
    findings = [read.finding(problem.item, problem.message, problem.spelling) for problem in problems]
    uncovered = [] if detector is None else _uncovered(read)
    if as_json:
        print(json.dumps(_report(read, problems, uncovered), ensure_ascii=False, indent=2))
        raise typer.Exit(1 if problems else 0)
    if not findings:
        print(_summary(read))
    if uncovered:
        shown = ", ".join(uncovered[:8]) + (f" and {len(uncovered) - 8} more" if len(uncovered) > 8 else "")
        print(f"No class of the detector covers {shown}: there the model's word alone counts.")
    if findings:
        raise ConfigError(findings, code="bad_menu")


def _labels(detector: str | None) -> tuple[str, ...] | None:
    if detector is None:
        return None
    from orderacc.models.store import ModelStore
    from orderacc.perception.model_folder import DetectorFolder

    return DetectorFolder.read(ModelStore().resolve(detector, kind="detector").path).labels


def _vocabulary(vlm: str | None) -> tuple[str, ...] | None:
    if vlm is None:
        return None
    from orderacc.models.store import ModelStore

    return ModelStore().resolve(vlm, kind="vlm").vocabulary


def _summary(read: MenuFile) -> str:
    items = read.menu.items
    spellings = sum(1 + len(item.aliases) for item in items)
    return f"{read.document.file}: {len(items)} items, {spellings} names. Nothing is wrong."


def _uncovered(read: MenuFile) -> list[str]:
    """What a camera can find, but no class of the detector is named for."""
    found = (item for item in read.menu.items if item.verifiability == "visible" and item.container != "open")
    return [item.name for item in found if item.group is None]


def _report(read: MenuFile, problems: list[MenuProblem], uncovered: list[str]) -> dict[str, Any]:
    findings = []
    for problem in problems:
        found = read.finding(problem.item, problem.message, problem.spelling)
        findings.append(
            {
                "code": problem.code,
                "item": problem.item,
                "others": list(problem.others),
                "line": found.line,
                "column": found.column,
                "path": found.path,
                "message": found.message,
            }
        )
    return {"file": read.document.file, "items": len(read.menu.items), "findings": findings, "uncovered": uncovered}
