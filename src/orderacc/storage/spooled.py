"""A store together with what is still on its way there."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orderacc.errors import StorageError
from orderacc.storage.objects import StoredObject, check_key, check_prefix

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from orderacc.storage.objects import ObjectStore
    from orderacc.storage.spool import Spool
    from orderacc.storage.spool_folder import SpoolFolder


class SpooledStore:
    """Reads what waits in a spool as if it were in the store already, and forgets it where it is removed.

    Args:
        store: The store.
        folder: The spool's files; may be another process's.
        spool: The spool, if it is this process's.
    """

    def __init__(self, store: ObjectStore, folder: SpoolFolder, spool: Spool | None = None) -> None:
        self._store = store
        self._folder = folder
        self._spool = spool

    async def check(self) -> None:
        """See `ObjectStore.check`."""
        await self._store.check()

    async def put(self, key: str, data: bytes | Path, content_type: str) -> None:
        """See `ObjectStore.put`; this one goes past the spool."""
        await self._store.put(key, data, content_type)

    async def get(self, key: str) -> bytes:
        """See `ObjectStore.get`."""
        waiting = await asyncio.to_thread(self._waiting, check_key(key))
        return await self._store.get(key) if waiting is None else waiting

    async def list(self, prefix: str = "") -> AsyncIterator[StoredObject]:
        """See `ObjectStore.list`; while the store does not answer, what waits is all there is."""
        found = {one.key: one for one in await asyncio.to_thread(self._list, check_prefix(prefix))}
        try:
            async for one in self._store.list(prefix):
                found.setdefault(one.key, one)
        except StorageError as error:
            if not found or error.code != "storage_unavailable":
                raise
        for key in sorted(found):
            yield found[key]

    async def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStore.delete`."""
        gone = [check_key(key) for key in keys]
        if self._spool is not None:
            await self._spool.forget(gone)
        await self._store.delete(gone)

    async def link(self, key: str, seconds: float) -> str:
        """See `ObjectStore.link`."""
        return await self._store.link(key, seconds)

    async def aclose(self) -> None:
        """See `ObjectStore.aclose`."""
        await self._store.aclose()

    def _waiting(self, key: str) -> bytes | None:
        path = self._folder.find(key).get(key)
        try:
            return None if path is None else path.read_bytes()
        except FileNotFoundError:  # it has just been stored
            return None

    def _list(self, prefix: str) -> Sequence[StoredObject]:
        return [
            StoredObject(file.key, file.size, datetime.fromtimestamp(file.since, UTC))
            for file in self._folder.waiting(prefix)
        ]
