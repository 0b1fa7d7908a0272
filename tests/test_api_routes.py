"""What the routes do: stations, orders, verdicts, operations and the document about them."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from door import opened, verdict
from orderacc.api.cameras import check_camera
from orderacc.cli import main
from orderacc.config import CameraRulesConfig, DeviceSource, RtspSource, SecretText
from orderacc.domain.detections import Box
from orderacc.domain.findings import LineFinding, Sighting
from orderacc.errors import RequestError, StorageError
from orderacc.service.ledger import RecentLedger
from orderacc.storage.folder import FolderStore
from orderacc.storage.journal import Journal
from orderacc.storage.objects import FRAMES, RESULTS, SELECTED, visit_key
from staged_detector import StagedDetector
from staged_stations import ORDER_FRAMES, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from door import Answer
    from orderacc.service.ledger import Ledger

pytestmark = pytest.mark.anyio

GOLDEN = Path(__file__).parent / "openapi.json"
CAMERA = {"type": "simulator", "seed": 1}


# Stations.


async def test_a_station_comes_changes_and_goes() -> None:
    async with opened() as door:
        made = await door.ask("POST", "/v1/stations", {"id": "back", "source": CAMERA, "roi": [0, 0, 0.5, 1]})
        assert (made.status, made.headers["Location"]) == (201, "/v1/stations/back")
        assert made.json["roi"] == [0, 0, 0.5, 1]
        again = await door.ask("POST", "/v1/stations", {"id": "back", "source": CAMERA})
        assert (again.status, again.code) == (409, "station_exists")
        listed = (await door.get("/v1/stations")).json["stations"]
        assert [one["id"] for one in listed] == ["front", "back"]
        changed = await door.ask("PUT", "/v1/stations/back", {"source": {**CAMERA, "seed": 2}, "fps": 5})
        assert (changed.status, changed.json["fps"], changed.json["source"]["seed"]) == (200, 5, 2)
        assert (await door.ask("POST", "/v1/stations/back/restart")).status == 202
        assert (await door.ask("DELETE", "/v1/stations/back")).status == 204
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/restart"), ("GET", "/snapshot.jpg")):
            gone = await door.ask(method, f"/v1/stations/back{path}")
            assert (gone.status, gone.code) == (404, "no_such_station")
        gone = await door.ask("PUT", "/v1/stations/back", {"source": CAMERA})
        assert (gone.status, gone.code) == (404, "no_such_station")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"source": CAMERA}, "id"),
        ({"id": "../x", "source": CAMERA}, "id"),
        ({"id": "x" * 65, "source": CAMERA}, "id"),
        ({"id": "x"}, "source"),
        ({"id": "x", "source": {"type": "file", "path": "/etc/passwd"}}, "source"),
        ({"id": "x", "source": {"type": "simulator", "script": "/etc/passwd"}}, "source.script"),
        ({"id": "x", "source": {"type": "simulator", "orders": 10**9}}, "source.orders"),
        ({"id": "x", "source": {"type": "rtsp", "url": "file:///etc/passwd"}}, "source.url"),
        ({"id": "x", "source": CAMERA, "roi": [0.5, 0, 0.5, 1]}, "roi"),
        ({"id": "x", "source": CAMERA, "fps": 0}, "fps"),
        ({"id": "x", "source": CAMERA, "color": "red"}, "color"),
    ],
)
async def test_a_station_that_is_none(body: dict[str, Any], path: str) -> None:
    async with opened() as door:
        answer = await door.ask("POST", "/v1/stations", body)
        assert (answer.status, answer.code) == (422, "invalid")
        assert [error["path"] for error in answer.json["errors"]] == [path]
        assert door.stage.stations.ids() == ("front",)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "169.254.169.254",
        "[fe80::1]",
        "100.100.100.200",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "0.0.0.0",  # noqa: S104  an address to refuse
        "224.0.0.1",
        "[::ffff:169.254.169.254]",
        "[2002:a9fe:a9fe::1]",
        "255.255.255.255",
        "no-such-host.invalid",
    ],
)
async def test_cameras_may_not_be_just_anywhere(host: str) -> None:
    with pytest.raises(RequestError) as caught:
        await check_camera(rtsp(host), CameraRulesConfig())
    assert caught.value.code == "camera_refused"


@pytest.mark.parametrize(
    ("host", "hosts"),
    [
        ("192.168.1.20", ()),
        ("[fd12::7]", ()),
        ("203.0.113.9", ()),
        ("127.0.0.1", ("127.0.0.1",)),
        ("localhost", ("LOCALHOST",)),
        ("169.254.3.4", ("169.254.3.0/24",)),
        ("10.1.2.3", ("10.1.0.0/16", "camera.lan")),
    ],
)
async def test_cameras_that_may_be_added(host: str, hosts: tuple[str, ...]) -> None:
    await check_camera(rtsp(host), CameraRulesConfig(hosts=hosts))
    if hosts:
        with pytest.raises(RequestError):
            await check_camera(rtsp("192.168.1.20"), CameraRulesConfig(hosts=hosts))


async def test_devices_have_to_be_allowed_and_are_never_pipelines() -> None:
    for device in (0, "/dev/video0", "1"):
        with pytest.raises(RequestError, match="devices"):
            await check_camera(DeviceSource(type="device", device=device), CameraRulesConfig())
        await check_camera(DeviceSource(type="device", device=device), CameraRulesConfig(devices=True))
    for device in ("filesrc location=/etc/passwd ! appsink", "/dev/sda"):
        with pytest.raises(RequestError, match="number"):
            await check_camera(DeviceSource(type="device", device=device), CameraRulesConfig(devices=True))


def rtsp(host: str) -> RtspSource:
    return RtspSource(type="rtsp", url=SecretText(f"rtsp://crew:pw@{host}:554/1"))


async def test_a_snapshot_is_the_newest_frame() -> None:
    async with opened() as door:
        none = await door.get("/v1/stations/front/snapshot.jpg")
        assert (none.status, none.code) == (404, "no_picture")
        await door.stage.show("front", 3)
        await until(lambda: door.serving.stations.latest("front").look is not None)
        answer = await door.get("/v1/stations/front/snapshot.jpg")
        assert answer.headers["Content-Type"] == "image/jpeg"
        picture = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
        look = door.serving.stations.latest("front").look
        assert look is not None
        assert picture.shape == look.frame.image.shape
        small = (await door.get("/v1/stations/front/snapshot.jpg?width=16")).body
        assert cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR).shape[1] <= 16
        assert (await door.get("/v1/stations/front/snapshot.jpg?width=0")).status == 422


# Orders.


async def test_an_order_is_handed_in_amended_and_cancelled() -> None:
    async with opened() as door:
        path = "/v1/orders/till-1/A%2F4711"
        order = {"items": [{"name": "Burger", "quantity": 2}], "display_id": "47", "version": 3}
        first = await door.ask("PUT", path, order)
        assert (first.status, first.json["result"]) == (201, "created")
        assert (first.json["order"]["order_id"], first.json["order"]["source"]) == ("A/4711", "till-1")
        again = await door.ask("PUT", path, order)
        assert (again.status, again.json["result"]) == (200, "unchanged")
        late = await door.ask("PUT", path, {**order, "version": 2, "items": [{"name": "Cola"}]})
        assert (late.status, late.code) == (409, "conflict")
        amended = await door.ask("PUT", path, {**order, "version": 4, "state": "ready"})
        assert (amended.status, amended.json["order"]["state"]) == (200, "ready")
        match = await door.serving.orders.find("front", "47")
        assert match.order is not None
        assert (match.order.version, match.order.items[0].quantity) == (4, 2)
        assert [one["version"] for one in (await door.get("/v1/orders?number=47&state=ready")).json["orders"]] == [4]
        assert (await door.get("/v1/orders?source=other")).json["orders"] == []
        assert (await door.ask("DELETE", f"{path}?version=1")).code == "conflict"
        assert (await door.ask("DELETE", path)).status == 204
        assert (await door.get(path)).json["order"]["state"] == "cancelled"
        gone = await door.ask("PUT", path, {**order, "version": 9})
        assert (gone.status, gone.code) == (410, "gone")
        unknown = await door.get("/v1/orders/till-1/none")
        assert (unknown.status, unknown.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "status", "code", "path"),
    [
        (b"{", 400, "bad_request", None),
        (b"[" * 100_000, 400, "bad_request", None),
        (b'{"items": [{"name": "x", "quantity": NaN}]}', 400, "bad_request", None),
        (b"\xff\xfe", 400, "bad_request", None),
        (b" " * (1 << 20) + b"{}", 413, "too_large", None),
        ({"items": [{"name": ""}]}, 422, "invalid", "items[0].name"),
        ({"items": [{"name": "x", "quantity": 10**30}]}, 422, "invalid", "items[0].quantity"),
        ({"items": [], "order_id": "8"}, 422, "invalid", "order_id"),
        ({"items": [], "source": "other"}, 422, "invalid", "source"),
        ({"items": [], "due_at": "noon"}, 422, "invalid", "due_at"),
        ([], 422, "invalid", ""),
        ({}, 422, "invalid", "items"),
    ],
)
async def test_an_order_that_is_none(body: Any, status: int, code: str, path: str | None) -> None:
    async with opened() as door:
        answer = await door.ask("PUT", "/v1/orders/till/7", body, headers={"Content-Type": "application/json"})
        assert (answer.status, answer.code) == (status, code)
        assert path is None or [error["path"] for error in answer.json["errors"]] == [path]
        assert len(door.serving.orders) == 0


async def test_an_order_that_cannot_be_kept_is_not_acknowledged() -> None:
    async with opened() as door:

        async def full(order: object) -> None:
            raise StorageError(f"the disk is full: {order}"[:30], code="storage_full")

        door.serving.orders.on_put = full
        answer = await door.ask("PUT", "/v1/orders/till/7", {"items": [{"name": "Burger"}]})
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "storage_full", "1")
        assert (await door.get("/v1/orders/till/7")).status == 404


async def test_what_is_no_json_is_not_read() -> None:
    async with opened() as door:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = await door.ask("PUT", "/v1/orders/till/7", b"{}", headers={"Content-Type": kind})
            assert (answer.status, answer.code) == (415, "unsupported_media_type")


# Verdicts, in memory and in the journal.


@asynccontextmanager
async def kept(kind: str, folder: Path) -> AsyncIterator[Ledger]:
    if kind == "memory":
        yield RecentLedger(1000)
        return
    async with Journal.open(folder / "journal.db") as journal:
        yield journal


async def record(ledger: Any, *verdicts: Any) -> None:
    for one in verdicts:
        done = ledger.record(one)
        if done is not None:
            await done


@pytest.mark.parametrize("kind", ["memory", "journal"])
async def test_verdicts_are_found_page_by_page(kind: str, tmp_path: Path) -> None:
    async with kept(kind, tmp_path) as ledger, opened(ledger=ledger) as door:
        statuses = ["accurate", "inaccurate", "unsure"]
        await record(ledger, *(verdict(n, status=statuses[n % 3], station_id="ab"[n % 2]) for n in range(1, 31)))
        await record(ledger, verdict(5, revision=2, status="accurate", station_id="b"))

        async def numbers(query: str) -> list[int]:
            found: list[int] = []
            cursor = ""
            while True:
                page = (await door.get(f"/v1/verdicts?limit=4&{query}{cursor}")).json
                found += [int(one["verdict"]["slip_text"]) for one in page["verdicts"]]
                if page["next"] is None:
                    return found
                cursor = f"&cursor={page['next']}"

        everything = await numbers("")
        assert sorted(everything) == list(range(1, 31))
        assert everything[0] == 5  # its revision is the newest
        assert await numbers("status=unsure") == [n for n in range(30, 0, -1) if n % 3 == 2 and n != 5]
        assert sorted(await numbers("station=a&status=accurate,inaccurate")) == [
            n for n in range(1, 31) if n % 2 == 0 and n % 3 != 2
        ]
        assert await numbers("text=30") == [30]
        assert await numbers("text=%25") == []
        assert await numbers("since=2200-01-01T00:00:00Z") == []
        assert await numbers("until=0001-01-01T00:00:00%2B02:00") == []
        assert await numbers("since=9999-12-31T23:59:59-02:00") == []
        assert len(await numbers("until=2200-01-01T00:00:00%2B02:00")) == 30
        for wrong in ("status=wrong", "since=noon", "limit=0", "cursor=x", "cursor=-1", "x=1", "limit=1&limit=2"):
            answer = await door.get(f"/v1/verdicts?{wrong}")
            assert (answer.status, answer.code) == (422, "invalid"), wrong


@pytest.mark.parametrize("kind", ["memory", "journal"])
async def test_the_crew_says_what_it_thinks_of_a_verdict(kind: str, tmp_path: Path) -> None:
    async with kept(kind, tmp_path) as ledger, opened(tmp_path, ledger=ledger) as door:
        await record(ledger, verdict(1), verdict(1, revision=2))
        path = "/v1/verdicts/front-000001"
        assert (await door.ask("POST", f"{path}/review", {"opinion": "wrong"}, scope="read")).status == 403
        said = await door.ask(
            "POST",
            f"{path}/review",
            {"opinion": "wrong", "items": [{"name": "Burger"}, {"name": "Cola", "quantity": 2}], "note": "<b>ö"},
            scope="submit",
        )
        assert (said.status, said.json["revision"], said.json["reviewer"]) == (201, 2, "a submiter")
        assert (await door.ask("POST", f"{path}/review", {"opinion": "confirmed"}, scope="admin")).status == 201
        detail = (await door.get(path)).json
        assert [one["verdict"]["revision"] for one in detail["revisions"]] == [1, 2]
        assert [one["opinion"] for one in detail["reviews"]] == ["wrong", "confirmed"]
        assert detail["reviews"][0]["items"] == [{"name": "Burger", "quantity": 1}, {"name": "Cola", "quantity": 2}]
        assert [
            len((await door.get(f"/v1/verdicts?reviewed={yes}")).json["verdicts"]) for yes in ("true", "false")
        ] == [
            1,
            0,
        ]
        for missing in ("/v1/verdicts/none", "/v1/verdicts/..%2F..%2Fetc"):
            assert (await door.get(missing)).code == "not_found"
            assert (await door.ask("POST", f"{missing}/review", {"opinion": "open"})).code == "not_found"
        for wrong in ({"opinion": "good"}, {"opinion": "wrong", "items": [{"name": "x", "quantity": 0}]}, {}):
            assert (await door.ask("POST", f"{path}/review", wrong)).code == "invalid"


async def test_verdicts_in_memory_are_the_last_ones() -> None:
    async with opened(keep_verdicts=3) as door:
        for number in range(1, 9):
            door.serving.judged(verdict(number))
        found = (await door.get("/v1/verdicts")).json["verdicts"]
        assert [one["verdict"]["slip_text"] for one in found] == ["8", "7", "6"]


# Operations.


async def test_health_says_what_is_wrong_and_503_when_nothing_is_seen() -> None:
    async with opened(stations=("front", "back")) as door:
        assert (await door.get("/healthz")).json == {"status": "ok"}
        await door.stage.show("front", 2)
        await door.stage.show("back", 2)
        await until(lambda: {str(one.phase) for one in door.stage.stations.health().values()} == {"running"})
        with anyio.fail_after(30):  # the loop is not well while the machine is too busy, and well again after
            while (health := await door.get("/health")).json["components"]["loop"]["status"] != "ok":
                assert health.status == 200
        assert (health.status, health.json["status"]) == (200, "ok")
        well = {"status": "ok", "reason": None}
        parts = ("model", "loop", "station:front", "station:back")
        assert health.json["components"] == dict.fromkeys(parts, well)
        await door.ask("DELETE", "/v1/stations/back")
        door.stage.builder.camera("front").die = True
        capture = door.stage.stations._watched["front"].station.capture
        assert capture is not None
        capture.stop()
        await until(lambda: str(door.stage.stations.health()["front"].phase) == "stopped")
        health = await door.get("/health")
        assert (health.status, health.json["status"]) == (503, "failed")
        assert health.json["components"]["station:front"] == {"status": "failed", "reason": "stopped"}
        ready = await door.get("/readyz")
        assert (ready.status, ready.json) == (503, {"ready": False})
        assert (await door.get("/healthz")).status == 200


async def test_metrics_are_what_prometheus_reads() -> None:
    async with opened(detector=StagedDetector()) as door:
        door.serving.judged(verdict(1))
        await door.stage.show("front", ORDER_FRAMES)
        await until(lambda: str(door.stage.stations.health()["front"].phase) == "running")
        await door.get("/v1/nowhere")
        answer = await door.get("/metrics")
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        samples = {
            (one.name, tuple(sorted(one.labels.items()))): one.value
            for family in text_string_to_metric_families(answer.body.decode())
            for one in family.samples
        }
        assert samples["orderacc_verdicts_total", (("station", "front"), ("status", "inaccurate"))] == 1
        assert samples["orderacc_http_requests_total", (("route", "none"), ("status", "404"))] == 1
        assert samples["orderacc_station_up", (("station", "front"),)] == 1
        assert (samples["orderacc_detector_streams", ()], samples["orderacc_detector_inferences_total", ()]) == (2, 0)
        assert ("orderacc_loop_lag_seconds", (("quantile", "0.99"),)) in samples
        assert any(name == "orderacc_vlm_waiting" for name, _ in samples)


async def test_the_document_is_the_golden_one_and_its_page_needs_nothing_else(tmp_path: Path) -> None:
    async with opened() as door:
        document = (await door.get("/openapi.json")).json
        text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        if text != GOLDEN.read_text(encoding="utf-8"):
            (tmp_path / "openapi.json").write_text(text, encoding="utf-8")
            pytest.fail(f"the API has changed; if it should: cp {tmp_path}/openapi.json {GOLDEN}")
        references = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
        assert references == set(document["components"]["schemas"])
        names = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
        assert len(names) == len(set(names))
        page = await door.get("/docs")
        html = page.body.decode()
        assert all(path in html for path in document["paths"])
        assert not re.search(r'<script|(?:src|href)="(?!/openapi.json|#)', html)
        assert "style-src 'sha256-" in page.headers["Content-Security-Policy"]


async def test_problems_are_told_as_the_rfc_says() -> None:
    async with opened() as door:
        for method, path, status, code in (
            ("GET", "/nowhere", 404, "not_found"),
            ("GET", "/v1/stations/../../etc/passwd", 404, "not_found"),
            ("PATCH", "/v1/stations", 405, "method_not_allowed"),
            ("POST", "/healthz", 405, "method_not_allowed"),
            ("GET", "/v1/stations/front/live", 400, "bad_request"),
        ):
            answer = await door.ask(method, path)
            assert (answer.status, answer.code) == (status, code), path
            assert set(answer.json) == {"type", "title", "status", "code", "detail"}
        assert "GET" in (await door.ask("POST", "/healthz")).headers["Allow"]
        head = await door.ask("HEAD", "/healthz")
        assert (head.status, head.body) == (200, b"")


async def test_a_bug_of_ours_is_told_as_one_and_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as door:

        async def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("inner workings")

        door.serving.ledger.revisions = broken  # type: ignore[method-assign,assignment]
        answer: Answer = await door.get("/v1/verdicts/x")
        assert (answer.status, answer.code) == (500, "internal")
        assert b"inner" not in answer.body
        assert "request_failed" in caplog.text


@given(st.text(max_size=40), st.integers(0, 99))
def test_event_names_of_others_are_never_taken_for_ours(text: str, number: int) -> None:
    from orderacc.service.newsroom import Newsroom

    newsroom = Newsroom(RecentLedger(1), edition="ab12")
    assert newsroom.event_id(newsroom.name(number)) == number
    if not re.fullmatch(r"ab12-[0-9]{1,18}", text):
        assert newsroom.event_id(text) is None


# Evidence.


async def test_the_frames_and_the_video_of_a_verdict(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "objects")
    picture = np.random.default_rng(1).integers(0, 255, (90, 160, 3), np.uint8)
    frames = [cv2.imencode(".jpg", np.roll(picture, n))[1].tobytes() for n in range(2)]
    for number, content in enumerate(frames):
        await store.put(visit_key(SELECTED, "front-000001", f"{number}.jpg"), content, "image/jpeg")
    body = json.dumps(verdict(1).to_dict()).encode()
    await store.put(visit_key(RESULTS, "front-000001", "1.json"), body, "application/json")
    async with opened() as door:
        path = "/v1/verdicts/front-000001"
        assert (await door.get(f"{path}/frames/0")).code == "not_found"
    async with opened(objects=store) as door:
        assert [(await door.get(f"{path}/frames/{number}")).body for number in (0, 1)] == frames
        for wrong in ("2", "-1", "x", "0.jpg", "..%2F..%2Fetc", "99999999", "%D9%A1"):
            assert (await door.get(f"{path}/frames/{wrong}")).code == "not_found"
        for nobody in ("%F0%9D%95%BF" * 30, "x" * 300, "..", "%2E", "=2E", "%ff"):
            for what in ("frames/0", "replay.mp4"):
                assert (await door.get(f"/v1/verdicts/{nobody}/{what}")).status == 404, nobody
        whole = await door.get(f"{path}/replay.mp4")
        assert (whole.status, whole.headers["Content-Type"], whole.body[4:8]) == (200, "video/mp4", b"ftyp")
        size = len(whole.body)
        for asked, part in (("0-99", slice(0, 100)), ("100-", slice(100, size)), ("-10", slice(size - 10, size))):
            piece = await door.get(f"{path}/replay.mp4", headers={"Range": f"bytes={asked}"})
            assert (piece.status, piece.body) == (206, whole.body[part])
            assert piece.headers["Content-Range"] == f"bytes {part.start}-{part.stop - 1}/{size}"
        beyond = await door.get(f"{path}/replay.mp4", headers={"Range": f"bytes={size}-"})
        assert (beyond.status, beyond.code) == (416, "range_not_satisfiable")
        assert (await door.get("/v1/verdicts/none/replay.mp4")).code == "no_such_object"


async def test_a_video_is_not_shown_any_more_when_what_it_shows_is_removed(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "objects")
    picture = cv2.imencode(".jpg", np.zeros((90, 160, 3), np.uint8))[1].tobytes()
    await store.put(visit_key(RESULTS, "front-000001", "1.json"), json.dumps(verdict(1).to_dict()).encode(), "")
    await store.put(visit_key(SELECTED, "front-000001", "0.jpg"), picture, "")
    await store.put(visit_key(FRAMES, "front-000001", "clip.mp4"), b"the clip", "")
    async with opened(objects=store) as door:
        path = "/v1/verdicts/front-000001/replay.mp4"
        assert (await door.get(path)).body == b"the clip"
        await store.delete([visit_key(FRAMES, "front-000001", "clip.mp4")])
        frames = await door.get(path)
        assert (frames.status, frames.body[4:8]) == (200, b"ftyp")
        assert (await door.get(path)).body == frames.body
        await store.delete([one.key async for one in store.list()])
        for headers in ({}, {"Range": "bytes=0-9"}):
            assert (await door.get(path, headers=headers)).code == "no_such_object"


async def test_what_was_seen_is_cut_out_of_its_frame(tmp_path: Path) -> None:
    picture = np.zeros((90, 160, 3), np.uint8)
    picture[20:40, 60:100] = (0, 0, 255)
    store = FolderStore(tmp_path / "objects")
    for number, content in enumerate((cv2.imencode(".jpg", picture)[1].tobytes(), b"no picture")):
        await store.put(visit_key(SELECTED, "front-000001", f"{number}.jpg"), content, "image/jpeg")
    boxes = (Box(60, 20, 100, 40), Box(150, 80, 170, 95))
    seen = (Sighting(0, 2, boxes), Sighting(1, 1, boxes[:1]))
    beyond = (Sighting(0, 1, None), Sighting(0, 1, (Box(300, 300, 310, 310),)))
    findings = [LineFinding("extra", name, 0, 1, "nothing_near", 0.1, 0.9, "hybrid", frames=frames)
                for name, frames in (("Cola", seen), ("Wrap", beyond))]  # fmt: skip
    async with opened(objects=store) as door:
        door.serving.judged(verdict(1, findings=tuple(findings)))
        crops = "/v1/verdicts/front-000001/frames/0/crops"
        first, second = [await door.get(f"{crops}/{place}") for place in (0, 1)]
        assert first.headers["Content-Type"] == "image/jpeg"
        cut = cv2.imdecode(np.frombuffer(first.body, np.uint8), cv2.IMREAD_COLOR)
        assert cut.shape == (32, 52, 3)
        assert cut[16, 26, 2] > 200 > 50 > cut[2, 2, 2]
        assert cv2.imdecode(np.frombuffer(second.body, np.uint8), cv2.IMREAD_COLOR).shape == (13, 13, 3)
        for wrong in (f"{crops}/2", f"{crops}/3", f"{crops}/x", crops.replace("0/crops", "1/crops/0")):
            assert (await door.get(wrong)).code == "not_found"
        await store.put(visit_key(SELECTED, "front-000002", "0.jpg"), b"", "image/jpeg")
        assert (await door.get("/v1/verdicts/front-000002/frames/0/crops/0")).code == "not_found"


# Tokens by command.


def test_tokens_are_made_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "stations.yaml"
    stations = "stations: [{id: a, source: {type: simulator}}]\n"

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["token", *arguments, "--stations", str(path)])
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    path.write_text(stations)
    code, _, err = run("create", "--name", "till", "--scope", "submit")
    assert (code, "api: {tokens: tokens.json}" in err) == (1, True)
    path.write_text(stations + "api: {host: 0.0.0.0}\n")
    code, _, err = run("list")
    assert (code, "is needed where others can reach the host" in err) == (1, True)
    path.write_text(stations + "api: {tokens: tokens.json, host: 0.0.0.0}\n")
    assert run("create", "--name", "till", "--scope", "everything")[0] == 2
    for nameless in ("", " ", "till\n1"):
        code, _, err = run("create", "--name", nameless, "--scope", "submit")
        assert (code, "--name" in err, (tmp_path / "tokens.json").exists()) == (2, True, False)
    code, text, _ = run("create", "--name", "till", "--scope", "submit", "--scope", "read", "--days", "30")
    token_id = text.split("_")[1]
    assert (code, text.startswith("oa_")) == (0, True)
    code, listed, _ = run("list")
    assert (code, token_id in listed, "till" in listed, text.strip() in listed) == (0, True, True, False)
    assert run("revoke", "nobody")[0] == 2
    assert run("revoke", token_id)[0] == 0
    assert run("list")[1] == ""
