"""What becomes of an order's evidence: kept on this machine when the order ends, stored or not when there is a verdict.

The frames an order is judged by are encoded once, unmarked, and held on disk before the verdict, so that a process that
dies leaves them to the next one. The verdict decides: what is to be stored goes to the object store in its own time,
with the verdict's JSON and, if wanted, a clip behind it; the rest is dropped. The journal knows of every object before
the store does, so that none outlives its order. Nothing here holds up a verdict: one whose frames are not on the disk
in time names none.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import anyio
import cv2

from orderacc.errors import StorageError
from orderacc.service.movie import movie
from orderacc.storage.objects import FRAMES, RESULTS, SELECTED, key_part, text_of_part, visit_key
from orderacc.storage.records import StoredObject
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Any

    from anyio.abc import TaskGroup

    from orderacc.config.storage import Upload
    from orderacc.domain.evidence import Candidate
    from orderacc.domain.verdicts import Verdict
    from orderacc.service.film import Still
    from orderacc.service.station import ClosedOrder
    from orderacc.storage.objects import ObjectStore
    from orderacc.storage.spool import Spool, SpoolStatistics

_log = get_logger(__name__)

PATIENCE: Final = 1.0
"""Seconds a verdict waits for its frames to be on the disk."""

GRACE: Final = 5.0
"""Seconds that what is under way gets when the process is told to stop; the spool's files go on with the next one."""

REMEMBERED: Final = 1000
"""Orders about whose evidence something is remembered, for revisions of their verdicts."""

MOST_CLIPS: Final = 32
"""Orders whose evidence may be under way with a clip: what waits for a journal that refuses waits in memory."""

KINDS: Final = {SELECTED: "frames", FRAMES: "clips", RESULTS: "verdicts"}
"""What the journal calls the kinds of objects."""


@dataclass(slots=True, eq=False)
class _Visit:
    upload: Upload
    stills: tuple[Still, ...] = ()
    keys: tuple[str, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)
    stored: bool = False
    held: anyio.Event = field(default_factory=anyio.Event)
    lock: anyio.Lock = field(default_factory=anyio.Lock)


