"""Streaming detection: sessions over WebSocket and plain requests, their limits, and what they give up under load."""

from __future__ import annotations

import json
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import pytest

from door import opened
from orderacc.api import routes_stream, routes_stream_socket
from orderacc.api.streaming import sessions as sessions_module
from orderacc.domain.detections import Box, Detection
from staged_detector import LABELS, StagedDetector, as_base64, in_the_middle, jpeg
from staged_stations import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from door import Door
    from orderacc.domain.frames import Image

pytestmark = pytest.mark.anyio

PICTURE = as_base64(jpeg())


class Stream:
    """A client over a WebSocket."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse) -> None:
        self.line = line

    async def say(self, **message: Any) -> None:
        await self.line.send_str(json.dumps(message))

    async def frame(self, frame_id: str | None = None, **more: Any) -> None:
        await self.say(type="frame", image_data=PICTURE, **({"frame_id": frame_id} if frame_id else {}), **more)

    async def hear(self) -> dict[str, Any]:
        with anyio.fail_after(20):
            message = await self.line.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, message
            return json.loads(message.data)

    async def result(self) -> dict[str, Any]:
        message = await self.hear()
        assert message["type"] == "detection_result", message
        return message["data"]

    async def error(self) -> tuple[str, str | None]:
        message = await self.hear()
        assert set(message) == {"type", "error", "error_code", "frame_id", "timestamp"}, message
        return message["error_code"], message["frame_id"]

    async def closed(self) -> int | None:
        with anyio.fail_after(20):
            while (message := await self.line.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED), message
            return self.line.close_code


@asynccontextmanager
async def streaming(door: Door, query: str = "", **more: Any) -> AsyncIterator[Stream]:
    url = f"{door.address}/stream/detection{query}"
    async with door.session.ws_connect(url, headers=door.bearer(), max_msg_size=0, **more) as line:
        stream = Stream(line)
        welcome = await stream.hear()
        assert welcome["type"] == "session_created"
        yield stream


@asynccontextmanager
async def door_with(
    detector: StagedDetector | None = None, **config: Any
) -> AsyncIterator[tuple[Door, StagedDetector]]:
    detector = detector or StagedDetector()
    async with opened(detector=detector, streaming=config) as door:
        yield door, detector


# WebSocket.


async def test_a_frame_is_answered_field_for_field() -> None:
    async with door_with() as (door, _), streaming(door, "?fps_limit=15") as stream:
        await stream.frame("f-1", timestamp=1641234567.123, metadata={"camera": "left"})
        result = await stream.result()
        assert result.pop("processing_time_ms") >= result.pop("inference_time_ms") > 0
        assert result == {
            "frame_id": "f-1",
            "detections": [
                {
                    "bbox": [16.0, 12.0, 48.0, 36.0],
                    "confidence": 0.9,
                    "class_id": LABELS.index("burger"),
                    "class_name": "burger",
                    "track_id": 1,
                }
            ],
            "timestamp": 1641234567.123,
            "image_size": [64, 48],
            "quality": {"level": 0, "scale": 1, "fps_limit": 15.0},
            "metadata": {"camera": "left"},
        }


async def test_the_welcome_tells_how_the_session_is_set() -> None:
    async with door_with(default_fps=7) as (door, _):
        async with door.session.ws_connect(f"{door.address}/stream/detection?enable_tracking=false") as line:
            welcome = await line.receive_json()
        assert welcome["session_id"] == welcome["client_id"]
        assert welcome["config"] == {
            "fps_limit": 7,
            "confidence_threshold": 0.5,
            "iou_threshold": 0.55,
            "enable_tracking": False,
            "batch_processing": False,
            "quality_mode": "balanced",
            "max_detections": 50,
        }


@pytest.mark.parametrize("kind", [".jpg", ".png", ".webp"])
async def test_pictures_as_binary_messages(kind: str) -> None:
    async with door_with() as (door, _), streaming(door) as stream:
        content = jpeg(kind=kind)
        await stream.line.send_bytes(content)
        assert (await stream.result())["frame_id"] == "1"
        header = json.dumps({"frame_id": "b", "timestamp": 5.5, "metadata": {"n": 1}}).encode()
        await stream.line.send_bytes(len(header).to_bytes(4, "big") + header + content)
        result = await stream.result()
        assert (result["frame_id"], result["timestamp"], result["metadata"]) == ("b", 5.5, {"n": 1})
        for wrong in (b"", b"GIF89a", b"\0\0\0\2{}", b"\0\0\xff\xff{}x", b"\0\0\0\2[]x", b"\0\0\0\x03{{{x"):
            await stream.line.send_bytes(wrong)
            assert (await stream.error())[0] == "INVALID_MESSAGE"
        await stream.say(type="frame", image_data=f"data:image/jpeg;base64,{as_base64(content)}", frame_id="url")
        assert (await stream.result())["frame_id"] == "url"


async def test_settings_change_in_mid_stream() -> None:
    def see(image: Any) -> tuple[Detection, ...]:
        del image
        boxes = [Box(0, 0, 20, 20), Box(5, 0, 25, 20), Box(40, 20, 60, 40)]
        return tuple(Detection("burger", score, box) for score, box in zip((0.95, 0.8, 0.6), boxes, strict=True))

    async with door_with(StagedDetector(see)) as (door, _), streaming(door, "?fps_limit=30") as stream:

        async def seen() -> list[tuple[float, int | None]]:
            await stream.frame()
            return [(one["confidence"], one["track_id"]) for one in (await stream.result())["detections"]]

        async def change(**config: Any) -> None:
            await stream.say(type="config_update", config=config)
            told = await stream.hear()
            assert told["type"] == "config_updated"
            assert {name: told["config"][name] for name in config} == config

        assert await seen() == [(0.95, 1), (0.6, 2)]  # the second is the first again: they overlap by 0.6
        await change(iou_threshold=0.9)
        assert [score for score, _ in await seen()] == [0.95, 0.8, 0.6]
        await change(confidence_threshold=0.7, enable_tracking=False)
        assert await seen() == [(0.95, None), (0.8, None)]
        await change(max_detections=1, fps_limit=12)
        assert await seen() == [(0.95, None)]
        for config in ({"fps_limit": 31}, {"fps_limit": 0}, {"confidence_threshold": "x"}, None, [], 5):
            await stream.say(type="config_update", config=config)
            assert (await stream.error())[0] == "INVALID_CONFIG"
        assert await seen() == [(0.95, None)]


@pytest.mark.parametrize(
    ("text", "code", "frame_id"),
    [
        ("", "INVALID_MESSAGE", None),
        ("[]", "INVALID_MESSAGE", None),
        ("{", "INVALID_MESSAGE", None),
        ("{}", "INVALID_MESSAGE", None),
        ('{"type":"dance"}', "INVALID_MESSAGE", None),
        ('{"type":{}}', "INVALID_MESSAGE", None),
        ("[" * 100_000, "INVALID_MESSAGE", None),
        ('{"type":"frame"}', "INVALID_MESSAGE", None),
        ('{"type":"frame","frame_id":"a","image_data":5}', "INVALID_MESSAGE", "a"),
        ('{"type":"frame","frame_id":5,"image_data":"x"}', "INVALID_MESSAGE", None),
        ('{"type":"frame","frame_id":"a","image_data":"x","timestamp":NaN}', "INVALID_MESSAGE", None),
        ('{"type":"frame","frame_id":"a","image_data":"x","timestamp":1e999}', "INVALID_MESSAGE", "a"),
        (
            '{"type":"frame","frame_id":"a","image_data":"AAAA","metadata":{"x":"%s"}}' % ("y" * 5000),
            "INVALID_MESSAGE",
            "a",
        ),
        ('{"type":"frame","frame_id":"a","image_data":"***"}', "INVALID_IMAGE", "a"),
        ('{"type":"frame","frame_id":"a","image_data":"AAAA"}', "INVALID_IMAGE", "a"),
        ('{"type":"frame","frame_id":"a","image_data":"data:text/html,AAAA"}', "INVALID_IMAGE", "a"),
    ],
)
async def test_what_makes_no_sense_is_answered_with_an_error_and_the_stream_goes_on(
    text: str, code: str, frame_id: str | None
) -> None:
    async with door_with() as (door, _), streaming(door) as stream:
        await stream.line.send_str(text)
        assert await stream.error() == (code, frame_id)
        await stream.frame("next")
        assert (await stream.result())["frame_id"] == "next"


async def test_who_says_nothing_but_nonsense_is_let_go() -> None:
    async with door_with() as (door, _), streaming(door) as stream:
        for _ in range(routes_stream_socket.PATIENCE + 1):
            await stream.line.send_str("?")
        assert await stream.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_pictures_that_would_be_too_large_are_not_decoded() -> None:
    async with door_with() as (door, detector), streaming(door) as stream:
        bomb = bytearray(jpeg())
        at = bomb.index(b"\xff\xc0")
        bomb[at + 5 : at + 9] = (50_000).to_bytes(2, "big") * 2
        await stream.line.send_bytes(bytes(bomb))
        assert (await stream.error())[0] == "IMAGE_TOO_LARGE"
        await stream.line.send_bytes(jpeg() + bytes(8 * 1024 * 1024))
        assert (await stream.error())[0] == "IMAGE_TOO_LARGE"
        assert detector.shapes == []


async def test_frames_that_come_too_fast_are_refused_one_by_one() -> None:
    async with door_with() as (door, _), streaming(door, "?fps_limit=2") as stream:
        for number in range(10):
            await stream.frame(str(number))
        answers = [await stream.hear() for _ in range(10)]
        seen = [one["data"]["frame_id"] for one in answers if one["type"] == "detection_result"]
        refused = [one["frame_id"] for one in answers if one.get("error_code") == "RATE_LIMITED"]
        assert seen[:2] == ["0", "1"]
        assert sorted(seen + refused, key=int) == [str(number) for number in range(10)]
        assert len(refused) >= 6


async def test_settings_that_are_sent_again_and_again_let_no_more_frames_through() -> None:
    async with door_with() as (door, _), streaming(door, "?fps_limit=1") as stream:
        for _ in range(40):
            await stream.say(type="config_update", config={"fps_limit": 1})
            await stream.frame()
        heard = [await stream.hear() for _ in range(80)]
        assert sum(message.get("error_code") == "RATE_LIMITED" for message in heard) > 20


async def test_the_oldest_frame_makes_room_and_every_frame_is_answered() -> None:
    async with door_with(queue_size=5) as (door, detector), streaming(door, "?fps_limit=30") as stream:
        detector.gate.clear()
        await stream.frame("0")
        await until(lambda: detector.shapes)
        for number in range(1, 12):
            await stream.frame(str(number))
        dropped = [await stream.error() for _ in range(6)]
        assert dropped == [("FRAME_DROPPED", str(number)) for number in range(1, 7)]
        detector.gate.set()
        assert [(await stream.result())["frame_id"] for _ in range(6)] == ["0", "7", "8", "9", "10", "11"]


async def test_frames_that_wait_are_looked_at_together_where_that_is_asked_for() -> None:
    together = threading.Barrier(3)

    def see(image: Image) -> tuple[Detection, ...]:
        if len(detector.shapes) > 1:
            together.wait(20)
        return in_the_middle(image)

    detector = StagedDetector(see)
    async with door_with(detector) as (door, _), streaming(door, "?fps_limit=30") as stream:
        await stream.say(type="config_update", config={"batch_processing": True})
        assert (await stream.hear())["config"]["batch_processing"] is True
        detector.gate.clear()
        await stream.frame("0")
        await until(lambda: detector.shapes)
        for number in range(1, 4):
            await stream.frame(str(number))
        await until_told(door, "queued_frames", 3)
        # The first one is seen alone, and then the others at the same time or never.
        detector.gate.set()
        assert [(await stream.result())["frame_id"] for _ in range(4)] == ["0", "1", "2", "3"]


async def test_waiting_pictures_of_all_sessions_share_one_limit() -> None:
    content = jpeg() + bytes(400_000)
    async with door_with(queue_mb=1, queue_size=1000) as (door, detector):
        detector.gate.clear()
        async with streaming(door, "?fps_limit=30") as stream:
            for _ in range(20):
                await stream.line.send_bytes(content)
            await until(lambda: detector.shapes)
            for _ in range(16):
                assert (await stream.error())[0] == "FRAME_DROPPED"
            totals = (await door.get("/stream/stats")).json["streaming_stats"]
            assert totals["queued_bytes"] <= 1024 * 1024
            detector.gate.set()
        await until_idle(door)
        assert (await door.get("/stream/stats")).json["streaming_stats"]["queued_bytes"] == 0


async def test_a_detector_that_fails_is_told_of_and_the_next_frame_is_looked_at() -> None:
    failing = [True]

    def see(image: Any) -> tuple[Detection, ...]:
        del image
        if failing:
            failing.clear()
            raise RuntimeError("device lost")
        return ()

    async with door_with(StagedDetector(see)) as (door, _), streaming(door) as stream:
        await stream.frame("a")
        assert await stream.error() == ("INFERENCE_ERROR", "a")
        await stream.frame("b")
        assert (await stream.result())["detections"] == []


async def test_pings_are_answered_and_a_silent_client_is_told_that_somebody_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routes_stream_socket, "KEEP_ALIVE", 0.05)
    async with door_with() as (door, _), streaming(door) as stream:
        assert (await stream.hear())["type"] == "ping"
        await stream.say(type="pong")
        await stream.say(type="ping")
        while (message := await stream.hear())["type"] == "ping":
            pass
        assert message["type"] == "pong"


async def test_a_session_ends_when_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_module, "SWEEP", 0.02)
    async with door_with(session_timeout=0.2) as (door, _):
        async with streaming(door) as stream:
            assert await stream.error() == ("SESSION_TIMEOUT", None)
            assert await stream.closed() == aiohttp.WSCloseCode.GOING_AWAY
        made = (await door.ask("POST", "/stream/sessions", {})).json
        await until_idle(door)
        assert (await door.get(f"/stream/sessions/{made['client_id']}/stats")).status == 404


async def test_clients_are_told_when_the_serving_ends() -> None:
    async with door_with() as (door, _), door.session.ws_connect(f"{door.address}/stream/detection") as line:
        stream = Stream(line)
        await stream.hear()
        door.close()
        assert await stream.closed() == aiohttp.WSCloseCode.GOING_AWAY


async def test_only_so_many_sessions() -> None:
    async with door_with(max_sessions=2) as (door, _):
        async with streaming(door), streaming(door):
            refused = await door.ask("POST", "/stream/sessions", {})
            assert (refused.status, refused.code) == (503, "unavailable")
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await door.session.ws_connect(f"{door.address}/stream/detection")
            assert caught.value.status == 503
        await until_idle(door)
        async with streaming(door):
            pass


async def test_what_the_configuration_allows_at_most() -> None:
    async with door_with(max_fps=5) as (door, _):
        for wrong in (6, 31, 0, "x"):
            assert (await door.get(f"/stream/detection?fps_limit={wrong}", headers=UPGRADE)).status == 422
            assert (await door.ask("POST", "/stream/sessions", {"fps_limit": wrong})).status == 422
        assert (await door.get("/stream/detection")).status == 400
        async with streaming(door) as stream:
            await stream.say(type="config_update", config={"fps_limit": 6})
            assert (await stream.error())[0] == "INVALID_CONFIG"


async def test_frames_are_given_up_under_load_and_given_back() -> None:
    async with door_with() as (door, detector):
        detector.slowness = 0.25
        async with streaming(door, "?fps_limit=30") as stream:
            scales = set()
            with anyio.fail_after(30):
                level = 0
                while level < 2:
                    await stream.line.send_bytes(jpeg(1280, 720))
                    while (message := await stream.hear())["type"] != "detection_result":
                        pass
                    level = message["data"]["quality"]["level"]
                    scales.add(message["data"]["quality"]["scale"])
                    assert message["data"]["image_size"] == [1280, 720]
                    (one,) = message["data"]["detections"]
                    assert one["bbox"] == [320.0, 180.0, 960.0, 540.0]
            assert scales == {1, 2}
            assert message["data"]["quality"]["fps_limit"] == 15.0
            assert {(720, 1280, 3), (360, 640, 3)} <= set(detector.shapes)


# Plain requests and server-sent events.

JSON = {"Content-Type": "application/json"}
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


async def until_idle(door: Door) -> None:
    await until_told(door, "active_sessions", 0)


async def until_told(door: Door, name: str, figure: int) -> None:
    with anyio.fail_after(20):
        while (await door.get("/stream/stats")).json["streaming_stats"][name] != figure:  # noqa: ASYNC110  it is asked over HTTP
            await anyio.sleep(0.02)


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.content:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


async def test_a_session_by_plain_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_stream, "KEEP_ALIVE", 0.1)
    async with door_with() as (door, _):
        made = await door.ask("POST", "/stream/sessions", {"fps_limit": 5, "quality_mode": "balanced"})
        assert made.status == 200
        session = made.json
        assert session["status"] == "active"
        assert session["config"]["fps_limit"] == 5
        one = f"/stream/sessions/{session['client_id']}"
        frame = {"image_data": PICTURE, "frame_id": "f", "timestamp": 3.5, "metadata": {"method": "sse"}}
        queued = await door.ask("POST", session["upload_endpoint"], frame)
        assert (queued.status, queued.json["status"], queued.json["frame_id"]) == (200, "queued", "f")
        async with door.session.get(door.address + session["sse_endpoint"]) as answer:
            assert answer.content_type == "text/event-stream"
            heard = events(answer)
            with anyio.fail_after(20):
                first = await anext(heard)
                assert (first["type"], first["session_id"]) == ("stream_started", session["session_id"])
                second = await anext(heard)
                assert (second["type"], second["data"]["frame_id"]) == ("detection_result", "f")
                assert second["data"]["metadata"] == {"method": "sse"}
                assert (await anext(heard))["type"] == "ping"
            again = await door.get(session["sse_endpoint"])
            assert (again.status, again.code) == (409, "conflict")
            stats = (await door.get(f"{one}/stats")).json
            assert (stats["frames_processed"], stats["success_rate"], stats["detections_count"]) == (1, 1.0, 1)
            assert stats["avg_processing_time_ms"] > 0
            changed = await door.ask("PATCH", f"{one}/config", {"confidence_threshold": 0.95})
            assert (changed.status, changed.json["status"]) == (200, "updated")
            assert (changed.json["config"]["fps_limit"], changed.json["config"]["confidence_threshold"]) == (5, 0.95)
            await door.ask("POST", session["upload_endpoint"], {"image_data": PICTURE})
            with anyio.fail_after(20):
                while (message := await anext(heard))["type"] == "ping":
                    pass
            assert message["data"]["detections"] == []
            closed = await door.ask("DELETE", one)
            assert (closed.status, closed.json["status"]) == (200, "closed")
            with anyio.fail_after(20):
                assert [each async for each in heard if each["type"] != "ping"] == []
        for method, path in (("GET", f"{one}/stats"), ("DELETE", one), ("GET", session["sse_endpoint"])):
            assert (await door.ask(method, path)).status == 404


async def test_results_wait_for_their_listener_but_not_without_end() -> None:
    async with door_with(queue_size=2) as (door, _):
        session = (await door.ask("POST", "/stream/sessions", {"fps_limit": 30})).json
        for number in range(10):
            await door.ask("POST", session["upload_endpoint"], {"image_data": PICTURE, "frame_id": str(number)})
        stats = f"/stream/sessions/{session['client_id']}/stats"
        with anyio.fail_after(20):
            while (found := (await door.get(stats)).json)["frames_processed"] + found["frames_dropped"] < 10:  # noqa: ASYNC110
                await anyio.sleep(0.02)
        assert found["results_untold"] >= 1
        async with door.session.get(door.address + session["sse_endpoint"]) as answer:
            heard = events(answer)
            with anyio.fail_after(20):
                told = [await anext(heard) for _ in range(5)]
            assert told[0]["type"] == "stream_started"
            assert told[-1]["data"]["frame_id"] == "9"


async def test_frames_by_plain_requests_that_are_refused() -> None:
    async with door_with() as (door, _):
        session = (await door.ask("POST", "/stream/sessions", {"fps_limit": 1})).json
        upload = session["upload_endpoint"]
        answers = [await door.ask("POST", upload, {"image_data": PICTURE}) for _ in range(4)]
        assert (answers[-1].status, answers[-1].code) == (429, "rate_limited")
        for body in (b"", b"{", b"[]", b"{}", b'{"image_data":""}'):
            refused = await door.ask("POST", upload, body, headers=JSON)
            assert refused.status in (400, 422), body
        too_large = await door.ask("POST", upload, b'{"image_data":"' + b"A" * 12_000_000 + b'"}', headers=JSON)
        assert (too_large.status, too_large.code) == (413, "too_large")
        text = await door.ask("POST", upload, b"{}", headers={"Content-Type": "text/plain"})
        assert (text.status, text.code) == (415, "unsupported_media_type")
        assert (await door.ask("POST", "/stream/process/nobody", {"image_data": PICTURE})).status == 404


async def test_a_session_is_its_makers_own(tmp_path: Path) -> None:
    async with opened(tmp_path, detector=StagedDetector()) as door:
        session = (await door.ask("POST", "/stream/sessions", {}, scope="submit")).json
        stats = f"/stream/sessions/{session['client_id']}/stats"
        assert (await door.get(stats, scope="submit")).status == 200
        assert (await door.get(stats, scope="admin")).status == 404
        assert (await door.ask("DELETE", stats.removesuffix("/stats"), scope="admin")).status == 404


async def test_health_and_figures() -> None:
    async with opened() as door:
        assert (await door.get("/stream/health")).json["status"] == "unhealthy"
        assert (await door.ask("POST", "/stream/sessions", {})).code == "unavailable"
    async with door_with() as (door, _):
        health = (await door.get("/stream/health")).json
        assert (health["status"], health["streaming_service"]["active_sessions"]) == ("healthy", 0)
        assert (health["model_service"]["model_loaded"], health["model_service"]["classes"]) == (True, list(LABELS))
        async with streaming(door) as stream:
            await stream.frame()
            await stream.result()
            figures = (await door.get("/stream/stats")).json["streaming_stats"]
            assert (figures["active_sessions"], figures["total_sessions"], figures["frames_processed"]) == (1, 1, 1)
            assert figures["connections"] == {"websocket": 1}
            metrics = (await door.get("/metrics")).body.decode()
            assert 'orderacc_stream_frames_total{outcome="processed"} 1.0' in metrics
            assert 'orderacc_stream_sessions{kind="websocket"} 1.0' in metrics


async def test_sessions_do_not_hold_up_each_other() -> None:
    """One that sends as much as it can takes turns with one that sends little."""
    async with door_with() as (door, detector):
        detector.slowness = 0.02
        async with streaming(door, "?fps_limit=30") as greedy, streaming(door, "?fps_limit=5") as modest:
            for number in range(30):
                await greedy.frame(str(number))
            await modest.frame("m")
            assert (await modest.result())["processing_time_ms"] < 200
