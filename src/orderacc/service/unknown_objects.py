"""Evidence in the store that the journal does not know, because it was lost, begun anew or brought back from a backup.

A store may be shared: of one that is not this data directory's own, only what belongs to stations of this machine is
looked at.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from orderacc.errors import StorageError
from orderacc.service.evidence_store import KINDS
from orderacc.storage import retention_found as sql
from orderacc.storage.objects import check_key, text_of_part, visit_key
from orderacc.storage.records import time_text
from orderacc.storage.retention_found import FoundObject, Known
from orderacc.storage.retention_sql import remove_objects
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Sequence
    from datetime import datetime

    from orderacc.storage.database import Database
    from orderacc.storage.objects import ObjectStore, StoredObject
    from orderacc.storage.retention import Removal

_log = get_logger(__name__)

AT_ONCE: Final = 500
"""Objects the journal is asked about in one step."""


class UnknownObjects:
    """Finds what the journal does not know.

    Args:
        database: The journal's.
        store: Where evidence is. One that does not answer must say so.
        shared: Whether others may keep theirs in it.
    """

    def __init__(self, database: Database, store: ObjectStore, *, shared: bool) -> None:
        self._database = database
        self._store = store
        self._shared = shared
        self._looked: Known | None = None

    async def take_in(self) -> int:
        """Have the journal know all there is, so that it goes in its time; how many objects it did not know.

        The store is listed for every journal once, and again when a station has its first order.

        Raises:
            StorageError: If the store or the journal fails; then it is all done again the next time.
        """
        known = await self._database.read(sql.known)
        if not self._shared:
            known = replace(known, stations=frozenset())  # it does not matter whose they are
        if known == self._looked:
            return 0
        count = 0
        async for found in self._found(known.stations):
            unknown = await self._database.read(partial(sql.without_row, found=found))
            if unknown:
                await self._database.write(partial(sql.take_in, found=unknown))
                count += len(unknown)
        self._looked = known
        if count:
            _log.warning("unknown_objects_found", objects=count)
        return count

    async def remove_time(
        self,
        since: datetime | None,
        until: datetime | None,
        stations: Iterable[str],
        remover: ObjectStore,
        removal: Removal,
        *,
        dry_run: bool,
    ) -> None:
        """Remove what was stored within a time and belongs to no order the journal knows.

        Args:
            since: Stored at or after; from the beginning when None.
            until: Before; to the end when None.
            stations: Ids of stations of this machine, beside those the journal knows.
            remover: Where objects are removed.
            removal: Told what goes.
            dry_run: Only say what would go.

        Raises:
            StorageError: If the store or the journal fails; then a part may be gone.
        """
        first, last = time_text(since) if since else "", time_text(until) if until else "~"
        known = await self._database.read(sql.known)
        async for found in self._found(known.stations | frozenset(stations)):
            named = [one for one in found if first <= one.modified < last]
            unknown = await self._database.read(partial(sql.without_order, found=named))
            await self._remove(unknown, remover, removal, dry_run=dry_run)

    async def remove_visit(self, visit_id: str, remover: ObjectStore, removal: Removal, *, dry_run: bool) -> None:
        """Remove what is stored of an order; see `remove_time`."""
        for prefix, kind in KINDS.items():
            listed = [one async for one in remover.list(visit_key(prefix, visit_id))]
            found = [FoundObject(one.key, kind, visit_id, one.size, time_text(one.modified)) for one in listed]
            await self._remove(found, remover, removal, dry_run=dry_run)

    async def _found(self, stations: Collection[str]) -> AsyncIterator[Sequence[FoundObject]]:
        """All there is of these stations, in portions; between them the event loop has its turn."""
        for prefix, kind in KINDS.items():
            portion: list[FoundObject] = []
            looked_at = 0
            async for one in self._store.list(f"{prefix}/"):
                looked_at += 1
                found = _found(one, kind)
                if found is not None and (not self._shared or found.visit_id.rpartition("-")[0] in stations):
                    portion.append(found)
                if looked_at % AT_ONCE == 0:
                    yield portion
                    portion = []
            yield portion

    async def _remove(
        self, found: Sequence[FoundObject], remover: ObjectStore, removal: Removal, *, dry_run: bool
    ) -> None:
        keys = [one.key for one in found]
        if found and not dry_run:
            await remover.delete(keys)
            await self._database.write(partial(remove_objects, keys=keys))
        for one in found:
            removal.count(one.kind, one.size)


def _found(one: StoredObject, kind: str) -> FoundObject | None:
    """What a listing tells of an object; None of what no store of ours put there."""
    try:
        visit_id = text_of_part(check_key(one.key).split("/")[1])
    except (StorageError, UnicodeDecodeError):
        return None
    return FoundObject(one.key, kind, visit_id, one.size, time_text(one.modified))
