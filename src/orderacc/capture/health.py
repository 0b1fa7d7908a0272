"""How a station is, at one moment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orderacc.capture.life import StationPhase
from orderacc.capture.source import SourceStats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orderacc.capture.attempt import Attempt
    from orderacc.capture.life import Move


@dataclass(frozen=True, slots=True)
class LastError:
    """What went wrong last.

    Attributes:
        code: The error's stable code.
        message: For people; credentials masked.
        at: When, seconds by the station's monotonic clock.
    """

    code: str
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class StationHealth:
    """A snapshot of one station. Counters count from when the station was begun, through all its restarts.

    Times are seconds by the station's monotonic clock.

    Attributes:
        station_id: The station.
        phase: Where it is in its life.
        since: When it came there.
        at: When the snapshot was taken.
        frames_in: Frames decoded.
        kept: Frames taken by whoever watches.
        dropped: Frames that were not, by cause: `rate` (more than were asked for), `late` (replaced by a newer one
            before they were taken), `damaged` (packets or frames that could not be decoded whole).
        fps: Frames a second delivered over the last seconds.
        frame_age_s: Seconds since the newest frame came; None before the first.
        jitter_s: Seconds by which the frames' arrivals differ from their own times, smoothed.
        decode_ms: Milliseconds of decoding per frame, of the current attempt; None when not measured.
        restarts: Attempts after the first.
        failures: Attempts that failed, by code.
        breaker_trips: How often the circuit opened.
        stalls: How often frames stopped coming though nothing failed.
        abandoned_threads: Threads of sources that were told to end and did not, and still exist.
        uptime_s: Seconds in which frames came, all runs together.
        last_error: What went wrong last.
        info: What the source knows of its stream: a `StreamInfo` for network cameras, None for others.
        warnings: What is wrong with the picture itself.
        moves: The last steps of its life, oldest first.
    """

    station_id: str
    phase: StationPhase = StationPhase.STOPPED
    since: float = 0.0
    at: float = 0.0
    frames_in: int = 0
    kept: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    fps: float = 0.0
    frame_age_s: float | None = None
    jitter_s: float = 0.0
    decode_ms: float | None = None
    restarts: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    breaker_trips: int = 0
    stalls: int = 0
    abandoned_threads: int = 0
    uptime_s: float = 0.0
    last_error: LastError | None = None
    info: object | None = None
    warnings: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()


class Tally:
    """Counts of a station that outlive its attempts."""

    def __init__(self) -> None:
        self.taken = 0
        self.attempts = 0
        self.stalls = 0
        self.failures: Counter[str] = Counter()
        self.last_error: LastError | None = None
        self._before = SourceStats()
        self._replaced = 0

    def settle(self, attempt: Attempt) -> None:
        """Add what an attempt counted, when it is over."""
        self._before = self._before + attempt.stats
        self._replaced += attempt.mailbox.replaced

    def sources(self, current: Attempt | None) -> SourceStats:
        """All sources together.

        Args:
            current: The attempt that is not settled yet.
        """
        return self._before if current is None else self._before + current.stats

    def replaced(self, current: Attempt | None) -> int:
        """Frames that gave way to newer ones."""
        return self._replaced + (current.mailbox.replaced if current else 0)
