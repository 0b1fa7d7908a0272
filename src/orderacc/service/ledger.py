"""What has happened, for whoever asks: verdicts, reviews and events, from the journal or from the last while."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict, deque
from dataclasses import asdict
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Final, Protocol

from orderacc.errors import StorageError
from orderacc.storage.records import JournalEvent, Review, StoredVerdict, VerdictFilter, VerdictPage, now_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orderacc.domain.verdicts import Verdict
    from orderacc.storage.records import Opinion

EVENTS: Final = 2000
"""Events kept in memory where there is no journal."""

EVERYTHING: Final = VerdictFilter()

MOST_REVIEWS: Final = 100
"""Reviews of one verdict kept in memory; the oldest goes first."""


class Ledger(Protocol):
    """Keeps verdicts, reviews and events. `Journal` is one, and its methods of these names say more."""

    async def verdicts(
        self, filters: VerdictFilter = EVERYTHING, cursor: int | None = None, limit: int = 50
    ) -> VerdictPage:
        """Latest revisions, newest first."""
        ...

    async def verdict(self, verdict_id: str) -> StoredVerdict | None:
        """The latest revision of a verdict."""
        ...

    async def revisions(self, verdict_id: str) -> Sequence[StoredVerdict]:
        """All of them, the first one first."""
        ...

    async def review(
        self,
        verdict_id: str,
        opinion: Opinion,
        *,
        items: Sequence[Mapping[str, Any]] | None = None,
        note: str = "",
        reviewer: str = "",
    ) -> Review:
        """Keep what the crew says of a verdict.

        Raises:
            StorageError: `no_such_verdict`, or that it cannot be kept.
        """
        ...

    async def reviews(self, verdict_id: str | None = None, after_id: int = 0, limit: int = 1000) -> Sequence[Review]:
        """What the crew said, the oldest first."""
        ...

    async def events(self, after_id: int, limit: int = 100) -> Sequence[JournalEvent]:
        """What happened behind an event, the oldest first."""
        ...

    async def last_event(self) -> int:
        """The id of the newest event; 0 before the first."""
        ...

    async def edition(self) -> str:
        """Tells this ledger's event ids from those of another."""
        ...

    async def changed(self) -> None:
        """Wait until something is written."""
        ...

    async def station_event(self, station_id: str, body: Mapping[str, Any]) -> None:
        """Keep that something happened at a station."""
        ...


class RecentLedger:
    """A ledger in memory: the last verdicts and events, gone with the process.

    Args:
        verdicts: Verdicts kept, with their revisions and reviews.
        events: Events kept.
    """

    def __init__(self, verdicts: int, events: int = EVENTS) -> None:
        self._most = verdicts
        self._revisions: OrderedDict[str, list[StoredVerdict]] = OrderedDict()
        self._reviews: dict[str, deque[Review]] = {}
        self._events: deque[JournalEvent] = deque(maxlen=events)
        self._numbers, self._event_ids, self._review_ids = count(1), count(1), count(1)
        self._edition = secrets.token_hex(4)
        self._changed = asyncio.Event()

    def record(self, verdict: Verdict) -> None:
        """Keep a verdict, or a revision of one."""
        stored = StoredVerdict(next(self._numbers), now_text(), verdict.to_dict())
        revisions = self._revisions.setdefault(stored.verdict_id, [])
        if any(one.revision == stored.revision for one in revisions):
            return
        revisions.append(stored)
        self._revisions.move_to_end(stored.verdict_id)
        if len(self._revisions) > self._most:
            gone, _ = self._revisions.popitem(last=False)
            self._reviews.pop(gone, None)
        self._note("verdict", verdict.station_id, stored.body)

    async def verdicts(
        self, filters: VerdictFilter = EVERYTHING, cursor: int | None = None, limit: int = 50
    ) -> VerdictPage:
        """See `Ledger.verdicts`."""
        newest = (revisions[-1] for revisions in reversed(self._revisions.values()))
        fitting = (one for one in newest if (cursor is None or one.seq < cursor) and self._fits(one, filters))
        found = tuple(islice(fitting, limit + 1))
        return VerdictPage(found[:limit], found[limit - 1].seq if len(found) > limit else None)

    async def verdict(self, verdict_id: str) -> StoredVerdict | None:
        """See `Ledger.verdict`."""
        revisions = self._revisions.get(verdict_id)
        return revisions[-1] if revisions else None

    async def revisions(self, verdict_id: str) -> Sequence[StoredVerdict]:
        """See `Ledger.revisions`."""
        return tuple(self._revisions.get(verdict_id, ()))

    async def review(
        self,
        verdict_id: str,
        opinion: Opinion,
        *,
        items: Sequence[Mapping[str, Any]] | None = None,
        note: str = "",
        reviewer: str = "",
    ) -> Review:
        """See `Ledger.review`."""
        revisions = self._revisions.get(verdict_id)
        if not revisions:
            raise StorageError(f"there is no verdict {verdict_id!r}", code="no_such_verdict")
        lines = None if items is None else tuple(dict(item) for item in items)
        number, revision = next(self._review_ids), revisions[-1].revision
        said = Review(number, verdict_id, revision, opinion, lines, note, reviewer, now_text())
        self._reviews.setdefault(verdict_id, deque(maxlen=MOST_REVIEWS)).append(said)
        self._note("review", revisions[-1].body["station_id"], asdict(said))
        return said

    async def reviews(self, verdict_id: str | None = None, after_id: int = 0, limit: int = 1000) -> Sequence[Review]:
        """See `Ledger.reviews`."""
        kept = self._reviews.values() if verdict_id is None else [self._reviews.get(verdict_id, ())]
        behind = sorted((one for some in kept for one in some if one.review_id > after_id), key=_by_id)
        return tuple(behind[:limit])

    async def events(self, after_id: int, limit: int = 100) -> Sequence[JournalEvent]:
        """See `Ledger.events`."""
        # Ids grow by one, so the place of the first one wanted is known.
        skip = max(0, after_id + 1 - self._events[0].event_id) if self._events else 0
        return tuple(islice(self._events, skip, skip + limit))

    async def last_event(self) -> int:
        """See `Ledger.last_event`."""
        return self._events[-1].event_id if self._events else 0

    async def edition(self) -> str:
        """See `Ledger.edition`."""
        return self._edition

    async def changed(self) -> None:
        """See `Ledger.changed`."""
        await self._changed.wait()

    async def station_event(self, station_id: str, body: Mapping[str, Any]) -> None:
        """See `Ledger.station_event`."""
        self._note("station", station_id, body)

    def _note(self, kind: str, station_id: str | None, body: Mapping[str, Any]) -> None:
        self._events.append(JournalEvent(next(self._event_ids), now_text(), kind, station_id, dict(body)))
        self._changed.set()
        self._changed = asyncio.Event()

    def _fits(self, one: StoredVerdict, wanted: VerdictFilter) -> bool:
        body, text = one.body, (wanted.text or "").casefold()
        spoken = any(said.opinion != "open" for said in self._reviews.get(one.verdict_id, ()))
        return (
            (wanted.station_id is None or body["station_id"] == wanted.station_id)
            and (not wanted.status or body["status"] in wanted.status)
            and (wanted.since is None or one.recorded_at >= wanted.since)
            and (wanted.until is None or one.recorded_at < wanted.until)
            and (not text or any(text in (body[key] or "").casefold() for key in ("slip_text", "order_id", "sentence")))
            and (wanted.reviewed is None or wanted.reviewed == spoken)
        )


def _by_id(review: Review) -> int:
    return review.review_id
