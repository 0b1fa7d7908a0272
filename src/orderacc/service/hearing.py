"""What the model said about one order's frames so far, and what follows from it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from orderacc.domain.detections import NOT_ITEMS
from orderacc.domain.verdicts import Timings
from orderacc.service.asking import all_at_once, rounds, says_enough
from orderacc.validation import FrameAnswer, fuse, judge, pairs_in_doubt, with_sightings
from orderacc.vlm.answer import read_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from orderacc.domain.detections import Box
    from orderacc.domain.evidence import Candidate
    from orderacc.domain.frames import Frame
    from orderacc.domain.menus import Menu
    from orderacc.domain.orders import Item
    from orderacc.domain.verdicts import SeenItem, Verdict
    from orderacc.validation import Semantics, Strategy
    from orderacc.vlm.engine import VlmAnswer


MANY_PAIRS: Final = 100
"""Names paid for times names seen from which comparing them leaves the event loop alone: a pair takes up to 0.1 ms."""


class Hearing:
    """Hears the model about the frames of one order until it has said enough.

    Args:
        frames: All chosen frames, in time order.
        expected: What was paid for.
        menu: What the model may answer.
        strategy: How names are compared.
        threshold: Score from which two names are the same.
        hidden: What was paid for besides and cannot be seen.
        semantics: Asked about names that are in doubt; None for nobody.

    Attributes:
        failed: Whether a frame that was asked about got no answer, or none that could be understood.
        enough: Whether further answers would change nothing.
    """

    def __init__(
        self,
        frames: Sequence[Candidate],
        expected: Sequence[Item],
        menu: Menu,
        strategy: Strategy,
        threshold: float,
        *,
        hidden: Sequence[Item] = (),
        semantics: Semantics | None = None,
    ) -> None:
        self._frames = frames
        self._expected = expected
        self._menu = menu
        self._strategy = strategy
        self._threshold = threshold
        self._hidden = hidden
        self._semantics = semantics
        self._opinions: dict[tuple[str, str], float] = {}
        self._looks: dict[Candidate, FrameAnswer] = {}
        self._asked: list[Candidate] = []
        self._answers: list[VlmAnswer] = []
        self._queue_ms = self._engine_ms = self._judging_ms = 0.0
        self._verdict: Verdict | None = None
        self.failed = False
        self.enough = False

    @property
    def verdict(self) -> Verdict | None:
        """The verdict by the answers so far, with what they cost; None when none could be understood."""
        if self._verdict is None:
            return None
        places = {self._frames.index(one): look for one, look in self._looks.items()}
        return replace(
            with_sightings(self._verdict, places, self._menu),
            vlm_calls=len(self._answers),
            visual_tokens=sum(answer.visual_tokens for answer in self._answers),
            timings=Timings(queue=self._queue_ms, vlm=self._engine_ms, validation=self._judging_ms),
        )

    async def hear(
        self,
        ask: Callable[[Sequence[Candidate]], Awaitable[Sequence[VlmAnswer | None]]],
        sequence: Sequence[Candidate],
        *,
        adaptive: bool,
        known: Collection[Frame] = (),
    ) -> None:
        """Ask about frames.

        Args:
            ask: Asks about some at once; gives None for those the model failed on.
            sequence: The frames that may be asked about, in order.
            adaptive: Whether to stop as soon as it is enough; else all that differ are asked about at once.
            known: Frames whose answers are there; all of them are heard before it can be enough.
        """
        heard = tuple(one for one in sequence if one.frame in known)
        fresh = [one for one in sequence if one.frame not in known]
        asked = rounds(fresh, self._expected, self._menu) if adaptive else all_at_once(fresh)
        parts = chain((heard,) if heard else (), asked)
        for part in parts:
            if self.failed:
                # Without an answer it can never be enough: what is left is asked about at once, not round by round.
                part = (*part, *chain.from_iterable(parts))  # noqa: PLW2901
            began = time.monotonic()
            answers = await ask(part)
            self._clock((time.monotonic() - began) * 1000, answers)
            began = time.monotonic()
            self._take(part, answers)
            await self._judge()
            self._judging_ms += (time.monotonic() - began) * 1000
            if self.enough:
                return

    def _clock(self, waited_ms: float, answers: Sequence[VlmAnswer | None]) -> None:
        """Of the time waited, the engine's share; an answer that was there already took none of it."""
        engine_ms = max((answer.engine_ms for answer in answers if answer is not None), default=0.0)
        self._engine_ms += min(engine_ms, waited_ms)
        self._queue_ms += max(0.0, waited_ms - engine_ms)

    def _take(self, part: Sequence[Candidate], answers: Sequence[VlmAnswer | None]) -> None:
        for candidate, answer in zip(part, answers, strict=True):
            look = None if answer is None else _look(candidate, answer)
            self.failed |= look is None
            if answer is None:
                continue
            self._answers.append(answer)
            if look is not None:
                self._asked.append(candidate)
                self._looks[candidate] = look

    async def _judge(self) -> None:
        if not self._looks:
            return
        seen = fuse(tuple(self._looks.values()), self._menu)
        verdict = await self._compared(seen)
        doubtful = [pair for pair in pairs_in_doubt(verdict, self._menu) if pair not in self._opinions]
        if self._semantics is not None and self._strategy != "exact" and doubtful:
            self._opinions.update(await self._semantics.opinions(doubtful))
            verdict = await self._compared(seen)
        self._verdict = verdict
        self.enough = (
            not self.failed
            and all(look.complete and look.sure_of_words == 1 for look in self._looks.values())
            and says_enough(verdict, seen, self._frames, self._menu, asked=self._asked)
        )

    async def _compared(self, seen: Sequence[SeenItem]) -> Verdict:
        if len(self._expected) * len(seen) <= MANY_PAIRS:
            return self._compare(seen)
        return await asyncio.to_thread(self._compare, seen)

    def _compare(self, seen: Iterable[SeenItem]) -> Verdict:
        return judge(
            self._expected,
            seen,
            menu=self._menu,
            strategy=self._strategy,
            threshold=self._threshold,
            hidden=self._hidden,
            opinions=self._opinions,
        )


def _look(candidate: Candidate, answer: VlmAnswer) -> FrameAnswer | None:
    """What a frame shows by both witnesses; None when the model wrote what cannot be understood."""
    parsed = read_answer(answer.text)
    if not parsed.understood:
        return None
    return FrameAnswer(
        items=tuple(parsed.items),
        detected=_boxes(candidate),
        at=candidate.frame.at,
        complete=answer.complete,
        probability=answer.token_confidence,
    )


def _boxes(candidate: Candidate) -> dict[str, list[Box]]:
    """The detector's boxes per item label."""
    boxes: dict[str, list[Box]] = defaultdict(list)
    for seen in candidate.detections:
        if seen.label not in NOT_ITEMS:
            boxes[seen.label].append(seen.box)
    return boxes
