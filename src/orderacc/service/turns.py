"""Taking turns by name: what is done to one does not wait for what is done to another."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable


class Turns:
    """A lock for each name, for as long as somebody holds it or waits for it. Belongs to the event loop."""

    def __init__(self) -> None:
        self._locks: dict[str, anyio.Lock] = {}
        self._everything = anyio.Lock()

    @property
    def busy(self) -> bool:
        """Whether somebody has a turn, or waits for one."""
        return bool(self._locks)

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Have one name to oneself. Whoever has it must not ask for another."""
        lock = self._locks.setdefault(name, anyio.Lock())
        try:
            async with lock:
                yield
        finally:
            statistics = lock.statistics()
            if not statistics.locked and not statistics.tasks_waiting:
                del self._locks[name]

    @asynccontextmanager
    async def of_all(self, names: Callable[[], Iterable[str]]) -> AsyncIterator[None]:
        """Have many names to oneself.

        Args:
            names: Which; asked until all of them are held, for others may come while some are waited for.
        """
        held: set[str] = set()
        async with self._everything, AsyncExitStack() as turns:
            while missing := set(names()) - held:
                for name in sorted(missing):
                    await turns.enter_async_context(self.of(name))
                held |= missing
            yield
