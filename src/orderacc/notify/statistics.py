"""How a sink is, at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SinkState(StrEnum):
    """Whether messages go out."""

    READY = "ready"
    """Yes."""
    RESTING = "resting"
    """Too much failed; one is tried after a wait."""
    GONE = "gone"
    """The receiver asked not to be sent anything any more; one is tried after a long wait."""


@dataclass(frozen=True, slots=True)
class SinkStatistics:
    """A snapshot of one sink. Counters count from when the process began.

    Attributes:
        name: The sink.
        state: Whether messages go out.
        delivered: Messages the receiver has.
        failed: Attempts that failed.
        dead: Messages that were given up.
        pending: Messages that wait in the outbox.
        oldest_s: Seconds the oldest of them has waited; 0 when none waits.
        last_error: Why the last attempt that failed did; None before the first.
        last_delivered_at: When the last message was delivered, seconds since 1970; None before the first.
    """

    name: str
    state: SinkState = SinkState.READY
    delivered: int = 0
    failed: int = 0
    dead: int = 0
    pending: int = 0
    oldest_s: float = 0.0
    last_error: str | None = None
    last_delivered_at: float | None = None
