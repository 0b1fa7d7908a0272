"""From the evidence of one order to its verdict."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from orderacc.domain.detections import NOT_ITEMS
from orderacc.domain.verdicts import FrameRef, Timings, Verdict
from orderacc.errors import EngineError, OrdersError
from orderacc.validation import FrameAnswer, fuse, judge
from orderacc.vlm.answer import read_answer
from orderacc.vlm.engine import VlmRequest
from orderacc.vlm.prompt import answer_grammar, build_prompt
from orderacc.vlm.view import render_view, view_window

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from orderacc.domain.detections import Box
    from orderacc.domain.evidence import Candidate, Evidence
    from orderacc.domain.menus import Menu
    from orderacc.domain.orders import Item, Order
    from orderacc.domain.verdicts import ModelVersions
    from orderacc.orders import OrderBook
    from orderacc.validation import Strategy
    from orderacc.vlm.batcher import VlmBatcher
    from orderacc.vlm.engine import VlmAnswer

SENTENCES: Final = {
    "no_slip": "Not judged: no slip was seen with these items.",
    "slip_unreadable": "Not judged: the slip could not be read.",
    "no_order": "Not judged: the POS has no such order.",
    "orders_unavailable": "Not judged: the POS orders could not be read.",
    "no_frames": "Not judged: the items were never in clear view.",
    "engine_failed": "Please check: the pictures could not be analysed.",
    "shutdown": "Not judged: watching was stopped.",
    "station_failed": "Please check: watching failed while this order was on the counter.",
    "judging_failed": "Please check: comparing this order failed.",
}
"""What the crew reads when an order cannot be judged, by reason."""


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How orders are judged.

    Attributes:
        view_size: Width and height of the picture the model gets, in pixels.
        max_new_tokens: Longest answer.
        strategy: How names are compared: `exact`, `semantic` or `hybrid`.
        threshold: Score from which two names are the same, 0 to 1.
        deadline: Seconds an answer may take, the wait for the engine included; None waits for ever.
    """

    view_size: tuple[int, int]
    max_new_tokens: int = 256
    strategy: Strategy = "hybrid"
    threshold: float = 0.85
    deadline: float | None = None


