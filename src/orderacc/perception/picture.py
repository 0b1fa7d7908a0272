"""Whether a camera's picture is of any use: a warning for each thing that makes it useless, for as long as it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import cv2

from orderacc.perception.background import SAME_VIEW, SIZE, Background, Comparison
from orderacc.perception.focus import focus
from orderacc.perception.repetition import Repetition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orderacc.domain.frames import Frame, Image

EVERY: Final = 0.5
"""Seconds of frame time between two looks; the frames between them cost nothing."""

SMALLEST: Final = 64
"""Pixels in each direction that a picture needs to be judged."""

DARK: Final = 30
"""Grey level up to which a pixel shows nothing; ..."""

DARK_SHARE: Final = 0.98
"""... and the share of them that makes a picture black."""

WHITE: Final = 250
"""Grey level from which a pixel shows nothing; ..."""

WHITE_SHARE: Final = 0.7
"""... and the share of them that makes a picture overexposed. A white worktop in bright light has 0.63."""

BLURRED: Final = 0.165
"""Steepness of the clearest edges below which a picture is blurred, by 3 pixels (sigma) at a width of 1280. The softest
of 80 simulated worktops, with nothing on it, has 0.197."""

FADED: Final = 0.4
"""Likewise the share of the detail that the same view had before."""

STEADY: Final = 0.6
"""Share of the picture found again from one look to the next, from which nobody stands in front of the camera."""

SAME_AGAIN: Final = 0.2
"""Share of the view found again from which a camera that was moved is back."""

LONGEST_STEP: Final = 1.0
"""Seconds that a look stands for at most: what was between frames far apart is not known."""


class PictureWarning(StrEnum):
    """What is wrong with a picture."""

    BLACK = "black"
    OVEREXPOSED = "overexposed"
    BLURRED = "blurred"
    FROZEN = "frozen"
    MOVED = "moved"


ADVICE: Final[Mapping[PictureWarning, str]] = MappingProxyType(
    {
        PictureWarning.BLACK: "the picture is black: is the light off, or the lens covered?",
        PictureWarning.OVEREXPOSED: "most of the picture is white: lower the camera's exposure, or keep the sun out",
        PictureWarning.BLURRED: "the picture is blurred: clean the lens, then focus the camera",
        PictureWarning.FROZEN: "the camera sends the same picture again and again: restart the camera",
        PictureWarning.MOVED: "the camera shows another view: turn it back to the counter, or restart the station",
    }
)
"""What to do, in plain words."""


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """When warnings come and go. All times are seconds of frame time.

    Attributes:
        warn_after: A picture must be black, overexposed or blurred for so long.
        clear_after: A warning goes when the picture has been good for so long.
        frozen_after: No new picture for so long is a frozen one; more than the camera's keyframe interval.
        moved_after: Another view must stay for so long.
        accept_view_after: A new view that stays for so long is taken for the right one.
    """

    warn_after: float = 5.0
    clear_after: float = 2.0
    frozen_after: float = 60.0
    moved_after: float = 20.0
    accept_view_after: float = 900.0


class PictureHealth:
    """Watches one station's pictures.

    A look costs about a millisecond at 1280x720, and there are two a second: a quarter of one per frame at 10 fps.

    Args:
        settings: When warnings come and go.
    """

    def __init__(self, settings: PictureSettings | None = None) -> None:
        self._settings = settings or PictureSettings()
        patience = dict.fromkeys(PictureWarning, self._settings.warn_after)
        patience |= {PictureWarning.FROZEN: 0.0, PictureWarning.MOVED: self._settings.moved_after}
        self._latches = {kind: _Latch(patience[kind], self._settings.clear_after) for kind in PictureWarning}
        self._shape: tuple[int, ...] = ()
        self._at: float | None = None
        self._view = _View()
        self._view_is_right = False

    def forget_view(self) -> None:
        """Take the view that is there for the right one, from the next look on. May be called from any thread."""
        self._view_is_right = True

    def look(self, frame: Frame) -> tuple[PictureWarning, ...]:
        """Look at the next frame.

        Args:
            frame: Later than the one before.

        Returns:
            What is wrong with the picture now, in the order of the enumeration; nothing when all is well.
        """
        if self._at is None or frame.at - self._at >= EVERY:
            passed = 0.0 if self._at is None else min(frame.at - self._at, LONGEST_STEP)
            self._at = frame.at
            if min(frame.image.shape[:2]) >= SMALLEST:
                self._judge(frame.image, passed)
        return tuple(kind for kind, latch in self._latches.items() if latch.on)

    def _judge(self, image: Image, passed: float) -> None:
        if self._view_is_right or image.shape != self._shape:
            self._view_is_right, self._shape = False, image.shape
            self._forget()
        small = _small(image)
        light = _light(small)
        self._note(PictureWarning.BLACK, passed, bad=light is PictureWarning.BLACK)
        self._note(PictureWarning.OVEREXPOSED, passed, bad=light is PictureWarning.OVEREXPOSED)
        if light is not None:
            return  # nothing else can be told from such a picture
        view = self._view
        unchanged = view.repetition.look(image, passed)
        self._note(PictureWarning.FROZEN, passed, bad=unchanged >= self._settings.frozen_after)
        view.waited += passed
        if view.edges_next:
            view.edges = focus(image)
        else:
            self._compare(small)
        view.edges_next = not view.edges_next
        if view.edges is not None or view.seen.detail is not None:
            self._note(PictureWarning.BLURRED, passed, bad=_blurred(view.edges, view.seen.detail))

    def _compare(self, small: Image) -> None:
        view = self._view
        passed, view.waited = view.waited, 0.0
        view.seen = view.background.compare(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), passed)
        same = view.seen.same
        if same is None:
            return
        if same >= SAME_AGAIN:
            self._note(PictureWarning.MOVED, passed, bad=False)
        elif same < SAME_VIEW and (view.seen.steady or 0.0) >= STEADY:
            self._note(PictureWarning.MOVED, passed, bad=True)
        view.away = view.away + passed if self._latches[PictureWarning.MOVED].on else 0.0
        if view.away >= self._settings.accept_view_after:
            self._forget()

    def _note(self, kind: PictureWarning, passed: float, *, bad: bool) -> None:
        self._latches[kind].feed(passed, bad=bad)

    def _forget(self) -> None:
        """Begin anew with the view that is there; what is wrong with the light or the focus stays known."""
        self._view = _View()
        self._latches[PictureWarning.MOVED].on = False


def look_once(image: Image) -> PictureWarning | None:
    """What a single picture tells: `black`, `overexposed`, `blurred`, or nothing.

    Args:
        image: BGR uint8 [H, W, 3].
    """
    if min(image.shape[:2]) < SMALLEST:
        return None
    return _light(_small(image)) or (PictureWarning.BLURRED if _blurred(focus(image), None) else None)


@dataclass(slots=True)
class _View:
    """What is known of the view there is: its background, and the last findings of the two dearer looks.

    They take turns, so that no frame pays for both.
    """

    background: Background = field(default_factory=Background)
    repetition: Repetition = field(default_factory=Repetition)
    seen: Comparison = field(default_factory=Comparison)
    edges: float | None = None
    edges_next: bool = False
    waited: float = 0.0
    away: float = 0.0


class _Latch:
    """On when something was bad for long enough, off when it was good for long enough.

    A look that says otherwise takes back as much as one that agrees adds, so a stray one decides nothing.
    """

    def __init__(self, raise_after: float, clear_after: float) -> None:
        self.on = False
        self._patience = {False: raise_after, True: clear_after}
        self._held = 0.0

    def feed(self, passed: float, *, bad: bool) -> None:
        self._held = max(0.0, self._held + (passed if bad != self.on else -passed))
        if bad != self.on and self._held >= self._patience[self.on]:
            self.on, self._held = bad, 0.0


def _small(image: Image) -> Image:
    """BGR uint8 [90, 160, 3]: interpolated to twice that, then averaged, which takes a third of averaging at once."""
    half = cv2.resize(image, (2 * SIZE[0], 2 * SIZE[1]), interpolation=cv2.INTER_LINEAR)
    small: Image = cv2.resize(half, SIZE, interpolation=cv2.INTER_AREA)
    return small


def _light(small: Image) -> PictureWarning | None:
    pixels = small.shape[0] * small.shape[1]
    if cv2.countNonZero(cv2.inRange(small, (0, 0, 0), (DARK, DARK, DARK))) >= DARK_SHARE * pixels:
        return PictureWarning.BLACK
    white = cv2.countNonZero(cv2.inRange(small, (WHITE, WHITE, WHITE), (255, 255, 255)))
    return PictureWarning.OVEREXPOSED if white >= WHITE_SHARE * pixels else None


def _blurred(edges: float | None, detail: float | None) -> bool:
    return (edges is not None and edges < BLURRED) or (detail is not None and detail < FADED)
