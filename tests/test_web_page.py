"""The page as a browser shows it: the board, reviews, the box going and coming back, logins, and who cannot see."""

from __future__ import annotations

import json
import re
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from door import CANARY
from orderacc.domain.findings import LineFinding, Sighting
from orderacc.domain.verdicts import FrameRef
from orderacc.errors import SourceError
from orderacc.evaluation.reading import read_truth
from orderacc.service import ledger
from orderacc.service.ledger import RecentLedger
from orderacc.service.looks import encode
from orderacc.storage.folder import FolderStore
from orderacc.storage.objects import SELECTED, visit_key
from orderacc.storage.records import time_text
from page_stage import (
    THEMES,
    browsing,
    counter,
    counters,
    doubtful,
    kept,
    looking,
    need_browser,
    right,
    show,
    unjudged,
    wrong,
)
from ports import free_port
from staged_stations import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page, Route

    from orderacc.domain.verdicts import Verdict

pytestmark = pytest.mark.anyio

SERIOUS = {"serious", "critical"}
VIEWS = ("board", "orders", "stations", "try", "health")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:  # noqa: ARG001  it runs what follows
    need_browser()
    async with browsing() as one:
        yield one


def at(station: str, one: Verdict) -> Verdict:
    return replace(one, station_id=station, verdict_id=f"{station}-{one.order_id}")


