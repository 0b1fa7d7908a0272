"""What the door costs beside a bare handler, and what it feels of misbehaving clients; these are other processes."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from door import opened, verdict
from orderacc.config.videos import VideosConfig
from orderacc.orders.memory import OrderStore
from orderacc.service.ledger import RecentLedger
from orderacc.service.videos import Videos
from orderacc.storage.journal import Journal
from schema_door import NothingToJudge
from staged_detector import StagedDetector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from door import Door

pytestmark = pytest.mark.anyio

CLIENTS = str(Path(__file__).with_name("api_clients.py"))
VERDICTS = 500
ROUNDS, SECONDS = 5, 1.5
BARE = "bare aiohttp"
OPEN: dict[str, Any] = {"rate_per_sec": 100_000, "deadline": float("inf")}

BAD_INPUTS = int(os.environ.get("ORDERACC_BAD_INPUTS", "500"))
BOMBS = 400
CROWD, CROWD_SECONDS = 1000, 20

MOST_MIB, MOST_MS = 64.0, 50.0
"""Memory that misbehaviour may add, and the 99th percentile of `/healthz` meanwhile."""


async def client(what: str, *arguments: Any) -> dict[str, Any]:
    process = await started(what, *arguments)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(out)


async def started(what: str, *arguments: Any) -> asyncio.subprocess.Process:
    told = map(str, arguments)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, CLIENTS, what, *told, stdin=pipe, stdout=pipe)


@asynccontextmanager
async def bare(bodies: dict[str, bytes]) -> AsyncIterator[str]:
    """The same answers from handlers that do nothing else."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=bodies[request.path_qs], content_type="application/json")

    app = web.Application()
    for path in {path.partition("?")[0] for path in bodies}:
        app.router.add_get(path, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.usefixtures("as_in_the_daemon")
async def test_requests_a_second_beside_a_bare_handler(tmp_path):
    paths = {"/healthz": "/healthz", "one verdict": "/v1/verdicts?limit=1", "50 verdicts": "/v1/verdicts?limit=50"}
    recent = RecentLedger(VERDICTS)
    async with Journal.open(tmp_path / "journal.db") as journal:
        for number in range(VERDICTS):
            recent.record(verdict(number))
            await journal.record(verdict(number), [])
        async with opened(ledger=journal, **OPEN) as kept, opened(ledger=recent, **OPEN) as new:
            bodies = {path: (await kept.get(path)).body for path in paths.values()}
            async with bare(bodies) as plain:
                doors = {BARE: plain, "in memory": new.address, "journal": kept.address}
                print("\n| requests a second | bytes | " + " | ".join(doors) + " |")
                for name, path in paths.items():
                    rates: dict[str, list[float]] = {door: [] for door in doors}
                    for _ in range(ROUNDS):
                        for door, address in doors.items():
                            rates[door].append((await client("speed", address, path, SECONDS))["per_second"])
                    told = []
                    for some in rates.values():  # side by side, as other work comes and goes
                        share = statistics.median(
                            one / bare_one for one, bare_one in zip(some, rates[BARE], strict=True)
                        )
                        told.append(f"{statistics.median(some):,.0f} ({share:.2f})")
                    print(f"| {name} | {len(bodies[path]):,} | {' | '.join(told)} |")


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass
class Watch:
    """Memory while something goes on: before, most, and what is left, MiB."""

    before: float = field(default_factory=resident)
    most: float = 0.0
    left: float = 0.0
    pulse: dict[str, float] = field(default_factory=dict)


@asynccontextmanager
async def watched(door: Door) -> AsyncIterator[Watch]:
    """Watches the door's memory, and asks from another process whether it is alive."""
    watch, pulse = Watch(), await started("pulse", door.address)

    async def look() -> None:
        while True:
            watch.most = max(watch.most, resident() - watch.before)
            await asyncio.sleep(0.02)

    looking = asyncio.create_task(look())
    yield watch
    looking.cancel()
    out, _ = await pulse.communicate(b"")
    watch.pulse, watch.left = json.loads(out), resident() - watch.before


@pytest.mark.usefixtures("as_in_the_daemon")
async def test_clients_that_misbehave(tmp_path):
    recent = RecentLedger(VERDICTS)
    for number in range(VERDICTS):
        recent.record(verdict(number))
    videos = Videos(tmp_path / "videos", VideosConfig(), NothingToJudge(), OrderStore())
    async with opened(ledger=recent, detector=StagedDetector(), videos=videos, **OPEN) as door:
        await client("bad", door.address, 50, 1)  # what is loaded when it is used first
        await client("bombs", door.address, 16)
        await asyncio.sleep(1)
        kinds = {
            "nothing else": lambda: asyncio.sleep(5, {}),
            f"{BAD_INPUTS} kinds of bad input": lambda: client("bad", door.address, BAD_INPUTS, 2),
            f"{BOMBS} pictures of 50,000 x 50,000": lambda: client("bombs", door.address, BOMBS),
            f"{CROWD} connections, silent or slow": lambda: client("crowd", door.address, CROWD, CROWD_SECONDS),
        }
        print(f"\nload {os.getloadavg()[0]:.1f}")
        print("| meanwhile | MiB at most | MiB left | /healthz p50 | p99 | worst ms |")
        watches = []
        for name, work in kinds.items():
            async with watched(door) as watch:
                told = await work()
            watches.append(watch)
            ms = " | ".join(f"{watch.pulse[cut]:.1f}" for cut in ("p50", "p99", "worst"))
            print(f"| {name} | {watch.most:.1f} | {watch.left:.1f} | {ms} |  {told}")
            assert not {"500", "502", "503", "504"} & told.keys()
        assert door.stage.stations.ids() == ("front",)
        assert (await door.get("/readyz")).status in (200, 503)
        assert max(watch.most for watch in watches) <= MOST_MIB
        assert max(watch.pulse["p99"] for watch in watches) <= MOST_MS
