"""What the daemon keeps, journal and evidence together, each thing in the order that loses nothing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from orderacc.errors import StorageError
from orderacc.service.cleaning import keep_clean
from orderacc.service.evidence_store import EvidenceStore
from orderacc.service.keeping import no_messages, open_keeping
from orderacc.service.leftovers import Leftovers
from orderacc.service.space import once_there_is_space
from orderacc.service.unknown_objects import UnknownObjects
from orderacc.storage.opening import MEGABYTE, is_shared, open_store, spool_folder
from orderacc.storage.spool import Spool
from orderacc.storage.spooled import SpooledStore
from orderacc.telemetry import get_logger
from orderacc.telemetry.spool_metrics import SpoolMetrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from typing import Any

    from orderacc.config import StationConfig, StorageConfig
    from orderacc.domain.verdicts import Verdict
    from orderacc.service.keeping import Keeping
    from orderacc.service.serving import Serving
    from orderacc.service.station import ClosedOrder, Station
    from orderacc.storage.objects import ObjectStore
    from orderacc.storage.records import OutboxMessage

_log = get_logger(__name__)


class Storing:
    """A journal and an evidence store.

    Args:
        keeping: The journal.
        evidence: The evidence.
        objects: Where evidence can be read, be it still on its way.
    """

    def __init__(self, keeping: Keeping, evidence: EvidenceStore, objects: ObjectStore) -> None:
        self.keeping = keeping
        self.evidence = evidence
        self.objects = objects

    @property
    def first_visit(self) -> int:
        """From which number on this process counts visits."""
        return self.keeping.first_visit

    async def leftovers(self, stations: Sequence[StationConfig]) -> Leftovers:
        """Orders of an earlier process that still need their verdict; what it held for others is let go.

        The store is not asked yet: it may not answer.

        Args:
            stations: The stations; they may say whose evidence is stored.
        """
        journal = self.keeping.journal

        async def body_of(visit_id: str) -> Mapping[str, Any] | None:
            stored = await journal.verdict(visit_id)
            return stored.body if stored else None

        unfinished = await self.keeping.unfinished()
        uploads = {station.id: station.upload for station in stations}
        wanted = {visit.opened.visit_id: uploads.get(visit.opened.station_id) for visit in unfinished}
        await self.evidence.recover(wanted, body_of)
        return Leftovers(unfinished, self.evidence.pictures)

    def opened(self, station: Station) -> None:
        """See `Keeper.opened`."""
        self.keeping.opened(station)

    def closed(self, closed: ClosedOrder) -> None:
        """See `Keeper.closed`."""
        self.keeping.closed(closed)
        self.evidence.closed(closed)

    def show_in(self, serving: Serving) -> None:
        """Show over HTTP how the way to the object store is; before it begins."""
        from orderacc.service.serving import Part

        def how_the_store_is() -> Part:
            failing = self.evidence.statistics().failing
            return Part(failing is None, failing)

        serving.also_show({"object_store": how_the_store_is}, SpoolMetrics(self.evidence.statistics))

    async def record(self, verdict: Verdict) -> Verdict:
        """Keep a verdict; only then its evidence goes to the store or away.

        Returns:
            The verdict with its frames named by where they are stored.
        """
        verdict = await self.evidence.referenced(verdict)
        await self.keeping.record(verdict)
        self.evidence.settle(verdict)
        return verdict


@asynccontextmanager
async def open_storing(
    config: StorageConfig, messages: Callable[[Verdict], Sequence[OutboxMessage]] = no_messages
) -> AsyncIterator[Storing]:
    """Everything a data directory keeps, until the block is left; then what is under way is brought to the disk.

    Raises:
        StorageError: If it cannot be used. An object store that does not answer is no reason, nor is a
            full disk: they are waited for.
    """
    async with open_keeping(config, messages) as keeping:
        store = await open_store(config)
        folder = spool_folder(config)
        spool = Spool(
            folder,
            store,
            max_bytes=config.spool.max_mb * MEGABYTE,
            puts_at_once=config.spool.puts_at_once,
            longest_wait=config.spool.retry_max_sec,
        )
        evidence = EvidenceStore(
            spool,
            objects := SpooledStore(store, folder, spool),
            upload=config.upload,
            quality=config.jpeg_quality,
            note=keeping.stored,
        )
        await once_there_is_space(spool.open)
        # Tasks, not a task group: a generator must not yield inside one.
        running = asyncio.create_task(evidence.run())
        checking = asyncio.create_task(_check(store))
        unknown = UnknownObjects(keeping.journal.database, store, shared=is_shared(config))
        cleaning = asyncio.create_task(keep_clean(keeping.journal.database, objects, config.retention, unknown))
        try:
            await evidence.running.wait()
            yield Storing(keeping, evidence, objects)
        finally:
            await evidence.finish()
            tasks = (running, checking, cleaning)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await store.aclose()


async def _check(store: ObjectStore) -> None:
    """Tell at once what keeps the store from taking anything; the spool will find out too, but perhaps in an hour."""
    try:
        await store.check()
    except StorageError as error:
        _log.error("object_store_refuses", code=error.code, reason=error.message)
