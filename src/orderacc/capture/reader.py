"""Running a blocking source beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from anyio import move_on_after

from orderacc.capture.mailbox import Delivery, Mailbox
from orderacc.capture.timing import Pace
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from types import TracebackType

    from orderacc.capture.source import FrameSource
    from orderacc.domain.frames import Frame

_log = get_logger(__name__)

QUEUE_SIZE: Final = 8
"""Frames decoded ahead with `lossless`: at 720p 22 MB, enough to keep the decoder busy."""

CLOSE_TIMEOUT: Final = 10.0
"""Seconds a source gets to end after `close()`; more than any network timeout inside it."""


@dataclass(frozen=True, slots=True)
class ReaderStats:
    """What has passed through a reader.

    Attributes:
        delivered: Frames taken by the consumer.
        dropped: Frames replaced by a newer one before they were taken (`latest` only).
        waiting: Frames decoded and not taken yet.
    """

    delivered: int
    dropped: int
    waiting: int


class FrameReader:
    """Frames of a source as an async iterator; the source runs in a thread of its own.

    ```python
    async with FrameReader(VideoFileSource("counter.mp4", "drive-1")) as frames:
        async for frame in frames:
            ...
    ```

    An error of the source is raised where the next frame is awaited, behind the frames that came before it. Leaving the
    block closes the source and waits for its thread.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        delivery: Delivery = Delivery.LOSSLESS,
        queue_size: int = QUEUE_SIZE,
        paced: bool = False,
        speed: float = 1.0,
    ) -> None:
        """Set it up; the source is opened on entering the block.

        Args:
            source: Where frames come from; the reader owns it from here on.
            delivery: What happens when frames come faster than they are taken.
            queue_size: Frames that may wait with `lossless`.
            paced: Hold each frame back until its frame time has passed since the first one.
            speed: With `paced`, seconds of video per second of clock.

        Raises:
            ValueError: If the speed is not positive.
        """
        self._source = source
        self._delivery = delivery
        self._queue_size = queue_size
        self._closing = threading.Event()
        self._pace = Pace(self._closing.wait, speed=speed) if paced else None

    @property
    def station_id(self) -> str:
        """The station the frames belong to."""
        return self._source.station_id

    def stats(self) -> ReaderStats:
        """A snapshot, inside the block."""
        mailbox = self._mailbox
        return ReaderStats(delivered=mailbox.taken, dropped=mailbox.replaced, waiting=mailbox.waiting)

    async def __aenter__(self) -> Self:
        self._mailbox = Mailbox(self._delivery, self._queue_size)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"frames-{self.station_id}")
        self._reading = asyncio.get_running_loop().run_in_executor(self._thread, self._read)
        self._reading.add_done_callback(lambda _: self._mailbox.close())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        self._source.close()
        self._mailbox.close()
        with move_on_after(CLOSE_TIMEOUT, shield=True) as patience:
            await asyncio.wait([self._reading])
        self._thread.shutdown(wait=False)
        if patience.cancelled_caught:
            _log.error("source_stuck", station_id=self.station_id, waited_s=CLOSE_TIMEOUT)
        else:
            # Marks an error nobody waited for as seen: the consumer has left.
            self._reading.exception()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        frame = await self._mailbox.take()
        if frame is None:
            await self._reading
            raise StopAsyncIteration
        return frame

    def _read(self) -> None:
        """The thread's work: read, hold back, hand over."""
        with closing(self._source.frames()) as frames:
            for frame in frames:
                if self._pace is not None and not self._pace.until(frame.at):
                    return
                if not self._mailbox.put(frame):
                    return
