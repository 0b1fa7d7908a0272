"""Reading the order number off a slip, whatever engine recognises its print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from orderacc.perception.order_number import find_keyword_number, find_order_number
from orderacc.perception.text_lines import find_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderacc.domain.detections import SlipReading
    from orderacc.domain.frames import Image
    from orderacc.perception.paper import SlipView
    from orderacc.perception.text_lines import TextLine

LEGIBLE = 0.85
"""Mean confidence from which print counts as read the right way up."""

MIN_WORD = 4
"""Shorter texts say nothing about legibility."""

PROBES = 3
"""Lines read to find out whether a slip lies this way up."""


class SlipReader(Protocol):
    """Reads order numbers. Not safe to share between threads: one reader per worker thread."""

    @property
    def model_id(self) -> str:
        """Engine and version, for logs and verdicts."""
        ...

    def read(self, slip: SlipView) -> SlipReading | None:
        """Read one slip.

        Args:
            slip: From `rectify`.

        Returns:
            The order number, or None when there is none, or none that is certain.
        """
        ...


class LineRecogniser(Protocol):
    """Turns the picture of one line of print into text."""

    def __call__(self, line: Image) -> tuple[str, float]:
        """Recognise.

        Args:
            line: BGR uint8 [h, w, 3].

        Returns:
            Its text ("" for none) and a confidence, 0 to 1.
        """
        ...


def read_slip(slip: SlipView, recognise: LineRecogniser) -> SlipReading | None:
    """Read a slip line by line, the way up in which its print makes sense.

    The tallest lines come first, and where they are legible and give a number after its keyword, the rest is not read.
    Upright comes before upside down and sideways. A number alone on its line can be misread the wrong way up (`1961`)
    and is believed only on a legible slip.

    Args:
        slip: From `rectify`.
        recognise: Recognises one line.
    """
    best: tuple[float, list[TextLine], list[tuple[str, float]]] = (0.0, [], [])
    for quarter_turns in (0, 2, 1, 3):
        lines = find_lines(slip.turned(quarter_turns))
        texts = _read_tallest(lines, recognise)
        legible = _legibility(texts) >= LEGIBLE
        if legible and (reading := find_keyword_number(texts)) is not None:
            return reading
        if quarter_turns and not legible:
            continue
        texts = [
            text if text[0] or line.hidden else recognise(line.image) for line, text in zip(lines, texts, strict=True)
        ]
        legibility = _legibility(texts)
        if legibility > best[0]:
            best = (legibility, lines, texts)
        if legibility >= LEGIBLE:
            break
    legibility, lines, texts = best
    heights = [float(line.height) for line in lines] if legibility >= LEGIBLE else None
    return find_order_number(texts, heights)


def _read_tallest(lines: Sequence[TextLine], recognise: LineRecogniser) -> list[tuple[str, float]]:
    """Texts of the tallest lines in their places, empty ones for the rest.

    A hidden line is never read: it may lack digits, and a number short of a digit is another order's.
    """
    worthwhile = [index for index, line in enumerate(lines) if not line.hidden and _is_wide(line)]
    chosen = set(sorted(worthwhile, key=lambda index: -lines[index].height)[:PROBES])
    return [recognise(line.image) if index in chosen else ("", 0.0) for index, line in enumerate(lines)]


def _is_wide(line: TextLine) -> bool:
    return bool(line.image.shape[1] >= 2 * line.image.shape[0])


def _legibility(texts: Sequence[tuple[str, float]]) -> float:
    """How sure the engine is of what it read, 0 to 1; scraps count nothing, for any smudge resembles some digit."""
    sizes = [len(text) if len(text) >= MIN_WORD else 0 for text, _ in texts]
    return sum(size * confidence for size, (_, confidence) in zip(sizes, texts, strict=True)) / max(1, sum(sizes))
