"""What the daemon does with its journal: everything in order, nobody held up, nothing forgotten while it refuses."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

from orderacc.errors import StorageError
from orderacc.service.judging import moment
from orderacc.service.leftovers import closed_visit
from orderacc.service.space import once_there_is_space
from orderacc.storage.journal import FILE_NAME, Journal
from orderacc.storage.records import OpenedVisit
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from orderacc.config import StorageConfig
    from orderacc.domain.verdicts import Verdict
    from orderacc.service.station import ClosedOrder, Station
    from orderacc.storage.records import OutboxMessage, StoredObject, UnfinishedVisit

_log = get_logger(__name__)

PATIENCE: Final = 2.0
"""Seconds a verdict waits to be kept before the crew is told all the same."""

MOST_WAITING: Final = 2000
"""Entries that wait for a journal that refuses; then verdicts wait, and with them the stations."""

RETRY_EVERY: Final = 0.25
"""Seconds between attempts while the journal refuses."""

LAST_CHANCE: Final = 5.0
"""Seconds a journal that refuses gets when the process ends."""


def no_messages(verdict: Verdict) -> Sequence[OutboxMessage]:
    """Nobody is told."""
    del verdict
    return ()


@dataclass(slots=True, eq=False)
class _Entry:
    write: Callable[[], Awaitable[Any]]
    subject: str
    tried: anyio.Event = field(default_factory=anyio.Event)
    done: anyio.Event = field(default_factory=anyio.Event)


class Keeping:
    """Brings what happens at the stations into the journal.

    Entries are written in the order they come, many in one commit. While the journal refuses (a full disk) they wait
    here and the watching goes on; verdicts are then told without being kept yet.

    Args:
        journal: An open journal.
        messages: What the outside is to be told about a verdict; written in one transaction with it.
        first_visit: From which number on this process counts visits.

    Attributes:
        journal: The journal.
        first_visit: Likewise.
    """

    def __init__(
        self,
        journal: Journal,
        messages: Callable[[Verdict], Sequence[OutboxMessage]] = no_messages,
        *,
        first_visit: int = 1,
    ) -> None:
        self.journal = self._journal = journal
        self.first_visit = first_visit
        self._messages = messages
        self._line: deque[_Entry] = deque()
        self._news = anyio.Event()
        self._moved = anyio.Event()

    @property
    def waiting(self) -> int:
        """Entries that are not in the journal yet."""
        return len(self._line)

    async def unfinished(self) -> list[UnfinishedVisit]:
        """Orders that were open or waiting when the last process ended; each still needs its verdict."""
        found = await self._journal.unfinished()
        if found:
            _log.warning("orders_interrupted", visits=[visit.opened.visit_id for visit in found])
        return found

    def opened(self, station: Station) -> None:
        """The number of a station's open order became known, or turned out to be another one."""
        eyes, tracker = station.eyes, station.tracker
        number, since = tracker.open_number, tracker.open_since
        if number is None or since is None or station.epoch is None:
            return
        visit_id = f"{station.station_id}-{eyes.next_visit:06d}"
        visit = OpenedVisit(visit_id, station.station_id, eyes.next_visit, number, moment(station.epoch, since))
        self._add(partial(self._journal.opened, visit), visit_id)

    def closed(self, closed: ClosedOrder) -> None:
        """An order has ended."""
        evidence = closed.evidence
        number = int(evidence.visit_id.rpartition("-")[2])
        visit = closed_visit(evidence, number, closed.epoch)
        self._add(partial(self._journal.closed, visit), evidence.visit_id)

    async def stored(self, objects: Sequence[StoredObject]) -> None:
        """Objects belong to an order from now on; returns when the journal knows it, however long that takes."""
        await self._add(partial(self._journal.stored, objects), objects[0].visit_id).done.wait()

    async def record(self, verdict: Verdict) -> None:
        """Keep a verdict; returns when it is on the disk, or when that takes too long for the crew to wait."""
        entry = self._add(partial(self._journal.record, verdict, self._messages(verdict)), str(verdict.verdict_id))
        with anyio.move_on_after(PATIENCE):
            await entry.tried.wait()
        while len(self._line) > MOST_WAITING:
            await self._moved.wait()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            if not self._line:
                self._news = anyio.Event()
                await self._news.wait()
            if not await self._write_all():
                await anyio.sleep(RETRY_EVERY)

    async def finish(self) -> None:
        """Write what is left; what the journal refuses to the last is named in the log."""
        with anyio.move_on_after(LAST_CHANCE, shield=True):
            while self._line:
                if not await self._write_all():
                    await anyio.sleep(RETRY_EVERY)
        if self._line:
            _log.error("not_kept", visits=sorted({entry.subject for entry in self._line}))

    def _add(self, write: Callable[[], Awaitable[Any]], subject: str) -> _Entry:
        entry = _Entry(write, subject)
        self._line.append(entry)
        self._news.set()
        return entry

    async def _write_all(self) -> bool:
        """Write everything that waits, in order and in as few commits as possible; False if the journal refused."""
        entries = list(self._line)
        # Begun in order, the writes are in the journal's queue in order; what it refuses, it refuses from there on.
        outcomes = await asyncio.gather(*(entry.write() for entry in entries), return_exceptions=True)
        refused = []
        for entry, outcome in zip(entries, outcomes, strict=True):
            entry.tried.set()
            if isinstance(outcome, StorageError):
                refused.append(entry)
                continue
            entry.done.set()
            if isinstance(outcome, Exception):
                _log.error("not_kept", visits=[entry.subject], exc_info=outcome)
        later = list(self._line)[len(entries) :]
        self._line = deque([*refused, *later])
        self._moved.set()
        self._moved = anyio.Event()
        return not refused


@asynccontextmanager
async def open_keeping(
    config: StorageConfig, messages: Callable[[Verdict], Sequence[OutboxMessage]] = no_messages
) -> AsyncIterator[Keeping]:
    """The journal of a data directory, written to until the block is left; then what waits is written.

    A disk that is full is waited for.

    Raises:
        StorageError: If it cannot be opened.
    """
    async with AsyncExitStack() as resources:
        path = config.data_dir / FILE_NAME
        journal = await once_there_is_space(lambda: resources.enter_async_context(Journal.open(path)))
        keeping = Keeping(journal, messages, first_visit=await journal.first_visit())
        # A task, not a task group: a generator must not yield inside one.
        writing = asyncio.create_task(keeping.run())
        try:
            yield keeping
        finally:
            writing.cancel()
            await asyncio.wait([writing])
            await keeping.finish()
