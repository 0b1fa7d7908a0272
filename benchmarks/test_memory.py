"""Memory over one very long order: `pytest benchmarks/test_memory.py --benchmark-enable -s`."""

from __future__ import annotations

from pathlib import Path

import anyio

from orderacc.capture import Delivery
from orderacc.config import JudgingConfig, TrackingConfig
from orderacc.domain.orders import Item
from orderacc.orders import FixedOrders
from orderacc.service.pipeline import Pipeline
from orderacc.service.runtime import Runtime
from orderacc.simulator.script import Action, Script, ScriptedOrder
from orderacc.simulator.source import SimulatorSource

MINUTES = 30


def test_memory_stays_flat_over_a_30_minute_order(benchmark):
    """Two frames a second: hands cross every 8 s, pieces are moved every 30 s, and the order lasts half an hour."""
    end = MINUTES * 60.0
    moves = [Action(30.0 * turn, "move", "Burger#1") for turn in range(1, MINUTES * 2)]
    crossings = [Action(8.0 * turn + 3, "cross") for turn in range(1, int(end / 8) - 1)]
    laid = [Action(1.0, "slip"), Action(2.5, "lay", "Burger"), Action(4.0, "lay", "Cola")]
    paid = (Item("Burger"), Item("Cola"))
    order = ScriptedOrder("4821", paid, (*laid, *moves, *crossings, Action(end, "take")))
    script = Script(7, (order,), fps=2.0, seconds=end + 4)
    runtime = Runtime.load(JudgingConfig(tracking=TrackingConfig(max_visit=2 * end)))
    samples: list[tuple[float, float]] = []
    verdicts = []

    async def sink(verdict):
        verdicts.append(verdict)

    async def watch():
        station = runtime.station(
            SimulatorSource(script, "counter"), FixedOrders({"4821": paid}), delivery=Delivery.LOSSLESS, speed=None
        )
        station.progress = lambda at: samples.append((at, _resident_mb())) if round(at * 2) % 120 == 0 else None
        await Pipeline(runtime.judge, runtime.batcher, sink).run([station])
        await runtime.aclose()

    benchmark.pedantic(lambda: anyio.run(watch), rounds=1, iterations=1)
    settled = [mb for at, mb in samples if at >= 180]
    print("\nminute: MB resident  " + "  ".join(f"{at / 60:.0f}: {mb:.0f}" for at, mb in samples[::3]))
    print(f"after minute 3: {min(settled):.0f} to {max(settled):.0f} MB; {verdicts[0].status}, {len(verdicts)} verdict")
    assert len(verdicts) == 1
    assert max(settled) - settled[0] < 40


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6
