"""One camera at one counter, with what looks at its frames."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from orderacc.capture import SupervisedCapture
from orderacc.service.asking import DEFAULT_POLICY
from orderacc.service.early import Moments
from orderacc.service.looks import LatestLook
from orderacc.service.moments import RECORDING_EPOCH
from orderacc.service.questions import EarlyAnswers

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.capture import FrameReader
    from orderacc.config.storage import Upload
    from orderacc.domain.evidence import Evidence
    from orderacc.domain.frames import Frame
    from orderacc.orders import OrderBook
    from orderacc.perception.observer import Observer
    from orderacc.perception.picture import PictureHealth, PictureWarning
    from orderacc.selection.visits import StationTracker
    from orderacc.service.asking import AskPolicy
    from orderacc.service.film import Film
    from orderacc.service.thinning import Thinner

__all__ = ["RECORDING_EPOCH", "ClosedOrder", "Eyes", "Station", "StationState", "cropped"]

CLOCK_SET: Final = 1.0
"""Seconds by which the wall clock leaves the monotonic one when somebody sets it; keeping it right takes less."""


@dataclass(slots=True)
class StationState:
    """What a station is doing now.

    Attributes:
        frames: Frames looked at.
        at: Frame time of the newest, seconds.
        error: What ended the station, None while it runs or when its source simply ended.
        ended: Whether it has stopped watching.
        failures: How often looking at a frame failed, and everything that looks was made anew.
        warnings: What is wrong with its picture.
        thinned: Frames left out because there was too much to do.
    """

    frames: int = 0
    at: float = 0.0
    error: Exception | None = None
    ended: bool = False
    failures: int = 0
    warnings: tuple[PictureWarning, ...] = ()
    thinned: int = 0


@dataclass(slots=True)
class Eyes:
    """What looks at a station's frames and remembers what it saw; when it fails it is replaced as a whole.

    Attributes:
        observer: Says what a frame shows.
        tracker: Tells the orders apart.
        picture: Notices pictures nothing can be seen in; None when nobody asks.
        picture_due: Frame time of the next look at that, seconds.
        stood_in: Visits the tracker lost and others reported for it.
        spent: Whether its orders have all been handed over and it sees no more frames.
        moments: Notices when an order seems about to end.
    """

    observer: Observer
    tracker: StationTracker
    picture: PictureHealth | None = None
    picture_due: float = 0.0
    stood_in: int = 0
    spent: bool = False
    moments: Moments = field(default_factory=Moments)

    @property
    def next_visit(self) -> int:
        """Number the next visit at this station will get."""
        return self.tracker.next_visit + self.stood_in


@dataclass(slots=True)
class Station:
    """A station, ready to run.

    Attributes:
        reader: Delivers its frames.
        eyes: Look at them.
        book: Knows what was paid for.
        epoch: Wall-clock time of frame time 0; None until the first frame of a station that is watched live.
        paced: Whether frames come at the speed of the clock; a recording that is read as fast as it goes is not.
        roi: Part of the picture that is the counter: left, top, right, bottom as shares; None for all of it.
        progress: Called with the frame time of every frame looked at.
        new_eyes: Makes new eyes, whose first visit has this number, when the old ones failed on a frame; without it
            the failure is raised.
        live: Whether its frames never end: a camera, or a recording that starts over.
        policy: How its orders are asked about.
        early: What was asked about the order that is open now.
        thinner: Leaves frames out when there is too much to do; None looks at all.
        state: What it is doing now.
        latest: Its newest frame, for whoever looks on.
        upload: Whose evidence is stored; None where the station does not say.
        film: Its last minutes, for clips of orders; None when nobody wants any.
    """

    reader: FrameReader | SupervisedCapture
    eyes: Eyes
    book: OrderBook
    epoch: datetime | None
    paced: bool
    roi: tuple[float, float, float, float] | None = None
    progress: Callable[[float], None] | None = None
    new_eyes: Callable[[int], Eyes] | None = None
    live: bool = False
    policy: AskPolicy = DEFAULT_POLICY
    early: EarlyAnswers = field(default_factory=EarlyAnswers)
    thinner: Thinner | None = None
    state: StationState = field(default_factory=StationState)
    latest: LatestLook = field(default_factory=LatestLook)
    upload: Upload | None = None
    film: Film | None = None
    _wall_ahead: float | None = field(default=None, init=False)

    @property
    def station_id(self) -> str:
        """The station."""
        return self.reader.station_id

    @property
    def capture(self) -> SupervisedCapture | None:
        """Its reader, when that looks after itself."""
        return self.reader if isinstance(self.reader, SupervisedCapture) else None

    @property
    def tracker(self) -> StationTracker:
        """Tells its orders apart."""
        return self.eyes.tracker

    @property
    def can_wait(self) -> bool:
        """Whether nothing is missed while it is not watched: a counter goes on, a recording read at will does not."""
        return not (self.policy.hurried and self.paced)

    def leaves_out(self, frame: Frame) -> bool:
        """Whether a frame is not looked at because there is too much to do."""
        order_open = self.tracker.open_since is not None
        left_out = self.thinner is not None and not self.thinner.wants(frame.at, order_open=order_open)
        self.state.thinned += left_out
        return left_out

    def epoch_by(self, frame: Frame) -> datetime:
        """Wall-clock time of frame time 0, which the first frame of a live station decides.

        When the machine's clock is set later, it moves along: what follows has the time that is right by then.
        """
        ahead = wall_ahead()
        if self.epoch is None:
            taken = datetime.now(UTC).timestamp() if frame.wall is None else frame.wall
            self.epoch = datetime.fromtimestamp(taken - frame.at, UTC)
            self._wall_ahead = ahead
        elif self._wall_ahead is not None and abs(ahead - self._wall_ahead) > CLOCK_SET:
            self.epoch += timedelta(seconds=ahead - self._wall_ahead)
            self._wall_ahead = ahead
        return self.epoch


@dataclass(frozen=True, slots=True)
class ClosedOrder:
    """An order waiting for its verdict.

    Attributes:
        evidence: What was seen of it.
        station: Where.
        epoch: Wall-clock time of frame time 0.
        ended: When it ended, by the monotonic clock, seconds.
        unseen: None, or why it was not seen to its end and cannot be judged: a key of `unjudged.SENTENCES`.
        early: What was asked about it before it ended.
    """

    evidence: Evidence
    station: Station
    epoch: datetime
    ended: float
    unseen: str | None = None
    early: EarlyAnswers = field(default_factory=EarlyAnswers)


def wall_ahead() -> float:
    """Seconds the wall clock is ahead of the monotonic one; where a test sets the clock."""
    return time.time() - time.monotonic()


def cropped(frame: Frame, roi: tuple[float, float, float, float] | None) -> Frame:
    """The part of a frame that is the counter; `roi` as in `Station`."""
    if roi is None:
        return frame
    height, width = frame.image.shape[:2]
    left, top, right, bottom = roi
    image = frame.image[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
    return replace(frame, image=np.ascontiguousarray(image))
