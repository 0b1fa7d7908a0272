"""Routes of verdicts: looking them up, and what the crew says of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from orderacc.api.guard import caller_of
from orderacc.api.limits import Turns
from orderacc.api.routes import Route, Scope, json_answer, read_body, read_query
from orderacc.api.shapes_verdicts import (
    ReviewGiven,
    ReviewsQuery,
    ReviewsTold,
    ReviewTold,
    VerdictDetail,
    VerdictsQuery,
    VerdictsTold,
    VerdictTold,
)
from orderacc.errors import RequestError
from orderacc.storage.records import VerdictFilter, time_text

if TYPE_CHECKING:
    from aiohttp import web

    from orderacc.service.ledger import Ledger
    from orderacc.storage.records import Review, StoredVerdict

TAG: Final = "Verdicts"
NAMED: Final = {"verdict_id": "The verdict's id, as it says itself."}


class VerdictRoutes:
    """The routes' handlers.

    Args:
        ledger: Keeps the verdicts.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._turns = Turns()

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        return (
            Route(
                "GET",
                "/v1/verdicts",
                self.list,
                "Verdicts, newest first, page by page.",
                TAG,
                Scope.READ,
                VerdictsTold,
                query=VerdictsQuery,
                problems=("unavailable",),
            ),
            Route(
                "GET",
                "/v1/verdicts/{verdict_id}",
                self.get,
                "A verdict, its revisions, and what the crew said of it.",
                TAG,
                Scope.READ,
                VerdictDetail,
                problems=("not_found", "unavailable"),
                parameters=NAMED,
            ),
            Route(
                "POST",
                "/v1/verdicts/{verdict_id}/review",
                self.review,
                "Say whether a verdict was right, and what was in the bag. What is said last counts.",
                TAG,
                Scope.SUBMIT,
                ReviewTold,
                status=201,
                body=ReviewGiven,
                problems=("not_found", "unavailable"),
                parameters=NAMED,
            ),
            Route(
                "GET",
                "/v1/reviews",
                self.said,
                "What the crew said of all verdicts, page by page.",
                TAG,
                Scope.READ,
                ReviewsTold,
                query=ReviewsQuery,
                problems=("unavailable",),
            ),
        )

    async def list(self, request: web.Request) -> web.Response:
        """`GET /v1/verdicts`."""
        query = read_query(request, VerdictsQuery)
        wanted = VerdictFilter(
            station_id=query.station,
            status=query.status,
            since=None if query.since is None else time_text(query.since),
            until=None if query.until is None else time_text(query.until),
            text=query.text,
            reviewed=query.reviewed,
        )
        page = await self._ledger.verdicts(wanted, None if query.cursor is None else int(query.cursor), query.limit)
        async with self._turns.turn():
            return json_answer(
                VerdictsTold(
                    verdicts=[_told(one) for one in page.verdicts],
                    next=None if page.cursor is None else str(page.cursor),
                )
            )

    async def get(self, request: web.Request) -> web.Response:
        """`GET /v1/verdicts/{verdict_id}`."""
        verdict_id = request.match_info["verdict_id"]
        revisions = await self._ledger.revisions(verdict_id)
        if not revisions:
            raise _unknown(verdict_id)
        reviews = await self._ledger.reviews(verdict_id)
        newest = revisions[-1]
        return json_answer(
            VerdictDetail(
                recorded_at=newest.recorded_at,
                verdict=newest.body,
                revisions=[_told(one) for one in revisions],
                reviews=[_said(one) for one in reviews],
            )
        )

    async def review(self, request: web.Request) -> web.Response:
        """`POST /v1/verdicts/{verdict_id}/review`."""
        given = await read_body(request, ReviewGiven)
        verdict_id = request.match_info["verdict_id"]
        if await self._ledger.verdict(verdict_id) is None:
            raise _unknown(verdict_id)
        items = None if given.items is None else [line.model_dump() for line in given.items]
        said = await self._ledger.review(
            verdict_id, given.opinion, items=items, note=given.note, reviewer=caller_of(request).name
        )
        return json_answer(_said(said), 201)

    async def said(self, request: web.Request) -> web.Response:
        """`GET /v1/reviews`."""
        query = read_query(request, ReviewsQuery)
        found = await self._ledger.reviews(None, query.after, query.limit)
        behind = found[-1].review_id if len(found) == query.limit else None
        async with self._turns.turn():
            return json_answer(ReviewsTold(reviews=[_said(one) for one in found], next=behind))


def _told(one: StoredVerdict) -> VerdictTold:
    return VerdictTold(recorded_at=one.recorded_at, verdict=one.body)


def _said(one: Review) -> ReviewTold:
    return ReviewTold.model_validate(asdict(one))


def _unknown(verdict_id: str) -> RequestError:
    return RequestError(f"there is no verdict {verdict_id!r}", code="not_found")
