"""The whole daemon for half an hour: `pytest benchmarks/test_daemon_soak.py -s`.

Twenty counters at the speed of life, ten times the demo's two, with journal, evidence and clips in a folder, retention,
a webhook and the HTTP side in use. Prints what it holds as time goes by, and draws it: nothing should grow once
retention has begun to remove as much as comes. ORDERACC_SOAK_MINUTES sets another length, ORDERACC_SOAK_PLOT the file
that is drawn.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import statistics
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from orderacc.simulator.random_script import random_script
from receivers import SECRET, receiver
from soak_chart import draw
from soak_clients import Till, listen, look_around
from soaked_daemon import ORDERS, SCRIPTS, SEED

MINUTES = float(os.environ.get("ORDERACC_SOAK_MINUTES", "30"))
COUNTERS = 20
KEPT_MINUTES = MINUTES / 6
"""Age at which retention removes everything."""

ORDERS_KEPT_SEC = 300
REFUSED = 50
"""The webhook's receiver refuses one request of so many."""

RETRY_MAX_SEC = 2.0
SAMPLE_EVERY = 5.0

CONFIG = """
schema: 1
stations:
{stations}
orders: {{keep_sec: {kept_sec}}}
storage:
  data_dir: {folder}/data
  clips: {{}}
  retention:
    frames: {{days: {kept_days}}}
    clips: {{days: {kept_days}}}
    verdicts: {{days: {kept_days}}}
    log_days: {kept_days}
    every_min: 0.25
notify: {{webhooks: [{{name: pos, url: "{hook}", secrets: ["{secret}"], retry_max_sec: {retry_sec}}}]}}
api: {{port: {port}}}
"""


@dataclass(frozen=True)
class Sample:
    """What the daemon holds at a time."""

    minute: float
    resident_mb: float
    descriptors: int
    threads: int
    database_mb: float
    spool_mb: float
    evidence_mb: float
    evidence_files: int
    evidence_folders: int
    verdicts: int


TITLES = {
    "resident_mb": "Resident, MB",
    "database_mb": "Database and its log, MB",
    "descriptors": "File descriptors",
    "threads": "Threads",
    "spool_mb": "Spool, MB",
    "evidence_mb": "Evidence, MB",
}


def size(folder: Path) -> tuple[float, int, int]:
    """MB, files and folders in a folder; they come and go meanwhile."""
    total = files = folders = 0
    for where, below, names in os.walk(folder):
        folders += len(below)
        for name in names:
            try:
                total += Path(where, name).stat().st_size
            except FileNotFoundError:
                continue
            files += 1
    return total / 1e6, files, folders


def sampled(pid: int, data: Path, minute: float, verdicts: int) -> Sample:
    process = Path(f"/proc/{pid}")
    pages = int((process / "statm").read_text().split()[1])
    threads = next(line for line in (process / "status").read_text().splitlines() if line.startswith("Threads:"))
    database = sum(file.stat().st_size for file in data.glob("journal.db*"))
    evidence, files, folders = size(data / "objects")
    return Sample(
        minute,
        pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        len(list((process / "fd").iterdir())),
        int(threads.split()[1]),
        database / 1e6,
        size(data / "spool")[0],
        evidence,
        files,
        folders,
        verdicts,
    )


@asynccontextmanager
async def running(folder: Path, hook: str):
    """The daemon in a process of its own, until the block is left; then it is stopped and ends by itself."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stations = "\n".join(
        f"  - {{id: counter-{number}, source: {{type: simulator, seed: {number}}}}}" for number in range(COUNTERS)
    )
    config = folder / "stations.yaml"
    config.write_text(
        CONFIG.format(
            stations=stations,
            folder=folder,
            kept_sec=ORDERS_KEPT_SEC,
            kept_days=KEPT_MINUTES / 1440,
            hook=hook,
            secret=SECRET,
            retry_sec=RETRY_MAX_SEC,
            port=port,
        )
    )
    program = Path(__file__).with_name("soaked_daemon.py")
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(sys.executable, program, config, stdout=log, stderr=log)
        try:
            yield process, f"http://127.0.0.1:{port}"
            process.terminate()
            status = await asyncio.wait_for(process.wait(), 60)
            assert status == 0, (folder / "log").read_text()[-4000:]
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def ready(process: asyncio.subprocess.Process, address: str):
    async with asyncio.timeout(120), aiohttp.ClientSession() as session:
        while process.returncode is None:
            try:
                async with session.get(f"{address}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.2)
    pytest.fail(f"the daemon ended with {process.returncode}")


async def soak(folder: Path):
    samples, heard, asked, ending = [], Counter(), 0, False

    async def answer(request: web.Request) -> web.Response:
        nonlocal asked
        del request
        asked += 1
        return web.Response(status=503 if not ending and asked % REFUSED == 0 else 204)

    async with receiver(answer) as pos:
        async with running(folder, pos.url) as (process, address):
            await ready(process, address)
            began = time.monotonic()
            async with aiohttp.ClientSession(address) as session:
                till = Till(session, COUNTERS, pos.received)
                work = [
                    asyncio.create_task(each)
                    for each in (till.run(), look_around(session, address), listen(session, heard))
                ]
                while (minute := (time.monotonic() - began) / 60) <= MINUTES:
                    for task in work:
                        if task.done():
                            task.result()
                    reached = sum(one["type"] == "verdict.reached" for one in pos.received)
                    taken = await asyncio.to_thread(sampled, process.pid, folder / "data", minute, reached)
                    samples.append(taken)
                    await asyncio.sleep(SAMPLE_EVERY)
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)
            ending = True
            await asyncio.sleep(2 * RETRY_MAX_SEC)
        return samples, pos, till, heard


def demo_rate() -> float:
    """Orders a minute of two counters with the demo's scripts."""
    scripts = [random_script(SEED + number, ORDERS) for number in range(SCRIPTS)]
    return 2 * 60 * ORDERS * SCRIPTS / sum(script.seconds for script in scripts)


