"""The paths that clients of another order checker know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import pytest

from door import opened, verdict
from orderacc.config.videos import VideosConfig
from orderacc.domain.orders import Item
from orderacc.orders.memory import OrderStore
from orderacc.service.ledger import RecentLedger
from orderacc.service.videos import Videos
from orderacc.storage import records
from orderacc.storage.folder import FolderStore
from test_api_videos import StagedReplaying, state
from video_files import write_video

if TYPE_CHECKING:
    from pathlib import Path

    from door import Door

pytestmark = pytest.mark.anyio


async def moved(door: Door, path: str) -> str | None:
    """Where a path is found now."""
    async with door.session.get(door.address + path, allow_redirects=False) as answer:
        assert answer.status == 307
        return answer.headers.get("Location")


async def test_results_by_number_and_never_200_for_what_is_not_there() -> None:
    async with opened() as door:
        for path in ("/results/384", "/orders/384/recall", "/orders/384/replay", "/orders/384/frames/frame_1.jpg"):
            answer = await door.get(path)
            assert (answer.status, answer.code) == (404, "not_found")
        assert (await door.ask("POST", "/run_vlm", {"order_id": "384"})).status == 404
        door.serving.judged(verdict(1384, seen=()))
        assert (await door.get("/results/384")).status == 404  # another number that holds this one
        door.serving.judged(verdict(384, missing=(Item("Cola", 2),)))
        result = (await door.get("/results/384")).json
        assert (result["order_id"], result["station_id"], result["status"]) == ("384", "front", "inaccurate")
        assert result["validation"]["missing"] == [{"name": "Cola", "quantity": 2}]
        assert result["expected_items"] == [{"name": "Burger", "quantity": 1}, {"name": "Cola", "quantity": 1}]
        assert (await door.ask("POST", "/run_vlm", {"order_id": "384", "station_id": "front"})).json == result
        assert (await door.ask("POST", "/run_vlm", {"order_id": "384", "station_id": "back"})).status == 404
        listed = (await door.get("/vlm/results")).json["results"]
        assert [one["order_id"] for one in listed] == ["384", "1384"]
        assert (await door.ask("POST", "/run_vlm", {})).status == 422


async def test_how_many_stations_and_orders() -> None:
    async with opened(stations=("front", "back")) as door:
        assert (await door.get("/mode")).json == {"service_mode": "parallel", "workers": 2, "station_id": "front"}
        assert (await door.get("/statistics")).json["accuracy_rate"] is None
        for number, status in enumerate(["accurate", "accurate", "inaccurate", "unsure"]):
            door.serving.judged(verdict(number, status=status))
        assert (await door.get("/statistics")).json == {
            "total_orders": 4,
            "by_status": {"accurate": 2, "inaccurate": 1, "unsure": 1},
            "by_station": {"front": 4},
            "accuracy_rate": 0.6667,
        }


async def test_an_order_of_the_last_day_is_recalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path)
    for number in range(2):
        await store.put(f"selected/front-000384/{number}.jpg", b"jpeg", "image/jpeg")
    async with opened(objects=store) as door:
        door.serving.judged(verdict(384))
        found = (await door.get("/orders/384/recall")).json
        assert (found["status"], found["frames_available"], found["has_replay"]) == ("found", 2, True)
        assert found["age_seconds"] < 60
        assert await moved(door, "/orders/384/replay") == "/v1/verdicts/front-000384/replay.mp4"
        assert await moved(door, "/orders/384/frames/frame_1.jpg") == "/v1/verdicts/front-000384/frames/1"
        assert (await door.get("/orders/384/frames/frame_1.jpg")).body == b"jpeg"
        for name in ("x.jpg", "..%2f..%2fetc%2fpasswd"):
            assert (await door.get(f"/orders/384/frames/{name}")).status == 404
    ledger = RecentLedger(10)
    old = datetime.now(UTC) - timedelta(hours=25)
    with monkeypatch.context() as patched:
        patched.setattr("orderacc.service.ledger.now_text", lambda: records.time_text(old))
        ledger.record(verdict(384))
    async with opened(ledger=ledger) as door:
        answer = await door.get("/orders/384/recall")
        assert (answer.status, answer.code) == (410, "gone")


async def test_recordings(tmp_path: Path) -> None:
    content = write_video(tmp_path / "x.mp4", frames=10).read_bytes()
    replaying = StagedReplaying()
    videos = Videos(tmp_path / "videos", VideosConfig(), replaying, OrderStore())
    async with opened(videos=videos) as door:

        async def upload() -> str:
            form = aiohttp.FormData()
            form.add_field("file", content, filename="x.mp4")
            form.add_field("video_id", "mine")
            async with door.session.post(f"{door.address}/upload-video", data=form) as answer:
                told: dict[str, Any] = await answer.json()
                assert (answer.status, told["status"]) == (202, "started")
                return str(told["video_id"])

        replaying.gate = anyio.Event()
        first = await upload()
        await state(door, first, "running")
        assert (await door.get("/videos/current")).json["video_id"] == first
        assert (await door.ask("POST", f"/videos/{first}/complete")).code == "conflict"
        replaying.gate.set()
        await state(door, first, "done")
        assert (await door.ask("POST", f"/videos/{first}/complete")).json["video"]["state"] == "done"
        assert (await door.get("/videos/current")).json == {"status": "success", "video_id": None, "video": None}
        result = await door.get(f"/results/{first}")
        assert (result.status, result.json["video_id"]) == (200, first)
        replaying.gate = anyio.Event()
        second = await upload()
        await state(door, second, "running")
        assert (await door.ask("POST", f"/videos/{second}/fail")).json["video"]["state"] == "cancelled"
        history = (await door.get("/videos/history?limit=1")).json
        assert (history["count"], history["videos"][0]["video_id"]) == (1, second)
        assert (await door.get("/videos/summary")).json["summary"]["videos"] == 2
        assert (await door.get(f"/videos/{first}")).json["video"]["verdict_count"] == 1
        assert (await door.ask("DELETE", f"/videos/{second}")).status == 200
        assert (await door.ask("DELETE", "/videos/history")).json["summary"]["videos"] == 0
        for method, path in (("GET", f"/videos/{first}"), ("POST", f"/videos/{first}/fail"), ("DELETE", "/videos/x")):
            assert (await door.ask(method, path)).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"source_type": "file", "source": "/etc/passwd"}, 403),
        ({"source_type": "http", "source": "http://169.254.169.254/latest"}, 403),
        ({"source_type": "rtsp", "source": "rtsp://127.0.0.1/x"}, 403),
        ({"source_type": "rtsp", "source": "file:///etc/passwd"}, 422),
        ({"source_type": "webcam", "source": 0}, 403),
        ({"source_type": "webcam", "source": "; rm -rf /"}, 422),
        ({"source_type": "ftp", "source": "x"}, 422),
        ({}, 422),
    ],
)
async def test_cameras_that_may_not_be_watched(tmp_path: Path, body: dict[str, Any], status: int) -> None:
    videos = Videos(tmp_path, VideosConfig(), StagedReplaying(), OrderStore())
    async with opened(videos=videos) as door:
        assert (await door.ask("POST", "/run-video", body)).status == status