class OrderJudge:
    """Asks the model about an order's frames, fuses the answers and compares them with the POS order.

    Args:
        batcher: The way to the model.
        menu: What the model may answer.
        settings: How to judge.
        models: Named in every verdict.
    """

    def __init__(self, batcher: VlmBatcher, menu: Menu, settings: JudgeSettings, models: ModelVersions) -> None:
        self._batcher = batcher
        self._menu = menu
        self._settings = settings
        self._models = models
        self._prompt = build_prompt(menu.names)
        self._grammar = answer_grammar(menu.names)

    async def judge(self, evidence: Evidence, book: OrderBook, epoch: datetime, closed: float) -> Verdict:
        """Judge one order. Never raises for what is wrong with the order, the model or the POS: that is a verdict too.

        Args:
            evidence: From the station's tracker.
            book: Knows what was paid for.
            epoch: Wall-clock time of frame time 0.
            closed: `time.monotonic()` when the order's end was noticed.
        """
        verdict = await self._judge(evidence, book)
        timings = replace(verdict.timings, order_end_to_verdict=(time.monotonic() - closed) * 1000)
        return self._signed(replace(verdict, timings=timings), evidence, epoch)

    def unseen(self, evidence: Evidence, epoch: datetime, reason: str) -> Verdict:
        """The verdict on an order that was not seen to its end, or whose judging was cut short.

        Args:
            evidence: What there is of it.
            epoch: Wall-clock time of frame time 0.
            reason: A key of `SENTENCES`.
        """
        return self._signed(undetermined(reason), evidence, epoch)

    async def _judge(self, evidence: Evidence, book: OrderBook) -> Verdict:
        if evidence.reason or evidence.slip_text is None:
            return undetermined(evidence.reason or "slip_unreadable")
        try:
            order = await book.find(evidence.station_id, evidence.slip_text)
        except OrdersError:
            return undetermined("orders_unavailable")
        if order is None:
            return undetermined("no_order")
        if not evidence.frames:
            verdict = undetermined("no_frames", expected=order.items)
        else:
            verdict = await self._compare(evidence, order)
        return replace(verdict, order_id=order.order_id, order_version=order.version)

    async def _compare(self, evidence: Evidence, order: Order) -> Verdict:
        asked = time.monotonic()
        answers = await asyncio.gather(
            *(
                self._ask(evidence.station_id, f"{evidence.visit_id}/{index}", frame)
                for index, frame in enumerate(evidence.frames)
            )
        )
        answered = time.monotonic()
        looks = [look for look in map(_look, evidence.frames, answers) if look is not None]
        given = [answer for answer in answers if answer is not None]
        if not looks:
            return undetermined("engine_failed", expected=order.items)
        engine_ms = max(answer.engine_ms for answer in given)
        verdict = judge(
            order.items,
            fuse(looks, self._menu),
            menu=self._menu,
            strategy=self._settings.strategy,
            threshold=self._settings.threshold,
        )
        if len(looks) < len(answers):
            # The frame that got no answer may be the one that shows what is wrong, or what seems to be missing.
            verdict = replace(verdict, status="unsure", reason="engine_failed", sentence=SENTENCES["engine_failed"])
        return replace(
            verdict,
            vlm_calls=len(given),
            visual_tokens=sum(answer.visual_tokens for answer in given),
            timings=Timings(
                queue=max(0.0, (answered - asked) * 1000 - engine_ms),
                vlm=engine_ms,
                validation=(time.monotonic() - answered) * 1000,
            ),
        )

    async def _ask(self, station_id: str, request_id: str, candidate: Candidate) -> VlmAnswer | None:
        """Ask about one frame; None when the model failed on it."""
        image = candidate.frame.image
        boxes = [detection.box for detection in candidate.detections if detection.label not in NOT_ITEMS]
        window = view_window((image.shape[1], image.shape[0]), boxes, self._settings.view_size)
        view = await asyncio.to_thread(render_view, image, window, self._settings.view_size)
        patience = self._settings.deadline
        request = VlmRequest(
            request_id,
            view,
            self._prompt,
            self._grammar,
            self._settings.max_new_tokens,
            station_id=station_id,
            deadline=None if patience is None else time.monotonic() + patience,
        )
        try:
            return await self._batcher.ask(request)
        except EngineError:
            return None

    def _signed(self, verdict: Verdict, evidence: Evidence, epoch: datetime) -> Verdict:
        """Add whose verdict it is and what it rests on."""
        return replace(
            verdict,
            verdict_id=evidence.visit_id,
            station_id=evidence.station_id,
            slip_text=evidence.slip_text,
            opened_at=moment(epoch, evidence.opened_at),
            closed_at=moment(epoch, evidence.closed_at),
            frames=tuple(
                FrameRef(f"frame/{kept.frame.index}", moment(epoch, kept.frame.at), kept.score)
                for kept in evidence.frames
            ),
            models=self._models,
        )


def moment(epoch: datetime, at: float) -> str:
    """Frame time as ISO 8601 UTC with milliseconds; the epoch is in UTC."""
    return (epoch + timedelta(seconds=at)).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def undetermined(reason: str, expected: Iterable[Item] = ()) -> Verdict:
    """The verdict on an order that could not be judged; nothing is compared.

    Args:
        reason: A key of `SENTENCES`.
        expected: The order's lines, if it is known.
    """
    return Verdict("undetermined", reason, SENTENCES[reason], expected=tuple(expected), confidence=0.0)


def _look(candidate: Candidate, answer: VlmAnswer | None) -> FrameAnswer | None:
    """What a frame shows by both witnesses; None when the model failed on it or wrote what cannot be understood."""
    if answer is None:
        return None
    parsed = read_answer(answer.text)
    if not parsed.understood:
        return None
    boxes: dict[str, list[Box]] = defaultdict(list)
    for seen in candidate.detections:
        if seen.label not in NOT_ITEMS:
            boxes[seen.label].append(seen.box)
    return FrameAnswer(
        items=tuple(parsed.items),
        detected=boxes,
        at=candidate.frame.at,
        complete=answer.complete,
    )
