"""One attempt at a camera: a source in a thread of its own, and what is known of its frames."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import closing, suppress
from itertools import count
from typing import TYPE_CHECKING, Final

from orderacc.capture.source import SourceStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.capture.mailbox import Mailbox
    from orderacc.capture.source import FrameSource
    from orderacc.capture.timing import Pace
    from orderacc.domain.frames import Frame

RATE_WINDOW: Final = 5.0
"""Seconds over which frames a second are counted."""

RATE_FRAMES: Final = 512
"""Arrivals remembered for that: more than 60 frames a second give."""

SMOOTHING: Final = 1 / 16
"""Weight of the newest frame in the jitter, as RTP's receivers count it (RFC 3550)."""

_names = count(1)


class Attempt:
    """Runs one source until it ends, fails or is let go. Made in the event loop; everything else is safe anywhere.

    The thread is a daemon: a source that hangs inside a driver or a library cannot keep the process from ending.

    Attributes:
        mailbox: Where its frames come out; closed when nothing more comes.
        began: When it was begun, seconds by the clock.
        let_go_at: When it was told to end, None while it was not.
        abandoned: Whether it has been given up because it would not end.
    """

    def __init__(
        self,
        station_id: str,
        make: Callable[[], FrameSource],
        mailbox: Mailbox,
        *,
        pace: Callable[[Callable[[float], bool]], Pace] | None,
        clock: Callable[[], float],
        news: Callable[[], None],
    ) -> None:
        """Begin: the source is made and opened in the thread.

        Args:
            station_id: Names the thread.
            make: Builds the source.
            mailbox: Takes its frames.
            pace: Builds what holds frames back, out of a wait that can be cut short; None delivers them as they come.
            clock: Seconds, monotonic.
            news: Called in the event loop after the first frame and at the end.
        """
        self.mailbox = mailbox
        self.began = clock()
        self.let_go_at: float | None = None
        self.abandoned = False
        self._make = make
        self._clock = clock
        self._news = news
        self._loop = asyncio.get_running_loop()
        self._closing = threading.Event()
        self._pace = pace(self._closing.wait) if pace else None
        self._source: FrameSource | None = None
        self._error: Exception | None = None
        self._ended = False
        self._first: tuple[float, float] | None = None
        self._newest: tuple[float, float] | None = None
        self._held = False
        self._jitter = 0.0
        self._arrivals: deque[float] = deque(maxlen=RATE_FRAMES)
        threading.Thread(target=self._run, name=f"frames-{station_id}-{next(_names)}", daemon=True).start()

    @property
    def source(self) -> FrameSource | None:
        """The source, as soon as it is made."""
        return self._source

    @property
    def stats(self) -> SourceStats:
        """What the source has met."""
        return self._source.stats() if self._source is not None else SourceStats()

    @property
    def ended(self) -> bool:
        """Whether the source is over, by itself or because it was let go."""
        return self._ended

    @property
    def error(self) -> Exception | None:
        """What ended it, when that was an error."""
        return self._error

    @property
    def first(self) -> tuple[float, float] | None:
        """Of the first frame: when it came by the clock, and its own frame time; None before it."""
        return self._first

    @property
    def newest(self) -> float | None:
        """When the newest frame came, seconds by the clock; now, while one is held back on this side."""
        if self._held:
            return self._clock()
        return self._newest[0] if self._newest else None

    @property
    def jitter(self) -> float:
        """Seconds by which the frames' arrivals differ from their own times, smoothed."""
        return self._jitter

    def rate(self, now: float) -> float:
        """Frames a second over the last seconds."""
        if self._first is None:
            return 0.0
        recent = sum(1 for arrival in tuple(self._arrivals) if now - arrival <= RATE_WINDOW)
        return recent / max(1.0, min(RATE_WINDOW, now - self._first[0]))

    def forget(self) -> None:
        """Drop the error: its traceback holds this attempt with its frames until the garbage collector comes."""
        self._error = None

    def let_go(self) -> None:
        """Tell it to end and take no more frames. Returns at once; frames that have come can still be taken."""
        if self.let_go_at is not None:
            return
        self.let_go_at = self._clock()
        self._closing.set()
        self.mailbox.close()
        if self._source is not None:
            self._source.close()

    def _run(self) -> None:
        """The thread's work."""
        try:
            self._read(self._make())
        except Exception as error:  # noqa: BLE001  it is raised, or told, on the other side
            if self.let_go_at is None:
                self._error = error
        self._held = False
        self._ended = True
        # The loop may be gone when an abandoned source ends at last.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._over)

    def _read(self, source: FrameSource) -> None:
        self._source = source
        if self._closing.is_set():
            source.close()
        with closing(source.frames()) as frames:
            for frame in frames:
                self._note(frame)
                self._held = True
                if self._pace is not None and not self._pace.until(frame.at):
                    return
                if not self.mailbox.put(frame):
                    return
                self._held = False

    def _note(self, frame: Frame) -> None:
        now = self._clock()
        self._arrivals.append(now)
        before, self._newest = self._newest, (now, frame.at)
        if before is None:
            self._first = (now, frame.at)
            # After what is told of: the loop may look before this thread goes on.
            self._loop.call_soon_threadsafe(self._news)
        else:
            came, at = before
            self._jitter += (abs((now - came) - (frame.at - at)) - self._jitter) * SMOOTHING

    def _over(self) -> None:
        self.mailbox.close()
        self._news()
