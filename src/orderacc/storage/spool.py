"""Objects on their way to the store: on this machine's disk until they are there.

What is held belongs to an order without a verdict; it is released or dropped when there is one. What is released goes
to the store in order, several at a time, one order's objects one after the other. While the store fails nothing is lost
and nobody waits: one attempt is made, then a wait, twice as long each time, and when it succeeds all go on. An object
that takes too long again and again lets the others pass.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from orderacc.backoff import Backoff
from orderacc.errors import StorageError
from orderacc.storage.objects import SLOWEST, content_type_of
from orderacc.storage.spool_line import SpoolLine
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from orderacc.storage.objects import ObjectStore
    from orderacc.storage.spool_folder import SpoolFile, SpoolFolder

_log = get_logger(__name__)

FIRST_WAIT: Final = 0.5
"""Seconds before the first further attempt, at most."""

FULL_WAIT: Final = 2.0
"""Longest wait while the store's disk is full: asking costs nothing, and somebody may have made room."""

REFUSALS: Final = 3
"""Attempts after which an object that the store refuses is set aside, so that it holds up no other."""

REFUSED_PART: Final = 10
"""What was refused may take this part of what may wait."""

SLOW: Final = 60.0
"""Seconds after which a put that has not ended has failed, whatever the store's own patience, beside those that its
bytes take on the slowest line."""

TIMEOUTS: Final = 3
"""Attempts at an object that took too long, after which the others pass it whenever it fails."""


@dataclass(frozen=True, slots=True)
class SpoolStatistics:
    """How the spool is.

    Attributes:
        waiting: Objects that wait.
        waiting_bytes: Bytes of these and of what is held.
        oldest_s: Seconds the oldest has waited; 0 when none does.
        stored: Objects the store has taken since the start.
        failures: Attempts that failed.
        rejected: Objects not taken in because the spool or the disk was full.
        refused: Objects the store refused for good.
        failing: Code of what keeps the store from taking objects now; None while nothing does.
    """

    waiting: int
    waiting_bytes: int
    oldest_s: float
    stored: int
    failures: int
    rejected: int
    refused: int
    failing: str | None


