"""Orders that the till tells late, and orders it amends when their bag has been judged."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import anyio

from orderacc.errors import OrdersError
from orderacc.orders import Match
from orderacc.orders.numbers import loosest, normal
from orderacc.service.moments import wall_time
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from orderacc.config import OrdersConfig
    from orderacc.domain.orders import Item, Order
    from orderacc.domain.verdicts import Verdict
    from orderacc.orders import OrderBook, OrderStore
    from orderacc.orders.changes import Changes
    from orderacc.service.judging import Heard, OrderJudge
    from orderacc.service.station import ClosedOrder
    from orderacc.service.till import PosOrders

_log = get_logger(__name__)

PICTURES: Final = 192 * 2**20
"""Bytes of pictures kept for judging again; the oldest orders go first."""

FORGET_EVERY: Final = 10.0
"""Seconds between looks for orders that have become too old to be judged again."""

ANOTHER_ORDER_HELPS: Final = ("no_order", "orders_unavailable", "ambiguous_order")
"""Reasons of verdicts that an order which comes later may settle."""


@dataclass(slots=True, eq=False)
class _Case:
    """An order whose verdict may be revised."""

    closed: ClosedOrder
    verdict: Verdict
    heard: Heard
    since: float

    @property
    def pictures(self) -> int:
        pictures = (each for one in self.closed.evidence.frames for each in (one.frame.image, one.half))
        return sum(picture.nbytes for picture in pictures if picture is not None)


class Revisions:
    """Waits for orders that are not there yet, and judges again what the till amends.

    Only orders that are looked up in `book` are concerned. A revision is made from the frames of the first verdict,
    with the model's answers as they were; it carries the same id and a higher revision. It is about another order, or
    about none, where the slip's number turns out to mean another or several, unless the till says meanwhile that the
    one that was judged has been handed out.

    Args:
        judge: Judges.
        store: Tells what changes.
        book: Finds orders; rests on the store.
        wait: Seconds a bag waits for its order.
        within: Seconds behind a verdict in which it may be revised.
    """

    def __init__(self, judge: OrderJudge, store: OrderStore, book: OrderBook, *, wait: float, within: float) -> None:
        self._judge = judge
        self._store = store
        self._book = book
        self._wait = wait
        self._within = within
        self._cases: dict[str, _Case] = {}  # by visit, the oldest first
        self._changes: Changes | None = None

    async def missing(self, closed: ClosedOrder) -> bool:
        """Whether the till knows no order of the slip's number now, and it is worth waiting for."""
        evidence = closed.evidence
        if self._wait <= 0 or not self._concerns(closed) or not evidence.frames:
            return False
        return not await self._known(closed)

    async def arrival(self, closed: ClosedOrder, stopping: anyio.Event) -> None:
        """Wait until the till knows the order, for as long as bags wait, or until everything is being stopped."""
        with anyio.move_on_after(self._wait) as scope, self._store.watch() as changes:
            async with anyio.create_task_group() as group:
                group.start_soon(_cancel_by, stopping, scope)
                while not await self._known(closed):
                    await changes.next()
                group.cancel_scope.cancel()

    async def keep(self, closed: ClosedOrder, verdict: Verdict, heard: Heard) -> None:
        """Remember an order whose verdict has been delivered, in case the till changes its mind."""
        if self._within <= 0 or self._changes is None or not self._concerns(closed):
            return
        case = _Case(closed, verdict, heard, time.monotonic())
        self._cases[closed.evidence.visit_id] = case
        self._forget()
        # What came while it was judged has been told already.
        better = await self._better(case)
        if better is not None:
            self._changes.add(better.order or better.candidates[0])

    async def run(self, deliver: Callable[[Verdict], Awaitable[None]]) -> None:
        """Revise verdicts until cancelled.

        Args:
            deliver: Awaited with every revision.
        """
        with self._store.watch() as self._changes:
            while True:
                changed: Order | None = None
                with anyio.move_on_after(FORGET_EVERY):
                    changed = await self._changes.next()
                self._forget()
                for case in list(self._cases.values()) if changed is not None else ():
                    if changed is not None and _about(case, changed):
                        await self._revise(case, deliver)

    async def _revise(self, case: _Case, deliver: Callable[[Verdict], Awaitable[None]]) -> None:
        better = await self._better(case)
        if better is None:
            return
        closed = case.closed
        try:
            verdict = await self._judge.judge(
                closed.evidence,
                _Settled(better),
                closed.epoch,
                closed.ended,
                early=closed.early,
                policy=closed.station.policy,
                heard=case.heard,
            )
        except Exception as error:  # noqa: BLE001  the verdict that was given stays
            _log.error("revision_failed", visit_id=closed.evidence.visit_id, exc_info=error)
            return
        if better.order is None:
            case.heard.order = None
        timings = replace(verdict.timings, order_end_to_verdict=None)
        case.verdict = replace(verdict, revision=case.verdict.revision + 1, timings=timings)
        await deliver(case.verdict)

    async def _better(self, case: _Case) -> Match | None:
        """What the case should be judged by, if that is something else than it was judged by."""
        judged = case.heard.order
        if judged is None:
            return await self._another(case) if case.verdict.reason in ANOTHER_ORDER_HELPS else None
        order = self._store.get(judged.source, judged.order_id)
        if order is None or (judged.live and order.state == "closed"):
            # It has been handed out, so it was the one; it may be amended all the same.
            return Match(order) if order is not None and _amended(order, judged) else None
        if order.state != "cancelled" and _amended(order, judged):
            return Match(order)
        return await self._another(case)

    async def _another(self, case: _Case) -> Match | None:
        """What the slip's number means now, if that is another order than the case was judged by, or several."""
        try:
            match = await self._find(case.closed)
        except OrdersError:
            return None
        judged = case.heard.order
        if judged is not None and match.candidates:
            return match
        order = match.order
        if order is None or order.state == "cancelled" or (judged is not None and _same(order, judged)):
            return None
        return match

    async def _known(self, closed: ClosedOrder) -> bool:
        try:
            match = await self._find(closed)
        except OrdersError:
            return False
        return match.order is not None or bool(match.candidates)

    async def _find(self, closed: ClosedOrder) -> Match:
        evidence = closed.evidence
        return await self._book.find(
            evidence.station_id, evidence.slip_text or "", wall_time(closed.epoch, evidence.closed_at)
        )

    def _concerns(self, closed: ClosedOrder) -> bool:
        evidence = closed.evidence
        asked = closed.unseen is None and evidence.reason is None and evidence.slip_text is not None
        return asked and closed.station.book is self._book

    def _forget(self) -> None:
        oldest = time.monotonic() - self._within
        pictures = sum(case.pictures for case in self._cases.values())
        for visit_id, case in list(self._cases.items()):
            if case.since >= oldest and pictures <= PICTURES:
                return
            pictures -= case.pictures
            del self._cases[visit_id]


