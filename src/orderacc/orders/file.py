"""Orders in a file or in a folder of files, read again whenever they change."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from orderacc.errors import ConfigError, Finding
from orderacc.orders.memory import OrderStore
from orderacc.orders.reading import LINES, read_orders
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from orderacc.domain.orders import Order
    from orderacc.orders.book import Match

_log = get_logger(__name__)

_Stamp: TypeAlias = tuple[int, int, int]

MOST_FILES: Final = 10_000
"""Files of a folder that are looked at, the newest."""


class FileFeed:
    """Puts what a file holds into a store, again whenever the file changes.

    A changed file is read whole and taken whole. A file that turned bad is not taken: the last good one stays in force,
    and `orders_file_bad` is logged once per change with the findings; so it is with a file or a folder that is gone.
    What is in the file is what there is: an order that leaves it is not found any more. Where the file does not number
    versions, an amended order's version grows by one.

    A folder's files (`.json`, `.ndjson`, `.jsonl`) together are what there is. Each by itself may be bad, at the start
    too; an order that several hold is taken in its highest version, and at equal ones from the newest file.

    Args:
        path: The file or folder.
        store: Takes the orders.

    Raises:
        ConfigError: If a file is bad, or there is none, from the start.
    """

    def __init__(self, path: Path | str, store: OrderStore) -> None:
        self._path = Path(path)
        self._store = store
        self._name = f"file:{self._path}"
        self._reading = asyncio.Lock()
        self._folder = self._path.is_dir()
        self._stamps: dict[Path, _Stamp] = {}
        self._good: dict[Path, Mapping[str, Order]] = {}
        self._gone = False
        if self._folder:
            self._read_changed()
        else:
            try:
                self._stamps = _look(self._path, folder=False)
            except OSError as error:
                raise _unreadable(self._path, error) from None
            self._good[self._path] = read_orders(self._path)
        self._untaken = True

    async def refresh(self) -> None:
        """Take what has changed since the last time."""
        async with self._reading:
            changed = await asyncio.to_thread(self._read_changed)
            self._untaken |= changed
            if not self._untaken:
                return
            orders = await asyncio.to_thread(self._together)
            await self._store.take(self._name, orders)
            self._untaken = False
            if changed:
                _log.info("orders_file_read", file=str(self._path), orders=len(orders))

    def leave(self) -> None:
        """Hold nothing any more: its orders are not found any more."""
        self._store.release(self._name)

    def _read_changed(self) -> bool:
        """Read the files that changed; whether one that is good did, or one went."""
        try:
            stamps = _look(self._path, folder=self._folder)
        except OSError as error:
            if not self._gone:
                _log.warning("orders_file_bad", file=str(self._path), findings=_told(_unreadable(self._path, error)))
            self._gone = True
            return False
        self._gone = False
        if stamps == self._stamps:
            return False
        fresh = [path for path, stamp in stamps.items() if self._stamps.get(path) != stamp]
        gone = self._good.keys() - stamps.keys()
        self._stamps = stamps
        for path in gone:
            del self._good[path]
        return self._read(fresh) or bool(gone)

    def _read(self, paths: list[Path]) -> bool:
        taken = False
        for path in paths:
            try:
                self._good[path] = read_orders(path)
            except ConfigError as error:
                _log.warning("orders_file_bad", file=str(path), findings=_told(error))
            else:
                taken = True
        return taken

    def _together(self) -> list[Order]:
        orders: dict[tuple[str, str], Order] = {}
        for path in self._stamps:
            for order in self._good.get(path, {}).values():
                key = (order.source, order.order_id)
                if key not in orders or order.version >= orders[key].version:
                    orders[key] = order
        return list(orders.values())


class FileOrders:
    """An order book that is a file or a folder of files; see `FileFeed` and `OrderStore.find`.

    Args:
        path: The file or folder.

    Raises:
        ConfigError: If it is bad from the start.
    """

    def __init__(self, path: Path | str) -> None:
        self._store = OrderStore()
        self._feed = FileFeed(path, self._store)

    async def find(self, station_id: str, slip_text: str, at: datetime | None = None) -> Match:
        """Find the order of that number in the file as it is now."""
        await self._feed.refresh()
        return await self._store.find(station_id, slip_text, at)


def findings_of_orders(path: Path) -> Iterator[Finding]:
    """What is wrong with a file of orders, or with every file of a folder. Takes as long as reading them does."""
    try:
        files = _look(path, folder=path.is_dir())
    except OSError as error:
        yield from _unreadable(path, error).findings
        return
    for file in sorted(files):
        try:
            read_orders(file)
        except ConfigError as error:
            yield from error.findings


def _look(path: Path, *, folder: bool) -> dict[Path, _Stamp]:
    """What changes when a file does, of every file there is, the oldest first.

    Raises:
        OSError: If the folder, or the one file, is not there: that says nothing about orders.
    """
    if not folder:
        return {path: _stamp(path)}
    found: dict[Path, _Stamp] = {}
    for file in path.iterdir():
        if file.suffix.lower() in (".json", *LINES):
            with suppress(OSError):
                found[file] = _stamp(file)
    newest = sorted(found.items(), key=lambda one: one[1][0])[-MOST_FILES:]
    return dict(newest)


def _stamp(path: Path) -> _Stamp:
    state = os.stat(path)  # noqa: PTH116  one call, no second look-up
    if not stat.S_ISREG(state.st_mode):  # opening a pipe waits for whoever writes
        raise OSError(errno.EINVAL, "not a regular file")
    return (state.st_mtime_ns, state.st_size, state.st_ino)


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError([Finding(str(path), 0, 0, "", f"cannot be read: {error.strerror or error}")])


def _told(error: ConfigError) -> list[str]:
    return [str(found) for found in error.findings]
