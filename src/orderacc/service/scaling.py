"""How hard the models are worked: what is given up when there is too much to do, and when it comes back.

Two ladders, each climbed one rung at a time. Nothing is lost on any rung: every order gets its verdict.

The VLM's: small batches, so that a closing order never waits long behind what runs; then nothing is asked ahead of time
any more; then batches grow, which answers more a second and each a little later.

The watching's: all frames; then half of those of counters on which nothing lies; then half of all.

A rung up is taken when the load has been high without a break for seconds, a rung down when it has been low for
minutes. In between nothing moves. Pure: no clock, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Watching(IntEnum):
    """Which frames are looked at."""

    ALL = 0
    """As many as configured."""
    HALF_IF_EMPTY = 1
    """Half of them where no order is open."""
    HALF = 2
    """Half of them."""


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """What counts as too much to do, and for how long.

    Attributes:
        high: Utilisation of a device above which it has too much to do, 0 to 1.
        low: Utilisation below which it has nothing to do; at most half of `high`, or looking at all frames again would
            be too much at once.
        latency_target_s: Answers that take longer on average are too late, seconds.
        queue_target: Requests waiting from which there are too many.
        busy_after_s: Seconds of too much to do before a rung up.
        idle_after_s: Seconds of nothing to do before a rung down.
        first_batch: Most requests in one call on the lowest rung.
        most_batch: Most requests in one call on the highest.

    Raises:
        ValueError: If these contradict each other.
    """

    high: float = 0.8
    low: float = 0.3
    latency_target_s: float = 2.0
    queue_target: int = 16
    busy_after_s: float = 10.0
    idle_after_s: float = 300.0
    first_batch: int = 4
    most_batch: int = 16

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high / 2 <= 0.5:
            raise ValueError(f"low must be above 0 and at most half of high, not {self.low} of {self.high}")
        if not 1 <= self.first_batch <= self.most_batch:
            raise ValueError(f"first_batch must be 1 to most_batch, not {self.first_batch} to {self.most_batch}")
        if min(self.latency_target_s, self.busy_after_s, self.idle_after_s) <= 0 or self.queue_target < 1:
            raise ValueError("times must be greater than 0, and queue_target 1 or more")


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is to do, smoothed over some seconds.

    Attributes:
        at: When, seconds by a monotonic clock.
        vlm: Share of the time the VLM's engines are at work, 0 to 1.
        detector: The same of the detector's device.
        latency_s: Seconds an answer takes on average, the wait included; None when none was asked for lately.
        queued: Requests waiting.
    """

    at: float
    vlm: float
    detector: float
    latency_s: float | None
    queued: float


@dataclass(frozen=True, slots=True)
class Setting:
    """How hard the models are worked.

    Attributes:
        batch_size: Most requests in one call of the VLM.
        early_looks: Whether anything is asked before an order ends.
        watching: Which frames are looked at.
    """

    batch_size: int
    early_looks: bool
    watching: Watching


class Ladder:
    """A position that follows a condition reluctantly.

    Args:
        top: The highest rung; the lowest is 0.
        busy_after_s: Seconds without a break of `busy` before a rung up, and between two.
        idle_after_s: The same of `idle` for a rung down.
    """

    def __init__(self, top: int, busy_after_s: float, idle_after_s: float) -> None:
        self._top = top
        self._patience = {1: busy_after_s, -1: idle_after_s}
        self._way = 0
        self._since = 0.0
        self.rung = 0

    @property
    def at_top(self) -> bool:
        """Whether there is no rung above."""
        return self.rung == self._top

    def follow(self, at: float, *, busy: bool, idle: bool) -> int:
        """Take in how it is now; a busy moment is not idle.

        Args:
            at: When, seconds; never less than before.
            busy: Whether there is too much to do.
            idle: Whether there is nothing to do.

        Returns:
            The rung.
        """
        way = 1 if busy else -1 if idle else 0
        if way != self._way:
            self._way, self._since = way, at
        elif way and at - self._since >= self._patience[way]:
            self._since = at
            self.rung = min(self._top, max(0, self.rung + way))
        return self.rung


class ScalingController:
    """Decides from the load how hard the models are worked.

    Args:
        policy: What counts as too much.
    """

    def __init__(self, policy: ScalingPolicy) -> None:
        self._policy = policy
        self._rungs = _vlm_rungs(policy)
        self._vlm = Ladder(len(self._rungs) - 1, policy.busy_after_s, policy.idle_after_s)
        self._watching = Ladder(max(Watching), policy.busy_after_s, policy.idle_after_s)

    @property
    def setting(self) -> Setting:
        """What holds now."""
        batch_size, early_looks = self._rungs[self._vlm.rung]
        return Setting(batch_size, early_looks, Watching(self._watching.rung))

    def follow(self, load: Load) -> Setting:
        """Take in the load.

        Returns:
            What holds from now on.
        """
        policy = self._policy
        late = load.latency_s is not None and load.latency_s > policy.latency_target_s
        pressed = load.vlm > policy.high or load.queued > policy.queue_target or late
        # Watching shares the processor with the VLM: when that has nothing left to give up, frames are.
        overrun = late and self._vlm.at_top
        self._vlm.follow(load.at, busy=pressed, idle=load.vlm < policy.low and load.queued < 1)
        self._watching.follow(
            load.at,
            busy=load.detector > policy.high or overrun,
            idle=load.detector < policy.low and not pressed,
        )
        return self.setting


def _vlm_rungs(policy: ScalingPolicy) -> tuple[tuple[int, bool], ...]:
    """Batch size and early looks, rung by rung."""
    rungs = [(policy.first_batch, True), (policy.first_batch, False)]
    while rungs[-1][0] < policy.most_batch:
        rungs.append((min(2 * rungs[-1][0], policy.most_batch), False))
    return tuple(rungs)
