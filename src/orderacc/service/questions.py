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
    from collections.abc import Collection, Mapping, Sequence

    from orderacc.domain.detections import Box
    from orderacc.domain.evidence import Candidate
    from orderacc.domain.frames import Frame, Image
    from orderacc.domain.menus import Menu
    from orderacc.vlm.batcher import VlmBatcher
    from orderacc.vlm.engine import VlmAnswer
    from orderacc.vlm.view_rules import ViewRules


@dataclass(slots=True, eq=False)
class _Early:
    """A question asked ahead of time; as urgent as it has become, though its picture may still be being cut."""

    request_id: str
    priority: Priority = Priority.SPECULATIVE
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
        patience: Seconds the answers of an order that cannot wait may take together, the wait for the engine included;
            None for any time.

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
        self._prompt = build_prompt(menu.visible_names)
        self._grammar = answer_grammar(menu.visible_names)
        self._coming = 0
        self.counters = QuestionCounters()

    @property
    def pressure(self) -> float:
        """How full the queue is, 0 to 1, with the questions that will be in it when their pictures are cut."""
        return min(1.0, self._batcher.pressure + self._coming / self._batcher.queue_size)

    def deadline(self) -> float | None:
        """Until when an order may wait for its answers that ends now, by the monotonic clock."""
        return None if self._patience is None else time.monotonic() + self._patience

    async def ask(
        self, candidates: Mapping[str, Candidate], early: EarlyAnswers, *, deadline: float | None = None
    ) -> list[VlmAnswer | None]:
        """Ask about frames of an order that has ended, all at once.

        Args:
            candidates: The frames, by ids that are unique among the questions that wait.
            early: What was asked about the order before; its answers are used, or waited for with all haste.
            deadline: From `deadline`: answers that are not there by then are done without; None to wait for all.

        Returns:
            The answers; None where the model failed.
        """
        fresh = [one for one in candidates.values() if early.find(one.frame) is None]
        self._coming += len(fresh)
        try:
            views = await self._views(fresh)
        finally:
            # In one go with the questions that are asked below: whoever looks sees them coming or in the queue.
            asyncio.get_running_loop().call_soon(self._came, len(fresh))

        async def answer(request_id: str, candidate: Candidate) -> VlmAnswer | None:
            known = early.find(candidate.frame)
            if known is not None:
                known.priority = Priority.CLOSING
                self._batcher.hurry(known.request_id)
                with anyio.move_on_after(None if deadline is None else deadline - time.monotonic()):
                    await known.settled.wait()
                if known.answer is not None:
                    self.counters.early_used += 1
                    return known.answer
            view = views.get(candidate.frame)
            if view is None:
                view = (await self._views([candidate]))[candidate.frame]
            return await self._ask(request_id, candidate.frame, view, Priority.CLOSING, deadline)

        return await asyncio.gather(*(answer(key, one) for key, one in candidates.items()))

    def _came(self, questions: int) -> None:
        self._coming -= questions

    async def ask_early(self, candidates: Mapping[str, Candidate], early: EarlyAnswers) -> list[VlmAnswer | None]:
        """Ask about frames of an order that is still open, each once.

        Returns:
            The answers; None where the model failed, or the order ended without that frame.
        """
        fresh = {early.begin(one.frame, key): one for key, one in candidates.items() if early.find(one.frame) is None}
        asked = [early.find(one.frame) for one in candidates.values()]
        try:
            views = await self._views(list(fresh.values()))
            await asyncio.gather(*(self._ask_one_early(new, one.frame, views[one.frame]) for new, one in fresh.items()))
        finally:
            for new in fresh:
                new.settled.set()
        for known in asked:
            if known is not None:
                await known.settled.wait()
        return [None if known is None else known.answer for known in asked]

    async def _ask_one_early(self, early: _Early, frame: Frame, view: Image) -> None:
        with early.scope:
            early.answer = await self._ask(early.request_id, frame, view, early.priority, self.deadline())
        early.settled.set()
        if early.answer is not None:
            self.counters.early_calls += 1
            self.counters.early_tokens += early.answer.visual_tokens

    async def _views(self, candidates: Sequence[Candidate]) -> dict[Frame, Image]:
        """The pictures of frames; questions asked about together then reach the queue together."""

        def cut() -> dict[Frame, Image]:
            return {one.frame: self._view.cut(one.frame.image, _item_boxes(one), one.half) for one in candidates}

        return await asyncio.to_thread(cut) if candidates else {}

    async def _ask(
        self, request_id: str, frame: Frame, view: Image, priority: Priority, deadline: float | None
    ) -> VlmAnswer | None:
        request = VlmRequest(
            request_id,
            view,
            self._prompt,
            self._grammar,
            self._max_new_tokens,
            station_id=frame.station_id,
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


def _item_boxes(candidate: Candidate) -> list[Box]:
    return [found.box for found in candidate.detections if found.label not in NOT_ITEMS]
