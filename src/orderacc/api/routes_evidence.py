"""Routes of what a verdict was reached by: its frames, what was seen in them, and a video of the order."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from aiohttp import web

from orderacc.api.routes import Route, Scope
from orderacc.errors import RequestError
from orderacc.service.crops import cut_out, sides_in
from orderacc.service.recall import recall, video
from orderacc.storage.objects import FRAMES, SELECTED, visit_key

if TYPE_CHECKING:
    from orderacc.service.ledger import Ledger
    from orderacc.storage.objects import ObjectStore

TAG: Final = "Verdicts"
NAMED: Final = {
    "verdict_id": "The verdict's id, as it says itself.",
    "number": "Which frame, counted from 0.",
    "place": "Which of the boxes that the verdict's findings have in this frame, in their order, counted from 0.",
}

MOST_VIDEOS: Final = 4
"""Videos kept after they were asked for: a player asks for one piece by piece."""


class EvidenceRoutes:
    """The routes' handlers.

    Args:
        objects: Where evidence is; None where none is stored.
        ledger: Knows what was seen where.
    """

    def __init__(self, objects: ObjectStore | None, ledger: Ledger) -> None:
        self._objects = objects
        self._ledger = ledger
        self._videos: OrderedDict[str, tuple[list[str], bytes]] = OrderedDict()
        self._making = asyncio.Lock()

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        one = "/v1/verdicts/{verdict_id}"
        return (
            Route(
                "GET",
                f"{one}/frames/{{number}}",
                self.frame,
                "A frame the verdict was reached by.",
                TAG,
                Scope.READ,
                media="image/jpeg",
                problems=("not_found", "unavailable"),
                parameters=NAMED,
            ),
            Route(
                "GET",
                f"{one}/frames/{{number}}/crops/{{place}}",
                self.crop,
                "One thing that was seen in a frame, cut out with a little around it.",
                TAG,
                Scope.READ,
                media="image/jpeg",
                problems=("not_found", "unavailable"),
                parameters=NAMED,
            ),
            Route(
                "GET",
                f"{one}/replay.mp4",
                self.replay,
                "A video of the order: its clip, or its frames one after the other. Takes ranges.",
                TAG,
                Scope.READ,
                others=(206,),
                media="video/mp4",
                problems=("not_found", "unavailable"),
                parameters=NAMED,
            ),
        )

    async def frame(self, request: web.Request) -> web.Response:
        """`GET /v1/verdicts/{verdict_id}/frames/{number}`."""
        return web.Response(body=await self._frame(request), content_type="image/jpeg")

    async def crop(self, request: web.Request) -> web.Response:
        """`GET /v1/verdicts/{verdict_id}/frames/{number}/crops/{place}`."""
        picture = await self._frame(request)
        stored = await self._ledger.verdict(request.match_info["verdict_id"])
        sides = sides_in(stored.body, int(request.match_info["number"])) if stored is not None else []
        place = _counted(request.match_info["place"], len(sides))
        content = None if place is None else await asyncio.to_thread(cut_out, picture, sides[place])
        if content is None:
            raise RequestError("nothing was seen under this number", code="not_found")
        return web.Response(body=content, content_type="image/jpeg")

    async def replay(self, request: web.Request) -> web.Response:
        """`GET /v1/verdicts/{verdict_id}/replay.mp4`."""
        content = await self._video(self._store(), request.match_info["verdict_id"])
        headers = {"Accept-Ranges": "bytes"}
        try:
            asked = request.http_range
        except ValueError:
            asked = slice(None)  # what is no range is not one that was asked for
        if asked == slice(None, None, 1) or asked == slice(None):
            return web.Response(body=content, content_type="video/mp4", headers=headers)
        start, stop, _ = asked.indices(len(content))
        if start >= stop:
            headers["Content-Range"] = f"bytes */{len(content)}"
            raise RequestError("the range is beyond the end", code="range_not_satisfiable", headers=headers)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return web.Response(body=content[start:stop], status=206, content_type="video/mp4", headers=headers)

    async def _frame(self, request: web.Request) -> bytes:
        store = self._store()
        keys = sorted([one.key async for one in store.list(visit_key(SELECTED, request.match_info["verdict_id"]))])
        number = _counted(request.match_info["number"], len(keys))
        if number is None:
            raise RequestError("nothing is stored under this number", code="not_found")
        return await store.get(keys[number])

    async def _video(self, store: ObjectStore, verdict_id: str) -> bytes:
        """The video, made one at a time: it takes the processor from the orders. What is removed is shown no more."""
        async with self._making:
            shown = await _shown(store, verdict_id)
            made_of, content = self._videos.pop(verdict_id, ([], b""))
            if not shown or made_of != shown:
                content = await video(await recall(store, verdict_id))
            self._videos[verdict_id] = (shown, content)
            if len(self._videos) > MOST_VIDEOS:
                self._videos.popitem(last=False)
            return content

    def _store(self) -> ObjectStore:
        if self._objects is None:
            raise RequestError("no evidence is stored: the configuration has no section storage", code="not_found")
        return self._objects


async def _shown(store: ObjectStore, verdict_id: str) -> list[str]:
    """Keys of what a verdict's video shows: its clip, or else its frames."""
    clips = [one.key async for one in store.list(visit_key(FRAMES, verdict_id))]
    return clips or [one.key async for one in store.list(visit_key(SELECTED, verdict_id))]


def _counted(text: str, many: int) -> int | None:
    """A number counted from 0 of so many; None for whatever is none."""
    known = text.isascii() and text.isdecimal() and len(text) < 4 and int(text) < many
    return int(text) if known else None
