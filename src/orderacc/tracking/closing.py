"""What becomes of a visit's frames when it ends.

Frames that are the visit's for certain are its evidence. The runs still pending are judged by one rule: a frame that
may show another order's things is nobody's.

- The slip looked changed but never left view: it was covered or shifted, the frames are the visit's.
- It left view, then the counter was cleared: the frames without a slip are the visit's.
- It left view and another number was read: the frames between are nobody's.
- It left view and a slip came that nobody could read: from there on the frames are nobody's, and when that slip lay
  clear to see for long they are a visit of their own, which ends as `slip_unreadable`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderacc.tracking.events import SegmentDropped, SegmentJoined, VisitClosed
from orderacc.tracking.stay import PieceKind, Stay

if TYPE_CHECKING:
    from orderacc.tracking.events import Event
    from orderacc.tracking.settings import TrackerSettings
    from orderacc.tracking.stay import Piece

SWAP = "swap"


def strange_slip(stay: Stay, settings: TrackerSettings) -> int | None:
    """Index of the first pending run that shows a slip of its own, clear to see, which was never read."""
    if stay.number is None and stay.slip_lies:
        # two unreadable slips cannot be told apart
        return None
    for index, piece in enumerate(stay.pending):
        if piece.kind is PieceKind.SIGHTING and piece.unread_seconds >= settings.unread_after:
            return index
    return None


def close(stay: Stay, closed_by: str, at: float, settings: TrackerSettings) -> list[Event]:
    """Settle every segment of a visit.

    Args:
        stay: The visit; used up.
        closed_by: `empty`, `swap`, `idle`, `too_long` or `end_of_stream`.
        at: Frame time at which it ended, seconds.
        settings: Thresholds.

    Returns:
        What became of the segments; a `VisitClosed` for each visit that ended: none for clutter or for one reported
        before, two when an unreadable slip had followed.
    """
    strange = strange_slip(stay, settings)
    if strange is not None:
        follower = stay.pending[strange]
        rest = stay.pending[strange + 1 :]
        events: list[Event] = [SegmentDropped(piece.segment) for piece in stay.pending[:strange]]
        events += _report(stay, SWAP, follower.start, settings)
        return events + close(Stay(follower, rest, settled=True, slip_lies=True), closed_by, at, settings)
    kept = () if closed_by == SWAP or stay.reported else belonging(stay, settings)
    events = []
    for piece in stay.pending:
        if any(piece is one for one in kept):
            stay.own.absorb(piece)
            events.append(SegmentJoined(piece.segment, stay.own.segment))
        else:
            events.append(SegmentDropped(piece.segment))
    return events + _report(stay, closed_by, at, settings)


def belonging(stay: Stay, settings: TrackerSettings) -> list[Piece]:
    """The pending runs that are the visit's when it ends with no other number known."""
    kept: list[Piece] = []
    left_view = False
    for piece in stay.pending:
        if piece.kind is PieceKind.AWAY:
            if piece.mixed and stay.number is not None:
                break
            left_view = True
            kept.append(piece)
        elif stay.number is None or ((piece.alike or not left_view) and not piece.tally):
            kept.append(piece)
        elif piece.slip_seconds >= settings.glimpse or piece.tally:
            break
    return kept


def _report(stay: Stay, closed_by: str, at: float, settings: TrackerSettings) -> list[Event]:
    own = stay.own
    if stay.reported or not _is_visit(stay, settings):
        return [SegmentDropped(own.segment)]
    reason = None
    if stay.number is None:
        reason = "slip_unreadable" if _showed_slip(own, settings) else "no_slip"
    return [VisitClosed(own.segment, stay.number, reason, own.start, max(at, own.start), closed_by)]


def _is_visit(stay: Stay, settings: TrackerSettings) -> bool:
    own = stay.own
    if stay.continued and own.last_at - own.start < settings.clutter_after:
        # what is left after a visit was closed under it: an order being carried away, not one more order
        return False
    if stay.number is not None:
        return True
    return stay.settled and (_showed_slip(own, settings) or own.item_seconds >= settings.clutter_after)


def _showed_slip(own: Piece, settings: TrackerSettings) -> bool:
    return own.slip_frames >= 2 and own.slip_seconds >= settings.glimpse
