"""The models of one process: which of a detector's classes count as food, and what they leave to the stations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import anyio
import cv2
import pytest

from orderacc.config import JudgingConfig
from orderacc.domain.detections import NOT_ITEMS
from orderacc.domain.evidence import Candidate, Evidence
from orderacc.domain.frames import Frame
from orderacc.domain.menus import Menu
from orderacc.domain.orders import Item
from orderacc.orders import FixedOrders
from orderacc.service.runtime import Runtime
from orderacc.simulator.menu import DEMO_ITEMS
from orderacc.simulator.samples import sample

pytestmark = pytest.mark.anyio

NO_MODEL_HERE = JudgingConfig.model_validate(
    {"vlm": {"local": False, "remote": {"urls": ["http://127.0.0.1:9/v1"], "model": "m", "view": [252, 168]}}}
)
COUNTERS = range(910_000, 910_006)
UNGROUPED = tuple(replace(item, group=None) for item in DEMO_ITEMS)
ONLY_BURGERS = (DEMO_ITEMS[0], *UNGROUPED[1:])
CHIPS = tuple(replace(item, group="chips") if item.group == "fries" else item for item in DEMO_ITEMS)
ELSEWHERE = (replace(DEMO_ITEMS[0], group="class of another detector"), *UNGROUPED[1:])


@pytest.mark.parametrize(
    ("items", "food"),
    [(DEMO_ITEMS, "all"), (UNGROUPED, "all"), (ELSEWHERE, "all"), (ONLY_BURGERS, "burger")],
    ids=["demo menu", "no groups", "other groups", "one group"],
)
async def test_classes_that_no_menu_item_names_are_not_looked_at(items, food) -> None:
    runtime = await anyio.to_thread.run_sync(Runtime.load, NO_MODEL_HERE, Menu(items))
    eyes = runtime.eyes("a")
    try:
        for index, scene in enumerate(map(sample, COUNTERS)):
            observation, _ = await eyes.observer.observe(Frame("a", index, index / 10, scene.image))
            everything = runtime.detector.detect_now(scene.image)
            wanted = set(runtime.detector.labels) if food == "all" else {food, *NOT_ITEMS}
            assert observation.detections == tuple(one for one in everything if one.label in wanted)
    finally:
        eyes.observer.close()
        await runtime.aclose()


async def test_stations_are_not_looked_at_by_threads_of_opencv_besides_their_own() -> None:
    cv2.setNumThreads(2)
    runtime = await anyio.to_thread.run_sync(Runtime.load, NO_MODEL_HERE)
    await runtime.aclose()
    assert cv2.getNumThreads() == 1


async def test_what_the_detector_has_no_class_for_is_not_missing_because_no_box_shows_it() -> None:
    runtime = await anyio.to_thread.run_sync(Runtime.load, JudgingConfig(), Menu(CHIPS))
    image = sample(910_003).image  # a taco and nothing else to eat
    pictures = (image, cv2.GaussianBlur(image, (3, 3), 0))
    frames = [
        Candidate(Frame("a", index, index / 10, picture), runtime.detector.detect_now(picture), 1.0)
        for index, picture in enumerate(pictures)
    ]
    evidence = Evidence("a-1", "a", "7", None, tuple(frames), 0, 10, "empty")
    async with anyio.create_task_group() as group:
        await group.start(runtime.batcher.run)
        orders = FixedOrders({"7": [Item("Taco"), Item("Large Fries")]})
        verdict = await runtime.judge.judge(evidence, orders, datetime(1970, 1, 1, tzinfo=UTC), 0.0)
        group.cancel_scope.cancel()
    await runtime.aclose()
    assert (verdict.status, verdict.vlm_calls) == ("inaccurate", 2)
