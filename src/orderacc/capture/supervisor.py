"""What goes on behind a station's frames: attempts at its camera, one after the other, for as long as it is wanted."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from orderacc.capture.health import LastError, Tally
from orderacc.capture.life import StationPhase
from orderacc.capture.reader import CLOSE_TIMEOUT
from orderacc.capture.recovery import Recovery
from orderacc.errors import OrderAccError, SourceError
from orderacc.telemetry import get_logger, redact_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from orderacc.capture.attempt import Attempt
    from orderacc.capture.life import Move
    from orderacc.capture.policy import CapturePolicy

_log = get_logger(__name__)

MAX_ABANDONED: Final = 4
"""Threads of old sources a station may leave behind, with those of captures whose place this one took; with as many, no
new source is begun until one has ended."""

RELEASE: Final = 1.0
"""Seconds a stalled source gets to end before the next step: many cameras serve one client at a time."""

TICK: Final = 0.25
"""Longest time between two looks at a station, seconds."""

HELD_UP: Final = 1.0
"""When the event loop was this many seconds late, the process was suspended or something held the GIL: that time is no
silence of the camera's."""


class Supervisor:
    """Begins attempts, notices how they end, and waits between them.

    Args:
        station_id: The station.
        begin: Begins an attempt; given what to call in the event loop when there is news of it.
        policy: How patient it is.
        live: Whether it is a camera; a recording ends where it ends.
        clock: Seconds, monotonic.
        rng: Decides the jitter of the waits.

    Attributes:
        recovery: Where the station is in its life.
        tally: What has been counted.
        attempt: The newest attempt.
        counted: The attempt whose counts are not in the tally yet.
        newest: When the newest frame of the attempts before came, seconds.
        leaving: Attempts that were told to end and have not.
        turned: Set when there is a new attempt.
    """

    def __init__(
        self,
        station_id: str,
        begin: Callable[[Callable[[], None]], Attempt],
        policy: CapturePolicy,
        *,
        live: bool,
        clock: Callable[[], float],
        rng: Random,
    ) -> None:
        self.recovery = Recovery(policy, rng)
        self.tally = Tally()
        self.attempt: Attempt | None = None
        self.counted: Attempt | None = None
        self.newest: float | None = None
        self.leaving: list[Attempt] = []
        self.turned = asyncio.Event()
        self._station_id = station_id
        self._begin = begin
        self._policy = policy
        self._live = live
        self._clock = clock
        self._news = asyncio.Event()
        self._wish: str | None = None
        self._complaint: SourceError | None = None
        self._stopping: str | None = None

    def wish(self, reason: str) -> None:
        """Somebody wants the camera opened anew, at once."""
        self._wish = redact_text(reason)
        self._news.set()

    def complain(self, failure: SourceError) -> None:
        """The consumer failed on the frames of this attempt."""
        self._complaint = failure
        self._news.set()

    def stop(self, reason: str) -> None:
        """Nobody wants frames any more."""
        self._stopping = self._stopping or redact_text(reason)
        self._news.set()

    async def run(self) -> None:
        """Go on until stopped, or until the recording ends.

        Raises:
            Exception: What the source of a recording raised.
        """
        self._say(self.recovery.start(self._clock()))
        try:
            if len(self._still_leaving()) >= MAX_ABANDONED:
                self._block(self._clock())
                await self._retry()
            while self._stopping is None:
                attempt = self._next()
                failure = await self._watch(attempt)
                self._retire(attempt)
                if not self._live and attempt.ended and self._wish is None:
                    self.stop("end_of_stream")
                    if attempt.error is not None:
                        raise attempt.error
                elif failure is not None:
                    self._count(failure, attempt)
                attempt.forget()
                failure = None
                await self._retry()
        finally:
            if self.counted is not None:
                self._retire(self.counted)
            self._say(self.recovery.stop(self._clock(), self._stopping or "cancelled"))

    async def let_go(self) -> None:
        """After `run`: wait for what it left behind to end, in bounded time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CLOSE_TIMEOUT
        while not all(attempt.abandoned for attempt in self._still_leaving()) and loop.time() < deadline:
            await self._pause(deadline - loop.time())
        for attempt in self._still_leaving():
            self._abandon(attempt)
        if self.recovery.phase is StationPhase.SHUTTING_DOWN:
            self._say(self.recovery.ended(self._clock()))

    def _next(self) -> Attempt:
        self._complaint = None
        self.tally.attempts += 1
        self.attempt = self.counted = self._begin(self._news.set)
        self.turned.set()
        return self.attempt

    async def _watch(self, attempt: Attempt) -> OrderAccError | None:
        """Look after an attempt until it is over.

        Returns:
            What made it fail; None when somebody wants it to end.
        """
        seen, excused, left_out = attempt.began, 0.0, 0
        while self._stopping is None and self._wish is None:
            now, newest = self._clock(), attempt.newest
            if newest is not None:
                self._say(self.recovery.alive(now, newest))
            if self._complaint is not None:
                return self._complaint
            if attempt.ended:
                return self._failure(attempt)
            # Pictures left out are signs of life too: the rate asked for may be low, or the stream's times slow.
            dropped = attempt.stats.dropped
            if newest is not None and dropped != left_out:
                seen, excused, left_out = now, 0.0, dropped
            elif newest is not None and newest > seen:
                seen, excused = newest, 0.0
            patience = self._policy.opening_sec if newest is None else self._policy.stall_detection_sec
            silence = now - seen - excused
            if self._live and silence >= patience:
                return await self._stall(attempt, patience)
            excused += await self._pause(patience - silence)
        return None

    async def _stall(self, attempt: Attempt, patience: float) -> SourceError:
        loop = asyncio.get_running_loop()
        self.tally.stalls += 1
        self._say(self.recovery.silent(self._clock()))
        attempt.let_go()
        deadline = loop.time() + RELEASE
        while not attempt.ended and loop.time() < deadline and self._stopping is None and self._wish is None:
            await self._pause(deadline - loop.time())
        which = "frame" if attempt.first else "first frame"
        return SourceError(f"no {which} for {patience:g} s though nothing failed", code="stalled")

    def _failure(self, attempt: Attempt) -> OrderAccError:
        error = attempt.error
        if error is None:
            return SourceError("the stream ended", code="end_of_stream")
        if isinstance(error, OrderAccError):
            return error
        if self._live:
            _log.error("source_crashed", station_id=self._station_id, exc_info=error)
        return SourceError(f"{type(error).__name__}: {error}", code="source_crashed")

    def _retire(self, attempt: Attempt) -> None:
        attempt.let_go()
        self.tally.settle(attempt)
        self.counted = None
        self.newest = self.newest if attempt.newest is None else attempt.newest
        if not attempt.ended:
            self.leaving.append(attempt)

    def _count(self, failure: OrderAccError, attempt: Attempt) -> None:
        now, before = self._clock(), self.tally.last_error
        message = redact_text(failure.message)
        self.tally.failures[failure.code] += 1
        self.tally.last_error = LastError(failure.code, message, now)
        # A camera that is gone for a night is told of once, not at every attempt.
        news = self.recovery.phase in {StationPhase.RUNNING, StationPhase.STALLED}
        tell = _log.warning if news or before is None or before.code != failure.code else _log.debug
        tell("camera_failed", station_id=self._station_id, code=failure.code, message=message)
        self._say(self.recovery.failed(now, failure.code, None if attempt.first else attempt.began))

    async def _retry(self) -> None:
        """Wait until the next attempt may be made, or until none is wanted."""
        while self._stopping is None:
            now = self._clock()
            if self._wish is not None:
                self._say(self.recovery.asked(now, self._wish))
                self._wish = None
            for attempt in self._still_leaving():
                if attempt.let_go_at is not None and now - attempt.let_go_at > CLOSE_TIMEOUT:
                    self._abandon(attempt)
            wait = self.recovery.due - now
            if wait <= 0:
                if len(self.leaving) < MAX_ABANDONED:
                    self._say(self.recovery.retry(self._clock()))
                    return
                self._block(now)
                wait = TICK
            await self._pause(wait)

    def _block(self, now: float) -> None:
        """Too many threads were left behind: say so, once, and wait for one to end."""
        code = "threads_stuck"
        if self.tally.last_error is None or self.tally.last_error.code != code:
            message = f"{MAX_ABANDONED} threads of its sources do not end; the camera is opened again when one has"
            self.tally.last_error = LastError(code, message, now)
            _log.error("camera_failed", station_id=self._station_id, code=code, message=message)
        self._say(self.recovery.blocked(now, code))

    def _still_leaving(self) -> list[Attempt]:
        self.leaving = [attempt for attempt in self.leaving if not attempt.ended]
        return self.leaving

    def _abandon(self, attempt: Attempt) -> None:
        if not attempt.abandoned:
            attempt.abandoned = True
            _log.error("source_stuck", station_id=self._station_id, waited_s=CLOSE_TIMEOUT)

    async def _pause(self, longest: float) -> float:
        """Wait for news, a little while.

        Returns:
            Seconds this process was held up meanwhile.
        """
        loop = asyncio.get_running_loop()
        wait = max(0.0, min(longest, TICK))
        due = loop.time() + wait
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._news.wait()
        self._news.clear()
        late = loop.time() - due
        return late if late > HELD_UP else 0.0

    def _say(self, move: Move | None) -> None:
        if move is not None:
            tell = _log.info if StationPhase.RUNNING in {move.before, move.after} else _log.debug
            tell("station_moved", station_id=self._station_id, before=move.before, after=move.after, reason=move.reason)
