"""`orderacc eval`: how right a file of verdicts is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from orderacc.evaluation import Calibration, Evaluation, Tally

app = typer.Typer()

RECORDING_START: Final = "1970-01-01T00:00:00Z"
"""What a recorded video's verdicts count from."""

MOST_SHOWN: Final = 20
"""Orders that are not right, shown below the tables."""


@app.command("eval")
def evaluate_(
    truth: Annotated[Path, typer.Option(help="What there was: truth.json of `simulate`, or one written by hand.")],
    verdicts: Annotated[Path, typer.Option(help="What was said: a verdict a line, as `results:` or `--json` write.")],
    inventory: Annotated[Path | None, typer.Option(help="The menu, where names differ in their spelling.")] = None,
    station: Annotated[str | None, typer.Option(help="Count this station's verdicts only.", metavar="ID")] = None,
    epoch: Annotated[
        str, typer.Option(help="Wall-clock time of the truth's second 0, ISO 8601.", metavar="TIME")
    ] = RECORDING_START,
    plot: Annotated[Path | None, typer.Option(help="Write a picture here, SVG.", metavar="FILE")] = None,
    least: Annotated[
        float | None, typer.Option(help="Exit 1 if a smaller share of the orders is right.", min=0, max=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Hold verdicts against the truth: precision and recall by item and kind, confusion, abstaining, calibration.

    \b
    Examples:
      orderacc try counter/station.mp4 --orders counter/orders.json --json > verdicts.ndjson
      orderacc eval --truth counter/truth.json --verdicts verdicts.ndjson --plot eval.svg
    """  # noqa: D301  click wants the character
    from rich.console import Console

    from orderacc.domain.menus import Menu
    from orderacc.errors import OrderAccError
    from orderacc.evaluation import evaluate, read_truth, read_verdicts
    from orderacc.evaluation.chart import draw

    start = _moment(epoch)
    if plot is not None and plot.suffix.lower() != ".svg":
        raise typer.BadParameter(f"{plot} should end in .svg", param_hint="--plot")
    orders = read_truth(truth)
    said = _of_station(read_verdicts(verdicts), station)
    result = evaluate(orders, said, epoch=start, menu=Menu.load(inventory) if inventory else None)
    if plot is not None:
        plot.write_text(draw(result, title=f"{verdicts.name} against {truth.name}"), encoding="utf-8")
    if as_json:
        print(json.dumps(result.to_dict(), ensure_ascii=False, indent=2))
    else:
        _show(result, Console(), nothing_belongs=bool(said) and result.stray == len(said))
    if least is not None and result.right_share < least:
        message = (
            f"{result.right} of {result.orders} orders are right, a share of {result.right_share:.4f}, not {least:g}"
        )
        raise OrderAccError(message, code="too_few_right")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("should be a time such as 2026-11-21T12:30:00Z", param_hint="--epoch") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _of_station(verdicts: list[dict[str, Any]], station: str | None) -> list[dict[str, Any]]:
    known = sorted({str(verdict["station_id"]) for verdict in verdicts if verdict["station_id"] is not None})
    if station is None:
        if len(known) > 1:
            hint = f"the verdicts are of {len(known)} stations, and the truth is of one: {', '.join(known)}"
            raise typer.BadParameter(hint, param_hint="--station")
        return verdicts
    if station not in known:
        hint = f"no verdict is of {station!r}; there are {', '.join(known) or 'none with a station'}"
        raise typer.BadParameter(hint, param_hint="--station")
    return [verdict for verdict in verdicts if verdict["station_id"] == station]


def _show(result: Evaluation, console: Console, *, nothing_belongs: bool) -> None:
    share = f"{result.right_share:.1%}"
    console.print(f"[bold]{result.right} of {result.orders} orders right[/] ({share})", highlight=False)
    console.print(
        f"left to a person {result.abstained} ({result.abstain_rate:.1%}), wrong ones let go {result.let_go}, "
        f"false alarms {result.false_alarms}, verdicts of no order {result.stray}",
        highlight=False,
        soft_wrap=True,
    )
    if nothing_belongs:
        console.print("[yellow]No verdict belongs to an order of this truth: is --epoch when its video began?[/]")
    for table in (_confusion(result), _tallies(result), _calibration(result)):
        console.print()
        console.print(table)
    for line in result.wrong[:MOST_SHOWN]:
        console.print(f"  {line}", style="dim", highlight=False, markup=False, soft_wrap=True)
    if len(result.wrong) > MOST_SHOWN:
        console.print(f"  and {len(result.wrong) - MOST_SHOWN} more; --json has them all", style="dim")


def _table(*headings: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(headings[0])
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    return table


def _confusion(result: Evaluation) -> Table:
    came_to = list(result.confusion["accurate"])
    table = _table("was / judged", *came_to)
    for status, row in result.confusion.items():
        table.add_row(status, *(str(row[one]) for one in came_to))
    return table


def _tallies(result: Evaluation) -> Table:
    table = _table("", "precision", "recall", "F1", "right", "wrong", "missed")
    groups = ((result.items, "all items", result.all_items), (result.kinds, "all discrepancies", result.all_kinds))
    for rows, name, total in groups:
        for label, each in rows.items():
            table.add_row(label.replace("_", " "), *_figures(each))
        table.add_row(name, *_figures(total), style="bold", end_section=True)
    return table


def _figures(each: Tally) -> tuple[str, ...]:
    shares = ("" if share is None else f"{share:.3f}" for share in (each.precision, each.recall, each.f1))
    return (*shares, str(each.right), str(each.wrong), str(each.missed))


def _calibration(result: Evaluation) -> Table:
    table = _table("confidence", "verdicts", "sure", "right", "lines", "sure", "right")
    both = (result.verdict_calibration, result.line_calibration)
    lows = sorted({each.low for one in both for each in one.bins})
    for low in lows:
        table.add_row(f"{low:.1f} to {low + 0.1:.1f}", *_bin(both[0], low), *_bin(both[1], low))
    errors = tuple("" if one.error is None else f"{one.error:.3f}" for one in both)
    table.add_row("error", str(both[0].count), "", errors[0], str(both[1].count), "", errors[1], style="bold")
    return table


def _bin(calibration: Calibration, low: float) -> tuple[str, str, str]:
    for each in calibration.bins:
        if each.low == low:
            return str(each.count), f"{each.confidence:.3f}", f"{each.right:.3f}"
    return "", "", ""
