"""A recording dropped on the page of a real box: handed in, judged by its models, its verdicts shown as they come."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

import orderacc
from orderacc.config import ApiConfig, Config, SimulatorSource, StationConfig
from orderacc.simulator.random_script import random_script
from orderacc.simulator.video import record
from page_stage import browsing, kept, looking, need_browser
from ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_a_simulated_video_is_dropped_and_judged(tmp_path: Path) -> None:
    need_browser()
    truth = record(replace(random_script(4, 1, wrong_share=1.0), fps=5.0), tmp_path)
    wanted = {order["slip_text"]: order["status"] for order in truth["orders"]}
    quiet = StationConfig(id="front", source=SimulatorSource(type="simulator", seed=1, orders=1), fps=1)
    config = Config(stations=(quiet,), api=ApiConfig(port=free_port()))
    address = f"http://127.0.0.1:{config.api.port}" if config.api else ""
    async with anyio.create_task_group() as group:
        stations = await group.start(partial(orderacc.run_daemon, config, signals=False))
        async with browsing() as browser, looking(browser, address, "/#/try") as page:
            await page.get_by_label("What was paid for").set_input_files(tmp_path / "orders.json")
            await page.locator("#video").set_input_files(tmp_path / "station.mp4")
            await page.wait_for_selector(".video[data-state]")
            page.set_default_timeout(120_000)
            await page.wait_for_selector('.video[data-state="done"]')
            await page.locator(".video .order-row").nth(len(wanted) - 1).wait_for()
            await kept(page, "try-judged")
            seen = await page.evaluate(
                "() => [...document.querySelectorAll('.video .order-row')].map((row) =>"
                " [row.querySelector('.order-number').textContent, row.dataset.look])"
            )
            looks = {"accurate": "good", "inaccurate": "bad"}
            assert json.dumps(dict(seen), sort_keys=True) == json.dumps(
                {number: looks[status] for number, status in wanted.items()}, sort_keys=True
            )
        stations.stop()
