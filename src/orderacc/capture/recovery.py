"""When a station tries again: its life, its breaker and its waits decided in one place.

Pure: whoever runs the station tells it what happened and when, and asks when the next attempt is due.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderacc.backoff import Backoff
from orderacc.breaker import CircuitBreaker
from orderacc.capture.life import OPENING, WAITING, Event, StationLife, StationPhase

if TYPE_CHECKING:
    from random import Random

    from orderacc.capture.life import Move
    from orderacc.capture.policy import CapturePolicy


class Recovery:
    """Follows one station through failures and back.

    Args:
        policy: How patient it is.
        rng: Decides the jitter of the waits.
    """

    def __init__(self, policy: CapturePolicy, rng: Random) -> None:
        self._policy = policy
        self._backoff = Backoff(policy.reconnect_interval, policy.reconnect_interval_max, rng)
        self._breaker = CircuitBreaker(
            policy.circuit_breaker_threshold,
            policy.circuit_breaker_window_sec,
            policy.circuit_breaker_cooldown_sec,
            rng,
        )
        self._life = StationLife()
        self._due = 0.0
        self._ran = 0.0

    @property
    def phase(self) -> StationPhase:
        """Where the station is in its life."""
        return self._life.phase

    @property
    def since(self) -> float:
        """When it came there, seconds."""
        return self._life.since

    @property
    def moves(self) -> tuple[Move, ...]:
        """The last moves, oldest first."""
        return self._life.moves

    @property
    def due(self) -> float:
        """While it waits: when the next attempt may be made, seconds."""
        return self._due

    @property
    def trips(self) -> int:
        """How often the circuit opened."""
        return self._breaker.trips

    def uptime(self, now: float) -> float:
        """Seconds it has been running, all runs together."""
        return self._ran + (now - self.since if self.phase is StationPhase.RUNNING else 0.0)

    def start(self, now: float) -> Move:
        """The first attempt begins."""
        return self._take(Event.START, now, "started")

    def alive(self, now: float, newest: float) -> Move | None:
        """Frames come.

        Args:
            now: Seconds.
            newest: When the newest frame came, seconds; failures are forgotten when frames have come for long enough.

        Returns:
            The move to running when this was the first.
        """
        if self.phase in OPENING:
            return self._take(Event.FRAME, now, "first_frame")
        if self.phase is StationPhase.RUNNING and newest - self.since >= self._policy.healthy_after_sec:
            self._breaker.close()
            self._backoff.reset()
        return None

    def silent(self, now: float) -> Move:
        """Frames stopped coming; the failure follows when the source has been let go."""
        return self._take(Event.SILENCE, now, "stalled")

    def failed(self, now: float, code: str, began: float | None = None) -> Move:
        """The attempt is over; the next one is `due` after a wait.

        Args:
            now: Seconds.
            code: Why.
            began: When the attempt began, of one that gave no frame: the time it took counts as waited.
        """
        if self._breaker.failed(now, began):
            self._due = self._breaker.probe_at
            return self._take(Event.TRIP, now, code)
        self._due = max(now, (now if began is None else began) + self._backoff.next())
        return self._take(Event.FAILURE, now, code)

    def asked(self, now: float, reason: str) -> Move | None:
        """Somebody wants it opened anew: at once, and with the failures so far forgotten."""
        self._breaker.close()
        self._backoff.reset()
        self._due = now
        return None if self.phase is StationPhase.RESTARTING else self._take(Event.RESTART, now, reason)

    def blocked(self, now: float, reason: str) -> Move | None:
        """No attempt can be made although one is due: the circuit opens, or stays open."""
        if self.phase is StationPhase.CIRCUIT_OPEN:
            return None
        self._breaker.trip(now)
        self._due = self._breaker.probe_at
        return self._take(Event.TRIP, now, reason)

    def retry(self, now: float) -> Move:
        """The next attempt begins.

        Raises:
            ValueError: If none is due.
        """
        if self.phase not in WAITING or now < self._due:
            raise ValueError(f"no attempt is due at {now} while {self.phase}")
        if self.phase is StationPhase.CIRCUIT_OPEN:
            self._breaker.probe(now)
            return self._take(Event.PROBE, now, "cooldown_over")
        return self._take(Event.RETRY, now, "wait_over")

    def stop(self, now: float, reason: str) -> Move:
        """It is over."""
        return self._take(Event.STOP, now, reason)

    def ended(self, now: float) -> Move:
        """The source has been let go."""
        return self._take(Event.ENDED, now, "ended")

    def _take(self, event: Event, now: float, reason: str) -> Move:
        self._ran = self.uptime(now)
        return self._life.take(event, now, reason)
