"""A door with something behind every route, in a thread of its own, for those who ask it from outside."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import cv2
import numpy as np
from anyio.from_thread import start_blocking_portal

from door import opened, verdict
from orderacc.config.videos import VideosConfig
from orderacc.orders.memory import OrderStore
from orderacc.service.videos import Videos
from orderacc.storage.folder import FolderStore
from orderacc.storage.journal import Journal
from orderacc.storage.objects import RESULTS, SELECTED, visit_key
from staged_detector import StagedDetector
from staged_stations import station_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from anyio.from_thread import BlockingPortal

    from door import Door

VERDICTS = 30
STATIONS = ("front", "drive")


class NothingToJudge:
    """Recordings that hold no order."""

    async def video(self, *_: Any, progress: Callable[[float], None], **__: Any) -> None:
        progress(1.0)

    run = video


class SchemaDoor:
    """What is asked.

    Attributes:
        address: Where.
    """

    def __init__(self, portal: BlockingPortal, door: Door) -> None:
        self._portal = portal
        self._door = door
        self.address = door.address

    def tidy(self) -> None:
        """Forget what others have left, give back what they took, and let the cameras live on."""
        self._portal.call(self._tidy)

    async def _tidy(self) -> None:
        stations, builder = self._door.stage.stations, self._door.stage.builder
        for name in stations.ids():
            if name not in STATIONS:
                await stations.remove(name)
        for name in STATIONS:
            if name not in stations.ids():
                await stations.add(station_config(name))
            builder.camera(name, stations.configuration(name).source.seed).give(1)
        for video in (await self._door.get("/v1/videos?limit=1000")).json["videos"]:
            await self._door.ask("DELETE", f"/v1/videos/{video['video_id']}")


@contextmanager
def asked_from_outside(folder: Path) -> Iterator[SchemaDoor]:
    """The door, until the block is left."""
    lookup = socket.getaddrinfo

    def nothing_but_this_machine(host: Any, *args: Any, **more: Any) -> Any:
        if host not in (None, "127.0.0.1", "localhost"):
            raise socket.gaierror(socket.EAI_NONAME, "made-up names are not looked up")
        return lookup(host, *args, **more)

    with (
        mock.patch("socket.getaddrinfo", nothing_but_this_machine),
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(_furnished(folder)) as door,
    ):
        yield SchemaDoor(portal, door)


@asynccontextmanager
async def _furnished(folder: Path) -> AsyncIterator[Door]:
    store = FolderStore(folder / "objects")
    picture = cv2.imencode(".jpg", np.zeros((90, 160, 3), np.uint8))[1].tobytes()
    orders = OrderStore()
    videos = Videos(folder / "videos", VideosConfig(waiting=1000), NothingToJudge(), orders)
    async with Journal.open(folder / "journal.db") as journal:
        for number in range(VERDICTS):
            said = verdict(number)
            await journal.record(said, [])
            await store.put(visit_key(SELECTED, said.verdict_id, "0.jpg"), picture, "image/jpeg")
            await store.put(visit_key(RESULTS, said.verdict_id, "1.json"), b"{}", "application/json")
        async with opened(
            ledger=journal,
            objects=store,
            detector=StagedDetector(),
            videos=videos,
            stations=STATIONS,
            deadline=float("inf"),
            rate_per_sec=100_000,
            cameras={"hosts": ["camera.example"]},
            streaming={"max_sessions": 10_000},
        ) as door:
            for name in STATIONS:
                await door.stage.show(name, 1)
            yield door
