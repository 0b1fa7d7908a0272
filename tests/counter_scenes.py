"""A counter in words: what lies on it when, and what perception would say about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from orderacc.domain.detections import BAG, HAND, SLIP, Box, Detection, SlipReading
from orderacc.domain.evidence import Candidate, Evidence
from orderacc.domain.frames import Frame
from orderacc.selection.visits import StationTracker
from orderacc.tracking.observation import Observation
from orderacc.tracking.settings import TrackerSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SLIP_BOX = Box(100, 100, 200, 260)


@dataclass(frozen=True)
class Moment:
    """One frame's truth. `slip` names the paper in view; `look` is how it lies (a cover or shift changes it)."""

    items: tuple[str, ...] = ()
    slip: str | None = None
    look: int = 0
    readable: bool = True
    misread: str | None = None
    confidence: float = 0.95
    hand: bool = False
    hand_on_slip: bool = False
    bag: bool = False
    second_slip: str | None = None
    change: float = 0.1
    score: float = 0.8
    owner: str | None = None


@dataclass
class Eyes:
    """Perception as the tracker may count on it: reads when the slip looks new or comes back, and until it is sure."""

    rereads: bool = True
    looked: tuple[str, int] | None = None
    last_text: str | None = None
    sure: bool = False

    def see(self, at: float, index: int, moment: Moment) -> Observation:
        detections = [
            Detection(label, 0.9, Box(300 + 160 * i, 300, 440 + 160 * i, 440)) for i, label in enumerate(moment.items)
        ]
        if moment.slip:
            detections.append(Detection(SLIP, 0.9, SLIP_BOX))
        if moment.second_slip:
            detections.append(Detection(SLIP, 0.9, Box(900, 100, 1000, 260)))
        if moment.hand or moment.hand_on_slip:
            box = Box(150, 200, 260, 700) if moment.hand_on_slip else Box(700, 500, 800, 700)
            detections.append(Detection(HAND, 0.9, box))
        if moment.bag:
            detections.append(Detection(BAG, 0.9, Box(1000, 200, 1200, 600)))
        look = (moment.slip, moment.look) if moment.slip else None
        if look is None and self.rereads:
            self.looked, self.sure = None, False
        changed = look is not None and look != self.looked
        reading = None
        if look is not None and (changed or not self.sure) and (moment.readable or moment.misread):
            text = moment.misread or str(moment.slip)
            reading = SlipReading(text, moment.confidence)
            self.sure = moment.confidence >= 0.9 or (not changed and text == self.last_text)
            self.looked, self.last_text = look, text
        return Observation(at, index, tuple(detections), look is not None, changed, reading, moment.change)


@dataclass
class Shot:
    """What one frame truly showed, for checking evidence."""

    moment: Moment
    at: float


@dataclass
class Film:
    """Plays moments through a station's tracker and keeps the truth of every frame."""

    fps: float = 10.0
    settings: TrackerSettings = field(default_factory=TrackerSettings)
    shots: list[Shot] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    most_frames: int = 0

    def __post_init__(self) -> None:
        self.eyes = Eyes()
        self.station = StationTracker("s1", self.settings)

    @property
    def now(self) -> float:
        return len(self.shots) / self.fps

    def play(self, seconds: float, moment: Moment) -> Film:
        for _ in range(max(1, round(seconds * self.fps))):
            self.frame(moment)
        return self

    def frame(self, moment: Moment) -> None:
        at, index = self.now, len(self.shots)
        observation = self.eyes.see(at, index, moment)
        frame = Frame("s1", index, at, np.zeros((2, 2, 3), np.uint8))
        self.shots.append(Shot(moment, at))
        self.evidence += self.station.observe(observation, Candidate(frame, observation.detections, moment.score))
        self.most_frames = max(self.most_frames, self.station.frames_held)

    def end(self) -> list[Evidence]:
        self.evidence += self.station.finish(self.now)
        return self.evidence

    def shown(self, evidence: Evidence) -> list[Moment]:
        return [self.shots[chosen.frame.index].moment for chosen in evidence.frames]


EMPTY = Moment()


def still(moment: Moment) -> Moment:
    return replace(moment, change=0.0)


def check_sound(film: Film, evidence: Sequence[Evidence]) -> None:
    """What holds for the evidence of any film at all."""
    assert [one.visit_id for one in evidence] == [f"s1-{n:06d}" for n in range(1, len(evidence) + 1)]
    ended = 0.0
    used: set[int] = set()
    for one in evidence:
        assert one.opened_at <= one.closed_at
        assert one.opened_at >= ended - 1e-9
        ended = one.closed_at
        times = [chosen.frame.at for chosen in one.frames]
        assert times == sorted(times)
        assert all(one.opened_at <= at <= one.closed_at for at in times)
        indices = {chosen.frame.index for chosen in one.frames}
        assert len(indices) == len(one.frames) <= 3
        assert not indices & used
        used |= indices
    assert film.station.frames_held == 0


def texts(evidence: Iterable[Evidence]) -> list[str | None]:
    return [one.slip_text for one in evidence]
