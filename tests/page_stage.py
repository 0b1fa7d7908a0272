"""The page in a real browser, over staged stations with pictures of the simulated counter."""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from door import opened, verdict
from orderacc.domain.detections import Detection
from orderacc.domain.frames import Frame
from orderacc.domain.orders import Item
from orderacc.domain.verdicts import QuantityMismatch, SeenItem, Substitution, Timings
from orderacc.service.looks import Look
from orderacc.simulator.random_script import random_script
from orderacc.simulator.render import CounterCamera
from staged_stations import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from door import Door
    from orderacc.domain.verdicts import Verdict

SIZES = {
    "tablet": {"width": 1280, "height": 800},
    "desktop": {"width": 1920, "height": 1080},
    "phone": {"width": 390, "height": 844},
}
THEMES = ("light", "dark")
SCREENSHOTS = os.environ.get("ORDERACC_SCREENSHOTS")
"""Folder for pictures of the page; none are kept without it."""


def need_browser() -> str:
    """Where the browser is; without one the test skips, or fails where it has to be there."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("ORDERACC_REQUIRE_BROWSER"):
            pytest.fail("there is no chromium")
        pytest.skip("there is no chromium")
    return path


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    path = need_browser()
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def looking(
    browser: Browser, address: str, path: str = "/", *, size: str = "tablet", theme: str = "light"
) -> AsyncIterator[Page]:
    """A page that is looked at; whatever its scripts complain about fails the test."""
    complaints: list[str] = []
    context = await browser.new_context(viewport=SIZES[size], color_scheme=theme, reduced_motion="reduce")
    page = await context.new_page()
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    try:
        await page.goto(address + path)
        yield page
    finally:
        await context.close()
    assert not complaints


async def kept(page: Page, name: str) -> None:
    """Keep a picture of the page where somebody wants to look at it."""
    if SCREENSHOTS:
        await page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


@cache
def counter(seed: int, at: float) -> tuple[Any, tuple[Detection, ...]]:
    picture, sightings = CounterCamera(random_script(seed, 2)).picture_and_sightings(at)
    seen = tuple(Detection(one.label, 0.93, one.box) for one in sightings if one.visible > 0.4)
    return picture, seen


def show(door: Door, station: str, *, seed: int = 7, at: float = 6.0, number: str | None = None) -> None:
    """Let the newest picture of a station be one of the simulated counter."""
    picture, seen = counter(seed, at)
    look = Look(Frame(station, int(at * 10), at, picture), seen, number, None if number is None else 1.0)
    door.stage.stations.latest(station).show(look)


async def awake(door: Door, *stations: str) -> None:
    """Have stations run."""
    for name in stations:
        await door.stage.show(name, 1)
        await until(lambda name=name: door.stage.stations.health()[name].phase == "running")
        show(door, name)


@asynccontextmanager
async def counters(*stations: str, folder: Path | None = None, **more: Any) -> AsyncIterator[Door]:
    """A door over stations that run; as `opened`."""
    async with opened(folder, stations=stations, **more) as door:
        await awake(door, *stations)
        yield door


def right(number: int, **changes: Any) -> Verdict:
    items = (Item("Burger", 2), Item("Cola"), Item("Small Fries"))
    values: dict[str, Any] = {
        "status": "accurate",
        "sentence": "Complete: 4 items.",
        "expected": items,
        "matched": items,
        "seen": tuple(SeenItem(one.name, one.quantity, 0.97) for one in items),
        "timings": Timings(12, 40, 610, 3, 840),
    }
    return verdict(number, **(values | changes))


def wrong(number: int, **changes: Any) -> Verdict:
    values: dict[str, Any] = {
        "sentence": "Missing: 1 cola. Extra: 1 cookie.",
        "expected": (Item("Burger"), Item("Cola"), Item("Diet Cola"), Item("Small Fries", 3)),
        "seen": (SeenItem("Burger", 1, 0.98), SeenItem("Small Fries", 2, 0.9), SeenItem("Cookie", 1, 0.95)),
        "matched": (Item("Burger"), Item("Small Fries", 2)),
        "missing": (Item("Cola"), Item("Diet Cola")),
        "extra": (Item("Cookie"),),
        "quantity_mismatch": (QuantityMismatch("Small Fries", 3, 2),),
        "timings": Timings(15, 80, 1240, 4, 1630),
        "confidence": 0.94,
    }
    return verdict(number, **(values | changes))


def doubtful(number: int, **changes: Any) -> Verdict:
    values: dict[str, Any] = {
        "status": "unsure",
        "reason": "low_confidence",
        "sentence": "Please check: 1 large fries.",
        "expected": (Item("Wrap"), Item("Large Fries")),
        "seen": (SeenItem("Wrap", 1, 0.9), SeenItem("Small Fries", 1, 0.55)),
        "matched": (Item("Wrap"),),
        "missing": (Item("Large Fries"),),
        "extra": (Item("Small Fries"),),
        "substituted": (Substitution("Large Fries", "Small Fries", 1),),
        "timings": Timings(14, 60, 980, 4, 1310),
        "confidence": 0.55,
    }
    return verdict(number, **(values | changes))


def unjudged(number: int, **changes: Any) -> Verdict:
    values: dict[str, Any] = {
        "status": "undetermined",
        "reason": "no_order",
        "sentence": "Not judged: the till has no such order.",
        "expected": (),
        "timings": Timings(9, 20, 500, None, 700),
        "confidence": 0.0,
    }
    return verdict(number, **(values | changes))
