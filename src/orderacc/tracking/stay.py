"""One order's stay while it is open, and the frames nobody can attribute yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from orderacc.tracking.readings import Tally

if TYPE_CHECKING:
    from orderacc.tracking.scene import Scene

LONGEST_STEP = 1.0
"""Most seconds one frame may stand for: while a camera is away nothing was seen."""


class PieceKind(Enum):
    """Why a run of frames is kept apart."""

    OWN = "own"
    """The visit's, for certain."""
    AWAY = "away"
    """After the known slip left view (or beside another one): this order's, the next one's, or both's."""
    SIGHTING = "sighting"
    """A slip in view that may be the known one or the next one."""


@dataclass(slots=True)
class Piece:
    """A run of frames with one fate.

    Attributes:
        segment: The id the frames go under outside.
        kind: Why it is kept apart.
        start: Frame time of its first frame, seconds.
        frames: Occupied frames in it.
        last_at: Frame time of the last of those.
        item_seconds: How long items were in view.
        slip_frames: Frames with a slip in view.
        slip_seconds: How long.
        unread_seconds: How long that slip lay clear to see and yet gave no number.
        alike_seconds: How long, at the end, it has looked like the known slip.
        alike: Whether it did in the last frame.
        changed: Whether it differed from the slip last read in the last frame.
        two_slips: Whether two slips were in view at once.
        tally: Numbers read in it.
        mixed: Whether unlike runs were merged into it, so that what holds for one frame need not hold for the next.
    """

    segment: int
    kind: PieceKind
    start: float
    frames: int = 0
    last_at: float = float("-inf")
    item_seconds: float = 0.0
    slip_frames: int = 0
    slip_seconds: float = 0.0
    unread_seconds: float = 0.0
    alike_seconds: float = 0.0
    alike: bool = False
    changed: bool = False
    two_slips: bool = False
    tally: Tally = field(default_factory=Tally)
    mixed: bool = False
    _seen_at: float | None = None

    def see(self, scene: Scene, *, alike: bool, unread: bool) -> None:
        """Take in one frame of this run.

        Args:
            scene: The frame.
            alike: Whether the slip looks like the known one.
            unread: Whether a slip is clear to see whose number nobody knows.
        """
        step = 0.0 if self._seen_at is None else min(scene.at - self._seen_at, LONGEST_STEP)
        self._seen_at = scene.at
        self.item_seconds += step if scene.counts else 0.0
        self.slip_frames += scene.slip
        self.slip_seconds += step if scene.slip else 0.0
        self.unread_seconds += step if unread else 0.0
        self.alike_seconds = self.alike_seconds + step if alike and self.alike else 0.0
        self.alike = alike
        self.changed = scene.changed
        self.two_slips |= scene.two_slips

    def count(self, at: float) -> None:
        """Note that a frame of this run may serve as evidence."""
        self.frames += 1
        self.last_at = at

    def absorb(self, later: Piece) -> None:
        """Take over a later run's frames; one's own kind and start stay."""
        self.frames += later.frames
        self.last_at = max(self.last_at, later.last_at)
        self.item_seconds += later.item_seconds
        self.slip_frames += later.slip_frames
        self.slip_seconds += later.slip_seconds
        self.unread_seconds = max(self.unread_seconds, later.unread_seconds)
        self.tally.merge(later.tally)
        self._seen_at = later._seen_at if later._seen_at is not None else self._seen_at


@dataclass(slots=True)
class Stay:
    """An open visit.

    Attributes:
        own: The frames that are its for certain.
        pending: Runs of frames since the known slip was last surely in view, in time order.
        number: The confirmed number.
        reported: Whether its evidence was given already: the scene stands still, or is being cleared away.
        continued: Whether it carries on from a visit that was closed under it.
        settled: Whether the counter was occupied long enough to believe it.
        slip_lies: Whether a slip belongs to `own`, readable or not.
    """

    own: Piece
    pending: list[Piece] = field(default_factory=list)
    number: str | None = None
    reported: bool = False
    continued: bool = False
    settled: bool = False
    slip_lies: bool = False

    @property
    def current(self) -> Piece:
        """The run the last frame belongs to."""
        return self.pending[-1] if self.pending else self.own

    @property
    def start(self) -> float:
        """Frame time at which the visit began, seconds."""
        return self.own.start
