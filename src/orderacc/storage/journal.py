"""The journal: what was ordered, what was seen, what was said about it; kept through power cuts and full disks."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from orderacc.storage import journal_reads as reads
from orderacc.storage import journal_writes as writes
from orderacc.storage.database import Database
from orderacc.storage.outbox import Outbox
from orderacc.storage.records import VerdictFilter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from orderacc.domain.orders import Order
    from orderacc.domain.verdicts import Verdict
    from orderacc.storage.database import DatabaseHealth
    from orderacc.storage.records import (
        ClosedVisit,
        JournalEvent,
        OpenedVisit,
        Opinion,
        OutboxMessage,
        ReceivedOrder,
        Review,
        StoredObject,
        StoredVerdict,
        UnfinishedVisit,
        VerdictPage,
    )

T = TypeVar("T")

EVERYTHING: Final = VerdictFilter()

FILE_NAME: Final = "journal.db"
"""Of the journal in a data directory."""


class Journal:
    """An open journal; `async with Journal.open(path) as journal`. What returns without an error is on the disk.

    Every method raises `StorageError` when the journal cannot be written or read: `storage_full`, `storage_failed`.
    Writing again what is there already changes nothing, so whatever was refused or cut off may simply be repeated.

    Args:
        path: The file, made if missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = asyncio.Event()

    @classmethod
    def open(cls, path: Path) -> Self:
        """A journal to enter.

        Args:
            path: The file, made if missing. A damaged one is set aside and a new one begun.
        """
        return cls(path)

    async def __aenter__(self) -> Self:
        self._database = await Database.open(self._path)
        self.outbox = Outbox(self._database)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._database.aclose()

    @property
    def database(self) -> Database:
        """The file; for retention."""
        return self._database

    @property
    def files(self) -> int:
        """Grows whenever another file may be in its place: what was kept before may not be in that one."""
        return self._database.files

    def health(self) -> DatabaseHealth:
        """Whether it keeps what it is given, and if not, why."""
        return self._database.health()

    async def put_order(self, order: Order) -> bool:
        """Keep a version of a POS order; False when just that is there already."""
        return await self._write(partial(writes.put_order, order=order))

    async def opened(self, visit: OpenedVisit) -> None:
        """Keep that an order was opened, or that its slip turned out to say something else."""
        await self._write(partial(writes.open_visit, visit=visit))

    async def closed(self, visit: ClosedVisit) -> None:
        """Keep that an order has ended and waits for its verdict."""
        await self._write(partial(writes.close_visit, visit=visit))

    async def record(self, verdict: Verdict, messages: Sequence[OutboxMessage] = ()) -> bool:
        """Keep a verdict, or a revision of it, and what is to be told about it, in one transaction.

        Args:
            verdict: With its id and revision; both together are kept once.
            messages: For the outbox.

        Returns:
            False when it is there already; then the messages are too.
        """
        if not verdict.verdict_id:
            raise ValueError("a verdict needs an id to be kept")
        return await self._write(partial(writes.record_verdict, verdict=verdict, messages=messages))

    async def stored(self, objects: Sequence[StoredObject]) -> None:
        """Keep which objects of the store belong to which visit."""
        await self._write(partial(writes.add_objects, objects=objects))

    async def station_event(self, station_id: str, body: Mapping[str, Any]) -> None:
        """Keep that something happened at a station; a power cut may lose the last of these."""
        await self._write(
            lambda connection: writes.add_event(connection, "station", station_id, body=body), durable=False
        )

    async def review(
        self,
        verdict_id: str,
        opinion: Opinion,
        *,
        items: Sequence[Mapping[str, Any]] | None = None,
        note: str = "",
        reviewer: str = "",
    ) -> Review:
        """Keep what the crew says of a verdict's latest revision.

        Args:
            verdict_id: Which.
            opinion: `confirmed`, `wrong`, or `open`: somebody wants to look at it later.
            items: What was in the bag, `{"name", "quantity"}` each.
            note: In their words.
            reviewer: Who.

        Raises:
            StorageError: Also `no_such_verdict`.
        """
        return await self._write(
            lambda connection: writes.add_review(
                connection, verdict_id, opinion, items=items, note=note, reviewer=reviewer
            )
        )

    async def first_visit(self) -> int:
        """From which number on a process that starts now counts visits, so that no id is ever used twice."""
        return await self._read(writes.begin)

    async def unfinished(self) -> list[UnfinishedVisit]:
        """Orders without a verdict, the oldest first."""
        return await self._read(reads.unfinished)

    async def orders(self, since: str) -> list[ReceivedOrder]:
        """The newest version of every POS order received since a time, the oldest first.

        Args:
            since: ISO 8601 UTC with milliseconds.
        """
        return await self._read(partial(reads.orders, since=since))

    async def verdicts(
        self, filters: VerdictFilter = EVERYTHING, cursor: int | None = None, limit: int = 100
    ) -> VerdictPage:
        """Latest revisions, newest first.

        Args:
            filters: Which.
            cursor: Where the last page ended.
            limit: Most verdicts.
        """
        return await self._read(partial(reads.verdict_page, wanted=filters, cursor=cursor, limit=limit))

    async def verdict(self, verdict_id: str) -> StoredVerdict | None:
        """The latest revision of a verdict, or None."""
        return await self._read(partial(reads.verdict, verdict_id=verdict_id))

    async def revisions(self, verdict_id: str) -> list[StoredVerdict]:
        """Every revision of a verdict, the first one first."""
        return await self._read(partial(reads.revisions, verdict_id=verdict_id))

    async def reviews(self, verdict_id: str | None = None, after_id: int = 0, limit: int = 1000) -> list[Review]:
        """What the crew said, the oldest first; the newest counts.

        Args:
            verdict_id: Of this verdict only.
            after_id: Behind this review only.
            limit: Most reviews.
        """
        return await self._read(partial(reads.reviews, verdict_id=verdict_id, after_id=after_id, limit=limit))

    async def events(self, after_id: int = 0, limit: int = 100) -> list[JournalEvent]:
        """What happened after an event, the oldest first.

        Args:
            after_id: The last event known; 0 for the first that is kept.
            limit: Most events.
        """
        return await self._read(partial(reads.events, after_id=after_id, limit=limit))

    async def last_event(self) -> int:
        """The id of the newest event; 0 before the first."""
        return await self._read(reads.last_event)

    async def edition(self) -> str:
        """Tells this file's event ids from those of another that stood in its place; stays as it is for good."""
        return await self._read(reads.edition)

    async def changed(self) -> None:
        """Wait until something is written. Look for news first, then wait, then look again."""
        await self._changed.wait()

    async def _write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        result = await self._database.write(work, durable=durable)
        self._changed.set()
        self._changed = asyncio.Event()
        return result

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._database.read(work)
