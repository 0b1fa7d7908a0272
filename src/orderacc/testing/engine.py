"""A model that says what it is told to, and fails when told to."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

from orderacc.errors import EngineError
from orderacc.vlm.engine import VlmAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orderacc.vlm.engine import VlmRequest


class EngineFault(StrEnum):
    """What can go wrong with a call of an engine."""

    ERROR = "error"
    """It says that it failed."""
    BUG = "bug"
    """It raises what it must not."""
    OUT_OF_MEMORY = "out_of_memory"
    """It has no memory for so much."""
    CLOSED = "closed"
    """It has ended."""
    HANG = "hang"
    """It never answers, and does not react to being cancelled for the first time; `StagedEngine.release` ends it."""
    NOTHING = "nothing"
    """It gives what is no list of answers."""
    TOO_FEW = "too_few"
    """It gives one answer less than was asked."""
    WRONG_IDS = "wrong_ids"
    """Its answers are to other requests."""
    NOT_A_NUMBER = "not_a_number"
    """Its figures are none."""


class StagedEngine:
    """A vision language engine that answers what a function says, and fails as another one says.

    Args:
        answer: Gives the text for a request, or raises `EngineError`.
        name: What it is called.
        fault: What goes wrong with a call, by its requests; None where nothing does.

    Attributes:
        batches: The requests of every call.
        closed: Whether it was closed.
    """

    def __init__(
        self,
        answer: Callable[[VlmRequest], str],
        *,
        name: str = "staged",
        fault: Callable[[Sequence[VlmRequest]], EngineFault | None] | None = None,
    ) -> None:
        self.name = name
        self.batches: list[tuple[VlmRequest, ...]] = []
        self.closed = False
        self._answer = answer
        self._fault = fault
        self._released = asyncio.Event()

    async def generate(self, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
        """See `VlmEngine.generate`."""
        self.batches.append(tuple(requests))
        fault = self._fault(requests) if self._fault else None
        if fault is EngineFault.HANG:
            await self._hang()
        elif fault is EngineFault.BUG:
            raise ZeroDivisionError(len(requests))
        elif fault in _STAGED_ERRORS:
            raise EngineError(f"staged: {fault}", code=_STAGED_ERRORS[fault])
        answers = [VlmAnswer(one.request_id, self._answer(one), "stop", 1, 1, 1, 1.0) for one in requests]
        if fault is EngineFault.NOTHING:
            return cast("list[VlmAnswer]", None)
        if fault is EngineFault.NOT_A_NUMBER:
            return [replace(one, engine_ms=math.nan) for one in answers]
        if fault is EngineFault.WRONG_IDS:
            return [replace(one, request_id=f"{one.request_id}?") for one in answers]
        return answers[1:] if fault is EngineFault.TOO_FEW else answers

    async def aclose(self) -> None:
        """Take note of it."""
        self.closed = True

    def release(self) -> None:
        """Let every call that hangs go on."""
        self._released.set()

    async def _hang(self) -> None:
        # Swallowing the first is what makes this a hang and not merely a slow answer; the second ends the event loop.
        with suppress(asyncio.CancelledError):
            await self._released.wait()
        await self._released.wait()


_STAGED_ERRORS: Final[Mapping[EngineFault | None, str]] = {
    EngineFault.ERROR: "engine_failed",
    EngineFault.OUT_OF_MEMORY: "out_of_memory",
    EngineFault.CLOSED: "engine_closed",
}
