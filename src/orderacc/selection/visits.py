"""One station's frames in, one piece of evidence per order out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderacc.domain.evidence import Evidence
from orderacc.selection.selector import Selector
from orderacc.tracking.events import SegmentDropped, SegmentJoined, VisitClosed
from orderacc.tracking.tracker import OrderTracker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orderacc.domain.evidence import Candidate
    from orderacc.tracking.events import Event
    from orderacc.tracking.observation import Observation
    from orderacc.tracking.settings import TrackerSettings


class StationTracker:
    """Follows the orders of one station and keeps the best frames of each.

    Pure: the same observations and candidates give the same evidence at any speed. Memory is bounded: at most six
    segments are open at a time and each holds a handful of frames.

    Args:
        station_id: The station.
        settings: When the tracker believes what it sees.
        k: Most frames per order.
        start: Number of the first visit; visit ids are `{station_id}-{number:06d}`, counted in order of closing, and
            must go on where the last run of the station ended.
    """

    def __init__(self, station_id: str, settings: TrackerSettings | None = None, *, k: int = 3, start: int = 1) -> None:
        self._station_id = station_id
        self._tracker = OrderTracker(settings)
        self._k = k
        self._next_visit = start
        self._pools: dict[int, Selector] = {}

    @property
    def open_since(self) -> float | None:
        """Frame time at which the visit now open began, seconds; None when none is."""
        return self._tracker.open_since

    @property
    def open_number(self) -> str | None:
        """The confirmed number of the visit now open."""
        return self._tracker.open_number

    @property
    def next_visit(self) -> int:
        """Number the next visit to close will get."""
        return self._next_visit

    @property
    def clutter(self) -> int:
        """How often something was on the counter for too short a time to be a visit."""
        return self._tracker.clutter

    @property
    def frames_held(self) -> int:
        """Frames in memory."""
        return sum(len(pool) for pool in self._pools.values())

    def observe(self, observation: Observation, candidate: Candidate | None) -> list[Evidence]:
        """Take in one frame.

        Args:
            observation: What the frame shows; its time must not lie before the last one's.
            candidate: The same frame as possible evidence, None when it is not fit for that.

        Returns:
            Evidence of the visits that ended, in order of their ends; nearly always none.

        Raises:
            ValueError: If frame time ran backwards or the candidate is of another frame.
        """
        if candidate is not None and candidate.frame.at != observation.at:
            raise ValueError(f"candidate of {candidate.frame.at} s offered with observation of {observation.at} s")
        closed = self._settle(self._tracker.observe(observation))
        segment = self._tracker.segment
        if candidate is not None and segment is not None:
            self._pools.setdefault(segment, Selector(self._k)).offer(candidate)
        return closed

    def outlook(self, at: float) -> Evidence | None:
        """The evidence of the open visit if it ended now, at frame time `at` (seconds); nothing changes by looking.

        Returns:
            None while no visit is open whose number is known, or it has no frame yet.
        """
        pool = Selector(self._k)
        for segment in self._tracker.open_segments:
            if (held := self._pools.get(segment)) is not None:
                pool.absorb(held)
        since = self._tracker.open_since
        if since is None or not len(pool):
            return None
        visit_id = f"{self._station_id}-{self._next_visit:06d}"
        number = self._tracker.open_number
        return Evidence(visit_id, self._station_id, number, None, pool.choose(), since, at, closed_by="empty")

    def finish(self, at: float) -> list[Evidence]:
        """The stream has ended at frame time `at` (seconds): close what is open."""
        return self._settle(self._tracker.finish(at))

    def _settle(self, events: Iterable[Event]) -> list[Evidence]:
        closed: list[Evidence] = []
        for event in events:
            match event:
                case SegmentJoined(segment, into):
                    if (pool := self._pools.pop(segment, None)) is not None:
                        self._pools.setdefault(into, Selector(self._k)).absorb(pool)
                case SegmentDropped(segment):
                    self._pools.pop(segment, None)
                case VisitClosed():
                    closed.append(self._evidence(event))
        return closed

    def _evidence(self, visit: VisitClosed) -> Evidence:
        number, self._next_visit = self._next_visit, self._next_visit + 1
        pool = self._pools.pop(visit.segment, None)
        return Evidence(
            visit_id=f"{self._station_id}-{number:06d}",
            station_id=self._station_id,
            slip_text=visit.slip_text,
            reason=visit.reason,
            frames=pool.choose() if pool is not None else (),
            opened_at=visit.opened_at,
            closed_at=visit.closed_at,
            closed_by=visit.closed_by,
        )
