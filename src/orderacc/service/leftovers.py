"""Orders that were open or waiting when the last process ended, made ready to be judged after all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import anyio
import cv2
import numpy as np

from orderacc.domain.detections import Box, Detection
from orderacc.domain.evidence import Candidate, Evidence
from orderacc.domain.frames import Frame
from orderacc.errors import StorageError
from orderacc.storage.objects import SELECTED, visit_key
from orderacc.storage.records import ClosedVisit, EvidenceFrame, time_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from orderacc.storage.records import UnfinishedVisit

INTERRUPTED: Final = "interrupted"
"""Why an order that was not seen to its end, or whose pictures are gone, has no verdict of its own."""

AT_ONCE: Final = 8
"""Orders whose pictures are fetched at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Leftover:
    """An order of a process that has ended.

    Attributes:
        evidence: What there is of it.
        epoch: Wall-clock time of frame time 0.
        unseen: None when it can be judged, else why it cannot.
    """

    evidence: Evidence
    epoch: datetime
    unseen: str | None


class Leftovers:
    """Orders of an earlier process that still need their verdict. Their pictures may be far away, and hold up nobody.

    Args:
        visits: From the journal, the oldest first.
        pictures: Gives what is stored for a visit, JPEG by key.
    """

    def __init__(
        self, visits: Sequence[UnfinishedVisit], pictures: Callable[[str], Awaitable[Mapping[str, bytes]]]
    ) -> None:
        self._visits = tuple(visits)
        self._pictures = pictures

    async def bring(self, take: Callable[[Leftover], Awaitable[None]]) -> None:
        """Make all of them ready, a few at a time; what is not when it is cancelled is left to the next process.

        Args:
            take: Awaited with each as soon as its pictures are here, or are not to be had.
        """
        turns = anyio.CapacityLimiter(AT_ONCE)

        async def bring_one(visit: UnfinishedVisit) -> None:
            async with turns:
                await take(await leftover(visit, self._pictures))

        async with anyio.create_task_group() as group:
            for visit in self._visits:
                group.start_soon(bring_one, visit)


def closed_visit(evidence: Evidence, number: int, epoch: datetime) -> ClosedVisit:
    """What the journal keeps of an order that has ended, so that it can be judged even by another process.

    Args:
        evidence: Of the order.
        number: The visit's number at its station.
        epoch: Wall-clock time of frame time 0.
    """
    return ClosedVisit(
        visit_id=evidence.visit_id,
        station_id=evidence.station_id,
        number=number,
        slip_text=evidence.slip_text,
        opened_at=time_text(_at(epoch, evidence.opened_at)),
        closed_at=time_text(_at(epoch, evidence.closed_at)),
        epoch=epoch.isoformat(),
        opened_s=evidence.opened_at,
        closed_s=evidence.closed_at,
        closed_by=evidence.closed_by,
        reason=evidence.reason,
        frames=tuple(
            EvidenceFrame(
                visit_key(SELECTED, evidence.visit_id, f"{position}.jpg"),
                kept.frame.index,
                kept.frame.at,
                kept.score,
                tuple((seen.label, round(seen.score, 3), _rounded(seen.box)) for seen in kept.detections),
            )
            for position, kept in enumerate(evidence.frames)
        ),
    )


async def leftover(visit: UnfinishedVisit, pictures: Callable[[str], Awaitable[Mapping[str, bytes]]]) -> Leftover:
    """Make an unfinished visit ready for its verdict.

    It is judged again if it was seen to its end and every picture of it is there; what cannot be is `interrupted`.

    Args:
        visit: From the journal.
        pictures: Gives what is stored for a visit, JPEG by key.
    """
    closed, opened = visit.closed, visit.opened
    if closed is None:
        began = datetime.fromisoformat(opened.opened_at)
        evidence = Evidence(opened.visit_id, opened.station_id, opened.slip_text, None, (), 0.0, 0.0, "interrupted")
        return Leftover(evidence, began, INTERRUPTED)
    try:
        stored = await pictures(closed.visit_id) if closed.frames else {}
    except StorageError:
        stored = {}
    frames = await asyncio.to_thread(_candidates, closed, stored)
    evidence = Evidence(
        closed.visit_id,
        closed.station_id,
        closed.slip_text,
        closed.reason,
        frames,
        closed.opened_s,
        closed.closed_s,
        closed.closed_by,
    )
    complete = len(frames) == len(closed.frames)
    return Leftover(evidence, datetime.fromisoformat(closed.epoch), None if complete else INTERRUPTED)


def _candidates(closed: ClosedVisit, stored: Mapping[str, bytes]) -> tuple[Candidate, ...]:
    found = []
    for one in closed.frames:
        data = stored.get(one.ref)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
        if image is not None:
            frame = Frame(closed.station_id, one.index, one.at, np.asarray(image, np.uint8))
            seen = tuple(Detection(label, score, Box(*box)) for label, score, box in one.detections)
            found.append(Candidate(frame, seen, one.score))
    return tuple(found)


def _rounded(box: Box) -> tuple[float, float, float, float]:
    return round(box.x1, 1), round(box.y1, 1), round(box.x2, 1), round(box.y2, 1)


def _at(epoch: datetime, seconds: float) -> datetime:
    return datetime.fromtimestamp(epoch.timestamp() + seconds, epoch.tzinfo)
