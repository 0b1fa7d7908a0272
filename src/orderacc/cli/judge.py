"""`orderacc judge`: compare one order with what was seen, and say why."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orderacc.domain.orders import Item, Order

MOST_NAMED: Final = 8
"""Order numbers that are named where the one asked for is not there."""

app = typer.Typer()


class StrategyName(StrEnum):
    """How names are compared."""

    EXACT = "exact"
    SEMANTIC = "semantic"
    HYBRID = "hybrid"


@app.command("judge")
def judge_order(
    expected: Annotated[
        Path, typer.Option("--expected", help="POS orders, e.g. orders.json.", exists=True, dir_okay=False)
    ],
    order: Annotated[str, typer.Option("--order", help="Number of the order, as the file has it.")],
    seen: Annotated[
        str,
        typer.Option("--seen", help='What was seen: "2x burger, fries", or a model\'s answer in JSON; - reads stdin.'),
    ],
    menu: Annotated[
        Path | None, typer.Option("--menu", help="The menu; none when left out.", exists=True, dir_okay=False)
    ] = None,
    strategy: Annotated[StrategyName, typer.Option(help="How names are compared.")] = StrategyName.HYBRID,
    threshold: Annotated[float, typer.Option(help="Likeness from which names are one thing.", min=0, max=1)] = 0.85,
    json: Annotated[bool, typer.Option("--json", help="The verdict as one JSON object.")] = False,
) -> None:
    """Judge one order of a file by hand, with the rule behind every line.

    Exit code 0: accurate. 1: anything else, or a file is wrong.

    Example: orderacc judge --expected orders.json --order 384 --seen "2x burger, fries"
    """
    from rich.console import Console
    from rich.text import Text

    from orderacc.cli.verdicts import STYLES, json_line, reasons_table
    from orderacc.domain.menus import Menu
    from orderacc.domain.packing import packed
    from orderacc.orders import read_orders
    from orderacc.service.unjudged import undetermined
    from orderacc.validation import judge

    items = _seen_items(sys.stdin.read() if seen == "-" else seen)
    wanted = _find(read_orders(expected), order, expected)
    known = Menu.load(menu) if menu else None
    there = wanted if known is None else packed(wanted, known)
    if there.state == "cancelled":
        verdict = undetermined("cancelled", expected=there.items)
    else:
        verdict = judge(
            there.items, items, menu=known, strategy=strategy.value, threshold=threshold, hidden=there.hidden
        )
    verdict = replace(verdict, order_id=wanted.order_id, order_version=wanted.version)
    if json:
        print(json_line(verdict))
    else:
        console = Console()
        console.print(reasons_table(verdict))
        told = Text.assemble((verdict.status.upper(), STYLES[verdict.status]), f"  {verdict.sentence}")
        console.print(told, soft_wrap=True)
    if verdict.status != "accurate":
        raise typer.Exit(1)


def _seen_items(text: str) -> list[Item]:
    """What a person lists with commas, or a model as JSON."""
    from orderacc.vlm.answer import parse_answer, read_answer

    if text.lstrip()[:1] in ("{", "["):
        answer = read_answer(text)
        if not answer.understood:
            raise typer.BadParameter("is JSON without items", param_hint="--seen")
        return list(answer.items)
    items: list[Item] = []
    for part in filter(None, map(str.strip, re.split(r"[,;\n]", text))):
        found = parse_answer(f"- {part}")
        if not found:
            raise typer.BadParameter(f'{part!r} is no item: write "2x burger, fries"', param_hint="--seen")
        items += found
    return items


def _find(orders: Mapping[str, Order], number: str, file: Path) -> Order:
    """The order of that key or id, else the one whose slip carries that number."""
    wanted = number.strip().lstrip("#").casefold()
    for key, order in orders.items():
        if wanted in (key.casefold(), order.order_id.casefold()):
            return order
    found = [order for order in orders.values() if order.display_id.casefold() == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(order.order_id for order in found[:MOST_NAMED])
        raise typer.BadParameter(
            f"{file} has {len(found)} orders of the number {number!r}; say which by its id: {ids}", param_hint="--order"
        )
    listed = ", ".join(list(orders)[:MOST_NAMED]) + (", ..." if len(orders) > MOST_NAMED else "")
    raise typer.BadParameter(f"{file} has no order {number!r}; it has {listed or 'none'}", param_hint="--order")
