"""An object store in memory that can be made to fail in every way one does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orderacc import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orderacc.storage.spool import Spool


class StagedStore:
    """Remembers puts in the order they ended.

    Attributes:
        stored: Content by key.
        order: Keys in the order they were stored.
        attempts: Keys in the order they were tried.
        fails: Code every put fails with; None lets them through.
        refuses: Keys that are refused whatever happens.
        hangs: While set, puts neither fail nor end.
        at_once: Most puts there were at a time.
    """

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.order: list[str] = []
        self.attempts: list[str] = []
        self.fails: str | None = None
        self.refuses: set[str] = set()
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.at_once = self._now = 0

    async def put(self, key: str, data: bytes | Path, content_type: str) -> None:
        assert content_type
        self.attempts.append(key)
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        try:
            await self.hangs.wait()
            await asyncio.sleep(0)
            if self.fails:
                raise StorageError("staged", code=self.fails)
            if key in self.refuses:
                raise StorageError("staged", code="storage_refused")
            self.stored[key] = await asyncio.to_thread(data.read_bytes) if isinstance(data, Path) else data
            self.order.append(key)
        finally:
            self._now -= 1

    async def get(self, key: str) -> bytes:
        if key not in self.stored:
            raise StorageError(f"there is no object {key}", code="no_such_object")
        return self.stored[key]


@asynccontextmanager
async def running(spool: Spool) -> AsyncIterator[Spool]:
    """The spool at work; it is cut off in whatever it does at the end, as by a crash."""
    task = asyncio.create_task(spool.run())
    try:
        yield spool
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