async def complaints(page: Page) -> list[str]:
    """What axe finds that keeps people out."""
    from axe_playwright_python.async_playwright import Axe

    found = (await Axe().run(page)).response["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found if one["impact"] in SERIOUS for node in one["nodes"]]


async def look_of(page: Page, station: str, look: str) -> None:
    await page.wait_for_selector(f'.card[data-station="{station}"][data-look="{look}"]')


async def test_the_board_turns_red_within_a_second_and_a_review_takes_it_back(browser: Browser) -> None:
    async with counters("front") as door, looking(browser, door.address) as page:
        await page.wait_for_selector('#link[data-state="live"]')
        await look_of(page, "front", "idle")
        took = []
        for number in (4801, 4811, 4821):  # a machine that is busy with something else may be late once
            door.serving.judged(right(number - 1))
            await look_of(page, "front", "good")
            began = await page.evaluate("() => performance.now()")
            door.serving.judged(wrong(number))
            await look_of(page, "front", "bad")
            took.append(await page.evaluate("() => performance.now()") - began)
        assert min(took) < 1000
        card = page.locator(".card")
        assert await card.locator(".card-figure").inner_text() == "4821"
        said = await card.locator(".card-faults").inner_text()
        assert "MISSING" in said
        assert "1 \u00d7 Cola" in said
        assert await page.locator("html").get_attribute("data-heard") == "inaccurate"
        await card.get_by_role("button", name="Bag is right").click()
        await card.locator(".card-handled").wait_for()
        (review,) = await door.serving.ledger.reviews("front-004821")
        assert (review.opinion, review.note) == ("wrong", "bag is right")
        assert [dict(item) for item in review.items or ()] == [
            {"name": item.name, "quantity": item.quantity} for item in wrong(4821).expected
        ]
        await card.get_by_role("button", name="Undo").click()
        await card.locator(".card-actions").get_by_role("button", name="Fixed").wait_for()


async def test_what_nobody_has_cared_about_stays_on_the_board(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A good verdict makes way for the next order once it has been there for a few seconds, as these have been.
    monkeypatch.setattr(ledger, "now_text", lambda: time_text(datetime.now(UTC) - timedelta(seconds=7)))
    async with counters("front") as door, looking(browser, door.address) as page:
        await page.wait_for_selector('#link[data-state="live"]')
        door.serving.judged(wrong(4821))
        await look_of(page, "front", "bad")
        door.serving.judged(right(4822))
        await look_of(page, "front", "good")
        waiting = page.locator(".card-pending li")
        assert "4821" in await waiting.inner_text()
        await waiting.get_by_role("button", name="Fixed").click()
        await waiting.wait_for(state="detached")
        show(door, "front", number="4833")
        await look_of(page, "front", "watching")
        assert await page.locator(".card-figure").inner_text() == "4833"


async def test_a_camera_that_is_down_looks_like_nothing_else(browser: Browser) -> None:
    async with counters("front", "back") as door, looking(browser, door.address) as page:
        door.stage.builder.camera("back").fail(SourceError("nothing listens there", code="refused"))
        await look_of(page, "back", "down")
        assert "CAMERA DOWN" in (await page.locator('[data-station="back"]').inner_text()).upper()
        assert await page.locator("html").get_attribute("data-heard") == "down"
        door.stage.builder.camera("back").mend()
        await page.wait_for_selector('.card[data-station="back"]:not([data-look="down"])')


async def test_it_says_that_the_box_is_gone_and_catches_up_by_itself(browser: Browser) -> None:
    port = free_port()
    kept_verdicts = RecentLedger(100)
    async with AsyncExitStack() as first:
        door = await first.enter_async_context(counters("front", port=port, ledger=kept_verdicts))
        async with looking(browser, door.address) as page:
            await page.wait_for_selector('#link[data-state="live"]')
            door.serving.judged(right(4820))
            await look_of(page, "front", "good")
            await first.aclose()
            await page.wait_for_selector('#link[data-state="lost"]')
            assert "Not connected" in await page.locator("#banner").inner_text()
            await kept(page, "board-lost")
            async with counters("front", port=port) as again:
                again.serving.judged(wrong(4821))
                await page.wait_for_selector('#link[data-state="live"]')
                await look_of(page, "front", "bad")
                assert not await page.locator("#banner").is_visible()
                again.serving.judged(doubtful(4822))
                await look_of(page, "front", "warn")


async def test_an_order_is_found_corrected_and_exported(browser: Browser, tmp_path: Path) -> None:
    async with counters("front", "back") as door:
        for one in (right(300), wrong(301), unjudged(302)):
            door.serving.judged(at("front", one))
        door.serving.judged(at("back", doubtful(303)))
        async with looking(browser, door.address, "/#/orders") as page:
            rows = page.locator(".orders-rows .order-row")
            await rows.nth(3).wait_for()
            await page.get_by_label("Search").fill("301")
            await rows.nth(1).wait_for(state="detached")
            await rows.first.click()
            await page.wait_for_selector(".order-head h2 >> text=301")
            assert "2 of 3" in await page.locator(".order-faults").inner_text()
            await page.get_by_role("button", name="Correct it…").click()
            await page.get_by_role("button", name="One Diet Cola less").click()
            await page.get_by_label("Another item").fill("Cookie")
            await page.get_by_role("button", name="Add", exact=True).click()
            await page.get_by_role("button", name="Keep the correction").click()
            await page.wait_for_selector("text=What the crew said")
            (review,) = await door.serving.ledger.reviews("front-301")
            bag = {item["name"]: item["quantity"] for item in review.items or ()}
            assert (review.opinion, bag) == ("wrong", {"Burger": 1, "Cola": 1, "Small Fries": 3, "Cookie": 1})
            async with page.expect_download() as saved:
                await page.get_by_role("button", name="Export corrections").click()
            path = tmp_path / "corrections.json"
            await (await saved.value).save_as(path)
            (order,) = read_truth(path)
            assert {item.name: item.quantity for item in order.items} == bag
            said = (await door.get("/v1/reviews")).json
            assert [one["verdict_id"] for one in said["reviews"]] == ["front-301"]
            assert said["next"] is None
            assert (await door.get("/v1/reviews?limit=1")).json["next"] == 1


COUNT_DRAWINGS = """() => {
  window.drawings = 0;
  new MutationObserver((changes) => {
    window.drawings += changes.filter(({ target }) => target.className === "orders-rows").length;
  }).observe(document, { childList: true, subtree: true });
}"""


async def test_hundreds_of_reviews_are_a_few_questions_and_drawn_once(browser: Browser) -> None:
    async with counters("front", rate_per_sec=5) as door:  # 50 at once
        for number in range(120):
            one = at("front", right(number) if number % 4 else wrong(number))
            door.serving.judged(one)
            await door.serving.ledger.review(one.verdict_id, "confirmed" if number % 4 else "wrong")
        async with looking(browser, door.address, "/#/health") as page:
            await page.wait_for_selector("text=120 reviewed")
            assert "75" in await page.locator(".tile", has_text="Right, as reviewed").locator("b").inner_text()
            await page.evaluate(COUNT_DRAWINGS)
            await page.goto(f"{door.address}/#/orders")
            await page.wait_for_selector(".orders-rows em")
            assert await page.evaluate("() => window.drawings") < 20


async def test_what_stands_for_all_is_chosen_and_comes_first(browser: Browser) -> None:
    async with counters("2", "1") as door, looking(browser, door.address) as page:
        await page.wait_for_selector('.card[data-station="1"]')
        await page.goto(f"{door.address}/#/orders/100%")  # an address that was cut short
        await page.wait_for_selector("text=This order is not kept any more.")
        for name, first, others in (("Station", "All stations", 2), ("Time", "Any time", 4)):
            options = await page.get_by_label(name, exact=True).locator("option").all_inner_texts()
            assert (options[0], len(options)) == (first, 1 + others)
            assert await page.get_by_label(name, exact=True).input_value() == ""


async def test_an_upload_that_something_else_refuses_is_said(browser: Browser) -> None:
    async def proxy(route: Route) -> None:
        if route.request.method == "POST":
            await route.fulfill(status=413, content_type="text/html", body="<h1>Too large</h1>")
        else:
            await route.fulfill(json={"videos": []})

    async with counters("front") as door, looking(browser, door.address) as page:
        await page.route("**/v1/videos*", proxy)
        await page.goto(f"{door.address}/#/try")
        video = {"name": "x.mp4", "mimeType": "video/mp4", "buffer": b"x"}
        await page.locator("#video").set_input_files(files=[video])
        await page.wait_for_selector(".video .wrong >> text=413")


async def test_an_order_shows_what_was_seen_in_each_frame(browser: Browser, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    frames, boxes = [], {}
    for place, moment in enumerate((6.0, 8.0)):
        picture, seen = counter(7, moment)
        key = visit_key(SELECTED, "front-004821", f"{place}.jpg")
        await store.put(key, encode(picture), "image/jpeg")
        frames.append(FrameRef(key, f"2026-11-21T12:00:0{place}.000Z", 0.9 - place / 10))
        boxes[place] = tuple(one.box for one in seen[:1])
    sightings = tuple(Sighting(place, 1, boxes[place]) for place in boxes)
    findings = (
        LineFinding("extra", "Hot Dog", 0, 1, "nothing_near", 0.1, 0.96, "hybrid", frames=sightings),
        LineFinding("missing", "Cola", 1, 0, "trait", 0.7, 0.93, "hybrid", "Diet Cola", "regular / diet"),
    )
    judged = wrong(4821, frames=tuple(frames), findings=findings, vlm_calls=2)
    async with counters("front", objects=store) as door:
        door.serving.judged(judged)
        door.serving.judged(replace(judged, revision=2))
        async with looking(browser, door.address, "/#/orders/front-004821", size="desktop") as page:
            await page.locator(".frame canvas[data-shown]").nth(1).wait_for()
            assert "1 \u00d7 Hot Dog" in await page.locator(".frame").first.inner_text()
            assert "another kind: Diet Cola, regular / diet" in await page.locator(".order-parts table").inner_text()
            assert "Judged again" in await page.locator(".orders-detail").inner_text()
            await kept(page, "evidence")
            assert not await complaints(page)


async def test_a_camera_is_tested_and_added(browser: Browser) -> None:
    async with counters("front") as door, looking(browser, door.address, "/#/stations") as page:
        await page.get_by_role("button", name="Add a camera").click()
        await page.get_by_label("Name of the station").fill("back")
        await page.get_by_label("Camera", exact=True).select_option("simulator")
        await page.get_by_label("Seed").fill("3")
        await page.get_by_role("button", name="Test it").click()
        await page.wait_for_selector("text=It can be seen.")
        await kept(page, "camera-tested")
        await page.get_by_role("button", name="Add the station").click()
        await page.wait_for_selector('.station[data-station="back"]')
        assert door.stage.stations.ids() == ("front", "back")


async def test_a_camera_that_cannot_be_seen_is_told_why() -> None:
    async with counters("front", cameras={"hosts": ("127.0.0.1",)}) as door:
        source = {"type": "rtsp", "url": f"rtsp://crew:{CANARY}@127.0.0.1:{free_port()}/live"}
        answer = await door.ask("POST", "/v1/cameras/test", {"source": source})
        assert (answer.status, answer.json["ok"], answer.json["code"]) == (200, False, "refused")
        assert CANARY not in answer.body.decode()


async def test_who_needs_a_token_is_asked_for_it(browser: Browser, tmp_path: Path) -> None:
    async with counters("front", folder=tmp_path) as door, looking(browser, door.address) as page:
        await page.get_by_label("Token").fill("oa_wrong")
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_selector("text=does not know this token")
        assert not await complaints(page)
        await page.get_by_label("Token").fill(door.tokens["read"])
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_selector('#link[data-state="live"]')
        door.serving.judged(wrong(4821))
        await look_of(page, "front", "bad")
        assert not await page.get_by_role("button", name="Fixed").count()
        assert door.tokens["read"] not in json.dumps(await page.evaluate("() => [document.cookie, {...localStorage}]"))
        await page.get_by_role("button", name="Log out").click()
        await page.get_by_label("Token").fill(door.tokens["submit"])
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_selector("text=it lacks the scope read")
        await page.get_by_label("Token").fill(door.tokens["admin"])
        await page.get_by_role("button", name="Log in").click()
        await look_of(page, "front", "bad")
        await page.get_by_role("button", name="Fixed").click()
        await page.wait_for_selector(".card-handled")


@pytest.mark.parametrize(("size", "theme"), [(size, theme) for size in ("tablet", "desktop") for theme in THEMES])
async def test_every_view_in_two_sizes_and_themes_keeps_nobody_out(browser: Browser, size: str, theme: str) -> None:
    stations = ("drive-1", "drive-2", "window", "pickup")
    async with counters(*stations) as door:
        for number, one in enumerate((right(375), wrong(382), unjudged(389), doubtful(4790), wrong(4821))):
            door.serving.judged(at("drive-1" if number > 2 else "pickup", one))
        door.serving.judged(at("drive-2", right(384)))
        door.serving.judged(at("window", doubtful(1177)))
        await door.serving.ledger.review("pickup-382", "confirmed", note="fixed", reviewer="crew")
        show(door, "drive-1", seed=3, at=7.0, number="4833")
        door.stage.builder.camera("pickup").fail(SourceError("nothing listens there", code="refused"))
        await until(lambda: door.stage.stations.health()["pickup"].phase == "circuit_open")
        async with looking(browser, door.address, size=size, theme=theme) as page:
            for station, look in zip(stations, ("bad", "good", "warn", "down"), strict=True):
                await look_of(page, station, look)
            await page.wait_for_selector("canvas[data-shown]", state="attached")
            # Nothing that matters is cut off.
            assert await page.evaluate(OVERFLOWS) == []
            for view in VIEWS:
                await page.goto(f"{door.address}/#/{view}")
                await page.wait_for_selector(f'body[data-view="{view}"]')
                await page.wait_for_selector(SIGN[view])
                await kept(page, f"{view}-{size}-{theme}")
                assert size != "tablet" or not await complaints(page), view
            await page.goto(f"{door.address}/#/orders/drive-1-4821")
            await page.wait_for_selector(".order-head")
            await kept(page, f"order-{size}-{theme}")
            assert size != "tablet" or not await complaints(page)


async def test_nine_stations_still_say_what_is_wrong(browser: Browser) -> None:
    stations = tuple(f"s{number}" for number in range(9))
    makers = (wrong, right, doubtful, right, unjudged, right, wrong, right, right)
    async with counters(*stations) as door:
        for number, (station, make) in enumerate(zip(stations, makers, strict=True)):
            door.serving.judged(at(station, make(4000 + 111 * number)))
        await door.serving.ledger.review("s6-4666", "confirmed", note="fixed", reviewer="crew")
        async with looking(browser, door.address) as page:
            await look_of(page, "s8", "good")
            await page.wait_for_selector(".card-handled")
            await kept(page, "board-nine")
            assert await page.evaluate(OVERFLOWS) == []


async def test_a_phone_shows_all_there_is_to_touch(browser: Browser) -> None:
    async with counters("front", "back") as door:
        for number in range(4821, 4826):
            door.serving.judged(at("front", wrong(number)))
        async with looking(browser, door.address, size="phone") as page:
            await page.wait_for_selector('.card[data-pending="yes"]')
            await kept(page, "board-phone")
            assert await page.evaluate(OVERFLOWS) == []
            across = await page.evaluate(
                "() => [document.body, document.querySelector('nav')].map((one) => one.scrollWidth)"
            )
            assert max(across) <= 390


SIGN = {"board": ".card", "orders": ".order-row", "stations": ".station", "try": ".drop, .empty", "health": ".tile"}
"""What shows that a view is there."""

OVERFLOWS = """() => [...document.querySelectorAll('.card-in > *, .card-said > *, .card li, .card-actions .button')]
    .filter((one) => {
        const room = (one.closest('.card-said') ?? one.closest('.card')).getBoundingClientRect();
        const own = one.getBoundingClientRect();
        return own.height && (own.right > room.right + 2 || own.bottom > room.bottom + 2 || own.top < room.top - 2);
    }).map((one) => `${one.className || one.tagName} of ${one.closest('.card').dataset.station}`)"""
"""What is not where it can be seen."""


async def test_the_page_is_kept_by_browsers_and_asks_nothing_of_others() -> None:
    async with counters("front") as door:
        front = await door.get("/", scope=None)
        assert front.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "script-src 'self'" in front.headers["Content-Security-Policy"]
        asked_for = {name.decode() for name in re.findall(rb"/web/([a-z]+\.js)", front.body)}
        again = await door.get("/", headers={"If-None-Match": front.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")
        assert (await door.get("/web/nothing.js")).code == "not_found"
        assert (await door.get("/web/__init__.py")).code == "not_found"
        from orderacc.api.routes_page import page_files

        # All at once, and not one after the other as each is found to need the next.
        assert asked_for == {name for name in page_files() if name.endswith(".js")}
        for name, file in page_files().items():
            text = file.content.decode()
            assert "http://" not in text.replace("http://www.w3.org/2000/svg", "").replace("http://192.168.", ""), name
            assert "https://" not in text, name
            assert (await door.get(f"/web/{name}")).body == file.content