class EvidenceStore:
    """Keeps evidence of closed orders. Belongs to the event loop.

    For every order: `closed` when it ends, `referenced` before its verdict is told and kept, `settle` when it is. A
    revision of the verdict is `referenced` and settled likewise.

    Args:
        spool: An open spool.
        store: Where the spool brings things, and where they are found again.
        upload: Whose evidence is stored, where stations do not say.
        quality: JPEG quality of the frames, 1 to 100.
        note: Told which objects belong to an order before they go to the store; returns when that is kept.

    Attributes:
        running: Set once `run` has begun.
    """

    def __init__(
        self,
        spool: Spool,
        store: ObjectStore,
        *,
        upload: Upload = "all",
        quality: int = 90,
        note: Callable[[Sequence[StoredObject]], Awaitable[None]] | None = None,
    ) -> None:
        self._spool = spool
        self._store = store
        self._upload = upload
        self._quality = quality
        self._note = note
        self._visits: OrderedDict[str, _Visit] = OrderedDict()
        self._group: TaskGroup | None = None
        self.running = anyio.Event()
        self._busy = 0
        self._idle = anyio.Event()

    def statistics(self) -> SpoolStatistics:
        """How the way to the store is."""
        return self._spool.statistics()

    async def run(self) -> None:
        """Keep and bring evidence until cancelled. Orders that close before it runs, or behind it, lose theirs."""
        async with anyio.create_task_group() as group:
            self._group = group
            self.running.set()
            try:
                await self._spool.run()
            finally:
                self._group = None

    async def finish(self) -> None:
        """Wait until everything handed over is in the spool, for a while at most; call it before cancelling `run`."""
        with anyio.move_on_after(GRACE, shield=True):
            while self._busy:
                self._idle = anyio.Event()
                await self._idle.wait()

    async def recover(
        self, unfinished: Mapping[str, Upload | None], body_of: Callable[[str], Awaitable[Mapping[str, Any] | None]]
    ) -> None:
        """Go on with what an earlier process held; while it runs, and beside the watching.

        Args:
            unfinished: Ids of orders that have no verdict yet, with what their stations say of whose evidence is
                stored; theirs is held on.
            body_of: Gives the newest verdict of an order as JSON values, None if there is none.
        """
        for part in await self._spool.held_visits():
            visit_id = text_of_part(part)
            if visit_id in unfinished:
                held = await self._spool.held(part)
                visit = self._remember(visit_id, _Visit(unfinished[visit_id] or self._upload))
                visit.sizes = {key: len(data) for key, data in held.items()}
                visit.keys = tuple(visit.sizes)
                visit.held.set()
                continue
            self._begin(self._take_up, part, visit_id, await body_of(visit_id))

    async def pictures(self, visit_id: str) -> Mapping[str, bytes]:
        """The frames of an order, JPEG by key, wherever they are now.

        Raises:
            StorageError: If the store cannot say.
        """
        held = await self._spool.held(key_part(visit_id))
        if held:
            return held
        stored = [one.key async for one in self._store.list(visit_key(SELECTED, visit_id))]
        return {key: await self._store.get(key) for key in stored}

    def closed(self, closed: ClosedOrder) -> None:
        """An order has ended: encode its frames and hold them."""
        station, evidence = closed.station, closed.evidence
        stills = station.film.between(evidence.opened_at, evidence.closed_at) if station.film else ()
        visit = self._remember(evidence.visit_id, _Visit(station.upload or self._upload, stills))
        if visit.upload == "none":
            visit.stills = ()
        if not self._begin(self._hold, evidence.visit_id, visit, evidence.frames):
            visit.held.set()

    async def referenced(self, verdict: Verdict) -> Verdict:
        """The verdict with its frames named by their keys, if they are to be stored and are on the disk."""
        visit = self._visits.get(verdict.verdict_id or "")
        if visit is None or not stores(visit.upload, verdict):
            return verdict
        with anyio.move_on_after(PATIENCE):
            await visit.held.wait()
        if len(visit.keys) != len(verdict.frames):
            return verdict
        named = zip(verdict.frames, visit.keys, strict=True)
        return replace(verdict, frames=tuple(replace(frame, ref=key) for frame, key in named))

    def settle(self, verdict: Verdict) -> None:
        """Store what the verdict names, and the verdict; drop the rest. Returns at once."""
        visit = self._visits.get(verdict.verdict_id or "")
        if visit is not None:
            self._begin(self._settle, visit, verdict)

    def _remember(self, visit_id: str, visit: _Visit) -> _Visit:
        self._visits[visit_id] = visit
        if len(self._visits) > REMEMBERED:
            self._visits.popitem(last=False)
        return visit

    def _begin(self, work: Callable[..., Awaitable[None]], *arguments: object) -> bool:
        """Do something beside the watching; False when nothing is begun any more."""
        if self._group is None:
            return False
        self._busy += 1
        self._group.start_soon(self._apart, work, arguments)
        return True

    async def _apart(self, work: Callable[..., Awaitable[None]], arguments: tuple[object, ...]) -> None:
        try:
            await work(*arguments)
        except StorageError as error:
            _log.error("evidence_not_stored", code=error.code, reason=error.message)
        except Exception as error:  # noqa: BLE001  evidence that cannot be stored must not end the watching
            _log.error("evidence_not_stored", code="failed", exc_info=error)
        finally:
            self._busy -= 1
            self._idle.set()

    async def _hold(self, visit_id: str, visit: _Visit, frames: Sequence[Candidate]) -> None:
        try:
            async with visit.lock:
                names = [visit_key(SELECTED, visit_id, f"{position}.jpg") for position in range(len(frames))]
                encoded = [await asyncio.to_thread(jpeg, one, self._quality) for one in frames]
                await self._spool.hold(key_part(visit_id), dict(zip(names, encoded, strict=True)))
                visit.keys = tuple(names)
                visit.sizes = {key: len(data) for key, data in zip(names, encoded, strict=True)}
        finally:
            visit.held.set()

    async def _settle(self, visit: _Visit, verdict: Verdict) -> None:
        visit_id = verdict.verdict_id
        assert visit_id is not None  # noqa: S101  it was found by it
        stills, visit.stills = visit.stills if self._busy <= MOST_CLIPS else (), ()
        async with visit.lock:
            if stores(visit.upload, verdict):
                named = [frame.ref for frame in verdict.frames if frame.ref in visit.keys]
                visit.stored = True
                await self._bring(visit_id, {key: visit.sizes[key] for key in named}, verdict.to_dict(), stills)
            elif not visit.stored:
                visit.keys = ()  # a revision cannot name what is thrown away here
            await self._spool.drop(key_part(visit_id))

    async def _take_up(self, part: str, visit_id: str, body: Mapping[str, Any] | None) -> None:
        """Do what an earlier process did not get done behind a verdict."""
        named = [frame["ref"] for frame in body["frames"]] if body else []
        sizes = {key: len(data) for key, data in (await self._spool.held(part)).items()}
        # One that names frames by their keys is one whose evidence is to be stored.
        if body and any(key.startswith(f"{SELECTED}/") for key in named):
            await self._bring(visit_id, {key: sizes[key] for key in named if key in sizes}, body)
        await self._spool.drop(part)

    async def _bring(
        self, visit_id: str, frames: Mapping[str, int], body: Mapping[str, Any], stills: Sequence[Still] = ()
    ) -> None:
        """Let what is to be stored of an order go to the store.

        Args:
            visit_id: The order.
            frames: Sizes of its held frames, by key, in order.
            body: Its verdict as JSON values.
            stills: What its clip is made of.
        """
        key = visit_key(RESULTS, visit_id, f"{body['revision']}.json")
        result = json.dumps(body, ensure_ascii=False).encode(errors="replace")
        await self._tell(visit_id, {**frames, key: len(result)})
        await self._spool.release(key_part(visit_id), list(frames))
        if stills:
            await self._bring_clip(visit_id, stills)
        await self._spool.add(key, result)

    async def _bring_clip(self, visit_id: str, stills: Sequence[Still]) -> None:
        try:
            clip = await asyncio.to_thread(movie, [(still.at, still.jpeg) for still in stills])
        except Exception as error:  # noqa: BLE001  whatever keeps the video from being made, the rest is stored
            _log.error("clip_failed", visit_id=visit_id, exc_info=error)
            return
        key = visit_key(FRAMES, visit_id, "clip.mp4")
        await self._tell(visit_id, {key: len(clip)})
        await self._spool.add(key, clip)

    async def _tell(self, visit_id: str, stored: Mapping[str, int]) -> None:
        if self._note is not None:
            await self._note(
                [StoredObject(key, KINDS[key.partition("/")[0]], visit_id, size) for key, size in stored.items()]
            )


def stores(upload: Upload, verdict: Verdict) -> bool:
    """Whether the evidence of a verdict is to be stored: with `mismatches`, of all that is not surely accurate."""
    return upload == "all" or (upload == "mismatches" and verdict.status != "accurate")


def jpeg(candidate: Candidate, quality: int) -> bytes:
    """A frame as it was seen, without marks.

    Raises:
        StorageError: `storage_refused` if it cannot be encoded.
    """
    done, content = cv2.imencode(".jpg", candidate.frame.image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise StorageError("a frame cannot be encoded", code="storage_refused")
    return content.tobytes()
