"""An evaluation as a picture: one SVG file, no script, no font of its own, light or dark as the reader's page is."""

from __future__ import annotations

from html import escape
from itertools import count
from typing import TYPE_CHECKING, Final

from orderacc.evaluation.evaluate import KINDS, OUTCOMES, TRUE_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orderacc.evaluation.calibration import Calibration
    from orderacc.evaluation.evaluate import Evaluation
    from orderacc.evaluation.tally import Tally

WIDTH: Final = 960
PANEL: Final = 280
"""Side of a plot in pixels."""

ROW: Final = 22
TOP: Final = 96

_STYLE: Final = """
svg { background: #fff; color: #1b1f24; font: 13px system-ui, sans-serif }
text { fill: currentColor } .soft { opacity: .62 } .head { font-weight: 600; font-size: 15px }
.title { font-weight: 700; font-size: 20px } .line { stroke: currentColor; opacity: .22; fill: none }
.good { fill: #1a7f4b } .bad { fill: #c4322b } .doubt { fill: #b87500 } .none { fill: #6b7480 } .bar { fill: #2f6fd0 }
.dot { fill: #2f6fd0; fill-opacity: .85 } .dot2 { fill: #c05a00; fill-opacity: .85 } .end { text-anchor: end }
.mid { text-anchor: middle } .cell { fill: #fff; font-weight: 600 }
@media (prefers-color-scheme: dark) { svg { background: #14171b; color: #e8eaed } }
"""

_TONES: Final = {"unsure": "doubt", "undetermined": "none", "none": "none", "several": "none"}


def draw(result: Evaluation, title: str = "orderacc eval") -> str:
    """Draw what was counted: confusion of verdicts, calibration, discrepancies by kind and items, the worst first.

    Args:
        result: The figures.
        title: What stands above.

    Returns:
        An SVG document.
    """
    items = sorted(result.items.items(), key=lambda entry: (entry[1].f1 or 0.0, entry[0]))
    bars = TOP + PANEL + 110
    height = bars + 40 + ROW * max(len(items), len(KINDS)) + 30
    right = WIDTH / 2 + 90
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        _text(40, 40, title, "title"),
        _text(40, 62, _headline(result), "soft"),
        *_confusion(result, 150, TOP),
        *_calibration(result, right, TOP),
        *_bars("Items, F1", [(name, each) for name, each in items], 40, bars),
        *_bars("Discrepancies, F1", [(kind.replace("_", " "), result.kinds[kind]) for kind in KINDS], right - 40, bars),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _headline(result: Evaluation) -> str:
    return (
        f"{result.right} of {result.orders} orders right, {result.abstained} left to a person, "
        f"{result.let_go} wrong ones let go, {result.false_alarms} false alarms"
    )


def _confusion(result: Evaluation, left: float, top: float) -> Iterator[str]:
    """Rows are what was true, columns what it came to; columns nothing came to are left out past the first four."""
    came_to = [one for one in OUTCOMES if one in OUTCOMES[:4] or any(result.confusion[s][one] for s in TRUE_STATUSES)]
    wide, high = PANEL / len(came_to) + 8, PANEL / 2 - 10
    yield _text(left - 110, top + 6, "Verdicts: what was true, and what was said", "head")
    for column, said in enumerate(came_to):
        yield _text(left + (column + 0.5) * wide, top + 34, said, "mid soft")
    for row, true in enumerate(TRUE_STATUSES):
        total = sum(result.confusion[true].values())
        yield _text(left - 10, top + 44 + (row + 0.5) * high, true, "end soft")
        for column, said in enumerate(came_to):
            number = result.confusion[true][said]
            tone = _TONES.get(said, "good" if said == true else "bad")
            shade = 0.12 + 0.88 * number / total if number else 0.06
            x, y = left + column * wide, top + 44 + row * high
            yield (
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide - 4:.1f}" height="{high - 4:.1f}" rx="4" class="{tone}" '
                f'fill-opacity="{shade:.2f}"/>'
            )
            style = "mid cell" if shade > 0.55 else "mid"
            yield _text(x + wide / 2 - 2, y + high / 2 + 4, str(number), style)


def _calibration(result: Evaluation, left: float, top: float) -> Iterator[str]:
    yield _text(left - 40, top + 6, "Calibration: how sure, and how often right", "head")
    base = top + 44
    side = PANEL - 20
    yield f'<rect x="{left:.1f}" y="{base:.1f}" width="{side}" height="{side}" class="line"/>'
    yield f'<path d="M{left:.1f} {base + side:.1f}L{left + side:.1f} {base:.1f}" class="line"/>'
    for step in (0, 0.5, 1):
        yield _text(left + step * side, base + side + 18, f"{step:g}", "mid soft")
        yield _text(left - 8, base + (1 - step) * side + 4, f"{step:g}", "end soft")
    series = (("verdicts", "dot", result.verdict_calibration), ("lines", "dot2", result.line_calibration))
    for index, (name, style, each) in enumerate(series):
        yield from _dots(each, style, left, base, side)
        y = base + 20 + 22 * index
        error = "none" if each.error is None else f"{each.count}, error {each.error:.3f}"
        yield f'<circle cx="{left + side + 16:.1f}" cy="{y - 4:.1f}" r="5" class="{style}"/>'
        yield _text(left + side + 26, y, name, "")
        yield _text(left + side + 26, y + 15, error, "soft")
        base += 18


def _dots(calibration: Calibration, style: str, left: float, top: float, side: float) -> Iterator[str]:
    offset = 0.0 if style == "dot" else 18.0
    for each in calibration.bins:
        radius = 3 + 9 * (each.count / calibration.count) ** 0.5
        x, y = left + each.confidence * side, top - offset + (1 - each.right) * side
        yield (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" class="{style}"><title>'
            f"{each.count} at {each.confidence:.2f}, {each.right:.2f} right</title></circle>"
        )


def _bars(heading: str, rows: Sequence[tuple[str, Tally]], left: float, top: float) -> Iterator[str]:
    yield _text(left, top, heading, "head")
    name_width, bar_width = 130, 170
    for index, (name, each) in zip(count(), rows, strict=False):
        y = top + 18 + ROW * index
        yield _text(left + name_width - 8, y + 13, name if len(name) < 20 else name[:18] + "…", "end")
        share = each.f1
        if share is None:
            yield _text(left + name_width, y + 13, "none", "soft")
            continue
        yield (
            f'<rect x="{left + name_width}" y="{y + 2}" width="{bar_width}" height="14" rx="3" class="none" '
            f'fill-opacity=".15"/><rect x="{left + name_width}" y="{y + 2}" width="{bar_width * share:.1f}" '
            f'height="14" rx="3" class="bar"/>'
        )
        said = f"{share:.3f}   {each.right} right, {each.wrong} wrong, {each.missed} missed"
        yield _text(left + name_width + bar_width + 8, y + 13, said, "soft")


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(text)}</text>'
