"""What keeping a verdict costs, and what the event loop feels of it."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import pytest

from orderacc.domain.orders import Item
from orderacc.domain.verdicts import FrameRef, ModelVersions, SeenItem, Verdict
from orderacc.storage.journal import Journal
from orderacc.storage.records import OutboxMessage

VERDICTS = 2000
MOST_LAG_MS = 10.0
"""Milliseconds above idle that the loop's 99th percentile may grow. What other work on the cores adds is no part of it:
whoever saturates a core has to share it like everybody."""


def verdict(number: int) -> Verdict:
    """One of usual size: five lines, three frames, 2 kB of JSON."""
    items = tuple(Item(f"Item {line} of the menu", 1 + line % 2) for line in range(5))
    return Verdict(
        "accurate",
        sentence="Everything is there.",
        expected=items,
        seen=tuple(SeenItem(one.name, one.quantity, 0.97) for one in items),
        matched=items,
        verdict_id=f"counter-{number:06d}",
        station_id=f"counter-{number % 4}",
        order_id=str(number),
        slip_text=str(number),
        opened_at="2026-11-21T08:30:00.000Z",
        closed_at="2026-11-21T08:30:12.000Z",
        frames=tuple(
            FrameRef(f"selected/counter-{number:06d}/{one}.jpg", "2026-11-21T08:30:05.000Z", 1.6) for one in range(3)
        ),
        models=ModelVersions("demo-detector@1", "rapidocr@3", "demo-vlm@1"),
    )


def waited_for_a_core() -> float:
    """Seconds this thread could have run, but other work had the cores; 0 where the system does not count them."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:
        return 0.0


async def lag_p99(while_: asyncio.Task[object] | None, seconds: float = 3.0) -> tuple[float, float]:
    """How late the loop wakes a sleeper of 1 ms, and how late without the wait for a core; 99th percentiles in ms."""
    lags, own, ends = [], [], time.perf_counter() + seconds
    while time.perf_counter() < ends if while_ is None else not while_.done():
        before, waited = time.perf_counter(), waited_for_a_core()
        await asyncio.sleep(0.001)
        late = time.perf_counter() - before - 0.001
        lags.append(late * 1000)
        own.append((late - (waited_for_a_core() - waited)) * 1000)
    return statistics.quantiles(lags, n=100)[98], statistics.quantiles(own, n=100)[98]


async def record(journal: Journal, first: int, count: int, took: list[float], pause: float) -> None:
    for number in range(first, first + count):
        said = verdict(number)
        messages = [
            OutboxMessage(sink, str(said.station_id), f"store/{number}/1", said.to_dict()) for sink in ("pos", "mqtt")
        ]
        before = time.perf_counter()
        await journal.record(said, messages)
        took.append((time.perf_counter() - before) * 1000)
        await asyncio.sleep(pause)


@pytest.mark.usefixtures("as_in_the_daemon")
@pytest.mark.parametrize(("at_once", "pause"), [(1, 0.02), (1, 0), (8, 0), (64, 0)])
@pytest.mark.anyio
async def test_a_verdict_with_two_messages(tmp_path, at_once, pause):
    async with Journal.open(tmp_path / "journal.db") as journal:
        idle, idle_own = await lag_p99(None)
        took: list[float] = []
        started = time.perf_counter()

        async def work() -> None:
            each = VERDICTS // at_once if not pause else VERDICTS // 8
            async with asyncio.TaskGroup() as writers:
                for one in range(at_once):
                    writers.create_task(record(journal, one * each, each, took, pause))
                    await asyncio.sleep(0)  # each makes a verdict first: the loop is to be held by none but the journal

        lag, own = await lag_p99(asyncio.create_task(work()))
        seconds = time.perf_counter() - started
        size = (tmp_path / "journal.db").stat().st_size
    p50, p99 = (statistics.quantiles(took, n=100)[cut] for cut in (49, 98))
    print(
        f"\n{at_once:>3} at once: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {len(took) / seconds:.0f} verdicts a second;"
        f" loop lag p99 {lag:.1f} ms (idle {idle:.1f}), without waits for a core {own:.1f} ms (idle {idle_own:.1f});"
        f" {size / len(took) / 1000:.1f} kB a verdict"
    )
    assert own - idle_own <= MOST_LAG_MS
