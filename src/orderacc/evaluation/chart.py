"""An evaluation as a picture: one SVG file, no script, no font of its own, light or dark as the reader's page is."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from orderacc.evaluation.evaluate import KINDS, OUTCOMES, TRUE_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orderacc.evaluation.calibration import Calibration
    from orderacc.evaluation.evaluate import Evaluation
    from orderacc.evaluation.tally import Tally

WIDTH: Final = 1200
LEFT, RIGHT = 40, 610
"""Where the two columns begin, in pixels."""

TOP: Final = 96
PLOT: Final = 260
"""Height of the plots on top."""

ROW: Final = 22
LONGEST_NAME: Final = 19
"""Letters of an item's name that fit beside its bar."""

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
    kinds = [(kind.replace("_", " "), result.kinds[kind]) for kind in KINDS]
    bars = TOP + PLOT + 120
    height = bars + 48 + ROW * max(len(items), len(kinds))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        _text(LEFT, 40, title, "title"),
        _text(LEFT, 62, _headline(result), "soft"),
        *_confusion(result),
        *_calibration(result),
        *_bars("Items, F1, the worst first", items, LEFT, bars),
        *_bars("Discrepancies, F1", kinds, RIGHT, bars),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _headline(result: Evaluation) -> str:
    return (
        f"{result.right} of {result.orders} orders right, left to a person {result.abstained}, "
        f"wrong ones let go {result.let_go}, false alarms {result.false_alarms}"
    )


def _confusion(result: Evaluation) -> Iterator[str]:
    """Rows are what was true, columns what it came to; having no verdict or several only where that happened."""
    came_to = [one for one in OUTCOMES if one in OUTCOMES[:4] or any(result.confusion[s][one] for s in TRUE_STATUSES)]
    left, top = LEFT + 90, TOP + 44
    wide, high = 420 / len(came_to), PLOT / len(TRUE_STATUSES)
    yield _text(LEFT, TOP + 6, "Verdicts: what was true, and what was said", "head")
    for column, said in enumerate(came_to):
        yield _text(left + (column + 0.5) * wide, top - 10, said, "mid soft")
    for row, true in enumerate(TRUE_STATUSES):
        total = sum(result.confusion[true].values())
        yield _text(left - 10, top + (row + 0.5) * high, true, "end soft")
        for column, said in enumerate(came_to):
            number = result.confusion[true][said]
            tone = _TONES.get(said, "good" if said == true else "bad")
            shade = 0.12 + 0.88 * number / total if number else 0.06
            x, y = left + column * wide, top + row * high
            yield (
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide - 4:.1f}" height="{high - 4:.1f}" rx="4" class="{tone}" '
                f'fill-opacity="{shade:.2f}"/>'
            )
            yield _text(x + wide / 2 - 2, y + high / 2 + 4, str(number), "mid cell" if shade > 0.55 else "mid")


def _calibration(result: Evaluation) -> Iterator[str]:
    left, top = RIGHT + 40, TOP + 44
    yield _text(RIGHT, TOP + 6, "Calibration: how sure, and how often right", "head")
    yield f'<rect x="{left}" y="{top}" width="{PLOT}" height="{PLOT}" class="line"/>'
    yield f'<path d="M{left} {top + PLOT}L{left + PLOT} {top}" class="line"/>'
    for step in (0, 0.5, 1):
        yield _text(left + step * PLOT, top + PLOT + 18, f"{step:g}", "mid soft")
        yield _text(left - 8, top + (1 - step) * PLOT + 4, f"{step:g}", "end soft")
    series = (("lines", "dot2", result.line_calibration), ("verdicts", "dot", result.verdict_calibration))
    for index, (name, style, each) in enumerate(series):
        yield from _dots(each, style, left, top)
        x, y = left + PLOT + 24, top + 20 + 44 * index
        yield f'<circle cx="{x}" cy="{y - 4}" r="6" class="{style}"/>'
        yield _text(x + 14, y, f"{each.count} {name}", "")
        yield _text(x + 14, y + 16, "nothing to go by" if each.error is None else f"off by {each.error:.3f}", "soft")


def _dots(calibration: Calibration, style: str, left: float, top: float) -> Iterator[str]:
    for each in calibration.bins:
        x, y = left + each.confidence * PLOT, top + (1 - each.right) * PLOT
        radius = 3 + 9 * (each.count / calibration.count) ** 0.5
        hint = f"{each.count} at {each.confidence:.2f}, {each.right:.2f} right"
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" class="{style}"><title>{hint}</title></circle>'


def _bars(heading: str, rows: Sequence[tuple[str, Tally]], left: int, top: int) -> Iterator[str]:
    yield _text(left, top, heading, "head")
    start, full = left + 140, 150
    for index, (name, each) in enumerate(rows):
        y, share = top + 18 + ROW * index, each.f1
        yield _text(start - 10, y + 13, name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…", "end")
        yield f'<rect x="{start}" y="{y + 2}" width="{full}" height="14" rx="3" class="none" fill-opacity=".15"/>'
        yield f'<rect x="{start}" y="{y + 2}" width="{full * (share or 0):.1f}" height="14" rx="3" class="bar"/>'
        said = "none" if share is None else f"{share:.3f}: {each.right} right, {each.wrong} wrong, {each.missed} missed"
        yield _text(start + full + 10, y + 13, said, "soft")


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(text)}</text>'
