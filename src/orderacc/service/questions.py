"""Putting a frame before the model, and keeping what it said about frames of an order that has not ended yet."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from orderacc.domain.detections import NOT_ITEMS
from orderacc.errors import EngineError
from orderacc.vlm.engine import Priority, VlmRequest
from orderacc.vlm.prompt import answer_grammar, build_prompt

if TYPE_CHECKING:
    from collections.abc import Collection

    from orderacc.domain.evidence import Candidate
    from orderacc.domain.frames import Frame
    from orderacc.domain.menus import Menu
    from orderacc.vlm.batcher import VlmBatcher
    from orderacc.vlm.engine import VlmAnswer
    from orderacc.vlm.view_rules import ViewRules


@dataclass(slots=True, eq=False)
class _Early:
    """A question asked ahead of time."""

    request_id: str
    tokens: int = 0
    answer: VlmAnswer | None = None
    settled: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class EarlyAnswers:
    """What was asked about one order's frames before it ended, by frame.

    An answer is used for the very frame it is about and for no other, so a verdict is the same whether it was asked
    early, late or both.
    """

    def __init__(self) -> None:
        self._asked: dict[Frame, _Early] = {}
        self._closed = False

    def __len__(self) -> int:
        """How many frames were asked about."""
        return len(self._asked)

    @property
    def closed(self) -> bool:
        """Whether the order has ended, and nothing more is to be asked ahead of it."""
        return self._closed

    def close(self, frames: Collection[Candidate]) -> None:
        """The order has ended; questions about other frames than these are not wanted any more."""
        self._closed = True
        wanted = {candidate.frame for candidate in frames}
        for frame, early in self._asked.items():
            if frame not in wanted:
                early.scope.cancel()
        self._asked = {frame: early for frame, early in self._asked.items() if frame in wanted}

    def answered(self, frame: Frame) -> bool:
        """Whether the answer about a frame is there."""
        return frame in self._asked and self._asked[frame].answer is not None

    def find(self, frame: Frame) -> _Early | None:
        """The question asked about a frame."""
        return self._asked.get(frame)

    def begin(self, frame: Frame, request_id: str) -> _Early:
        """A frame is being asked about."""
        early = self._asked[frame] = _Early(request_id)
        return early


@dataclass(slots=True)
class QuestionCounters:
    """What the questions of a process came to.

    Attributes:
        calls: Answers got, early ones included.
        visual_tokens: Tokens of their pictures.
        early_calls: Those of them asked before the order ended.
        early_tokens: Tokens of their pictures.
        early_used: Those of these that a verdict rests on.
    """

    calls: int = 0
    visual_tokens: int = 0
    early_calls: int = 0
    early_tokens: int = 0
    early_used: int = 0


class Questions:
    """Asks one model about frames.

    Args:
        batcher: The way to the model.
        menu: What it may answer.
        view: How the picture is cut out of the frame.
        max_new_tokens: Longest answer.
        patience: Seconds an answer may take, the wait for the engine included; None waits for ever.

    Attributes:
        counters: What came of it so far.
    """

    def __init__(
        self, batcher: VlmBatcher, menu: Menu, view: ViewRules, max_new_tokens: int, patience: float | None
    ) -> None:
        self._batcher = batcher
        self._view = view
        self._max_new_tokens = max_new_tokens
        self._patience = patience
        self._prompt = build_prompt(menu.names)
        self._grammar = answer_grammar(menu.names)
        self.counters = QuestionCounters()

    @property
    def pressure(self) -> float:
        """How full the queue is, 0 to 1."""
        return self._batcher.pressure

    async def ask(self, request_id: str, candidate: Candidate, early: EarlyAnswers | None = None) -> VlmAnswer | None:
        """Ask about a frame of an order that has ended.

        Args:
            request_id: Unique among the questions that wait.
            candidate: The frame.
            early: What was asked about the order before; its answer is used, or waited for with all haste.

        Returns:
            The answer; None when the model failed.
        """
        known = early.find(candidate.frame) if early is not None else None
        if known is not None:
            self._batcher.hurry(known.request_id)
            await known.settled.wait()
            if known.answer is not None:
                self.counters.early_used += 1
                return known.answer
        return await self._ask(request_id, candidate, Priority.CLOSING)

    async def ask_early(self, request_id: str, candidate: Candidate, early: EarlyAnswers) -> VlmAnswer | None:
        """Ask about a frame of an order that is still open, once.

        Returns:
            The answer; None when the model failed, or had no time for it.
        """
        known = early.find(candidate.frame)
        if known is None:
            known = early.begin(candidate.frame, request_id)
            try:
                with known.scope:
                    known.answer = await self._ask(request_id, candidate, Priority.SPECULATIVE)
            finally:
                known.settled.set()
            if known.answer is not None:
                self.counters.early_calls += 1
                self.counters.early_tokens += known.answer.visual_tokens
        await known.settled.wait()
        return known.answer

    async def _ask(self, request_id: str, candidate: Candidate, priority: Priority) -> VlmAnswer | None:
        boxes = [found.box for found in candidate.detections if found.label not in NOT_ITEMS]
        view = await asyncio.to_thread(self._view.cut, candidate.frame.image, boxes)
        deadline = None if self._patience is None else time.monotonic() + self._patience
        request = VlmRequest(
            request_id,
            view,
            self._prompt,
            self._grammar,
            self._max_new_tokens,
            station_id=candidate.frame.station_id,
            priority=priority,
            deadline=deadline,
        )
        try:
            answer = await self._batcher.ask(request)
        except EngineError:
            return None
        self.counters.calls += 1
        self.counters.visual_tokens += answer.visual_tokens
        return answer
