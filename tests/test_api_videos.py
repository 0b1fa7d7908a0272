"""Recordings over HTTP: handed in, judged, cancelled, forgotten, and everything that is no recording."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import pytest

from door import Answer, opened, verdict
from orderacc.api import receiving
from orderacc.config.videos import VideosConfig
from orderacc.errors import SourceError
from orderacc.orders.memory import OrderStore
from orderacc.service.videos import Videos
from video_files import write_video

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from door import Door

pytestmark = pytest.mark.anyio

ORDERS = json.dumps({"384": [{"name": "Burger", "quantity": 1}]}).encode()


def present(path: Path) -> Any:
    """What is in a folder, or whether a file is there."""
    return sorted(path.iterdir()) if path.is_dir() else path.exists()


class StagedReplaying:
    """Gives a verdict for every order it is asked about; waits for `gate`, and fails when told to."""

    def __init__(self) -> None:
        self.gate = anyio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.begun: list[Any] = []

    async def video(self, path: Path, name: str, fps: float, book: Any, *, sink: Any, progress: Any) -> None:
        assert present(path)
        self.begun.append((name, fps))
        await self._judge(name, book, sink, progress)

    async def run(self, station: Any, seconds: float, book: Any, *, sink: Any, progress: Any) -> None:
        self.begun.append((station.id, station.source.type, seconds))
        await self._judge(station.id, book, sink, progress)

    async def _judge(self, name: str, book: Any, sink: Any, progress: Any) -> None:
        progress(0.1)
        found = await book.find(name, "384")
        await sink(verdict(1, station_id=name, expected=found.order.items if found.order else ()))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        progress(1.0)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("videos") / "plain.mp4", frames=10).read_bytes()


@asynccontextmanager
async def door_with(folder: Path, **config: Any) -> AsyncIterator[tuple[Door, StagedReplaying]]:
    replaying = StagedReplaying()
    videos = Videos(folder, VideosConfig(**config), replaying, OrderStore())
    async with opened(videos=videos) as door:
        yield door, replaying


async def hand_in(door: Door, *parts: tuple[str, bytes, str | None], scope: str = "admin") -> Answer:
    form = aiohttp.MultipartWriter("form-data")
    for name, content, filename in parts:
        part = form.append(io.BytesIO(content))
        part.set_content_disposition("form-data", name=name, **({"filename": filename} if filename else {}))
    async with door.session.post(f"{door.address}/v1/videos", data=form, headers=door.bearer(scope)) as answer:
        return Answer(answer.status, answer.headers, await answer.read())


async def state(door: Door, video_id: str, *wanted: str) -> dict[str, Any]:
    with anyio.fail_after(30):
        while (found := (await door.get(f"/v1/videos/{video_id}")).json)["state"] not in wanted:  # noqa: ASYNC110  it is asked over HTTP
            await anyio.sleep(0.02)
    return found


async def test_a_recording_is_judged_and_forgotten(tmp_path: Path, video: bytes) -> None:
    async with door_with(tmp_path) as (door, replaying):
        replaying.gate = anyio.Event()
        made = await hand_in(door, ("fps", b"5", None), ("orders", ORDERS, None), ("video", video, "../../etc/x.mp4"))
        assert made.status == 201, made.body
        video_id = made.json["video_id"]
        assert made.headers["Location"] == f"/v1/videos/{video_id}"
        assert (made.json["kind"], made.json["fps"]) == ("upload", 5.0)
        assert made.json["name"].endswith("x.mp4")
        assert made.json["size"] == len(video)
        running = await state(door, video_id, "running")
        with anyio.fail_after(20):
            while not (running := (await door.get(f"/v1/videos/{video_id}")).json)["verdicts"]:  # noqa: ASYNC110
                await anyio.sleep(0.02)
        assert 0 < running["progress"] < 1
        assert running["verdicts"][0]["expected"] == [{"name": "Burger", "quantity": 1}]
        replaying.gate.set()
        done = await state(door, video_id, "done")
        assert (done["progress"], done["verdict_count"], done["code"]) == (1.0, 1, None)
        assert not present(tmp_path / video_id / "video")  # it is not kept
        (listed,) = (await door.get("/v1/videos?state=done")).json["videos"]
        assert listed == {name: value for name, value in done.items() if name != "verdicts"}
        assert (await door.ask("DELETE", f"/v1/videos/{video_id}")).status == 204
        assert (await door.get(f"/v1/videos/{video_id}")).code == "not_found"
        assert present(tmp_path) == []


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ([], 422, "invalid"),
        ([("video", b"", "x.mp4")], 415, "unsupported_media_type"),
        ([("video", b"MZ" * 5000, "x.mp4")], 415, "unsupported_media_type"),
        ([("video", b"#EXTM3U\nfile:///etc/passwd\n", "x.m3u8")], 415, "unsupported_media_type"),
        ([("fps", b"fast", None)], 422, "invalid"),
        ([("fps", b"0", None)], 422, "invalid"),
        ([("fps", b"nan", None)], 422, "invalid"),
        ([("name", b"x" * 5000, None)], 422, "invalid"),
        ([("command", b"rm", None)], 422, "invalid"),
        ([("orders", b"[]" * 1_000_000, None)], 413, "too_large"),
        ([("video", b"x" * 3_000_000, "x.mp4")], 413, "too_large"),
    ],
)
async def test_forms_that_hold_no_recording(
    tmp_path: Path, parts: list[tuple[str, bytes, str | None]], status: int, code: str
) -> None:
    async with door_with(tmp_path, max_mb=1) as (door, replaying):
        answer = await hand_in(door, *parts)
        assert (answer.status, answer.code) == (status, code), answer.body
        assert present(tmp_path) == []
        assert replaying.begun == []


async def test_bodies_that_are_no_form(tmp_path: Path, video: bytes) -> None:
    async with door_with(tmp_path) as (door, _):
        kinds = {
            "application/json": 415,
            "multipart/form-data": 400,
            "multipart/form-data; boundary=x": 400,
            "multipart/mixed; boundary=x": 415,
        }
        for kind, status in kinds.items():
            answer = await door.ask("POST", "/v1/videos", b"no form", headers={"Content-Type": kind})
            assert (answer.status, answer.code is not None) == (status, True), (kind, answer.body)
        for header in (
            b"name\x08: x",
            b"no header",
            b'Content-Disposition: form-data; name="\x08"',
            b"A: " + b"x" * 9000,
        ):
            form = {"Content-Type": "multipart/form-data; boundary=x"}
            answer = await door.ask("POST", "/v1/videos", b"--x\r\n" + header + b"\r\n\r\nx\r\n--x--\r\n", headers=form)
            assert (answer.status, answer.code) == (400, "bad_request"), header
        wrong = await hand_in(door, ("orders", b'{"384": [{"name": 5}]}', None), ("video", video, "x.mp4"))
        assert (wrong.status, wrong.code) == (422, "invalid")
        assert present(tmp_path) == []


async def test_a_recording_may_be_called_by_a_hundred_characters_of_any_kind(tmp_path: Path, video: bytes) -> None:
    async with door_with(tmp_path) as (door, _):
        name = "\u6f22\U0001f35f" * 50
        made = await hand_in(door, ("name", name.encode(), None), ("video", video, "x.mp4"))
        assert (made.status, made.json["name"]) == (201, name)
        longer = await hand_in(door, ("name", b"x" * 101, None), ("video", video, "x.mp4"))
        assert (longer.status, longer.code) == (422, "invalid")


async def test_a_disk_that_takes_nothing_is_said_as_what_passes(tmp_path: Path, video: bytes) -> None:
    (tmp_path / "disk").write_bytes(b"no folder")
    async with door_with(tmp_path / "disk") as (door, _):
        run = {"source": {"type": "simulator", "seed": 3}, "seconds": 5}
        for answer in (await hand_in(door, ("video", video, "x.mp4")), await door.ask("POST", "/v1/runs", run)):
            assert (answer.status, answer.code) == (503, "unavailable")


async def test_recordings_wait_for_their_turn_and_are_cancelled(tmp_path: Path, video: bytes) -> None:
    async with door_with(tmp_path, waiting=2, keep=3) as (door, replaying):
        replaying.gate = anyio.Event()
        hand = partial(hand_in, door, ("video", video, "x.mp4"))
        first = (await hand()).json["video_id"]
        await state(door, first, "running")
        second, third = [(await hand()).json["video_id"] for _ in range(2)]
        full = await hand()
        assert (full.status, full.code) == (503, "unavailable")
        for video_id in (second, first):
            cancelled = await door.ask("POST", f"/v1/videos/{video_id}/cancel")
            assert (cancelled.status, cancelled.json["state"]) == (200, "cancelled")
        replaying.gate.set()
        assert (await state(door, third, "done"))["verdict_count"] == 1
        assert len((await state(door, first, "cancelled"))["verdicts"]) == 1
        again = await door.ask("POST", f"/v1/videos/{third}/cancel")
        assert again.json["state"] == "done"
        fourth = (await hand()).json["video_id"]
        await state(door, fourth, "done")
        listed = [one["video_id"] for one in (await door.get("/v1/videos")).json["videos"]]
        assert listed == [fourth, third, second]  # the oldest is forgotten


async def test_one_that_fails_says_why_and_the_next_is_judged(tmp_path: Path, video: bytes) -> None:
    async with door_with(tmp_path) as (door, replaying):
        for error, code in ((SourceError("cut short", code="end_of_stream"), "end_of_stream"), (OSError(), "internal")):
            replaying.error = error
            video_id = (await hand_in(door, ("video", video, "x.mp4"))).json["video_id"]
            assert (await state(door, video_id, "failed"))["code"] == code
        replaying.error = None
        video_id = (await hand_in(door, ("video", video, "x.mp4"))).json["video_id"]
        await state(door, video_id, "done")


async def test_many_forget_the_same_recordings_at_once(tmp_path: Path) -> None:
    run = {"source": {"type": "simulator"}, "seconds": 5}
    async with door_with(tmp_path, keep=8, waiting=8) as (door, replaying):
        for _ in range(8):
            await state(door, (await door.ask("POST", "/v1/runs", run)).json["video_id"], "done")
        replaying.gate = anyio.Event()
        answers = await asyncio.gather(*(door.ask("POST", "/v1/runs", run) for _ in range(8)))
        assert [answer.status for answer in answers] == [201] * 8
        replaying.gate.set()
        for answer in answers:
            await state(door, answer.json["video_id"], "done")
        cleared = await asyncio.gather(*(door.ask("DELETE", "/videos/history") for _ in range(4)))
        assert [answer.status for answer in cleared] == [200] * 4
        assert (await door.get("/v1/videos")).json["videos"] == []


async def test_a_file_that_cannot_be_deleted_holds_up_nothing(tmp_path: Path) -> None:
    run = {"source": {"type": "simulator"}, "seconds": 5}
    async with door_with(tmp_path) as (door, replaying):
        replaying.gate = anyio.Event()
        first = (await door.ask("POST", "/v1/runs", run)).json["video_id"]
        (tmp_path / first / "video").mkdir()
        replaying.gate.set()
        await state(door, first, "done")
        await state(door, (await door.ask("POST", "/v1/runs", run)).json["video_id"], "done")


@pytest.mark.parametrize("name", ["name", "video"])
async def test_a_form_that_falls_silent_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(receiving, "SILENCE", 0.2)
    async with door_with(tmp_path) as (door, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(door.address.rpartition(":")[2]))
        head = "Host: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 5000\r\n"
        part = f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nbegun'
        writer.write(f"POST /v1/videos HTTP/1.1\r\n{head}\r\n{part}".encode())
        with anyio.fail_after(20):
            assert b" 408 " in await reader.readline()
        writer.close()


async def test_history_and_waiting_recordings_survive_the_process(tmp_path: Path, video: bytes) -> None:
    async with door_with(tmp_path) as (door, replaying):
        done = (await hand_in(door, ("video", video, "x.mp4"))).json["video_id"]
        await state(door, done, "done")
        replaying.gate = anyio.Event()
        cut = (await hand_in(door, ("orders", ORDERS, None), ("video", video, "y.mp4"))).json["video_id"]
        await state(door, cut, "running")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "video").write_bytes(b"half")
    (tmp_path / done / "video").write_bytes(b"killed before it was deleted")
    async with door_with(tmp_path) as (door, _):
        assert (await state(door, cut, "done"))["verdicts"][0]["expected"] == [{"name": "Burger", "quantity": 1}]
        assert (await state(door, done, "done"))["verdict_count"] == 1
        assert not (tmp_path / "half").exists()
        assert not (tmp_path / done / "video").exists()


async def test_a_camera_is_watched_for_a_while_if_that_is_allowed(tmp_path: Path) -> None:
    async with door_with(tmp_path) as (door, replaying):
        made = await door.ask("POST", "/v1/runs", {"source": {"type": "simulator", "seed": 3}, "seconds": 5})
        assert (made.status, made.json["kind"], made.json["duration_s"]) == (201, "run", 5.0)
        await state(door, made.json["video_id"], "done")
        assert replaying.begun[0][1:] == ("simulator", 5.0)
        refused = await door.ask("POST", "/v1/runs", {"source": {"type": "rtsp", "url": "rtsp://169.254.169.254/x"}})
        assert (refused.status, refused.code) == (403, "camera_refused")
        for wrong in ({"type": "file", "path": "/etc/passwd"}, {"type": "simulator", "script": "/etc/passwd"}):
            assert (await door.ask("POST", "/v1/runs", {"source": wrong})).status == 422


async def test_where_no_recordings_are_taken() -> None:
    async with opened() as door:
        for method, path in (("GET", "/v1/videos"), ("GET", "/v1/videos/x"), ("DELETE", "/v1/videos/x")):
            answer = await door.ask(method, path)
            assert (answer.status, answer.code) == (503, "unavailable")
