"""What the tracker says about frames and visits.

The tracker cannot always say at once whose a frame is: a slip that lies differently may be the same order's or the
next one's until it is read. So it puts every frame into a *segment* and settles later what becomes of the segment:
joined to another, dropped, or closed as a visit. Every segment is settled exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class SegmentJoined:
    """The frames of `segment` belong with those of `into`; they are later ones."""

    segment: int
    into: int


@dataclass(frozen=True, slots=True)
class SegmentDropped:
    """The frames of `segment` belong to no visit, or nobody can tell to which."""

    segment: int


@dataclass(frozen=True, slots=True)
class VisitIdentified:
    """The open visit's number is known, or known better than before.

    Attributes:
        segment: The visit's segment.
        slip_text: The number.
        at: Frame time, seconds.
        corrected: Whether another number was believed before.
    """

    segment: int
    slip_text: str
    at: float
    corrected: bool


@dataclass(frozen=True, slots=True)
class VisitClosed:
    """One order's stay at the counter has ended.

    Attributes:
        segment: Holds the visit's frames; settled by this event.
        slip_text: The number, None when it never became known.
        reason: None, or why there is no number: `slip_unreadable`, `no_slip`.
        opened_at: Frame time of its first frame, seconds.
        closed_at: Frame time at which it ended, seconds; no frame of the segment is later.
        closed_by: `empty`, `swap`, `idle`, `too_long` or `end_of_stream`.
    """

    segment: int
    slip_text: str | None
    reason: str | None
    opened_at: float
    closed_at: float
    closed_by: str


Event: TypeAlias = "SegmentJoined | SegmentDropped | VisitIdentified | VisitClosed"
