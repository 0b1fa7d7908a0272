"""Watching one station: frames in, closed orders out, and what fails in between kept to itself."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from orderacc.domain.evidence import Evidence
from orderacc.errors import SourceError
from orderacc.perception.picture import ADVICE, EVERY
from orderacc.service.looks import Look
from orderacc.service.station import cropped
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderacc.domain.frames import Frame
    from orderacc.perception.picture import PictureHealth
    from orderacc.selection.visits import StationTracker
    from orderacc.service.early import Outlook
    from orderacc.service.station import Station

_log = get_logger(__name__)

FAILED_FRAMES: Final = 5
"""Frames of a recording in a row on which looking may fail before the station ends; a camera has its breaker."""


class Desk(Protocol):
    """Takes in closed orders; `Pipeline` is one."""

    def take(self, station: Station, ended: Sequence[Evidence], *, unseen: str | None = None) -> None:
        """Remember orders that await a verdict, all of them before anything can interrupt.

        Args:
            station: Where.
            ended: Orders in order of their ends.
            unseen: Why they were not seen to their end and cannot be judged; None when they can.
        """
        ...

    def opened(self, station: Station) -> None:
        """Take note that the number of the open order became known, or turned out to be another one.

        Args:
            station: Where.
        """
        ...

    def foresee(self, station: Station, outlook: Outlook) -> None:
        """Take note of an order that seems about to end.

        Args:
            station: Where.
            outlook: The order.
        """
        ...

    async def room(self) -> None:
        """Wait until more orders are welcome."""
        ...


async def watch(station: Station, desk: Desk) -> None:
    """Watch until the station's frames end.

    Cancelling ends its open orders as `shutdown`. When looking at a frame fails and the station has `new_eyes`, its
    open orders end as `station_failed`, the eyes are replaced, and a camera is opened anew through its breaker.

    Raises:
        Exception: Whatever failed that the station cannot go on from; its orders have been handed over.
    """
    state = station.state
    in_a_row = 0
    told: tuple[int, str] | None = None
    try:
        async with station.reader as frames:
            async for frame in frames:
                station.epoch_by(frame)
                if station.leaves_out(frame):
                    continue
                known = _open_order(station.tracker)
                try:
                    ended, outlook = await _look(station, frame)
                    desk.take(station, ended)
                    in_a_row = 0
                    told = _tell_of_open_order(station, desk, told)
                    if outlook is not None:
                        desk.foresee(station, outlook)
                except Exception as error:
                    in_a_row += 1
                    _cut_short(station, desk, "station_failed", known)
                    if station.new_eyes is None or (not station.live and in_a_row >= FAILED_FRAMES):
                        raise
                    _replace_eyes(station, error)
                if station.can_wait:
                    await desk.room()
        desk.take(station, station.tracker.finish(state.at))
    except SourceError as error:
        state.error = error
        _log.error("source_failed", station_id=station.station_id, code=error.code, message=error.message)
        desk.take(station, station.tracker.finish(state.at))
    except anyio.get_cancelled_exc_class():
        _cut_short(station, desk, "shutdown")
        raise
    except Exception as error:
        state.error = error
        _cut_short(station, desk, "station_failed")
        raise
    finally:
        station.eyes.observer.close()
        state.ended = True


async def _look(station: Station, frame: Frame) -> tuple[list[Evidence], Outlook | None]:
    """Orders that ended by a frame, and the one that seems about to."""
    eyes, state = station.eyes, station.state
    if eyes.picture is not None and frame.at >= eyes.picture_due:
        eyes.picture_due = frame.at + EVERY
        await _look_at_picture(station, eyes.picture, frame)
    observation, candidate = await eyes.observer.observe(cropped(frame, station.roi))
    state.frames, state.at = state.frames + 1, frame.at
    if station.progress:
        station.progress(frame.at)
    if station.film is not None and station.film.wants(frame.at):
        await asyncio.to_thread(station.film.take, candidate.frame)
    began = time.perf_counter()
    ended = eyes.tracker.observe(observation, candidate if candidate.score > 0 else None)
    took = (time.perf_counter() - began) * 1000
    ended = [replace(eyes.moments.settled(evidence), selection_ms=took) for evidence in ended]
    tracker = eyes.tracker
    station.latest.show(Look(candidate.frame, candidate.detections, tracker.open_number, tracker.open_since))
    return ended, eyes.moments.see(observation, eyes.tracker)


async def _look_at_picture(station: Station, picture: PictureHealth, frame: Frame) -> None:
    """Tell once when something ails the picture, and once when it is over."""
    try:
        warnings = await asyncio.to_thread(picture.look, frame)
    except Exception as error:  # noqa: BLE001  orders can be watched without it
        _log.error("picture_health_failed", station_id=station.station_id, exc_info=error)
        station.eyes.picture, warnings = None, ()
    before, station.state.warnings = station.state.warnings, warnings
    for kind in warnings:
        if kind not in before:
            _log.warning("picture_warning", station_id=station.station_id, warning=kind, advice=ADVICE[kind])
    for kind in before:
        if kind not in warnings:
            _log.info("picture_ok", station_id=station.station_id, warning=kind)


@dataclass(frozen=True, slots=True)
class _OpenOrder:
    """An order whose slip has been read and that has not ended."""

    number: str
    since: float


def _open_order(tracker: StationTracker) -> _OpenOrder | None:
    number, since = tracker.open_number, tracker.open_since
    return _OpenOrder(number, since) if number is not None and since is not None else None


def _tell_of_open_order(station: Station, desk: Desk, told: tuple[int, str] | None) -> tuple[int, str] | None:
    """Tell of an order once, and again when its number turns out to be another one.

    Args:
        station: Where.
        desk: Is told.
        told: Visit and number told of last.

    Returns:
        The same as of now.
    """
    number = station.tracker.open_number
    now = None if number is None else (station.eyes.next_visit, number)
    if now is not None and now != told:
        desk.opened(station)
    return now


def _cut_short(station: Station, desk: Desk, unseen: str, known: _OpenOrder | None = None) -> None:
    """Hand over what is open, though its end was not seen.

    Args:
        station: Where.
        desk: Takes the orders.
        unseen: Why.
        known: The order open before a frame on which looking failed; it is handed over even if the tracker lost it.
    """
    eyes, at = station.eyes, station.state.at
    if eyes.spent:
        return
    eyes.spent = True
    lost = {order.number: order for order in (known, _open_order(eyes.tracker)) if order is not None}
    ended: list[Evidence] = []
    try:
        ended = eyes.tracker.finish(at)
    except Exception as error:  # noqa: BLE001  it may be the tracker that has failed, and it must not take orders along
        _log.error("tracker_failed", station_id=station.station_id, exc_info=error)
    for evidence in ended:
        lost.pop(evidence.slip_text or "", None)
    for number, order in lost.items():
        visit_id = f"{station.station_id}-{eyes.next_visit:06d}"
        ended.append(
            Evidence(visit_id, station.station_id, number, None, (), order.since, at, closed_by="end_of_stream")
        )
        eyes.stood_in += 1
    desk.take(station, ended, unseen=unseen)


def _replace_eyes(station: Station, error: Exception) -> None:
    """Go on with new eyes; a camera is opened anew, behind a wait that grows when that does not help."""
    assert station.new_eyes is not None  # noqa: S101  the caller has looked
    station.state.failures += 1
    _log.error("station_failed", station_id=station.station_id, failures=station.state.failures, exc_info=error)
    station.eyes.observer.close()
    station.eyes = station.new_eyes(station.eyes.next_visit)
    station.state.warnings = ()
    if station.live and station.capture is not None:
        station.capture.fail("station_failed", f"{type(error).__name__} while looking at a frame: {error}")
