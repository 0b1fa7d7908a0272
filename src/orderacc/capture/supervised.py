"""A camera that looks after itself: whatever happens to it, frames come again when they can."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from anyio import CancelScope

from orderacc.capture.attempt import Attempt
from orderacc.capture.health import StationHealth
from orderacc.capture.joined import JoinedTime
from orderacc.capture.mailbox import Delivery, Mailbox
from orderacc.capture.reader import QUEUE_SIZE, ReaderStats
from orderacc.capture.supervisor import Supervisor
from orderacc.capture.timing import Pace
from orderacc.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from orderacc.capture.policy import CapturePolicy
    from orderacc.capture.source import FrameSource
    from orderacc.domain.frames import Frame


class SupervisedCapture:
    """Frames of one camera as an async iterator, through all its failures.

    ```python
    async with SupervisedCapture("drive-1", lambda: StreamSource(url, "drive-1"), CapturePolicy()) as frames:
        async for frame in frames:
            ...
    ```

    A live camera's iteration never ends and never raises for a failure of the camera: it goes on until `stop` or the
    end of the block. `at` and `index` of the frames grow through all restarts; after one, `at` is the time since the
    station's first frame by the clock, or comes back to it by and by where the frames before had got ahead of it. Made
    anywhere, it is used once, and from the event loop only.
    """

    def __init__(
        self,
        station_id: str,
        make: Callable[[], FrameSource],
        policy: CapturePolicy,
        *,
        delivery: Delivery = Delivery.LATEST,
        live: bool = True,
        queue_size: int = QUEUE_SIZE,
        paced: bool = False,
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        """Set it up; the first source is opened on entering the block.

        Args:
            station_id: The station the frames belong to.
            make: Builds a source; called for every attempt, in the attempt's thread.
            policy: How patient it is.
            delivery: What happens when frames come faster than they are taken.
            live: Whether it is a camera. False is for recordings: the end is the end, an error of the source is raised
                where the next frame is awaited, and nothing is tried again.
            queue_size: Frames that may wait with `lossless`.
            paced: Hold each frame back until its frame time has passed since the first one of the attempt.
            speed: With `paced`, seconds of video per second of clock.
            clock: Seconds, monotonic.
            rng: Decides the jitter of the waits.

        Raises:
            ValueError: If the queue size or the speed is not positive.
        """
        if queue_size < 1:
            raise ValueError(f"queue_size must be at least 1, not {queue_size!r}")
        if not speed > 0:
            raise ValueError(f"speed must be greater than 0, not {speed!r}")
        self._station_id = station_id
        self._make = make
        self._delivery = delivery
        self._queue_size = queue_size
        self._pace = partial(Pace, speed=speed) if paced else None
        self._clock = clock
        self._supervisor = Supervisor(
            station_id,
            self._begin,
            policy,
            live=live,
            clock=clock,
            rng=rng or random.Random(),  # noqa: S311  it spreads waits and protects nothing
        )
        # A recording can be read faster than it plays by those alone who take every frame of it.
        self._time = JoinedTime(catches_up=live and delivery is Delivery.LATEST)
        self._placed: Attempt | None = None

    @property
    def station_id(self) -> str:
        """The station the frames belong to."""
        return self._station_id

    def restart(self, reason: str) -> None:
        """Open the camera anew, at once and whatever it is doing; the failures so far are forgotten.

        Args:
            reason: For the log and the station's history.
        """
        self._supervisor.wish(reason)

    def repoint(self, make: Callable[[], FrameSource], reason: str = "repointed") -> None:
        """Go on with another camera.

        Args:
            make: Builds its source.
            reason: As in `restart`.
        """
        self._make = make
        self.restart(reason)

    def fail(self, code: str, message: str) -> None:
        """Count a failure of whoever takes the frames like one of the camera: opened anew after a wait, by the breaker.

        Args:
            code: Stable snake_case identifier.
            message: For people.
        """
        self._supervisor.complain(SourceError(message, code=code))

    def succeed(self, before: SupervisedCapture) -> None:
        """Take the place of another capture: threads that it left behind are counted, and bounded, with this one's.

        Args:
            before: The other one, left already.
        """
        self._supervisor.leaving += before._supervisor.leaving

    def stop(self, reason: str = "stopped") -> None:
        """Make the iteration end, behind the frames that have come."""
        self._supervisor.stop(reason)

    def stats(self) -> ReaderStats:
        """What has passed through, as `FrameReader.stats`."""
        supervisor = self._supervisor
        waiting = supervisor.attempt.mailbox.waiting if supervisor.attempt else 0
        return ReaderStats(supervisor.tally.taken, supervisor.tally.replaced(supervisor.counted), waiting)

    def health(self) -> StationHealth:
        """How the station is; at any time, also before and after the block."""
        supervisor, now = self._supervisor, self._clock()
        attempt, tally, recovery = supervisor.attempt, supervisor.tally, supervisor.recovery
        sources, replaced = tally.sources(supervisor.counted), tally.replaced(supervisor.counted)
        current = attempt.stats if attempt else None
        newest = attempt.newest if attempt else None
        newest = supervisor.newest if newest is None else newest
        return StationHealth(
            station_id=self._station_id,
            phase=recovery.phase,
            since=recovery.since,
            at=now,
            frames_in=sources.decoded,
            kept=tally.taken,
            dropped=MappingProxyType({"rate": sources.dropped, "late": replaced, "damaged": sources.damaged}),
            fps=attempt.rate(now) if attempt else 0.0,
            frame_age_s=None if newest is None else max(0.0, now - newest),
            jitter_s=attempt.jitter if attempt else 0.0,
            decode_ms=current.decode_s / current.decoded * 1000 if current and current.decode_s else None,
            restarts=max(0, tally.attempts - 1),
            failures=MappingProxyType(dict(tally.failures)),
            breaker_trips=recovery.trips,
            stalls=tally.stalls,
            abandoned_threads=sum(one.abandoned and not one.ended for one in supervisor.leaving),
            uptime_s=recovery.uptime(now),
            last_error=tally.last_error,
            info=getattr(attempt.source, "info", None) if attempt else None,
            moves=recovery.moves,
        )

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._supervisor.run(), name=f"capture-{self._station_id}")
        self._task.add_done_callback(lambda _: self._supervisor.turned.set())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        with CancelScope(shield=True):
            await asyncio.wait([self._task])
            await self._supervisor.let_go()
        # Marks an error nobody waited for as seen: the consumer has left.
        if not self._task.cancelled():
            self._task.exception()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        supervisor = self._supervisor
        while True:
            attempt = supervisor.attempt
            if attempt is not None and (frame := await attempt.mailbox.take()) is not None:
                supervisor.tally.taken += 1
                return self._place(frame, attempt)
            if self._task.done():
                await self._task
                raise StopAsyncIteration
            supervisor.turned.clear()
            if supervisor.attempt is attempt:
                await supervisor.turned.wait()

    def _begin(self, news: Callable[[], None]) -> Attempt:
        # A mailbox for each attempt: what an old source still says cannot get among the frames of the new one.
        mailbox = Mailbox(self._delivery, self._queue_size)
        return Attempt(self._station_id, self._make, mailbox, pace=self._pace, clock=self._clock, news=news)

    def _place(self, frame: Frame, attempt: Attempt) -> Frame:
        if attempt is not self._placed and attempt.first is not None:
            self._placed = attempt
            self._time.begin(*attempt.first)
        return self._time.place(frame)
