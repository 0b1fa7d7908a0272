"""Figures over time as small charts: one SVG file, light or dark as the reader's page is."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WIDTH, ROW, PLOT = 960, 190, 110
COLUMN = WIDTH // 2
LEFT, RIGHT = 62, 24

STYLE = """
svg { background: #fff; color: #1b1f24; font: 13px system-ui, sans-serif }
text { fill: currentColor } .soft { opacity: .62 } .head { font-weight: 600; font-size: 15px }
.title { font-weight: 700; font-size: 20px } .grid { stroke: currentColor; opacity: .18 } .end { text-anchor: end }
.mid { text-anchor: middle } .line { stroke: #2f6fd0; stroke-width: 1.8; fill: none; stroke-linejoin: round }
@media (prefers-color-scheme: dark) { svg { background: #14171b; color: #e8eaed } .line { stroke: #6fa3f0 } }
"""


def draw(title: str, subtitle: str, minutes: Sequence[float], lines: Mapping[str, Sequence[float]]) -> str:
    """Draw each line in a chart of its own, from zero up.

    Args:
        title: What stands above.
        subtitle: And below that.
        minutes: When the figures are from.
        lines: Figures by name.

    Returns:
        An SVG document.
    """
    height = 100 + ROW * ((len(lines) + 1) // 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        text(24, 40, title, "title"),
        text(24, 62, subtitle, "soft"),
    ]
    for position, (name, values) in enumerate(lines.items()):
        parts += chart(name, minutes, values, COLUMN * (position % 2), 92 + ROW * (position // 2))
    return "\n".join([*parts, "</svg>"]) + "\n"


def chart(name: str, minutes: Sequence[float], values: Sequence[float], x: int, y: int) -> Iterator[str]:
    left, right, bottom = x + LEFT, x + COLUMN - RIGHT, y + 22 + PLOT
    ceiling = round_up(max(values))
    last = max(minutes)
    yield text(x + 24, y + 8, name, "head")
    for step in (0.0, 0.5, 1.0):
        level = bottom - step * PLOT
        yield f'<path d="M{left} {level:.1f}H{right}" class="grid"/>'
        yield text(left - 8, level + 4, f"{step * ceiling:g}", "soft end")
        yield text(left + step * (right - left), bottom + 18, f"{step * last:.0f} min", "soft mid")
    points = " ".join(
        f"{left + minute / last * (right - left):.1f},{bottom - value / ceiling * PLOT:.1f}"
        for minute, value in zip(minutes, values, strict=True)
    )
    yield f'<polyline points="{points}" class="line"/>'


def round_up(value: float) -> float:
    """The next number that reads well: 1, 2, 4, 5 or 8 and zeros."""
    unit = 0.01
    while unit * 10 <= value:
        unit *= 10
    return next(step * unit for step in (1, 2, 4, 5, 8, 10) if step * unit >= value)


def text(x: float, y: float, words: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(words)}</text>'
