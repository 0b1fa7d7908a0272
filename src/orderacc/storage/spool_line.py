"""The line of objects that wait for the store: whose turn it is.

Objects of one order go one after the other, those of different orders side by side, what has waited longest first,
unless it was put last.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from itertools import islice, takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from orderacc.storage.spool_folder import SpoolFile


class SpoolLine:
    """Objects that wait, and those on their way. Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[SpoolFile]] = OrderedDict()
        self._busy: dict[str, SpoolFile] = {}
        self._left = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        """Objects that wait or are on their way."""
        return sum(map(len, self._waiting.values())) + len(self._busy)

    def oldest(self) -> float | None:
        """When the one that has waited longest was written, seconds since 1970; None when there is none."""
        files = [line[0] for line in self._waiting.values()] + list(self._busy.values())
        return min((file.since for file in files), default=None)

    def append(self, file: SpoolFile) -> None:
        """Put one at the end."""
        self._waiting.setdefault(_order(file.key), deque()).append(file)
        self._empty.clear()

    def take(self) -> SpoolFile | None:
        """The next object none of whose order's is on its way; None when there is none."""
        for order, line in self._waiting.items():
            if order not in self._busy:
                file = self._busy[order] = line.popleft()
                if not line:
                    del self._waiting[order]
                return file
        return None

    def put_back(self, file: SpoolFile) -> None:
        """Let one that was taken wait again where it was: before everything younger."""
        order = _order(file.key)
        del self._busy[order]
        self._left.set()
        self._waiting.setdefault(order, deque()).appendleft(file)
        self._waiting.move_to_end(order, last=False)
        others = islice(self._waiting, 1, None)
        older = list(takewhile(lambda name: self._waiting[name][0].number < file.number, others))
        for name in reversed(older):
            self._waiting.move_to_end(name, last=False)

    def put_last(self, file: SpoolFile) -> None:
        """Let one that was taken wait again behind those of all other orders; its own order's stay behind it."""
        order = _order(file.key)
        del self._busy[order]
        self._left.set()
        self._waiting.setdefault(order, deque()).appendleft(file)
        self._waiting.move_to_end(order)

    def leave(self, file: SpoolFile) -> None:
        """Let one that was taken go."""
        del self._busy[_order(file.key)]
        self._left.set()
        self._note_if_empty()

    async def remove(self, keys: AbstractSet[str]) -> list[SpoolFile]:
        """Take out those that wait under these keys; those on their way are let through first."""
        while any(file.key in keys for file in self._busy.values()):
            self._left = asyncio.Event()
            await self._left.wait()
        gone = []
        for order in {_order(key) for key in keys} & self._waiting.keys():
            line = self._waiting.pop(order)
            gone += [file for file in line if file.key in keys]
            kept = deque(file for file in line if file.key not in keys)
            if kept:
                self._waiting[order] = kept
        self._note_if_empty()
        return gone

    async def drained(self) -> None:
        """Wait until there is none."""
        await self._empty.wait()

    def _note_if_empty(self) -> None:
        if not (self._waiting or self._busy):
            self._empty.set()


def _order(key: str) -> str:
    """Whose object it is."""
    return key.split("/")[1]
