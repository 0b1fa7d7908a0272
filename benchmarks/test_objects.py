"""How fast objects get to a real S3 server, beside a bare client, and what the event loop feels of it."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

import pytest

from orderacc.config import SecretText
from orderacc.storage.folder import FolderStore
from orderacc.storage.s3 import S3Settings, S3Store
from orderacc.storage.spool import Spool
from orderacc.storage.spool_folder import SpoolFolder
from staged_store import running
from swift_server import SECRET, USER, SwiftServer, need_s3

if TYPE_CHECKING:
    from pathlib import Path

AT_ONCE = 6
OBJECTS = 120
ROUNDS = 3
PICTURE = bytes(range(250)) * 600
"""As large as a 720p frame in JPEG of quality 90."""

MOST_LAG_MS = 10.0
"""Milliseconds above idle that the loop's 99th percentile may grow."""

LEAST_SHARE = 0.9
"""Of the bare client's objects per second."""


@pytest.fixture(scope="module")
def server():
    need_s3()
    with SwiftServer() as swift:
        yield swift


async def lag_p99(task: asyncio.Task[None] | None, seconds: float = 3.0) -> float:
    """How late the loop wakes a sleeper of 1 ms, 99th percentile in milliseconds."""
    lags, ends = [], time.perf_counter() + seconds
    while time.perf_counter() < ends if task is None else not task.done():
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        lags.append((time.perf_counter() - before - 0.001) * 1000)
    return statistics.quantiles(lags, n=100)[98]


async def bare(client, prefix: str) -> tuple[float, float]:
    """Objects per second of aiobotocore by itself, and the loop's lag meanwhile."""
    lanes = asyncio.Semaphore(AT_ONCE)

    async def put(number: int) -> None:
        async with lanes:
            await client.put_object(Bucket="bench", Key=f"{prefix}/{number}/0.jpg", Body=PICTURE)

    async def put_all() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(OBJECTS):
                group.create_task(put(number))

    began = time.perf_counter()
    lag = await lag_p99(asyncio.create_task(put_all()))
    return OBJECTS / (time.perf_counter() - began), lag


async def spooled(store, folder: Path, prefix: str) -> tuple[float, float]:
    """Objects per second out of a spool that is full, and the loop's lag meanwhile."""
    spool = Spool(SpoolFolder(folder), store, puts_at_once=AT_ONCE)
    await spool.open()
    for number in range(OBJECTS):
        await spool.add(f"{prefix}/visit-{number}/0.jpg", PICTURE)
    began = time.perf_counter()
    async with running(spool):
        lag = await lag_p99(asyncio.create_task(spool.drained()))
    return OBJECTS / (time.perf_counter() - began), lag


def test_objects_per_second_beside_a_bare_client(server, tmp_path):
    async def measure() -> None:
        keys = {"access_key": SecretText(USER), "secret_key": SecretText(SECRET)}
        store = await S3Store.open(
            S3Settings("bench", endpoint=SecretText(server.url), create_buckets=True, timeout_sec=30, **keys)
        )
        try:
            await store.check()
            idle = await lag_p99(None)
            alone, through, lags, bare_lags = [], [], [], []
            for turn in range(ROUNDS):
                rate, lag = await bare(store._client, f"bare{turn}")  # noqa: SLF001  the same client, nothing of ours
                alone.append(rate)
                bare_lags.append(lag)
                rate, lag = await spooled(store, tmp_path / str(turn), f"ours{turn}")
                through.append(rate)
                lags.append(lag)
            share = statistics.median(through) / statistics.median(alone)
            print(
                f"\n{len(PICTURE) / 1000:.0f} kB objects, {AT_ONCE} at once: bare {statistics.median(alone):.1f}/s, "
                f"through the spool {statistics.median(through):.1f}/s, share {share:.2f}; "
                f"loop lag p99 {statistics.median(lags):.1f} ms, bare {statistics.median(bare_lags):.1f} ms, "
                f"idle {idle:.1f} ms"
            )
            assert share >= LEAST_SHARE
            assert statistics.median(lags) <= idle + MOST_LAG_MS
        finally:
            await store.aclose()

    asyncio.run(measure())


def test_objects_per_second_into_a_folder(tmp_path):
    async def measure() -> None:
        rate, lag = await spooled(FolderStore(tmp_path / "objects"), tmp_path / "spool", "selected")
        print(f"\ninto a folder: {rate:.0f} objects/s, loop lag p99 {lag:.1f} ms")

    asyncio.run(measure())
