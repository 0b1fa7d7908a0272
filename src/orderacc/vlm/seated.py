"""An engine at work behind the batcher: its breaker, its watchdog, and how it is replaced."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from orderacc.backoff import Backoff
from orderacc.breaker import Circuit, CircuitBreaker
from orderacc.errors import EngineError, OrderAccError
from orderacc.telemetry import get_logger
from orderacc.vlm.engine import check_answers
from orderacc.vlm.seat import Role
from orderacc.vlm.statistics import EngineStatistics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from random import Random

    from orderacc.vlm.engine import VlmAnswer, VlmEngine, VlmRequest
    from orderacc.vlm.seat import EnginePolicy, EngineSeat

_log = get_logger(__name__)

REQUESTS_FAULT: Final = frozenset({"bad_image", "bad_request", "bad_grammar", "deadline"})
"""Codes of requests that no engine can answer."""

BLAMELESS: Final = REQUESTS_FAULT | {"refused"}
"""Codes that say nothing bad about the engine; one that refuses a question may be followed by one that does not."""

LOSING: Final = frozenset({"engine_hung", "engine_closed"})
"""Codes after which an engine is of no use any more."""

MORE_AFTER: Final = 20
"""Full batches in a row after which an engine that ran out of memory is given one request more: what took its memory
may have gone."""

MOST_LEAVING: Final = 2
"""Engines that hang and still hold their memory; no further one is made while there are so many."""

CLOSE_WITHIN: Final = 5.0
"""Seconds engines get to close; one that hangs does not hold up the end of the process."""

FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 60.0


class Audience(Protocol):
    """Who wants to know how an engine is."""

    def engine_changed(self) -> None:
        """It may take more or fewer requests than before."""
        ...

    def engine_disappointed(self, error: EngineError) -> None:
        """It should have come back, and did not."""
        ...


class SeatedEngine:
    """Asks one engine for as long as it works. Belongs to one event loop.

    Args:
        seat: The engine.
        policy: How patient to be.
        audience: Told what becomes of it.
        rng: Decides the jitter of the waits.

    Attributes:
        name: The engine's.
        role: When it is asked.
        parallel: Calls it takes at a time.
        calls: Calls it is at now.
    """

    def __init__(self, seat: EngineSeat, policy: EnginePolicy, audience: Audience, rng: Random) -> None:
        self.name = seat.engine.name
        self.role = seat.role
        self.parallel = seat.parallel
        self.calls = 0
        self._in_flight = 0
        self._most = self._most_ever = seat.max_batch_size
        self._full_batches = 0
        self._make_engine = seat.make_engine
        self._engine: VlmEngine | None = seat.engine
        self._policy = policy
        self._hang_after_sec = policy.hang_after_sec if seat.watched else math.inf
        self._audience = audience
        self._rng = rng
        self._breaker = self._new_breaker()
        self._past_trips = 0
        self._replacing: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._blocked = False
        self._batches = self._answered = self._hung = self._replaced = 0
        self._failures: Counter[str] = Counter()
        self._busy_s = 0.0

    @property
    def works(self) -> bool:
        """Whether it can be relied on now."""
        return self._engine is not None and self._breaker.circuit is Circuit.CLOSED

    @property
    def gone(self) -> bool:
        """Whether there is no engine and will be none."""
        return self._engine is None and self._make_engine is None

    @property
    def hopeless(self) -> bool:
        """Whether nobody should wait for it: it is gone, or cannot be replaced while those before it hang."""
        return self.gone or self._blocked

    @property
    def due_in(self) -> float:
        """Seconds until it takes a request: 0 when it does, infinity when nobody knows."""
        if self._engine is None or self._breaker.circuit is Circuit.HALF_OPEN:
            return math.inf
        if self._breaker.circuit is Circuit.CLOSED:
            return 0.0
        return max(0.0, self._breaker.probe_at - time.monotonic())

    def limit(self, most: int) -> int:
        """Most requests it may be given now, of those a batch may hold."""
        if self.calls >= self.parallel or self.due_in > 0:
            return 0
        return min(most, self._most or most) if self.works else 1

    async def ask(self, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
        """Have a batch answered.

        Raises:
            EngineError: The engine's; `engine_hung` when it did not answer, `engine_failed` for answers that are none.
        """
        engine, began = self._engine, time.monotonic()
        if engine is None or not self._breaker.probe(began):
            raise EngineError(f"the engine {self.name} does not work now")
        self.calls += 1
        self._in_flight += len(requests)
        self._batches += 1
        try:
            answers = check_answers(requests, await self._watched(engine, requests))
        except EngineError as error:
            self._take_in(engine, error, began, len(requests))
            raise
        except asyncio.CancelledError:
            # A probe that nobody waited for must not leave the engine in doubt for ever.
            if self._breaker.circuit is Circuit.HALF_OPEN:
                self._breaker.failed(time.monotonic(), began)
            raise
        else:
            self._recovered()
            self._grow(len(answers))
            self._answered += len(answers)
            return answers
        finally:
            self.calls -= 1
            self._in_flight -= len(requests)
            self._busy_s += time.monotonic() - began
            self._audience.engine_changed()

    async def aclose(self) -> None:
        """Let the engine go; one that does not come to an end is left behind."""
        engine, self._engine, self._make_engine = self._engine, None, None
        if self._replacing is not None:
            self._replacing.cancel()
        if engine is not None:
            self._leave(engine)
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=CLOSE_WITHIN)

    def statistics(self) -> EngineStatistics:
        """What has happened so far."""
        return EngineStatistics(
            name=self.name,
            role=self.role.value,
            state=self._state(),
            in_flight=self._in_flight,
            batches=self._batches,
            answered=self._answered,
            failures=dict(self._failures),
            trips=self._past_trips + self._breaker.trips,
            hung=self._hung,
            replaced=self._replaced,
            busy_s=self._busy_s,
            calls=self.calls,
            parallel=self.parallel,
        )

    async def _watched(self, engine: VlmEngine, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
        over = anyio.Event()

        async def calling() -> list[VlmAnswer]:
            try:
                return await engine.generate(requests)
            finally:
                over.set()

        # A task of its own, because an engine that hangs may not react to being cancelled either.
        call = asyncio.ensure_future(calling())
        try:
            with anyio.move_on_after(self._hang_after_sec):
                await over.wait()
        finally:
            if not over.is_set():
                call.add_done_callback(_heard)
                call.cancel()
        if not over.is_set():
            message = f"the engine {self.name} did not answer within {self._hang_after_sec:g} s"
            raise EngineError(message, code="engine_hung")
        if call.cancelled():
            raise EngineError(f"the engine {self.name} dropped {len(requests)} requests")
        error = call.exception()
        if error is None:
            return call.result()
        if isinstance(error, EngineError):
            raise error
        if not isinstance(error, Exception):
            raise error
        _log.error("engine_broken", engine=self.name, requests=len(requests), exc_info=error)
        raise EngineError(f"the engine {self.name} failed: {type(error).__name__}: {error}") from error

    def _take_in(self, engine: VlmEngine, error: EngineError, began: float, requests: int) -> None:
        """Draw the consequences of a failure."""
        if error.code in BLAMELESS:
            self._recovered()
            return
        self._failures[error.code] += 1
        probing = self._breaker.circuit is Circuit.HALF_OPEN
        if error.code == "busy" and self.role is not Role.SPILL_OVER and not probing:
            # Rest would only fail those who wait for it; what would spill over has other engines to go to meanwhile.
            return
        if error.code == "out_of_memory" and requests > 1:
            self._most, self._full_batches = requests // 2, 0
        if error.code in LOSING:
            self._hung += error.code == "engine_hung"
            if engine is self._engine:
                self._give_up(engine, error)
            return
        if self._breaker.failed(time.monotonic(), began if probing else None):
            _log.warning("engine_resting", engine=self.name, code=error.code, error=error.message)
        if probing:
            self._audience.engine_disappointed(error)

    def _grow(self, answers: int) -> None:
        if self._most == self._most_ever or self._most is None or answers < self._most:
            return
        self._full_batches += 1
        if self._full_batches == MORE_AFTER:
            self._most, self._full_batches = self._most + 1, 0

    def _recovered(self) -> None:
        if self._breaker.circuit is not Circuit.CLOSED:
            _log.info("engine_back", engine=self.name)
            self._breaker.close()

    def _give_up(self, engine: VlmEngine, error: EngineError) -> None:
        _log.error("engine_lost", engine=self.name, code=error.code, replaced=self._make_engine is not None)
        self._engine = None
        self._leave(engine)
        if self._make_engine is not None:
            self._replacing = asyncio.ensure_future(self._replace(self._make_engine))

    def _leave(self, engine: VlmEngine) -> None:
        closing = asyncio.ensure_future(_close(engine))
        self._leaving.add(closing)
        closing.add_done_callback(self._leaving.discard)

    async def _replace(self, make_engine: Callable[[], Awaitable[VlmEngine]]) -> None:
        backoff = Backoff(FIRST_WAIT, LONGEST_WAIT, self._rng)
        while self._engine is None:
            if len(self._leaving) >= MOST_LEAVING:
                await self._some_have_left()
            try:
                self._engine = await make_engine()
            except OrderAccError as error:
                _log.error("engine_not_replaced", engine=self.name, code=error.code, error=error.message)
                self._audience.engine_disappointed(EngineError(error.message))
            except Exception as error:  # noqa: BLE001  whatever goes wrong with one attempt, there will be others
                _log.error("engine_not_replaced", engine=self.name, exc_info=error)
                self._audience.engine_disappointed(EngineError(f"{type(error).__name__}: {error}"))
            if self._engine is None:
                await asyncio.sleep(backoff.next())
        self._replaced += 1
        self._past_trips += self._breaker.trips
        self._breaker = self._new_breaker()
        _log.info("engine_replaced", engine=self.name)
        self._audience.engine_changed()

    async def _some_have_left(self) -> None:
        self._blocked = True
        error = EngineError(f"{len(self._leaving)} engines {self.name} hang and hold their memory", code="engine_hung")
        _log.error("engine_not_replaced", engine=self.name, code=error.code, error=error.message)
        self._audience.engine_disappointed(error)
        while len(self._leaving) >= MOST_LEAVING:
            await asyncio.wait(self._leaving, return_when=asyncio.FIRST_COMPLETED)
        self._blocked = False

    def _new_breaker(self) -> CircuitBreaker:
        policy = self._policy
        return CircuitBreaker(
            policy.breaker_threshold, policy.breaker_window_sec, policy.breaker_cooldown_sec, self._rng
        )

    def _state(self) -> str:
        if self._engine is None:
            return "gone" if self.gone else "replacing"
        names = {Circuit.CLOSED: "ready", Circuit.OPEN: "resting", Circuit.HALF_OPEN: "probing"}
        return names[self._breaker.circuit]


async def _close(engine: VlmEngine) -> None:
    try:
        await engine.aclose()
    except Exception as error:  # noqa: BLE001  it is out of use; whatever is wrong with its end stays with it
        _log.warning("engine_not_closed", engine=engine.name, exc_info=error)


def _heard(call: asyncio.Future[list[VlmAnswer]]) -> None:
    """Take note of how a call nobody waits for ended: an error that nobody asks for would be reported as a bug."""
    if not call.cancelled():
        call.exception()
