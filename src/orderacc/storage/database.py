"""One SQLite file: one writer that commits in groups, one reader it never waits for, and what becomes of trouble.

Writes that arrive while a commit is under way share the next one. A write returns when it is on the disk. When the
place fails (full, I/O error), writes are refused at once and the writer tries again by itself, so that it goes on soon
after the trouble is over. A damaged file is set aside, never deleted, and a new one is begun. Whoever takes the file
away, or puts another in its place, is not written past: it goes on with what is there.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeVar, cast

from orderacc.errors import StorageError
from orderacc.storage.connection import close, connect
from orderacc.storage.faults import is_corrupt, storage_error
from orderacc.storage.grouping import Write, carry_out, settle
from orderacc.storage.mending import ReplacedError, drop_log, identity, move_aside, must_be_sound, probe, unmovable
from orderacc.storage.schema import prepare, prepare_reader, soundness
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from orderacc.storage.connection import Connection

T = TypeVar("T")

_log = get_logger(__name__)

MOST_IN_GROUP: Final = 256
"""Writes that share one commit."""

TOLD_AT_ONCE: Final = 4
"""Writers of a group that are told of its commit together; then the event loop has its turn."""

RETRY_EVERY: Final = 0.5
"""Seconds between attempts to write while the place fails."""

TAKEN_AWAY: Final = "it was removed, or another file was put in its place"


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    """How the file is.

    Attributes:
        ok: Whether writes are kept.
        code: What is wrong, as the code of a `StorageError`; None when nothing is.
        message: Likewise, for a person.
        waiting: Writes on their way.
        set_aside: Damaged files set aside since the start.
    """

    ok: bool
    code: str | None
    message: str | None
    waiting: int
    set_aside: int


class Database:
    """An open file. Use it as `async with await Database.open(path) as database`; it belongs to one event loop.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: Connection | None = None
        self._reader: Connection | None = None
        self._waiting: deque[Write] = deque()
        self._wanted = asyncio.Event()
        self._closing = False
        self._trouble: StorageError | None = None
        self._suspected = False
        self._set_aside = 0
        self._files = 0
        self._identity: tuple[int, int] | None = None
        self._writing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: Path, *, mend: bool = True) -> Self:
        """Open a file, made if missing.

        Args:
            path: The file.
            mend: Set a damaged one aside, under a name that says so, and begin a new one.

        Raises:
            StorageError: `storage_newer` if a later version of this program made it; `storage_full` or
                `storage_failed` if it cannot be written; `storage_corrupt` if it is damaged and not to be mended.
        """
        self = cls(path)
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        try:
            await self._connect(check=True)
        except sqlite3.Error as error:
            if not (mend and is_corrupt(error)):
                raise storage_error(error, path) from error
            await self._begin_anew(str(error))
        self._writing = asyncio.create_task(self._write_groups())
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def files(self) -> int:
        """Grows whenever another file may be in its place: what was written before may not be in that one."""
        return self._files

    def health(self) -> DatabaseHealth:
        """How the file is."""
        trouble = self._trouble
        return DatabaseHealth(
            trouble is None,
            trouble.code if trouble else None,
            trouble.message if trouble else None,
            len(self._waiting),
            self._set_aside,
        )

    async def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        """Carry out `work` in a transaction; returns when that is on the disk.

        Args:
            work: Called in the writer's thread. If it raises, what it did is undone and the error is raised here.
            durable: Whether to wait for the disk; otherwise a power cut may undo it.

        Raises:
            StorageError: If it was not kept: `storage_full`, `storage_failed`, `storage_closed`.
        """
        if self._closing:
            raise StorageError(f"{self.path}: the journal is closed", code="storage_closed")
        if self._trouble is not None:
            raise StorageError(self._trouble.message, code=self._trouble.code)
        write = Write(work, durable, asyncio.get_running_loop().create_future())
        self._waiting.append(write)
        self._wanted.set()
        return cast("T", await write.future)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Carry out `work`, which only reads, on what has been written so far.

        Raises:
            StorageError: If the file cannot be read.
        """
        if self._reader is None:
            raise self._trouble or StorageError(f"{self.path}: the journal is closed", code="storage_closed")
        try:
            return await self._reader.call(work)
        except sqlite3.Error as error:
            if is_corrupt(error):
                self._suspected = True
                self._wanted.set()
            raise storage_error(error, self.path) from error

    async def forget_log(self) -> None:
        """Empty the write-ahead log into the file, so that what was removed is in neither; a busy log stays."""
        if self._writer is not None:
            await self._writer.call(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    async def aclose(self) -> None:
        """Write what is waiting and close the file."""
        self._closing = True
        self._wanted.set()
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await self._disconnect()

    async def _connect(self, *, check: bool) -> None:
        await self._connect_writer(check=check)
        await self._connect_reader()

    async def _connect_reader(self) -> None:
        self._reader = await connect(self.path, prepare_reader)

    async def _connect_writer(self, *, check: bool) -> Connection:
        def look(_: sqlite3.Connection) -> None:
            self._identity = identity(self.path)

        self._writer = await connect(self.path, prepare, *((must_be_sound,) if check else ()), look)
        return self._writer

    async def _disconnect(self) -> None:
        self._files += 1
        self._identity = None
        # From here on nobody finds them; what is under way in their threads is finished first.
        connections, self._reader, self._writer = (self._reader, self._writer), None, None
        for connection in connections:
            if connection is not None:
                await close(connection)

    async def _write_groups(self) -> None:
        while True:
            if self._trouble is not None:
                await self._try_again()
            elif self._suspected:
                await self._look_closer()
            elif self._waiting:
                count = min(len(self._waiting), MOST_IN_GROUP)
                await self._write([self._waiting.popleft() for _ in range(count)])
            elif self._closing:
                return
            else:
                self._wanted.clear()
                if not (self._waiting or self._closing or self._suspected):
                    await self._wanted.wait()

    async def _write(self, group: Sequence[Write]) -> None:
        """Commit a group; a place that fails refuses all of it."""
        assert self._writer is not None  # noqa: S101  there is one unless there is trouble
        try:
            outcomes = await self._writer.call(partial(self._carry_out, group))
        except ReplacedError as error:
            self._waiting.extendleft(reversed(group))
            await self._open_again(str(error))
            return
        except sqlite3.Error as error:
            if is_corrupt(error):
                self._waiting.extendleft(reversed(group))
                await self._begin_anew(str(error))
            else:
                self._refuse(storage_error(error, self.path), group)
            return
        for place, (write, outcome) in enumerate(zip(group, outcomes, strict=True), start=1):
            settle(write, outcome)
            if place % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)  # each goes on with work of its own; all at once would hold the loop

    def _carry_out(self, group: Sequence[Write], connection: sqlite3.Connection) -> list[object]:
        """In the writer's thread. A file that has lost its name would take everything and keep nothing."""
        if identity(self.path) != self._identity:
            raise ReplacedError(TAKEN_AWAY)
        return carry_out(group, connection)

    def _refuse(self, trouble: StorageError, group: Sequence[Write] = ()) -> None:
        """Nothing is kept until `_try_again` succeeds: say so, and refuse what was on its way."""
        self._trouble = trouble
        _log.error("journal_refuses", file=str(self.path), code=trouble.code, reason=trouble.message)
        for write in (*group, *self._waiting):
            settle(write, StorageError(trouble.message, code=trouble.code))
        self._waiting.clear()

    async def _try_again(self) -> None:
        """After a while, see whether the place is usable again."""
        if self._closing:
            self._trouble = None
            return
        self._wanted.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), RETRY_EVERY)
        try:
            # A connection that has met an I/O error may not see that the place is well again; the reader goes on.
            failed, self._writer = self._writer, None
            if failed is not None:
                await close(failed)
            another = self._identity not in (None, await asyncio.to_thread(identity, self.path))
            if another:
                await self._let_go(TAKEN_AWAY)
            writer = await self._connect_writer(check=another)
            await writer.call(probe)
            if self._reader is None:
                await self._connect_reader()
        except OSError:
            return
        except sqlite3.Error as error:
            if is_corrupt(error):
                await self._begin_anew(str(error))
            return
        self._trouble = None
        _log.info("journal_goes_on", file=str(self.path))

    async def _look_closer(self) -> None:
        """A reader met damage: see whether it is so."""
        self._suspected = False
        assert self._writer is not None  # noqa: S101  there is one unless there is trouble
        try:
            found = await self._writer.call(soundness)
        except sqlite3.Error as error:
            found = (str(error),)
        if found:
            await self._begin_anew(found[0])

    async def _open_again(self, reason: str) -> None:
        """Go on with the file that is there now; one that is not sound is set aside like any other."""
        try:
            await self._let_go(reason)
            await self._connect(check=True)
        except OSError as error:
            self._refuse(unmovable(error))
        except sqlite3.Error as error:
            if is_corrupt(error):
                await self._begin_anew(str(error))
            else:
                self._refuse(storage_error(error, self.path))

    async def _let_go(self, reason: str) -> None:
        """Leave a file that is no longer the one in its place."""
        _log.critical("journal_replaced", file=str(self.path), reason=reason)
        await self._disconnect()
        await asyncio.to_thread(drop_log, self.path)

    async def _begin_anew(self, reason: str) -> None:
        """Set the damaged file aside and begin a new one."""
        await self._disconnect()
        try:
            aside = await asyncio.to_thread(move_aside, self.path)
            self._set_aside += 1
            _log.critical("journal_set_aside", file=str(self.path), aside=str(aside), reason=reason)
            await self._connect(check=False)
        except (OSError, sqlite3.Error) as error:
            trouble = storage_error(error, self.path) if isinstance(error, sqlite3.Error) else unmovable(error)
            if self._writing is None:
                raise trouble from error
            self._refuse(trouble)
        else:
            self._trouble = None
