"""Handing frames from the thread that decodes to the task that watches."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from orderacc.domain.frames import Frame


class Delivery(StrEnum):
    """What happens when frames come faster than they are taken."""

    LOSSLESS = "lossless"
    """The source waits. For recordings, where every frame counts and the source can be held back."""

    LATEST = "latest"
    """The newest frame replaces the one that was not taken. For cameras, where a frame that has waited is stale."""


class Mailbox:
    """A bounded queue with one end in a thread and the other in the event loop.

    `put` belongs to the thread and may block it; everything else belongs to the loop the mailbox was made in and never
    blocks it for longer than it takes to append to a list.
    """

    def __init__(self, delivery: Delivery, capacity: int) -> None:
        """Open it; to be called in the event loop.

        Args:
            delivery: What to do when it is full.
            capacity: Frames that may wait; `latest` always holds one.

        Raises:
            ValueError: If the capacity is not positive.
        """
        if capacity < 1:
            raise ValueError(f"a mailbox must hold at least one frame, not {capacity!r}")
        self._loop = asyncio.get_running_loop()
        self._delivery = delivery
        self._capacity = capacity if delivery is Delivery.LOSSLESS else 1
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._news = asyncio.Event()
        self._closed = False
        self._taken = 0
        self._replaced = 0

    @property
    def taken(self) -> int:
        """Frames taken out."""
        return self._taken

    @property
    def replaced(self) -> int:
        """Frames that gave way to a newer one before they were taken."""
        return self._replaced

    @property
    def waiting(self) -> int:
        """Frames inside."""
        return len(self._frames)

    def put(self, frame: Frame) -> bool:
        """Put a frame in, from the source's thread.

        Returns:
            False when nobody wants frames any more.
        """
        with self._changed:
            if self._delivery is Delivery.LOSSLESS:
                self._changed.wait_for(lambda: self._closed or len(self._frames) < self._capacity)
            elif len(self._frames) == self._capacity and not self._closed:
                self._frames.popleft()
                self._replaced += 1
            if self._closed:
                return False
            self._frames.append(frame)
        self._loop.call_soon_threadsafe(self._news.set)
        return True

    def close(self) -> None:
        """Let no more frames in and release a `put` that waits for room. Frames inside can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._news.set()

    async def take(self) -> Frame | None:
        """Take the oldest frame out, waiting for one.

        Returns:
            A frame, or None when the mailbox is closed and empty.
        """
        await checkpoint()
        while True:
            with self._changed:
                if self._frames:
                    self._taken += 1
                    frame = self._frames.popleft()
                    self._changed.notify_all()
                    return frame
                if self._closed:
                    return None
                self._news.clear()
            await self._news.wait()
