"""Bringing back what was stored of an order: its verdict, its frames, and a video of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orderacc.errors import StorageError
from orderacc.service.movie import movie
from orderacc.storage.objects import FRAMES, RESULTS, SELECTED, visit_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orderacc.storage.objects import ObjectStore

EACH: Final = 1.5
"""Seconds a frame is shown in a video that is made of frames."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What is stored of an order.

    Attributes:
        verdict: Its newest verdict as JSON values.
        frames: Its frames, JPEG by key, in order.
        clip: Its clip, MP4; None when none was made.
    """

    verdict: Mapping[str, Any]
    frames: Mapping[str, bytes]
    clip: bytes | None


async def recall(store: ObjectStore, verdict_id: str) -> Recalled:
    """Bring back an order.

    Args:
        store: Where its evidence is.
        verdict_id: Its verdict's id. An order's number is no such id: it comes back every day.

    Raises:
        StorageError: `no_such_object` when nothing is stored of it, or whatever the store says.
    """
    verdicts = [one.key async for one in store.list(visit_key(RESULTS, verdict_id))]
    if not verdicts:
        raise StorageError(
            f"nothing is stored of {verdict_id!r}: no such verdict, or storage.upload left it out, or it was removed",
            code="no_such_object",
        )
    newest = max(verdicts, key=_revision)
    frames = [one.key async for one in store.list(visit_key(SELECTED, verdict_id))]
    clips = [one.key async for one in store.list(visit_key(FRAMES, verdict_id))]
    return Recalled(
        json.loads(await store.get(newest)),
        {key: await store.get(key) for key in frames},
        await store.get(clips[0]) if clips else None,
    )


async def video(recalled: Recalled) -> bytes:
    """An MP4 of an order: its clip, or else its frames one after the other.

    Raises:
        StorageError: `no_such_object` when there is neither.
    """
    if recalled.clip is not None:
        return recalled.clip
    pictures = [(place * EACH, data) for place, data in enumerate(recalled.frames.values())]
    return await asyncio.to_thread(movie, pictures)


def _revision(key: str) -> int:
    number = key.rpartition("/")[2].partition(".")[0]
    return int(number) if number.isdecimal() else 0
