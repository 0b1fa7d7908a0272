"""From the outbox to one receiver: at least once, in order per station, and not faster than the receiver can bear.

A message that fails is tried again after waits that grow, and the later ones of its station wait behind it. While the
receiver fails nobody hammers it: one message at a time is tried, after waits that grow likewise. A message is given up
(`dead`) when the receiver has refused it several times, or failed on it for too long; it can be replayed. A replay ends
every wait: somebody says that the receiver is well.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
from anyio import TASK_STATUS_IGNORED

from orderacc.backoff import JITTER, Backoff
from orderacc.errors import OrderAccError
from orderacc.notify.sink import Delivery, Outcome, Result
from orderacc.notify.statistics import SinkState, SinkStatistics
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from anyio.abc import TaskStatus

    from orderacc.notify.sink import Sink

_log = get_logger(__name__)

POLL: Final = 1.0
"""Seconds after which the outbox is looked into though nobody said that there is something, and though the receiver is
at rest: replays come from other processes."""

FIRST_WAIT: Final = 1.0
"""Longest wait after the first failure, seconds."""

BATCH: Final = 64
"""Messages taken out of the outbox at a time."""


class Pending(Protocol):
    """A message in the outbox."""

    @property
    def id(self) -> int:
        """Its number; grows."""
        ...

    @property
    def station_id(self) -> str:
        """The station it is about."""
        ...

    @property
    def key(self) -> str:
        """Its idempotency key."""
        ...

    @property
    def body(self) -> Mapping[str, Any]:
        """JSON values."""
        ...

    @property
    def created_at(self) -> float:
        """When it was written, seconds since 1970."""
        ...

    @property
    def attempts(self) -> int:
        """How often it was tried; a replay begins anew."""
        ...


class Outbox(Protocol):
    """Where messages wait. Times are seconds since 1970; every method raises `OrderAccError` where it cannot answer."""

    async def due(self, sink: str, now: float, limit: int) -> Sequence[Pending]:
        """Messages to be sent now, by number; none of a station whose first pending message has to wait."""
        ...

    async def next_due(self, sink: str) -> float | None:
        """When something is due next; None while nothing waits."""
        ...

    async def replays(self, sink: str) -> int:
        """How often a replay was asked for."""
        ...

    async def delivered(self, message_id: int) -> None:
        """The receiver has it."""
        ...

    async def failed(self, message_id: int, next_at: float, error: str) -> None:
        """An attempt failed; there is to be another."""
        ...

    async def dead(self, message_id: int, error: str) -> None:
        """It is given up."""
        ...

    async def backlog(self, sink: str) -> tuple[int, float | None]:
        """How many messages wait, and when the oldest of them was written."""
        ...


@dataclass(frozen=True, slots=True)
class PumpPolicy:
    """How patient a pump is. Times are seconds.

    Attributes:
        in_flight: Stations whose messages are sent at a time.
        first_wait: Longest wait after the first failure; doubles with each further one.
        longest_wait: What it doubles up to: a receiver that is back gets messages within this time.
        gone_wait: Wait after the receiver asked not to be sent anything any more.
        give_up_after: Age at which a message that fails is given up, if it was tried `tries` times.
        tries: So many a message gets in any case; one that is replayed may be old.
        refusals: Attempts after which a message that is refused is given up.
    """

    in_flight: int = 4
    first_wait: float = FIRST_WAIT
    longest_wait: float = 60.0
    gone_wait: float = 3600.0
    give_up_after: float = 86_400.0
    tries: int = 8
    refusals: int = 5


class Pump:
    """Sends one receiver's messages for as long as it runs.

    Args:
        sink: The receiver.
        outbox: Where its messages wait.
        policy: How patient to be.
        rng: Decides the jitter of the waits.
        clock: Seconds since 1970.
    """

    def __init__(
        self, sink: Sink, outbox: Outbox, policy: PumpPolicy, *, rng: Random, clock: Callable[[], float] = time.time
    ) -> None:
        self._sink = sink
        self._outbox = outbox
        self._policy = policy
        self._clock = clock
        self._rng = rng
        self._rests = Backoff(policy.first_wait, policy.longest_wait, rng)
        self._rest_until = 0.0
        self._at_rest = False
        self._replays = 0
        self._news = anyio.Event()
        self._settling: list[anyio.Event] = []
        self._now = SinkStatistics(sink.name)

    @property
    def sink(self) -> Sink:
        """The receiver."""
        return self._sink

    def statistics(self) -> SinkStatistics:
        """How it is; the backlog as of the last look into the outbox."""
        return self._now

    def wake(self) -> None:
        """Say that there is something in the outbox."""
        self._news.set()

    async def settled(self) -> None:
        """Wait until nothing is left that could be sent now: the outbox is empty, or the receiver is at rest."""
        if self._at_rest:
            return
        settled = anyio.Event()
        self._settling.append(settled)
        self.wake()
        await settled.wait()

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Send until cancelled; whatever is wrong with the receiver or the outbox, nothing is raised."""
        async with anyio.create_task_group() as group:
            await group.start(self._run_sink)
            task_status.started()
            while True:
                try:
                    await self._turn()
                except OrderAccError as error:
                    _log.error("outbox_failed", sink=self._sink.name, code=error.code, reason=error.message)
                    self._rest(self._rests.next())

    async def _run_sink(self, *, task_status: TaskStatus[None]) -> None:
        await self._sink.run(task_status=task_status)

    async def _turn(self) -> None:
        """Send what can be sent now, or wait until something can."""
        await self._sleep()
        self._news = anyio.Event()
        # Who asks from here on may have put something into the outbox that this look does not find.
        asked_before = len(self._settling)
        # One that comes while this look's messages are on their way shall end the rest that they may lead to.
        self._replays = await self._outbox.replays(self._sink.name)
        due = await self._outbox.due(self._sink.name, self._clock(), BATCH)
        await self._count_backlog()
        if not due:
            soonest = await self._outbox.next_due(self._sink.name)
            self._settled(asked_before)
            with anyio.move_on_after(POLL if soonest is None else min(POLL, max(0.0, soonest - self._clock()))):
                await self._news.wait()
            return
        ordered = sorted(due, key=lambda one: (one.station_id, one.id))
        lanes = [tuple(lane) for _, lane in groupby(ordered, key=lambda one: one.station_id)]
        if self._now.state is SinkState.READY:
            await self._send_lanes(lanes)
        else:
            # Not the one that has failed most: if it is the only one that fails, the others need not wait for it.
            await self._send(min((lane[0] for lane in lanes), key=lambda one: (one.attempts, one.id)))

    async def _send_lanes(self, lanes: Sequence[Sequence[Pending]]) -> None:
        room = anyio.Semaphore(self._policy.in_flight)
        failures: list[OrderAccError] = []

        async def send_lane(lane: Sequence[Pending]) -> None:
            async with room:
                for message in lane:
                    try:
                        if self._now.state is not SinkState.READY or not await self._send(message):
                            return
                    except OrderAccError as error:
                        failures.append(error)
                        return

        async with anyio.create_task_group() as group:
            for lane in lanes:
                group.start_soon(send_lane, lane)
        if failures:
            raise failures[0]

    async def _send(self, message: Pending) -> bool:
        """Make one attempt; False when the later messages of its station have to wait."""
        outcome = await self._attempt(message)
        if outcome.result is Result.DELIVERED:
            self._well()
        else:
            self._now = replace(self._now, failed=self._now.failed + 1, last_error=outcome.error)
            self._trouble(outcome)
        # How it ended is noted down even by a pump that is being stopped.
        with anyio.CancelScope(shield=True):
            if outcome.result is Result.DELIVERED:
                await self._outbox.delivered(message.id)
            else:
                await self._put_back(message, outcome)
        return outcome.result is Result.DELIVERED

    async def _attempt(self, message: Pending) -> Outcome:
        try:
            return await self._sink.deliver(Delivery(message.key, message.station_id, json_bytes(message.body)))
        except Exception as error:  # noqa: BLE001  a sink with a bug must neither lose messages nor stop the others
            _log.error("sink_failed", sink=self._sink.name, key=message.key, exc_info=error)
            return Outcome(Result.FAILED, f"sending failed: {type(error).__name__}")

    async def _put_back(self, message: Pending, outcome: Outcome) -> None:
        tried, now = message.attempts + 1, self._clock()
        given_up = tried >= self._policy.tries and now - message.created_at >= self._policy.give_up_after
        if outcome.result is Result.REFUSED:
            given_up |= tried >= self._policy.refusals
        details = {"sink": self._sink.name, "key": message.key, "attempts": tried, "reason": outcome.error}
        if given_up:
            _log.error("message_given_up", **details)
            self._now = replace(self._now, dead=self._now.dead + 1)
            await self._outbox.dead(message.id, outcome.error)
        else:
            _log.warning("message_failed", **details)
            await self._outbox.failed(message.id, now + self._wait(tried), outcome.error)

    def _wait(self, tried: int) -> float:
        """Seconds until a message is tried again."""
        longest = min(self._policy.first_wait * 2.0 ** min(tried - 1, 32), self._policy.longest_wait)
        return longest * (1 - JITTER * self._rng.random())

    def _well(self) -> None:
        if self._now.state is not SinkState.READY:
            _log.info("sink_recovered", sink=self._sink.name)
        self._rests.reset()
        delivered = self._now.delivered + 1
        self._now = replace(
            self._now, state=SinkState.READY, delivered=delivered, last_delivered_at=round(self._clock(), 3)
        )

    def _trouble(self, outcome: Outcome) -> None:
        if outcome.result is Result.REFUSED:
            return  # about the message, not about the receiver
        gone = outcome.result is Result.GONE
        state = SinkState.GONE if gone else SinkState.RESTING
        if self._now.state is not state:
            _log.error("sink_gone" if gone else "sink_failing", sink=self._sink.name, reason=outcome.error)
        self._now = replace(self._now, state=state)
        self._rest(self._policy.gone_wait if gone else max(self._rests.next(), outcome.rest))

    def _rest(self, seconds: float) -> None:
        self._rest_until = anyio.current_time() + seconds

    async def _sleep(self) -> None:
        """Leave the receiver alone for as long as it has to rest, or until there is a replay."""
        self._at_rest = self._rest_until > anyio.current_time()
        if self._at_rest:
            self._settled(len(self._settling))
        try:
            while (rest := self._rest_until - anyio.current_time()) > 0:
                await anyio.sleep(min(POLL, rest))
                if await self._replayed():
                    self._rest_until = 0.0
        finally:
            self._at_rest = False

    async def _replayed(self) -> bool:
        try:
            return await self._outbox.replays(self._sink.name) != self._replays
        except OrderAccError:
            return False  # an outbox in trouble ends no rest; the next turn tells of it

    def _settled(self, first: int) -> None:
        for one in self._settling[:first]:
            one.set()
        del self._settling[:first]

    async def _count_backlog(self) -> None:
        pending, oldest = await self._outbox.backlog(self._sink.name)
        age = 0.0 if oldest is None else max(0.0, self._clock() - oldest)
        self._now = replace(self._now, pending=pending, oldest_s=round(age, 3))


def json_bytes(body: Mapping[str, Any]) -> bytes:
    """A message as it is sent: the same bytes at every attempt."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
