"""What a camera sees when nothing is in front of the counter, learnt slowly, and whether it still sees that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE: Final = (160, 90)
"""Width and height of the pictures compared."""

BLOCKS: Final = (16, 9)
"""Blocks across and down; each is found again or not, by the pattern in it."""

FOUND: Final = 0.5
"""Correlation from which a block shows the same pattern."""

TEXTURE: Final = 4.0
"""Mean square, in grey levels, from which a block has a pattern; noise is far below it at this size."""

ENOUGH: Final = 0.1
"""Share of blocks that must have a pattern; with less nothing can be said."""

BRIGHT: Final = 235.0
"""Mean grey level from which a block's detail is lost in white, which is no blur."""

SHIFT: Final = 12
"""Pixels of the small picture by which a view must shift to be another one. A pattern that looks the same when shifted
so far, such as planks along their grain, cannot tell and is left out."""

FIRST: Final = 10.0
"""Seconds in which the first impression is made."""

RATE_SAME: Final = 0.5
"""Grey levels a second by which the memory follows what it recognises, ..."""

RATE_OTHER: Final = 0.05
"""... and what it does not: an item that lies for a minute leaves no trace, a new mat is known within the hour."""

YOUNG: Final = 20.0
"""Over the seconds it has learnt, the rate of a young memory for what it does not recognise: things that lay there when
it began fade soon."""

REVIEW: Final = 10.0
"""Seconds after which it is found out again which blocks can tell."""

SAME_VIEW: Final = 0.13
"""Share of blocks found again below which nothing is learnt: this is another view."""

SAME_DETAIL: Final = 0.5
"""Share of the fine detail below which nothing is learnt: the picture may be blurred."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A picture beside the memory. A value is None when too little is known, or there is too little to tell by.

    Attributes:
        same: Share of the blocks that can tell in which the remembered view is found again, 0 to 1.
        steady: Share of all blocks with a pattern in which the picture before is found again.
        detail: Its fine detail where it is the remembered view, as a share of the memory's; about 1 when just as sharp.
    """

    same: float | None = None
    steady: float | None = None
    detail: float | None = None


class Background:
    """The memory of one view."""

    def __init__(self) -> None:
        self._grey: NDArray[np.float32] | None = None
        self._before: NDArray[np.float32] | None = None
        self._telling = np.zeros(BLOCKS[::-1], bool)
        self._known = 0.0
        self._reviewed = -REVIEW

    def compare(self, grey: NDArray[np.uint8], passed: float) -> Comparison:
        """Look at the next picture, and learn from it if it shows the view remembered.

        Args:
            grey: uint8 [90, 160].
            passed: Seconds since the last one.
        """
        now = grey.astype(np.float32)
        pattern = _pattern(now)
        steady = None
        if self._before is not None:
            textured = _energy(self._before) > TEXTURE
            steady = _share(_found(self._before, pattern), textured)
        self._before = pattern
        if self._grey is None:
            self._grey = now
        if self._known < FIRST:
            self._known += passed
            self._grey += (now - self._grey) * np.float32(passed / self._known if self._known else 1.0)
            return Comparison(steady=steady)
        view = _pattern(self._grey)
        self._review(view)
        found = _found(view, pattern)
        same, detail = _share(found, self._telling), _detail(self._grey, now, found)
        if (same is None or same >= SAME_VIEW) and (detail is None or detail >= SAME_DETAIL):
            other = max(RATE_OTHER, YOUNG / self._known)
            rates = np.where(found, max(RATE_SAME, other), other).astype(np.float32) * np.float32(passed)
            most = cv2.resize(rates, SIZE, interpolation=cv2.INTER_NEAREST)
            self._grey += np.clip(now - self._grey, -most, most)
            self._known += passed
        return Comparison(same, steady, detail)

    def _review(self, view: NDArray[np.float32]) -> None:
        if self._known - self._reviewed < REVIEW:
            return
        self._reviewed = self._known
        self._telling = _energy(view) > TEXTURE
        for axis, shift in ((0, SHIFT), (0, -SHIFT), (1, SHIFT), (1, -SHIFT)):
            self._telling &= ~_found(view, np.roll(view, shift, axis))


def _pattern(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is left without light and shadow."""
    return np.asarray(grey - cv2.blur(grey, (15, 15)), np.float32)


def _blocks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Block means, float32 [9, 16]."""
    return np.asarray(cv2.resize(values, BLOCKS, interpolation=cv2.INTER_AREA), np.float32)


def _energy(pattern: NDArray[np.float32]) -> NDArray[np.float32]:
    return _blocks(pattern * pattern)


def _found(before: NDArray[np.float32], now: NDArray[np.float32]) -> NDArray[np.bool_]:
    """For each block whether its pattern is found again, bool [9, 16]."""
    found: NDArray[np.bool_] = _blocks(before * now) > FOUND * np.sqrt(_energy(before) * _energy(now)) + FOUND
    return found


def _share(found: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    count = int(among.sum())
    return int((found & among).sum()) / count if count >= ENOUGH * among.size else None


def _detail(before: NDArray[np.float32], now: NDArray[np.float32], found: NDArray[np.bool_]) -> float | None:
    fine, fine_now = _energy(before - cv2.blur(before, (3, 3))), _energy(now - cv2.blur(now, (3, 3)))
    has = found & (fine > TEXTURE / 2) & (_blocks(now) < BRIGHT)
    if has.sum() < ENOUGH * has.size:
        return None
    light = (cv2.mean(now)[0] + 1) / (cv2.mean(before)[0] + 1)
    return float(np.median(fine_now[has] / fine[has])) / light**2
