"""Whose slip is it? Follows the slip of an open visit and tells a swap from a cover, a shift or a misreading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderacc.tracking.closing import strange_slip
from orderacc.tracking.events import SegmentDropped, SegmentJoined, VisitIdentified
from orderacc.tracking.readings import Tally, is_fragment
from orderacc.tracking.stay import Piece, PieceKind, Stay

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.tracking.events import Event
    from orderacc.tracking.scene import Scene
    from orderacc.tracking.settings import TrackerSettings

MAX_PENDING = 4
"""Runs of frames kept apart at a time; it bounds the frames held while a slip's number is awaited."""


@dataclass(frozen=True, slots=True)
class Swap:
    """Another number is confirmed.

    Attributes:
        first: Index of the pending run with which the new visit begins.
        text: The new number.
    """

    first: int
    text: str


class SlipWatch:
    """Follows one counter's slip through the frames.

    A visit is *established* once its slip is known: read, or unreadable for so long that the next slip to come is
    another one. Before that every frame is the visit's. After that a frame is the visit's for certain only while its
    slip is alone in view and looks as it did when it was read; other frames wait in runs (`Stay.pending`) until a
    number is read or the visit ends.

    Args:
        settings: Thresholds.
        new_segment: Gives a fresh segment id.
    """

    def __init__(self, settings: TrackerSettings, new_segment: Callable[[], int]) -> None:
        self._settings = settings
        self._new_segment = new_segment
        self._last_read: str | None = None

    def follow(self, stay: Stay, scene: Scene, out: list[Event]) -> Swap | None:
        """Take in one frame.

        Args:
            stay: The open visit; its runs and number are brought up to date.
            scene: The frame.
            out: Receives what happened.

        Returns:
            The swap to carry out, or None.
        """
        known_look = scene.slip and not scene.changed and self._last_read == stay.number
        if scene.reading is not None:
            self._last_read = scene.reading.text
        clear = scene.slip and not scene.two_slips and not scene.covered and scene.reading is None
        if not self._established(stay):
            stay.slip_lies |= scene.slip
            stay.own.see(scene, alike=False, unread=clear)
            if scene.reading is not None:
                stay.own.tally.add(scene.reading)
                if stay.own.tally.confirmed(scene.reading.text, self._settings.confident):
                    self._identify(stay, scene.reading.text, scene.at, out)
            return None
        self._turn(stay, scene, out)
        piece = stay.current
        alike = known_look and stay.number is not None and not scene.two_slips
        piece.see(scene, alike=alike, unread=clear and (scene.changed or stay.number is None))
        if scene.reading is not None:
            return self._read(stay, scene, out)
        if piece is not stay.own and piece.alike_seconds >= self._settings.glimpse and not piece.tally:
            self._same(stay, out)
        return None

    def _established(self, stay: Stay) -> bool:
        return stay.number is not None or stay.reported or stay.own.unread_seconds >= self._settings.unread_after

    def _turn(self, stay: Stay, scene: Scene, out: list[Event]) -> None:
        """Begin a new run of frames where this frame cannot share the fate of the last one."""
        piece = stay.current
        changed = scene.changed and stay.number is not None
        if not scene.slip or scene.two_slips:
            no_frame_yet = scene.two_slips and piece is stay.own and not piece.frames and not stay.reported
            nothing_left = not scene.slip and piece is stay.own and not stay.slip_lies
            if piece.kind is not PieceKind.AWAY and not no_frame_yet and not nothing_left:
                self._push(stay, PieceKind.AWAY, scene.at, out)
            return
        new_slip = piece is stay.own and (changed or not stay.slip_lies)
        changed_again = piece.kind is PieceKind.SIGHTING and changed and not piece.changed
        if new_slip or changed_again or piece.kind is PieceKind.AWAY:
            self._push(stay, PieceKind.SIGHTING, scene.at, out)

    def _push(self, stay: Stay, kind: PieceKind, at: float, out: list[Event]) -> None:
        piece = Piece(self._new_segment(), kind, at)
        if kind is PieceKind.SIGHTING:
            piece.unread_seconds = self._unread_before(stay, at)
        stay.pending.append(piece)
        if len(stay.pending) > MAX_PENDING:
            self._merge_oldest(stay, out)

    def _unread_before(self, stay: Stay, at: float) -> float:
        """Seconds the slip that comes back was in clear view unread, when it was gone for a blink only."""
        if len(stay.pending) < 2:
            return 0.0
        before, gone = stay.pending[-2:]
        blink = gone.kind is PieceKind.AWAY and not gone.two_slips and at - gone.start < self._settings.glimpse
        return before.unread_seconds if blink and before.kind is PieceKind.SIGHTING else 0.0

    def _merge_oldest(self, stay: Stay, out: list[Event]) -> None:
        """Give two runs one fate; a strange slip's run stays pure."""
        older, newer = stay.pending[:2]
        strange = strange_slip(stay, self._settings)
        if strange == 1:
            out.append(SegmentDropped(older.segment))
            newer.tally.merge(older.tally)
            del stay.pending[0]
            return
        if strange == 0:
            out.append(SegmentDropped(newer.segment))
            older.tally.merge(newer.tally)
        else:
            out.append(SegmentJoined(newer.segment, older.segment))
            older.absorb(newer)
            older.alike = newer.alike
            older.mixed = True
            if newer.kind is PieceKind.AWAY:
                older.kind = PieceKind.AWAY
        del stay.pending[1]

    def _read(self, stay: Stay, scene: Scene, out: list[Event]) -> Swap | None:
        reading = scene.reading
        if reading is None:
            return None
        if reading.text == stay.number:
            stay.own.tally.add(reading)
            if not scene.two_slips:
                self._same(stay, out)
            return None
        in_view = all(piece.kind is PieceKind.SIGHTING for piece in stay.pending)
        if stay.number is not None and in_view and scene.covered and is_fragment(reading.text, stay.number):
            return None
        stay.current.tally.add(reading)
        if not stay.pending:
            return self._read_again(stay, reading.text, scene.at, out)
        votes = Tally()
        for piece in [*stay.pending, *([stay.own] if stay.number is None else [])]:
            votes.merge(piece.tally)
        # A slip that is being carried off gives fragments of its number, however surely read: they must be read twice.
        fragment = stay.number is not None and is_fragment(reading.text, stay.number)
        if not (votes.agreed(reading.text) if fragment else votes.confirmed(reading.text, self._settings.confident)):
            return None
        return self._resolve(stay, reading.text, scene.at, out, in_view=in_view)

    def _read_again(self, stay: Stay, text: str, at: float, out: list[Event]) -> Swap | None:
        """Another number on a slip that neither left nor changed: the majority is right."""
        tally = stay.own.tally
        outvoted = stay.number is None or tally.weight(text) > tally.weight(stay.number)
        if not outvoted or not tally.confirmed(text, self._settings.confident):
            return None
        if stay.reported:
            self._push(stay, PieceKind.SIGHTING, at, out)
            return Swap(0, text)
        self._identify(stay, text, at, out)
        return None

    def _resolve(self, stay: Stay, text: str, at: float, out: list[Event], *, in_view: bool) -> Swap | None:
        """Another number is confirmed after the slip left or changed: a swap, unless the first number was misread."""
        young = not stay.continued and stay.own.slip_seconds < self._settings.settle
        misread = stay.number is not None and in_view and (young or is_fragment(stay.number, text))
        unread_so_far = stay.number is None and text in stay.own.tally
        if not stay.reported and (misread or unread_so_far):
            self._identify(stay, text, at, out)
            return None
        pure = (
            index
            for index, piece in enumerate(stay.pending)
            if piece.kind is PieceKind.SIGHTING and text in piece.tally and not piece.mixed
        )
        return Swap(next(pure, len(stay.pending) - 1), text)

    def _identify(self, stay: Stay, text: str, at: float, out: list[Event]) -> None:
        self._same(stay, out)
        out.append(VisitIdentified(stay.own.segment, text, at, corrected=stay.number is not None))
        stay.number = text
        stay.settled = stay.slip_lies = True

    def _same(self, stay: Stay, out: list[Event]) -> None:
        """The pending runs are the visit's after all."""
        for piece in stay.pending:
            if stay.reported:
                out.append(SegmentDropped(piece.segment))
            else:
                out.append(SegmentJoined(piece.segment, stay.own.segment))
            stay.own.absorb(piece)
        stay.pending.clear()
