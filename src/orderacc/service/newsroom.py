"""Following a ledger's events: any number of listeners, each at its own pace."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import TASK_STATUS_IGNORED

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from orderacc.service.ledger import Ledger
    from orderacc.storage.records import JournalEvent


@dataclass(frozen=True, slots=True)
class News:
    """Events for a listener.

    Attributes:
        events: Oldest first.
        missed: Whether there were others before them, which are not kept any more.
    """

    events: tuple[JournalEvent, ...]
    missed: bool


class Newsroom:
    """Wakes listeners when there is news and gives it to them.

    A listener holds nothing but the id it has come to, so one that is slow or gone costs no memory and no event.

    Args:
        ledger: What they follow.
        edition: The ledger's: a listener may come back after the process, and with it a ledger in memory, has begun
            anew.
    """

    def __init__(self, ledger: Ledger, *, edition: str) -> None:
        self._ledger = ledger
        self._edition = edition
        self._news = asyncio.Event()
        self.number_of_news = 0
        self.closed = False

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Wake listeners whenever something is written, until cancelled."""
        task_status.started()
        while True:
            await self._ledger.changed()
            self._wake()

    def close(self) -> None:
        """There will be no more; whoever waits is woken."""
        self.closed = True
        self._wake()

    def name(self, event_id: int) -> str:
        """An event's id as listeners have it."""
        return f"{self._edition}-{event_id}"

    def event_id(self, name: str) -> int | None:
        """The event id behind a name; None if it is of another ledger, or none at all."""
        edition, _, number = name.rpartition("-")
        known = edition == self._edition and number.isascii() and number.isdecimal() and len(number) <= 18
        return int(number) if known else None

    async def last_event(self) -> int:
        """Id of the newest event; 0 when there is none."""
        return await self._ledger.last_event()

    async def after(self, event_id: int, limit: int = 100) -> News:
        """What happened behind an event."""
        events = tuple(await self._ledger.events(event_id, limit))
        return News(events, missed=bool(events) and events[0].event_id > event_id + 1)

    async def wait(self, known: int, seconds: float) -> None:
        """Wait for news, so long at most.

        Args:
            known: `number_of_news` before the listener last looked.
            seconds: The longest wait.
        """
        if self.closed or self.number_of_news != known:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    def _wake(self) -> None:
        self.number_of_news += 1
        self._news.set()
        self._news = asyncio.Event()
