"""How long things are kept: by age and by size, rows and objects together, and nothing that is still needed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from orderacc.storage import retention_orders as pos
from orderacc.storage import retention_sql as sql
from orderacc.storage.objects import key_part
from orderacc.storage.records import time_text
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from orderacc.storage.database import Database
    from orderacc.storage.retention_sql import Doomed
    from orderacc.storage.spool_folder import SpoolFolder

T = TypeVar("T")

_log = get_logger(__name__)

AT_ONCE: Final = 200
"""Rows of a kind removed in one step, so that nobody waits long for the journal."""

PAGES_AT_ONCE: Final = 500
"""Pages of the journal given back to the disk in one step."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long and how much of one kind; None leaves it open.

    Attributes:
        days: Older ones go.
        max_bytes: The oldest go when all of them take more.
    """

    days: float | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """What is kept.

    Attributes:
        frames: Frames that orders were judged by.
        clips: Clips of orders.
        verdicts: Verdicts with their reviews; with one go its frames and clips.
        log_days: Days that events and settled messages are kept.
    """

    frames: Keep = Keep(days=30)
    clips: Keep = Keep(days=7)
    verdicts: Keep = Keep(days=365)
    log_days: float = 30.0


@dataclass(slots=True)
class Removal:
    """What goes, or has gone.

    Attributes:
        objects: Objects by kind.
        size: Bytes of these.
        verdicts: Verdicts with all that belongs to them.
        unfinished: Orders that had no verdict yet, likewise.
        orders: Versions of POS orders.
        events: Events and messages.
        kept: Verdicts that a review is open on, and that stay for that.
        kept_orders: Versions of POS orders that stay because something that stays needs them.
    """

    objects: dict[str, int] = field(default_factory=dict)
    size: int = 0
    verdicts: int = 0
    unfinished: int = 0
    orders: int = 0
    events: int = 0
    kept: int = 0
    kept_orders: int = 0

    def __bool__(self) -> bool:
        return bool(self.objects or self.verdicts or self.unfinished or self.orders or self.events)

    def count(self, kind: str, size: int) -> None:
        """One more object goes.

        Args:
            kind: Its kind.
            size: Its bytes.
        """
        self.objects[kind] = self.objects.get(kind, 0) + 1
        self.size += size


class Retention:
    """Removes what is older or more than wanted, and what somebody wants gone.

    Objects go before their rows: what is cut off in between is found again by the next clean-up. Removing takes time,
    and the crew goes on: a verdict that a review was opened on meanwhile stays, one whose removal has begun takes none.

    Args:
        database: The journal's.
        delete: Removes objects from the store; keys that are not there are no error.
        spool: What is held for orders without a verdict; None when nothing is.
    """

    def __init__(
        self,
        database: Database,
        delete: Callable[[Sequence[str]], Awaitable[None]],
        spool: SpoolFolder | None = None,
    ) -> None:
        self._database = database
        self._delete = delete
        self._spool = spool

    async def clean(self, policy: RetentionPolicy, *, now: datetime | None = None, dry_run: bool = False) -> Removal:
        """Remove what the policy does not keep.

        Args:
            policy: What is kept.
            now: The time; the clock's when None.
            dry_run: Only say what would go.

        Raises:
            StorageError: If the journal or the store fails; then a part may be gone.
        """
        now = now or datetime.now(UTC)
        removal = Removal()
        log, orders = _before(now, policy.log_days), _before(now, policy.verdicts.days)
        # First what needs no store: one that does not answer must not let the journal grow.
        if dry_run:
            removal.events, removal.orders = await self._database.read(partial(sql.count_log, log=log, orders=orders))
        else:
            await self._remove_log(log, orders, removal)
        old = partial(sql.old_verdicts, before=_before(now, policy.verdicts.days), most=policy.verdicts.max_bytes)
        doomed = await self._database.read(old)
        await self._remove_verdicts(doomed, removal, dry_run=dry_run)
        gone = frozenset(doomed.visits)
        for kind, keep in (("frames", policy.frames), ("clips", policy.clips)):
            before = _before(now, keep.days)
            rows = await self._database.read(partial(sql.old_objects, kind=kind, before=before, most=keep.max_bytes))
            await self._remove_old([row for row in rows if row.visit_id not in gone], removal, dry_run=dry_run)
        lost = await self._database.read(partial(sql.old_results, before=_before(now, policy.verdicts.days)))
        await self._remove_old(lost, removal, dry_run=dry_run)
        if not dry_run:
            await self._give_back()
        if removal and not dry_run:
            _log.info("cleaned_up", objects=removal.objects, bytes=removal.size, verdicts=removal.verdicts)
        return removal

    async def purge(
        self,
        *,
        order: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        dry_run: bool = False,
    ) -> Removal:
        """Remove all there is of some orders: verdicts, reviews, frames, clips, POS orders, events and messages.

        What a review is open on stays, with its POS order. Orders without a verdict go too: nobody must be about to
        judge them.

        Args:
            order: Verdict id, or number on the slip, or POS order id; all orders of the time when None.
            since: Ended, or else begun, or received from the POS, at or after; from the beginning when None.
            until: Likewise, before; to the end when None.
            dry_run: Only say what would go.

        Raises:
            ValueError: If neither an order nor a time is given.
            StorageError: If the journal or the store fails; then a part may be gone.
        """
        if order is None and since is None and until is None:
            raise ValueError("name an order or a time: everything is not purged")
        span = (time_text(since) if since else "", time_text(until) if until else "~")
        removal = Removal()
        doomed = await self._database.read(partial(sql.named_verdicts, order=order, span=span))
        unfinished = await self._database.read(partial(pos.unfinished_visits, order=order, span=span))
        theirs = await self._database.read(partial(pos.orders_of, visits=(*doomed.visits, *unfinished)))
        named = pos.NamedOrders(order, span, theirs, unfinished)
        await self._remove_verdicts(doomed, removal, dry_run=dry_run)
        await self._remove_unfinished(unfinished, removal, dry_run=dry_run)
        removal.orders, removal.kept_orders = await self._database.read(partial(pos.count_orders, named=named))
        if dry_run:
            return removal
        await self._database.write(partial(pos.remove_orders, named=named))
        await self._give_back()
        await self._database.forget_log()
        return removal

    async def _give_back(self) -> None:
        while await self._database.write(partial(sql.give_back, pages=PAGES_AT_ONCE), durable=False):
            pass

    async def _remove_log(self, log: str, orders: str, removal: Removal) -> None:
        step = partial(sql.remove_log, log=log, orders=orders, most=AT_ONCE)
        while any(gone := await self._database.write(step)):
            removal.events += gone[0]
            removal.orders += gone[1]

    async def _remove_verdicts(self, doomed: Doomed, removal: Removal, *, dry_run: bool) -> None:
        removal.kept += doomed.kept
        for batch in _batches(doomed.visits):
            visits: Sequence[str] = batch
            if not dry_run:
                visits = await self._database.write(partial(sql.begin_removal, visits=batch))
                removal.kept += len(batch) - len(visits)
            rows = await self._database.read(partial(sql.objects_of, visits=visits))
            await self._remove_objects(rows, removal, dry_run=dry_run)
            removal.verdicts += len(visits)
            if not dry_run:
                await self._database.write(partial(sql.remove_visits, visits=visits))

    async def _remove_unfinished(self, visits: Sequence[str], removal: Removal, *, dry_run: bool) -> None:
        for batch in _batches(visits):
            rows = await self._database.read(partial(sql.objects_of, visits=batch))
            await self._remove_objects(rows, removal, dry_run=dry_run)
            if self._spool is not None:
                for size in await asyncio.to_thread(_held, self._spool, batch, drop=not dry_run):
                    removal.count("frames", size)
            removal.unfinished += len(batch)
            if not dry_run:
                await self._database.write(partial(sql.remove_visits, visits=batch))

    async def _remove_old(self, rows: Sequence[sql.ObjectRow], removal: Removal, *, dry_run: bool) -> None:
        for batch in _batches(rows):
            free = await self._database.read(partial(sql.without_needed, rows=batch))
            await self._remove_objects(free, removal, dry_run=dry_run)

    async def _remove_objects(self, rows: Sequence[sql.ObjectRow], removal: Removal, *, dry_run: bool) -> None:
        for batch in _batches(rows):
            if not dry_run:
                keys = [row.key for row in batch]
                await self._delete(keys)
                await self._database.write(partial(sql.remove_objects, keys=keys))
            for row in batch:
                removal.count(row.kind, row.size)


def _held(spool: SpoolFolder, visits: Sequence[str], *, drop: bool) -> list[int]:
    """Bytes of each file that is held for some orders, which are thrown away if wanted."""
    sizes = []
    for part in map(key_part, visits):
        sizes += [path.stat().st_size for path in spool.held(part).values()]
        if drop:
            spool.drop(part)
    return sizes


def _before(now: datetime, days: float | None) -> str:
    """The time before which things go, as the journal writes it; that of nothing when there is none."""
    return "" if days is None else time_text(now - timedelta(days=days))


def _batches(things: Sequence[T]) -> Iterator[list[T]]:
    left = iter(things)
    while batch := list(islice(left, AT_ONCE)):
        yield batch
