"""From the evidence of one order to its verdict."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from orderacc.domain.packing import packed
from orderacc.domain.verdicts import FrameRef, Timings, Verdict
from orderacc.errors import OrdersError
from orderacc.service.asking import DEFAULT_POLICY, HOLD_BACK, all_there, asking_order, frames_affordable
from orderacc.service.hearing import Hearing
from orderacc.service.moments import wall_time
from orderacc.service.questions import EarlyAnswers, Questions
from orderacc.service.unjudged import SENTENCES, ambiguous, undetermined
from orderacc.vlm.view_rules import ViewRules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from orderacc.domain.evidence import Candidate, Evidence
    from orderacc.domain.frames import Frame
    from orderacc.domain.menus import Menu
    from orderacc.domain.orders import Order
    from orderacc.domain.verdicts import ModelVersions
    from orderacc.orders import OrderBook
    from orderacc.service.asking import AskPolicy
    from orderacc.service.early import Outlook
    from orderacc.service.questions import QuestionCounters
    from orderacc.validation import Semantics, Strategy
    from orderacc.vlm.batcher import VlmBatcher
    from orderacc.vlm.engine import VlmAnswer

NO_EARLY_ANSWERS: Final = EarlyAnswers()
"""For orders about which nothing was asked before they ended."""


@dataclass(slots=True)
class Heard:
    """What is known about one order's frames, for judging it again.

    Attributes:
        answers: The model's, by frame.
        order: What they were compared with; None as long as there is none.
    """

    answers: dict[Frame, VlmAnswer] = field(default_factory=dict)
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """What is known about an order before it is judged, and how its station asks."""

    early: EarlyAnswers
    policy: AskPolicy
    heard: Heard
    pressure: float


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How orders are judged.

    Attributes:
        view_size: Width and height of the picture the model gets, in pixels.
        max_new_tokens: Longest answer.
        strategy: How names are compared: `exact`, `semantic` or `hybrid`.
        threshold: Score from which two names are the same, 0 to 1.
        deadline: Seconds an answer may take where orders cannot wait, the wait for the engine included; None waits for
            ever.
        item_side: Pixels the smallest item gets, within as many pixels as `view_size` has; None always gives that size.
    """

    view_size: tuple[int, int]
    max_new_tokens: int = 256
    strategy: Strategy = "hybrid"
    threshold: float = 0.85
    deadline: float | None = None
    item_side: int | None = None