def revisions(judge: OrderJudge, till: PosOrders, config: OrdersConfig | None) -> Revisions | None:
    """What becomes of late and amended orders, out of the configuration; None without POS orders."""
    if config is None:
        return None
    return Revisions(judge, till.store, till, wait=config.wait_sec, within=config.revise_within_sec)


class _Settled:
    """A book with one answer, whatever the slip says: which order it means has been settled."""

    def __init__(self, match: Match) -> None:
        self._match = match

    async def find(self, station_id: str, slip_text: str, at: datetime | None = None) -> Match:
        """That answer."""
        del station_id, slip_text, at
        return self._match


def _paid(order: Order) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """All that a verdict on an order rests on."""
    return order.items, order.hidden


def _same(one: Order, other: Order) -> bool:
    return (one.source, one.order_id) == (other.source, other.order_id)


def _amended(order: Order, judged: Order) -> bool:
    """Whether a verdict on the order as it was then says nothing about it as it is."""
    return order.version > judged.version and (_paid(order) != _paid(judged) or judged.state == "cancelled")


def _about(case: _Case, order: Order) -> bool:
    """Whether a change of an order may concern a case."""
    judged = case.heard.order
    if judged is not None and _same(order, judged):
        return True
    return loosest(normal(case.closed.evidence.slip_text or "")) == loosest(normal(order.display_id))


async def _cancel_by(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
