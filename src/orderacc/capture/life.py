"""A station's life: its phases, and what leads from one to the next.

```
STOPPED ──start──> STARTING ──frame──> RUNNING
                    │  ^  └──silence──>  │ └──silence──> STALLED
                 failure retry        failure               │ failure
                    v  │                 v                  v
                   RESTARTING <──────────┴──────────────────┘
trip: from STARTING, RUNNING, STALLED, RESTARTING, HALF_OPEN to CIRCUIT_OPEN ──probe──> HALF_OPEN ──frame──> RUNNING
restart: from everything that lives to RESTARTING;  stop: to SHUTTING_DOWN ──ended──> STOPPED
```

Pure: no clock, no thread. The table is the whole truth; what is not in it cannot happen.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HISTORY: Final = 32
"""Moves remembered."""


class StationPhase(StrEnum):
    """Where a station is in its life."""

    STOPPED = "stopped"
    """Nothing runs: not begun yet, or over."""
    STARTING = "starting"
    """The camera is being opened; no frame yet."""
    RUNNING = "running"
    """Frames come."""
    STALLED = "stalled"
    """Frames stopped coming though nothing failed; the source is being let go."""
    RESTARTING = "restarting"
    """Waiting for the next attempt."""
    CIRCUIT_OPEN = "circuit_open"
    """Too many failures: waiting longer for the next attempt, so that the camera is not hammered."""
    HALF_OPEN = "half_open"
    """The camera is being opened to see whether the failures are over; no frame yet."""
    SHUTTING_DOWN = "shutting_down"
    """Told to stop; the source is being let go."""


class Event(StrEnum):
    """What can happen to a station."""

    START = "start"
    FRAME = "frame"
    SILENCE = "silence"
    FAILURE = "failure"
    TRIP = "trip"
    RETRY = "retry"
    PROBE = "probe"
    RESTART = "restart"
    STOP = "stop"
    ENDED = "ended"


_ALIVE: Final = {Event.TRIP: StationPhase.CIRCUIT_OPEN, Event.STOP: StationPhase.SHUTTING_DOWN}
_BROKEN: Final = {Event.FAILURE: StationPhase.RESTARTING, Event.RESTART: StationPhase.RESTARTING}

TABLE: Final[Mapping[StationPhase, Mapping[Event, StationPhase]]] = MappingProxyType(
    {
        StationPhase.STOPPED: {Event.START: StationPhase.STARTING},
        StationPhase.STARTING: {
            Event.FRAME: StationPhase.RUNNING,
            Event.SILENCE: StationPhase.STALLED,
            **_BROKEN,
            **_ALIVE,
        },
        StationPhase.RUNNING: {Event.SILENCE: StationPhase.STALLED, **_BROKEN, **_ALIVE},
        StationPhase.STALLED: {**_BROKEN, **_ALIVE},
        StationPhase.RESTARTING: {Event.RETRY: StationPhase.STARTING, **_ALIVE},
        StationPhase.CIRCUIT_OPEN: {
            Event.PROBE: StationPhase.HALF_OPEN,
            Event.RESTART: StationPhase.RESTARTING,
            Event.STOP: StationPhase.SHUTTING_DOWN,
        },
        # A failed probe opens the circuit again: FAILURE has no place here.
        StationPhase.HALF_OPEN: {
            Event.FRAME: StationPhase.RUNNING,
            Event.SILENCE: StationPhase.STALLED,
            Event.RESTART: StationPhase.RESTARTING,
            **_ALIVE,
        },
        StationPhase.SHUTTING_DOWN: {Event.ENDED: StationPhase.STOPPED},
    }
)
"""Phase and event to the next phase."""

OPENING: Final = frozenset({StationPhase.STARTING, StationPhase.HALF_OPEN})
"""Phases in which a source is being opened."""

WAITING: Final = frozenset({StationPhase.RESTARTING, StationPhase.CIRCUIT_OPEN})
"""Phases in which the next attempt is waited for."""


@dataclass(frozen=True, slots=True)
class Move:
    """A step from one phase to another.

    Attributes:
        at: When, seconds by the station's monotonic clock.
        before: The phase left.
        after: The phase entered.
        reason: Why: a failure's code, or what was asked for.
    """

    at: float
    before: StationPhase
    after: StationPhase
    reason: str


class StationLife:
    """One station's way through the table."""

    def __init__(self) -> None:
        self._phase = StationPhase.STOPPED
        self._since = 0.0
        self._moves: deque[Move] = deque(maxlen=HISTORY)

    @property
    def phase(self) -> StationPhase:
        """Where it is."""
        return self._phase

    @property
    def since(self) -> float:
        """When it came there, seconds by the monotonic clock; 0 before the first move."""
        return self._since

    @property
    def moves(self) -> tuple[Move, ...]:
        """The last moves, oldest first."""
        return tuple(self._moves)

    def take(self, event: Event, at: float, reason: str) -> Move:
        """Follow the table.

        Args:
            event: What happened.
            at: When, seconds.
            reason: Why, for people.

        Raises:
            ValueError: If this cannot happen in this phase.
        """
        after = TABLE[self._phase].get(event)
        if after is None:
            raise ValueError(f"a station that is {self._phase} knows no {event}")
        move = Move(at, self._phase, after, reason)
        self._moves.append(move)
        self._phase, self._since = after, at
        return move
