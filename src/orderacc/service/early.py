"""When an order seems about to end, and what its evidence would then be.

By frame time and by what frames show, never by the clock and never by which answers there are, so that a replay at any
speed, with or without early looks, chooses the same frames. There are two such moments:

- **Gone**: nothing is left in view, and the tracker waits whether it stays so. The evidence is all but certain.
- **Still**: for a moment nothing has moved, no hand is in view and there is as much on the counter as ever before. The
  best frame so far is noted. As long as nothing moves, later frames show nothing new, so should one of them be chosen
  in the end, the noted one stands in for it: it may have been asked about already.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from orderacc.service.asking import asking_order

if TYPE_CHECKING:
    from orderacc.domain.evidence import Candidate, Evidence
    from orderacc.selection.visits import StationTracker
    from orderacc.tracking.observation import Observation

GONE_FOR: Final = 0.3
"""Seconds without an item in view after which they seem to be gone, not just hidden by a hand."""

SHORTEST: Final = 2.5
"""Seconds that an order stays at least: what is hidden sooner will be seen again."""

STILL_FOR: Final = 1.0
"""Seconds without motion after which what lies there seems to be all."""

MOVED: Final = 0.004
"""Change between two frames from which something moves."""

MOST_STILL: Final = 4
"""Still moments noted per order: each holds a frame."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """An order that seems about to end.

    Attributes:
        evidence: What there would be to judge.
        gone: Whether nothing is left in view; else it lies still and may yet grow.
    """

    evidence: Evidence
    gone: bool


@dataclass(slots=True)
class _Still:
    """A stretch of time in which nothing moved, and the frame noted in it."""

    since: float
    until: float
    noted: Candidate


class Moments:
    """Notices when the open order of one station seems about to end. Pure: no clock but frame time."""

    def __init__(self) -> None:
        self._told_gone = self._told_still = False
        self._begin(None)

    def see(self, observation: Observation, tracker: StationTracker) -> Outlook | None:
        """Take in a frame that the tracker has just taken in.

        Returns:
            The order, at the frame at which it begins to seem about to end; nearly always None.
        """
        since, number = tracker.open_since, tracker.open_number
        visit = None if since is None or number is None else (since, number)
        if visit != self._visit:
            self._begin(visit)
        if visit is None:
            return None
        at, count = observation.at, len(observation.items)
        self._follow(at, count, moved=observation.change > MOVED or bool(observation.hands))
        if self._empty_since is not None and not self._told_gone and _passed(self._empty_since, at, GONE_FOR):
            self._told_gone = True
            if not _passed(visit[0], at, SHORTEST):
                return None
            evidence = tracker.outlook(at)
            return Outlook(self.settled(evidence), gone=True) if evidence is not None else None
        if self._still_since is not None and not self._told_still and count and count >= self._most:
            return self._note(at, tracker) if _passed(self._still_since, at, STILL_FOR) else None
        return None

    def settled(self, evidence: Evidence) -> Evidence:
        """The evidence of an order that has ended, with what was noted in it.

        The frame that would be asked about first gives way to one noted while the counter looked just the same.
        """
        if not evidence.frames:
            return evidence
        first = asking_order(evidence.frames)[0]
        for still in self._stills:
            noted, inside = still.noted, still.since <= first.frame.at <= still.until
            if inside and noted.pieces == first.pieces and noted not in evidence.frames:
                frames = (noted if frame is first else frame for frame in evidence.frames)
                return replace(evidence, frames=tuple(sorted(frames, key=lambda one: one.frame.at)))
        return evidence

    def _begin(self, visit: tuple[float, str] | None) -> None:
        self._visit: tuple[float, str] | None = visit
        self._stills: list[_Still] = []
        self._most = 0
        self._empty_since: float | None = None
        self._still_since: float | None = None
        self._told_gone = self._told_still = False

    def _follow(self, at: float, count: int, *, moved: bool) -> None:
        self._most = max(self._most, count)
        if count:
            self._empty_since, self._told_gone = None, False
        elif self._empty_since is None:
            self._empty_since = at
        if moved:
            self._still_since, self._told_still = None, False
        elif self._still_since is None:
            self._still_since = at
        elif self._told_still and self._stills and self._stills[-1].since == self._still_since:
            self._stills[-1].until = at

    def _note(self, at: float, tracker: StationTracker) -> Outlook | None:
        """Note the best frame of a still moment."""
        self._told_still = True
        evidence = tracker.outlook(at)
        if evidence is None or self._still_since is None or len(self._stills) >= MOST_STILL:
            return None
        best = asking_order(evidence.frames)[0]
        if best.frame.at >= self._still_since:
            self._stills.append(_Still(self._still_since, at, best))
        return Outlook(self.settled(evidence), gone=False)


def _passed(since: float, at: float, seconds: float) -> bool:
    return at - since >= seconds - 1e-6  # frame times are sums of tenths
