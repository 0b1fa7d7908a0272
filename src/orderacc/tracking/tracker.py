"""The order tracker: which frames are one order's stay at the counter."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from orderacc.tracking.activity import Activity
from orderacc.tracking.closing import belonging, close, strange_slip
from orderacc.tracking.events import SegmentDropped, SegmentJoined, VisitClosed, VisitIdentified
from orderacc.tracking.scene import Scene
from orderacc.tracking.settings import TrackerSettings
from orderacc.tracking.slip_watch import SlipWatch
from orderacc.tracking.stay import Piece, PieceKind, Stay

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.tracking.events import Event
    from orderacc.tracking.observation import Observation
    from orderacc.tracking.slip_watch import Swap


class OrderTracker:
    """Turns observations of one counter into visits.

    A *visit* is one order's stay. It begins when food or a slip appears and ends when the counter has been empty,
    another slip's number is confirmed, nothing moves, it lasts too long, or the stream ends; each ends in exactly one
    `VisitClosed`. Deterministic, bounded in memory, and without a clock: only `Observation.at` counts.

    Example:
        >>> tracker = OrderTracker()
        >>> for observation in observations:
        ...     events = tracker.observe(observation)
        ...     keep(frame_of(observation), tracker.segment)

    Args:
        settings: Thresholds.
    """

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self._settings = settings or TrackerSettings()
        self._new_segment: Callable[[], int] = count().__next__
        self._watch = SlipWatch(self._settings, self._new_segment)
        self._activity = Activity(self._settings)
        self._stay: Stay | None = None
        self._segment: int | None = None
        self._last_at = float("-inf")
        self._last_occupied = float("-inf")
        self._last_presence = float("-inf")
        self._was_occupied = False
        self._clutter = 0

    @property
    def segment(self) -> int | None:
        """The segment of the frame observed last; None when it is no visit's."""
        return self._segment

    @property
    def clutter(self) -> int:
        """How often something was on the counter for too short a time to be a visit."""
        return self._clutter

    @property
    def open_since(self) -> float | None:
        """Frame time at which the visit now open began, seconds; None when none is."""
        return self._stay.start if self._stay is not None and not self._stay.reported else None

    @property
    def open_number(self) -> str | None:
        """The confirmed number of the visit now open."""
        return self._stay.number if self._stay is not None and not self._stay.reported else None

    @property
    def open_segments(self) -> tuple[int, ...]:
        """The segments that would be the open visit's if the counter stayed empty from now on, in time order.

        There are none while its number is not known.
        """
        stay = self._stay
        if stay is None or stay.reported or stay.number is None:
            return ()
        return (stay.own.segment, *(piece.segment for piece in belonging(stay, self._settings)))

    def observe(self, observation: Observation) -> list[Event]:
        """Take in one frame.

        Args:
            observation: What it shows; its time must not lie before the last one's.

        Returns:
            What happened, in order. Read `segment` afterwards: the frame itself is in no segment that was dropped or
            closed by these events.

        Raises:
            ValueError: If frame time ran backwards.
        """
        at = observation.at
        if at < self._last_at:
            raise ValueError(f"frame time ran backwards from {self._last_at} s to {at} s")
        self._last_at = at
        self._segment = None
        scene = Scene.of(observation)
        self._activity.see(scene, observation.change)
        # one occupied frame after an empty one may be a flicker of the detector, or the next order's first
        counts = scene.occupied and (self._was_occupied or self._stay is None)
        self._was_occupied = scene.occupied
        out: list[Event] = []
        self._end_in_time(scene, out)
        if self._stay is None:
            if not scene.occupied:
                return out
            self._stay = Stay(self._own(at))
        stay = self._reopened(self._stay, at, out)
        swap = self._watch.follow(stay, scene, out)
        if swap is not None:
            stay = self._carry_out(stay, swap, at, out)
        self._stay = stay
        if counts or swap is not None:
            self._last_occupied = self._last_presence = at
            self._place(stay, scene)
        elif scene.hand and stay.settled:
            self._last_presence = at
        return out

    def finish(self, at: float) -> list[Event]:
        """The stream has ended: close what is open.

        Args:
            at: Frame time of the end, seconds; the last frame's when it lies before that.
        """
        out: list[Event] = []
        ended = max(at, self._last_at)
        if self._stay is not None:
            self._close(self._stay, "end_of_stream", ended if self._was_occupied else self._last_occupied, out)
        self._stay = self._segment = None
        self._was_occupied = False
        self._last_at = ended
        return out

    def _end_in_time(self, scene: Scene, out: list[Event]) -> None:
        """End the visit when its time is over: the counter is empty, the scene stands still, or it lasts too long."""
        stay, settings, at = self._stay, self._settings, scene.at
        if stay is None:
            return
        if not scene.occupied and not (scene.hand and stay.settled):
            patience = settings.empty_after if stay.settled else min(settings.empty_after, settings.glimpse)
            if at - self._last_presence >= patience:
                self._close(stay, "empty", self._last_occupied, out)
                self._stay = None
                return
        if stay.reported:
            return
        if at - max(self._activity.last_change, stay.start) >= settings.idle_after:
            self._stay = self._park(stay, at, out)
        elif at - stay.start >= settings.max_visit:
            self._stay = self._carry_on(stay, at, out)

    def _park(self, stay: Stay, at: float, out: list[Event]) -> Stay:
        """Close a scene that stands still; the same things lying on are no new visit."""
        kinds = [stay.current.kind] if stay.pending else []
        number, slip_lies = stay.number, stay.slip_lies
        strange = strange_slip(stay, self._settings)
        if strange is not None:
            number, slip_lies = None, True
            kinds = [PieceKind.AWAY] if stay.current.kind is PieceKind.AWAY else []
        votes = stay.own.tally
        self._close(stay, "idle", at, out)
        self._activity.keep()
        parked = Stay(self._own(at), number=number, reported=True, settled=True, slip_lies=slip_lies)
        parked.own.tally.merge(votes)
        parked.pending = [Piece(self._new_segment(), kind, at) for kind in kinds]
        return parked

    def _carry_on(self, stay: Stay, at: float, out: list[Event]) -> Stay:
        """Close a visit that lasts too long and go on with a new one of the same number."""
        pending, ended = stay.pending, at
        if pending and stay.own.frames:
            # whose these frames are is still open, so they go on with the new visit
            stay.pending, ended = [], pending[0].start
        else:
            pending = []
        number, slip_lies, votes = stay.number, stay.slip_lies, stay.own.tally
        self._close(stay, "too_long", ended, out)
        rest = Stay(self._own(ended), pending, number, continued=True, settled=True, slip_lies=slip_lies)
        rest.own.tally.merge(votes)
        return rest

    def _reopened(self, stay: Stay, at: float, out: list[Event]) -> Stay:
        """Go on with a closed scene to which something was added."""
        if not stay.reported or stay.current.kind is PieceKind.SIGHTING or not self._activity.grown(at):
            return stay
        out += [SegmentDropped(piece.segment) for piece in stay.pending]
        fresh = Stay(self._own(at), number=stay.number, continued=True, settled=True, slip_lies=stay.slip_lies)
        fresh.own.tally.merge(stay.own.tally)
        if stay.pending:
            fresh.pending.append(Piece(self._new_segment(), PieceKind.AWAY, at))
        return fresh

    def _carry_out(self, stay: Stay, swap: Swap, at: float, out: list[Event]) -> Stay:
        """Close the visit as of the new slip's first sighting and open the new slip's."""
        first, *later = stay.pending[swap.first :]
        stay.pending = stay.pending[: swap.first]
        self._close(stay, "swap", first.start, out)
        own = first
        if first.kind is PieceKind.AWAY:
            out.append(SegmentDropped(first.segment))
            own = self._own(first.start)
            own.tally.merge(first.tally)
        own.kind = PieceKind.OWN
        for piece in later:
            if piece.two_slips:
                out.append(SegmentDropped(piece.segment))
            else:
                out.append(SegmentJoined(piece.segment, own.segment))
                own.absorb(piece)
        out.append(VisitIdentified(own.segment, swap.text, at, corrected=False))
        return Stay(own, number=swap.text, settled=True, slip_lies=True)

    def _place(self, stay: Stay, scene: Scene) -> None:
        """Put an occupied frame into its segment."""
        piece = stay.current
        if piece is stay.own and stay.reported:
            return
        if piece is stay.own and stay.number is not None and scene.two_slips:
            return
        piece.count(scene.at)
        self._segment = piece.segment
        if stay.own.frames >= 2 and scene.at - stay.start >= self._settings.occupied_after:
            stay.settled = True

    def _own(self, at: float) -> Piece:
        return Piece(self._new_segment(), PieceKind.OWN, at)

    def _close(self, stay: Stay, closed_by: str, at: float, out: list[Event]) -> None:
        events = close(stay, closed_by, at, self._settings)
        closed_any = any(isinstance(event, VisitClosed) for event in events)
        self._clutter += not closed_any and not stay.reported and not stay.continued
        out += events