class Spool:
    """Keeps objects until the store has them. Belongs to the event loop `run` runs in.

    Args:
        folder: Its files, prepared by `open`.
        store: Where they go.
        max_bytes: Most bytes that may wait or be held; more is refused.
        puts_at_once: Objects put at a time.
        longest_wait: Seconds no wait between attempts exceeds.
        rng: Decides the waits' jitter.
    """

    def __init__(
        self,
        folder: SpoolFolder,
        store: ObjectStore,
        *,
        max_bytes: int = 2_000_000_000,
        puts_at_once: int = 6,
        longest_wait: float = 30.0,
        rng: Random | None = None,
    ) -> None:
        self._folder = folder
        self._store = store
        self._max_bytes = max_bytes
        self._puts_at_once = puts_at_once
        self._backoff = Backoff(FIRST_WAIT, longest_wait, rng or Random())  # noqa: S311  jitter is no secret
        self._line = SpoolLine()
        self._held: dict[str, int] = {}
        self._putting: set[int] = set()
        self._timeouts: Counter[int] = Counter()
        self._next = 1
        self._bytes = 0
        self._stored = self._failures = self._rejected = self._refused = 0
        self._refusals = 0
        self._failing: str | None = None
        self._news = asyncio.Event()

    async def open(self) -> None:
        """Take up what the last process left.

        Raises:
            StorageError: `storage_full` or `storage_unavailable`.
        """
        for file in await asyncio.to_thread(self._folder.prepare):
            self._next = max(self._next, file.number + 1)
            self._append(file)
        for visit in await asyncio.to_thread(self._folder.visits):
            files = await asyncio.to_thread(self._folder.held, visit)
            self._note_held(visit, sum([await asyncio.to_thread(_size, path) for path in files.values()]))

    def statistics(self) -> SpoolStatistics:
        """How it is now."""
        oldest = self._line.oldest()
        return SpoolStatistics(
            waiting=len(self._line),
            waiting_bytes=self._bytes,
            oldest_s=0.0 if oldest is None else max(0.0, time.time() - oldest),
            stored=self._stored,
            failures=self._failures,
            rejected=self._rejected,
            refused=self._refused,
            failing=self._failing,
        )

    async def hold(self, visit_id: str, objects: Mapping[str, bytes]) -> None:
        """Keep what belongs to an order until it has its verdict.

        Args:
            visit_id: The order, as keys name it.
            objects: Content by key; written in this order.

        Raises:
            StorageError: `spool_full`, `storage_full`, `storage_unavailable` or `bad_key`; then nothing is held.
        """
        self._make_room(objects)
        self._note_held(visit_id, sum(map(len, objects.values())))
        try:
            for key, data in objects.items():
                await asyncio.to_thread(self._folder.hold, visit_id, key, data)
        except BaseException as error:
            self._rejected += len(objects) if isinstance(error, StorageError) else 0
            await asyncio.shield(self.drop(visit_id))
            raise

    async def held(self, visit_id: str) -> Mapping[str, bytes]:
        """What is held for an order, by key."""
        return await asyncio.to_thread(
            lambda: {key: path.read_bytes() for key, path in self._folder.held(visit_id).items()}
        )

    async def held_visits(self) -> Sequence[str]:
        """Orders for which something is held."""
        return await asyncio.to_thread(self._folder.visits)

    async def release(self, visit_id: str, keys: Sequence[str]) -> None:
        """Let what is held for an order go to the store, in this order; what is not named is held until `drop`.

        Raises:
            StorageError: `storage_full` or `storage_unavailable`.
        """
        numbered = [(self._number(), key) for key in keys]
        files = await asyncio.to_thread(self._folder.release, visit_id, numbered)
        self._note_held(visit_id, -sum(file.size for file in files))
        for file in files:
            self._append(file)
        self._news.set()

    async def drop(self, visit_id: str) -> None:
        """Throw away what is held for an order; it is settled."""
        await asyncio.to_thread(self._folder.drop, visit_id)
        self._bytes -= self._held.pop(visit_id, 0)

    async def add(self, key: str, data: bytes) -> None:
        """Take in an object that goes to the store.

        Raises:
            StorageError: `spool_full`, `storage_full`, `storage_unavailable` or `bad_key`.
        """
        self._make_room({key: data})
        number = self._number()
        self._bytes += len(data)
        try:
            file = await asyncio.to_thread(self._folder.write, number, key, data)
        except BaseException as error:
            self._rejected += isinstance(error, StorageError)
            raise
        finally:
            self._bytes -= len(data)
        self._append(file)
        self._news.set()

    async def forget(self, keys: Iterable[str]) -> None:
        """Remove objects that wait, or that the store refused; those on their way are let through first."""
        gone = set(keys)
        for file in await self._line.remove(gone):
            self._gone(file)
            await asyncio.to_thread(self._folder.done, file)
        await asyncio.to_thread(self._folder.forget_refused, gone)

    async def run(self) -> None:
        """Bring objects to the store until cancelled."""
        working: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._news.clear()
                while not working if self._failing else len(self._putting) < self._puts_at_once:
                    file = self._line.take()
                    if file is None:
                        break
                    self._putting.add(file.number)
                    working.add(asyncio.create_task(self._bring(file)))
                if not working:
                    await self._news.wait()
                    continue
                news = asyncio.create_task(self._news.wait())
                done, _ = await asyncio.wait([*working, news], return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                working -= done
                for task in done - {news}:
                    task.result()
                if self._failing and not working:
                    wait = self._backoff.next()
                    await asyncio.sleep(min(wait, FULL_WAIT) if self._failing == "storage_full" else wait)
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def drained(self) -> None:
        """Wait until nothing is on its way. What is held does not count."""
        await self._line.drained()

    async def _bring(self, file: SpoolFile) -> None:
        patience = SLOW + file.size / SLOWEST
        try:
            async with asyncio.timeout(patience):
                await self._store.put(file.key, file.path, content_type_of(file.key))
            self._free(file)  # the next put need not wait until this file is gone
            await asyncio.to_thread(self._folder.done, file)
        except asyncio.CancelledError:
            self._line.put_back(file)
            raise
        except TimeoutError:
            self._failed(file, StorageError(f"{file.key}: not stored within {patience:.0f} s"), slow=True)
        except StorageError as error:
            if await asyncio.to_thread(file.path.exists):
                await self._set_aside_or_wait(file, error)
            else:
                _log.error("spool_file_lost", key=file.key)
                self._leave(file)
        except Exception as error:  # noqa: BLE001  whatever is wrong with a store, the spool goes on
            _log.error("spool_failed", key=file.key, exc_info=error)
            self._failed(file, StorageError(f"{type(error).__name__} in the object store", code="failed"))
        else:
            self._leave(file)
            self._stored += 1
            self._refusals = 0
            if self._failing:
                _log.info("object_store_back", waiting=self.statistics().waiting)
            self._failing = None
            self._backoff.reset()
        finally:
            self._free(file)

    def _free(self, file: SpoolFile) -> None:
        self._putting.discard(file.number)
        self._news.set()

    async def _set_aside_or_wait(self, file: SpoolFile, error: StorageError) -> None:
        if error.code != "storage_refused":
            self._failed(file, error, slow=isinstance(error.__cause__, TimeoutError))
            return
        self._refusals += 1
        if self._refusals < REFUSALS:
            self._failed(file, error)
            return
        self._refusals = 0
        self._refused += 1
        _log.error("object_refused", key=file.key, reason=error.message)
        await asyncio.to_thread(self._folder.refuse, file, self._max_bytes // REFUSED_PART)
        self._leave(file)
        self._failing = None

    def _failed(self, file: SpoolFile, error: StorageError, *, slow: bool = False) -> None:
        self._failures += 1
        if self._failing != error.code:
            _log.warning("object_store_failed", code=error.code, reason=error.message)
        self._failing = error.code
        self._timeouts[file.number] += slow
        if self._timeouts[file.number] < TIMEOUTS:
            self._line.put_back(file)
            return
        if slow and self._timeouts[file.number] == TIMEOUTS:
            _log.warning("object_too_slow", key=file.key, size=file.size, reason=error.message)
        self._line.put_last(file)

    def _leave(self, file: SpoolFile) -> None:
        self._line.leave(file)
        self._gone(file)

    def _gone(self, file: SpoolFile) -> None:
        self._bytes -= file.size
        self._timeouts.pop(file.number, None)

    def _append(self, file: SpoolFile) -> None:
        self._line.append(file)
        self._bytes += file.size

    def _number(self) -> int:
        number, self._next = self._next, self._next + 1
        return number

    def _note_held(self, visit_id: str, size: int) -> None:
        self._held[visit_id] = self._held.get(visit_id, 0) + size
        self._bytes += size

    def _make_room(self, objects: Mapping[str, bytes]) -> None:
        if self._bytes + sum(map(len, objects.values())) > self._max_bytes:
            self._rejected += len(objects)
            raise StorageError(
                f"{self._bytes / 1e6:.0f} MB wait for the object store already: evidence is not stored",
                code="spool_full",
            )


def _size(path: Path) -> int:
    return path.stat().st_size