def median(samples, name: str, start: float, end: float) -> float:
    """Of a figure, between two shares of the time."""
    part = [getattr(one, name) for one in samples if start * MINUTES <= one.minute <= end * MINUTES]
    return statistics.median(part)


def report(samples, pos, till, heard):
    print("\n" + " ".join(f"{field.name.replace('_', ' '):>17}" for field in fields(Sample)))
    step = max(1, len(samples) // 10)
    for one in [*samples[:-1:step], samples[-1]]:
        print(" ".join(f"{getattr(one, field.name):17.1f}".removesuffix(".0") for field in fields(Sample)))
    print("medians of the third and the fourth quarter:")
    for name in TITLES:
        print(f"  {name:12} {median(samples, name, 0.5, 0.75):8.2f} {median(samples, name, 0.75, 1.0):8.2f}")
    half = samples[len(samples) // 2 :]  # at first the counters begin one after the other
    rate = (half[-1].verdicts - half[0].verdicts) / (half[-1].minute - half[0].minute)
    statuses = Counter((one["data"]["status"], one["data"]["reason"]) for one in pos.received)
    print(f"{rate:.1f} verdicts a minute, {rate / demo_rate():.1f} times the demo's; {dict(statuses)}")
    print(f"{till.handed_in} orders handed in, {till.amended} amended; {len(pos.asked)} webhook requests")
    print(f"heard: {dict(heard)}")


@pytest.mark.timeout(600 + 60 * MINUTES)
def test_nothing_grows(tmp_path):
    result = asyncio.run(soak(tmp_path))
    samples, pos, till, _ = result
    report(*result)
    plot = Path(os.environ.get("ORDERACC_SOAK_PLOT", tmp_path / "soak.svg"))
    lines = {title: [getattr(one, name) for one in samples] for name, title in TITLES.items()}
    subtitle = f"{COUNTERS} counters, {samples[-1].verdicts} verdicts; everything is kept for {KEPT_MINUTES:g} minutes"
    plot.write_text(draw(f"The daemon over {MINUTES:g} minutes", subtitle, [one.minute for one in samples], lines))
    print(f"drawn in {plot}")

    first = {one["data"]["verdict_id"]: one["key"] for one in pos.received if one["type"] == "verdict.reached"}
    for counter in range(COUNTERS):
        visits = sorted(int(one.rpartition("-")[2]) for one in first if one.startswith(f"counter-{counter}-"))
        assert visits == list(range(visits[0], visits[0] + len(visits)))
    assert len(set(pos.keys)) == len({(one["data"]["verdict_id"], one["data"]["revision"]) for one in pos.received})
    assert len(set(pos.keys)) - len(first) >= 0.8 * till.amended
    assert pos.forged == 0
    with sqlite3.connect(tmp_path / "data" / "journal.db") as journal:
        assert journal.execute("SELECT count(*) FROM visits WHERE state <> 'judged'").fetchone() == (0,)
        assert journal.execute("SELECT count(*) FROM outbox WHERE state <> 'delivered'").fetchone() == (0,)
    journal.close()

    # Retention has removed as much as has come for a third of the time when this begins.
    for name, share, more in (
        ("resident_mb", 1.03, 3),
        ("descriptors", 1, 2),
        ("threads", 1, 1),
        ("database_mb", 1.1, 0.3),
        ("spool_mb", 1.1, 1),
        ("evidence_mb", 1.1, 1),
        ("evidence_files", 1.1, 20),
        ("evidence_folders", 1.1, 20),
    ):
        before, behind = median(samples, name, 0.5, 0.75), median(samples, name, 0.75, 1.0)
        assert behind <= before * share + more, name
