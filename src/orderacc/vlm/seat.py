"""A place for an engine behind the batcher: when it is asked, how patiently, and what takes its place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orderacc.vlm.engine import VlmEngine


class Role(StrEnum):
    """When an engine is asked."""

    LOCAL = "local"
    """Always."""
    SPILL_OVER = "spill_over"
    """When more requests wait than the local engines should have before them, or no local one works."""
    FAIL_OVER = "fail_over"
    """When no other one works."""


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """How patient a batcher is with its engines. Times are seconds.

    Attributes:
        hang_after_sec: A call that takes longer is given up, and its engine with it.
        breaker_threshold: Failures within the window after which an engine rests.
        breaker_window_sec: How long a failure counts.
        breaker_cooldown_sec: How long it rests before one request is tried on it.
    """

    hang_after_sec: float = 45.0
    breaker_threshold: int = 3
    breaker_window_sec: float = 60.0
    breaker_cooldown_sec: float = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class EngineSeat:
    """An engine and how it is used.

    Attributes:
        engine: Answers the batches; closed by `VlmBatcher.aclose`.
        role: When it is asked.
        make_engine: Makes another one in the place of one that hung or closed; without it such an engine is gone.
        max_batch_size: Most requests in one call; None for the batcher's.
        parallel: Calls it takes at a time: 1 for an engine that works on one batch, more for one that does not mind.
        watched: Whether a call that takes too long is given up: not those of an engine that keeps times of its own, and
            has other calls under way.
    """

    engine: VlmEngine
    role: Role = Role.LOCAL
    make_engine: Callable[[], Awaitable[VlmEngine]] | None = None
    max_batch_size: int | None = None
    parallel: int = 1
    watched: bool = True
