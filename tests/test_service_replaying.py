"""Recordings judged beside the stations: on the real models, whose questions a daemon's own pipeline serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from orderacc.config import JudgingConfig, SimulatorSource, StationConfig
from orderacc.orders import FixedOrders
from orderacc.service.replaying import Replayer
from orderacc.service.runtime import Runtime

if TYPE_CHECKING:
    from orderacc.domain.verdicts import Verdict

pytestmark = pytest.mark.anyio


async def test_a_simulated_counter_is_judged_and_ended_when_its_time_is_over() -> None:
    runtime = await anyio.to_thread.run_sync(Runtime.load, JudgingConfig())
    verdicts: list[Verdict] = []
    reached: list[float] = []

    async def sink(verdict: Verdict) -> None:
        verdicts.append(verdict)

    async with anyio.create_task_group() as group:
        await group.start(runtime.batcher.run)
        station = StationConfig(id="video-1", source=SimulatorSource(type="simulator", seed=905000, orders=2), fps=5)
        replayer = Replayer(runtime)
        await replayer.run(station, 18.0, FixedOrders({}), sink=sink, progress=reached.append)
        # The model goes on serving those who stay.
        await replayer.run(station, 1.0, FixedOrders({}), sink=sink, progress=reached.append)
        group.cancel_scope.cancel()
    await runtime.aclose()
    assert 18.0 <= max(reached) < 19.0
    assert {one.station_id for one in verdicts} == {"video-1"}
    assert {one.status for one in verdicts} & {"accurate", "inaccurate"}
