"""All orders a box knows, whichever feed they came from."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from orderacc.domain.orders import Order
from orderacc.errors import StorageError
from orderacc.orders.book import Match
from orderacc.orders.changes import Changes
from orderacc.orders.numbers import ANYWHERE, MatchRules, choose, loosest, normal
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence

    from orderacc.orders.changes import Key

_log = get_logger(__name__)

FOR_GOOD: Final = 2**53 - 1
"""Version of an order that was cancelled whatever its version: no later one can follow."""

AT_ONCE: Final = 200
"""Orders of a large feed taken before others get their turn."""

NOWHERE: Final = -1
"""The place of an order that is not kept."""


class Put(StrEnum):
    """What became of an order that was put into the store."""

    CREATED = "created"
    """It was not known."""
    UPDATED = "updated"
    """It is a later version."""
    UNCHANGED = "unchanged"
    """It is known just so."""
    STALE = "stale"
    """A later version is known, or this version with other contents; nothing was taken."""
    TOMBSTONED = "tombstoned"
    """It is cancelled, and this did not change it."""


@dataclass(slots=True)
class _Kept:
    order: Order
    known: float
    feed: str | None = None
    withdrawn: bool = False
    place: int = NOWHERE


class OrderStore:
    """Takes orders from every feed, in any order and any number of times, and finds them by the number on a slip.

    An order is one by its source and id; the highest version counts. Orders age: those that were not put for long go,
    and the oldest go when there are too many. What a feed holds now (see `take`) stays.

    All of it belongs to the event loop.

    Args:
        rules: When an order may be the one on the counter.
        most: Orders kept beside those that feeds hold.
        keep: Seconds they are kept.
        on_put: Awaited with every order that is new or changed, before it counts and before `put` returns; when it
            raises, nothing has changed. Not with what a feed holds, which holds it anyway. For whoever keeps orders.
        place: Tells by a number where `on_put` keeps orders now. One that is not kept there is when it is put again.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        rules: MatchRules | None = None,
        *,
        most: int = 50_000,
        keep: float = 48 * 3600.0,
        on_put: Callable[[Order], Awaitable[object]] | None = None,
        place: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rules = rules or MatchRules()
        self.on_put = on_put
        self.place = place
        self._most = most
        self._keep = keep
        self._clock = clock
        self._kept: dict[Key, _Kept] = {}
        self._aging: dict[Key, None] = {}  # those no feed holds, the oldest first
        self._numbers: dict[str, dict[Key, None]] = {}
        self._watchers: list[Changes] = []
        self._putting = asyncio.Lock()
        self._refused = False

    def __len__(self) -> int:
        """Orders known, cancelled ones included."""
        return len(self._kept)

    def get(self, source: str, order_id: str) -> Order | None:
        """The order, cancelled ones included; None when it is not known (any more)."""
        kept = self._kept.get((source, order_id))
        return None if kept is None or kept.withdrawn else kept.order

    def orders(self) -> tuple[Order, ...]:
        """All of them, those put last at the end."""
        return tuple(kept.order for kept in self._kept.values() if not kept.withdrawn)

    async def put(self, order: Order, *, feed: str | None = None) -> Put:
        """Take an order in.

        Versions may come late, twice and in any order. One whose source does not number versions (0) gets the next
        number when it differs from what is known, and brings no cancelled order back. A version that is known with
        other contents is refused: which of the two is right cannot be told.

        Args:
            order: The order.
            feed: The feed that holds it from now on; None when it was sent and nobody holds it.

        Raises:
            Exception: Whatever `on_put` raised; then nothing has changed.
        """
        async with self._putting:
            return await self._put(order, feed, must_keep=True)

    async def put_all(self, orders: Sequence[Order], *, feed: str | None = None) -> dict[Put, int]:
        """Put many orders, one after the other; others get their turn in between. See `put`.

        Whoever tells orders this way tells them again, as they are then: they count even while they cannot be kept, and
        one that was cancelled and is open again comes back.

        Returns:
            How many became what.
        """
        counts = dict.fromkeys(Put, 0)
        for index, order in enumerate(orders, 1):
            async with self._putting:
                counts[await self._put(order, feed, must_keep=False)] += 1
            if index % AT_ONCE == 0:
                await asyncio.sleep(0)
        return counts

    async def cancel(self, source: str, order_id: str, version: int | None = None) -> Put:
        """Cancel an order, known or not: versions up to this one that come later do not bring it back.

        Args:
            source: Its source.
            order_id: Its id.
            version: The version that is cancelled; None cancels it for good.

        Returns:
            `tombstoned` when it is cancelled by this, `unchanged` when it was, `stale` when a later version is known.

        Raises:
            Exception: Whatever `on_put` raised; then nothing has changed.
        """
        async with self._putting:
            number = version or FOR_GOOD
            kept = self._kept.get((source, order_id))
            if kept is not None and kept.order.state == "cancelled" and kept.order.version >= number:
                await self._keep_again(kept, must_keep=True)
                return Put.UNCHANGED
            if kept is not None and kept.order.version > number:
                return Put.STALE
            order = kept.order if kept is not None else Order(order_id, source=source)
            await self._accept(replace(order, state="cancelled", version=number), None, must_keep=True)
            return Put.TOMBSTONED

    async def take(self, feed: str, orders: Sequence[Order]) -> dict[Put, int]:
        """Take in all that a feed holds now; what it held before and does not any more is not found any more.

        An order that goes and comes back is the same order: its version grows only if it differs.

        Args:
            feed: Name of the feed.
            orders: All of them.

        Returns:
            How many orders became what.
        """
        held = {(order.source, order.order_id) for order in orders}
        counts = await self.put_all(orders, feed=feed)
        self._withdraw(feed, held)
        return counts

    def release(self, feed: str) -> None:
        """A feed has ended: what it holds is not found any more."""
        self._withdraw(feed, set())

    def restore(self, orders: Iterable[tuple[Order, float]]) -> None:
        """Take back orders kept elsewhere since an earlier start; `on_put` and watchers are not told.

        Args:
            orders: The oldest first, each with when it became known, seconds since 1970: it is as old as it was.
        """
        now = self._clock()
        for order, known in orders:
            if (order.source, order.order_id) not in self._kept:
                self._keep_order(order, None, min(known, now), self.place())

    @contextmanager
    def watch(self) -> Iterator[Changes]:
        """Follow orders that are new or changed from now on.

        ```python
        with store.watch() as changes:
            async for order in changes:
                ...
        ```
        """
        changes = Changes()
        self._watchers.append(changes)
        try:
            yield changes
        finally:
            self._watchers.remove(changes)

    async def find(self, station_id: str, slip_text: str, at: datetime | None = None) -> Match:
        """Find the order that a slip names; see `OrderBook.find`, `MatchRules` and `choose`."""
        number = normal(slip_text)
        if not number:
            return Match()
        station = self.rules.stations.get(station_id, ANYWHERE)
        alike: list[Order] = []
        for key in self._numbers.get(loosest(number), ()):
            kept = self._kept[key]
            known = None if kept.feed is not None else datetime.fromtimestamp(kept.known, UTC)
            if not kept.withdrawn and station.fits(kept.order) and self.rules.in_time(kept.order, at, known):
                alike.append(kept.order)
        return choose(number, alike)

    async def _put(self, order: Order, feed: str | None, *, must_keep: bool) -> Put:
        key = (order.source, order.order_id)
        kept = self._kept.get(key)
        if kept is None:
            await self._accept(replace(order, version=order.version or 1), feed, must_keep=must_keep)
            return Put.CREATED
        known = kept.order
        same = replace(order, version=known.version) == known
        if same and order.version in (0, known.version):
            if feed is None:
                await self._keep_again(kept, must_keep=must_keep)
            self._revive(key, kept, feed)
            return Put.UNCHANGED
        if known.state == "cancelled" and must_keep and feed is None and not order.version:
            return Put.TOMBSTONED  # it is not told again, and when it was sent nobody knows
        version = order.version or known.version + 1
        if version > known.version and known.version != FOR_GOOD:
            await self._accept(replace(order, version=version), feed, must_keep=must_keep)
            return Put.UPDATED
        if known.state == "cancelled":
            return Put.TOMBSTONED
        if version == known.version:
            _log.warning("order_version_twice", source=order.source, order_id=order.order_id, version=version)
        return Put.STALE

    async def _accept(self, order: Order, feed: str | None, *, must_keep: bool) -> None:
        place = NOWHERE if feed is not None else await self._written(order, must_keep=must_keep)
        self._keep_order(order, feed, self._clock(), place)
        for changes in self._watchers:
            changes.add(order)

    async def _keep_again(self, kept: _Kept, *, must_keep: bool) -> None:
        """An order that is known just so may be nowhere, or where orders are not kept any more."""
        if kept.place != self.place():
            kept.place = await self._written(kept.order, must_keep=must_keep)

    async def _written(self, order: Order, *, must_keep: bool) -> int:
        """Where an order is kept from now on."""
        if self.on_put is None:
            return NOWHERE
        place = self.place()  # it may be another before this returns: then it is kept once more, not never
        try:
            await self.on_put(order)
        except StorageError as error:
            if must_keep:
                raise
            if not self._refused:
                _log.warning("orders_not_kept", code=error.code, reason=error.message)
            self._refused = True
            return NOWHERE
        self._refused = False
        return place

    def _keep_order(self, order: Order, feed: str | None, known: float, place: int) -> None:
        key = (order.source, order.order_id)
        self._forget(key)
        self._kept[key] = _Kept(order, known, place=place)
        self._numbers.setdefault(loosest(normal(order.display_id)), {})[key] = None
        self._hold(key, feed)
        self._age()

    def _revive(self, key: Key, kept: _Kept, feed: str | None) -> None:
        """An order is there as it was: it is not old, and if it was gone it is back."""
        kept.known = self._clock()
        was_gone, kept.withdrawn = kept.withdrawn, False
        self._hold(key, feed)
        for changes in self._watchers if was_gone else ():
            changes.add(kept.order)

    def _withdraw(self, feed: str, held: Collection[Key]) -> None:
        for key in [key for key, kept in self._kept.items() if kept.feed == feed and key not in held]:
            self._kept[key].withdrawn = True
            self._hold(key, None)

    def _hold(self, key: Key, feed: str | None) -> None:
        self._kept[key].feed = feed
        self._aging.pop(key, None)
        if feed is None:
            self._aging[key] = None

    def _age(self) -> None:
        oldest = self._clock() - self._keep
        while self._aging:
            key = next(iter(self._aging))
            if len(self._aging) <= self._most and (math.isinf(self._keep) or self._kept[key].known >= oldest):
                return
            self._forget(key)

    def _forget(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        self._aging.pop(key, None)
        number = loosest(normal(kept.order.display_id))
        self._numbers[number].pop(key)
        if not self._numbers[number]:
            del self._numbers[number]
