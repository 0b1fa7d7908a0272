"""Verdicts on a terminal: a line each, a table, or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from orderacc.validation.findings import reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from orderacc.domain.verdicts import Verdict

STYLES: Final = {
    "accurate": "bold green",
    "inaccurate": "bold red",
    "unsure": "bold yellow",
    "undetermined": "dim",
}
"""Colour of each status; the word always stands beside it."""

OUTCOME_STYLES: Final = {"matched": "green", "not_checked": "dim", "ignored": "dim"}
"""Colour of what came of a line, where nothing is wrong with it."""


def json_line(verdict: Verdict) -> str:
    """The verdict as one JSON object without line breaks."""
    return json.dumps(verdict.to_dict(), ensure_ascii=False, separators=(",", ":"))


def verdict_line(verdict: Verdict) -> Text:
    """One line for a person: station, order, status, what is wrong, how long it took."""
    line = Text()
    line.append(f"{verdict.station_id or '':<12} ")
    line.append(f"{verdict.slip_text or '?':>6}  ", style="bold")
    line.append(f"{verdict.status.upper():<13}", style=STYLES[verdict.status])
    line.append(verdict.sentence)
    if verdict.timings.order_end_to_verdict is not None:
        line.append(f"  {verdict.timings.order_end_to_verdict / 1000:.1f} s", style="dim")
    return line


def verdict_table(verdicts: Iterable[Verdict]) -> Table:
    """A table of verdicts with expected against seen."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("Order", "Verdict", "Expected", "Seen", "What to do"):
        table.add_column(heading, overflow="fold")
    for verdict in verdicts:
        table.add_row(
            Text(verdict.slip_text or "?", style="bold"),
            Text(verdict.status.upper(), style=STYLES[verdict.status]),
            ", ".join(f"{item.quantity} {item.name}" for item in verdict.expected),
            ", ".join(f"{item.quantity} {item.name}" for item in verdict.seen if item.quantity),
            verdict.sentence,
        )
    return table


def reasons_table(verdict: Verdict) -> Table:
    """A table of a verdict's lines, each with the rule that decided it."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("Item", "Ordered", "Seen", "Outcome", "Why", "Sure"):
        table.add_column(
            heading, overflow="fold", justify="right" if heading in ("Ordered", "Seen", "Sure") else "left"
        )
    for finding in verdict.findings:
        compared = finding.outcome not in ("not_checked", "ignored")
        table.add_row(
            Text(finding.name),
            str(finding.expected),
            str(finding.seen),
            Text(finding.outcome.replace("_", " "), style=OUTCOME_STYLES.get(finding.outcome, "bold red")),
            Text(reason(finding)),
            f"{finding.confidence:.2f}" if compared else "",
        )
    return table


def print_lines(console: Console, verdicts: Iterable[Verdict]) -> None:
    """Print a line per verdict."""
    for verdict in verdicts:
        console.print(verdict_line(verdict), soft_wrap=True)