class OrderJudge:
    """Asks the model about an order's frames, fuses the answers and compares them with the POS order.

    Args:
        batcher: The way to the model.
        menu: What the model may answer.
        settings: How to judge.
        models: Named in every verdict.
        semantics: Asked about names that are in doubt; None for nobody.

    Attributes:
        early_looks: Whether anything is asked before orders end, where stations allow it; may be changed at any time.
    """

    def __init__(
        self,
        batcher: VlmBatcher,
        menu: Menu,
        settings: JudgeSettings,
        models: ModelVersions,
        semantics: Semantics | None = None,
    ) -> None:
        view = ViewRules(settings.view_size, settings.item_side)
        self._questions = Questions(batcher, menu, view, settings.max_new_tokens, settings.deadline)
        self._menu = menu
        self._settings = settings
        self._models = models
        self._semantics = semantics
        self.early_looks = True

    @property
    def counters(self) -> QuestionCounters:
        """What was asked so far."""
        return self._questions.counters

    async def judge(
        self,
        evidence: Evidence,
        book: OrderBook,
        epoch: datetime,
        closed: float,
        *,
        early: EarlyAnswers = NO_EARLY_ANSWERS,
        policy: AskPolicy = DEFAULT_POLICY,
        heard: Heard | None = None,
        pressure: float = 0.0,
    ) -> Verdict:
        """Judge one order. Never raises for what is wrong with the order, the model or the POS: that is a verdict too.

        Args:
            evidence: From the station's tracker.
            book: Knows what was paid for.
            epoch: Wall-clock time of frame time 0.
            closed: `time.monotonic()` when the order's end was noticed.
            early: What `foresee` asked about it.
            policy: The station's.
            heard: What is known from judging it before: no frame is asked about again. Takes what becomes known now.
            pressure: Of orders that wait, 0 to 1; works like that of the questions that wait.
        """
        at = wall_time(epoch, evidence.closed_at)
        case = _Case(early, policy, Heard() if heard is None else heard, pressure)
        verdict, order = await self._judge(evidence, book, at, case)
        took = (time.monotonic() - closed) * 1000
        timings = replace(verdict.timings, selection=evidence.selection_ms, order_end_to_verdict=took)
        return self._signed(verdict, evidence, epoch, order, timings)

    async def foresee(
        self,
        outlook: Outlook,
        book: OrderBook,
        early: EarlyAnswers,
        policy: AskPolicy,
        *,
        epoch: datetime | None = None,
    ) -> None:
        """Ask about an order that seems about to end, unless the engine has more urgent things to do.

        An order that may yet grow is asked about only if all that was paid for seems to be there.

        Args:
            outlook: The order.
            book: Knows what was paid for.
            early: Takes the answers for `judge`.
            policy: The station's.
            epoch: Wall-clock time of frame time 0; None where nobody knows it.
        """
        evidence = outlook.evidence
        if not (self.early_looks and policy.early_look) or self._questions.pressure >= HOLD_BACK:
            return
        try:
            at = wall_time(epoch, evidence.closed_at)
            order = (await book.find(evidence.station_id, evidence.slip_text or "", at)).order
        except OrdersError:
            return
        if order is None or order.state == "cancelled":
            return
        order = packed(order, self._menu)
        sequence = asking_order(evidence.frames)
        if not outlook.gone:
            if not all_there(sequence, order.items, self._menu):
                return
            sequence = sequence[:1]

        async def ask(part: Sequence[Candidate]) -> Sequence[VlmAnswer | None]:
            ids = {f"{evidence.visit_id}/early/{one.frame.index}": one for one in part}
            return [None] * len(part) if early.closed else await self._questions.ask_early(ids, early)

        await self._hearing(evidence, order).hear(ask, sequence, adaptive=policy.adaptive)

    def unseen(self, evidence: Evidence, epoch: datetime, reason: str) -> Verdict:
        """The verdict on an order that was not seen to its end, or whose judging was cut short.

        Args:
            evidence: What there is of it.
            epoch: Wall-clock time of frame time 0.
            reason: A key of `SENTENCES`.
        """
        verdict = undetermined(reason)
        return self._signed(verdict, evidence, epoch, None, verdict.timings)

    async def _judge(
        self, evidence: Evidence, book: OrderBook, at: datetime | None, case: _Case
    ) -> tuple[Verdict, Order | None]:
        """The verdict, and the order it is about; None where it is about none, or could be about several."""
        found = await _find(evidence, book, at)
        if isinstance(found, Verdict):
            return found, None
        case.heard.order = found
        order = packed(found, self._menu)
        if order.state == "cancelled":
            return undetermined("cancelled", expected=order.items), order
        if not evidence.frames:
            return undetermined("no_frames", expected=order.items), order
        return await self._compare(evidence, order, case), order

    async def _compare(self, evidence: Evidence, order: Order, case: _Case) -> Verdict:
        early, policy, heard = case.early, case.policy, case.heard
        allowed = self._affordable(evidence, case)
        if not allowed:
            return undetermined("overloaded", expected=order.items)

        deadline = self._questions.deadline() if policy.hurried else None

        async def ask(part: Sequence[Candidate]) -> Sequence[VlmAnswer | None]:
            fresh = [one for one in part if one.frame not in heard.answers]
            ids = {f"{evidence.visit_id}/{evidence.frames.index(one)}": one for one in fresh}
            answers = await self._questions.ask(ids, early, deadline=deadline)
            known = zip((one.frame for one in fresh), answers, strict=True)
            heard.answers |= {frame: answer for frame, answer in known if answer is not None}
            return [heard.answers.get(one.frame) for one in part]

        hearing = self._hearing(evidence, order)
        await hearing.hear(ask, allowed, adaptive=policy.adaptive, known=tuple(heard.answers))
        verdict = hearing.verdict
        if verdict is None:
            return undetermined("engine_failed", expected=order.items)
        # A frame without an answer may be the one that shows what is wrong, or what seems to be missing.
        if hearing.failed:
            return replace(verdict, status="unsure", reason="engine_failed", sentence=SENTENCES["engine_failed"])
        if len(allowed) < len(evidence.frames) and not hearing.enough:
            return replace(verdict, status="unsure", reason="overloaded", sentence=SENTENCES["overloaded"])
        return verdict

    def _affordable(self, evidence: Evidence, case: _Case) -> tuple[Candidate, ...]:
        """The frames that may be asked about now, those first that tell most; answers that are there cost nothing."""
        sequence = asking_order(evidence.frames)
        most = frames_affordable(max(self._questions.pressure, case.pressure)) if case.policy.hurried else None
        if most is None:
            return sequence
        return tuple(
            one
            for index, one in enumerate(sequence)
            if index < most or case.early.answered(one.frame) or one.frame in case.heard.answers
        )

    def _hearing(self, evidence: Evidence, order: Order) -> Hearing:
        return Hearing(
            evidence.frames,
            order.items,
            self._menu,
            self._settings.strategy,
            self._settings.threshold,
            hidden=order.hidden,
            semantics=self._semantics,
        )

    def _signed(
        self, verdict: Verdict, evidence: Evidence, epoch: datetime, order: Order | None, timings: Timings
    ) -> Verdict:
        """Add whose verdict it is, what it rests on and what it took."""
        return replace(
            verdict,
            order_id=None if order is None else order.order_id,
            order_version=None if order is None else order.version,
            timings=timings,
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


async def _find(evidence: Evidence, book: OrderBook, at: datetime | None) -> Order | Verdict:
    """What was paid for, or the verdict where nobody can tell."""
    if evidence.reason or evidence.slip_text is None:
        return undetermined(evidence.reason or "slip_unreadable")
    try:
        match = await book.find(evidence.station_id, evidence.slip_text, at)
    except OrdersError:
        return undetermined("orders_unavailable")
    if match.candidates:
        return ambiguous(match.candidates)
    return match.order or undetermined("no_order")
