"""What streaming adds to decoding and looking, how many sessions it holds, and requests beside bare aiohttp.

The daemon's side and its clients share one process here, so half of what is added is the client's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import cv2
import numpy as np
import pytest
from aiohttp import web

from door import opened, verdict
from orderacc.models.store import ModelStore
from orderacc.perception.detector import Detector
from orderacc.simulator.random_script import random_script
from orderacc.simulator.render import CounterCamera
from staged_detector import StagedDetector, as_base64, jpeg

if TYPE_CHECKING:
    from door import Door

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


FRAMES = int(os.environ.get("ORDERACC_STREAM_FRAMES", "300"))
SESSIONS = int(os.environ.get("ORDERACC_STREAM_SESSIONS", "64"))
SECONDS = float(os.environ.get("ORDERACC_STREAM_SECONDS", "10"))


def picture() -> bytes:
    """A simulated counter in 720p, as a camera's JPEG."""
    image = CounterCamera(random_script(905000, 2)).picture(3.0)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def percentiles(times: list[float]) -> str:
    p50, p99 = np.percentile(np.array(times) * 1000, (50, 99))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"


async def test_round_trip() -> None:
    """Sent one after the other, next to decoding and looking in a thread."""
    content = picture()
    detector = await asyncio.to_thread(
        Detector.load, ModelStore().resolve("demo-detector", kind="detector").path, threads=1
    )

    def bare() -> None:
        detector.detect_now(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR))

    header = json.dumps({"frame_id": "f"}).encode()
    ways = {
        "JSON": lambda line: line.send_str(
            json.dumps({"type": "frame", "frame_id": "f", "image_data": as_base64(content)})
        ),
        "binary": lambda line: line.send_bytes(len(header).to_bytes(4, "big") + header + content),
    }
    async with opened(detector=detector) as door:
        took: dict[str, list[float]] = {"bare": [], **{way: [] for way in ways}}
        lines = {way: await connect(door) for way in ways}
        for number in range(FRAMES):
            # In turns, so that what else the machine does touches all of them alike.
            began = time.perf_counter()
            await asyncio.to_thread(bare)
            took["bare"].append(time.perf_counter() - began)
            for way, send in ways.items():
                began = time.perf_counter()
                await send(lines[way])
                answer = json.loads((await lines[way].receive()).data)
                took[way].append(time.perf_counter() - began)
                assert answer["type"] == "detection_result", (number, answer)
            await asyncio.sleep(0.04)
        for line in lines.values():
            await line.close()
    for way, times in took.items():
        print(f"\n{way}: {percentiles(times)}", end="")
    for way in ways:
        added = np.percentile(took[way], (50, 99)) - np.percentile(took["bare"], (50, 99))
        print(f"\n{way} adds: p50 {added[0] * 1000:.1f} ms, p99 {added[1] * 1000:.1f} ms", end="")
    print(f"\npicture: {len(content) / 1024:.0f} KiB, 1280x720; {FRAMES} frames")


async def connect(door: Door, query: str = "?fps_limit=30") -> aiohttp.ClientWebSocketResponse:
    line = await door.session.ws_connect(f"{door.address}/stream/detection{query}", max_msg_size=0)
    assert (await line.receive_json())["type"] == "session_created"
    return line


async def test_sessions() -> None:
    """Many at 10 fps on a staged detector that takes no time, with small pictures: the sessions are measured."""
    content = jpeg(320, 180)
    async with opened(detector=StagedDetector(), streaming={"max_sessions": SESSIONS}) as door:
        gc.collect()
        before = rss()
        lines = [await connect(door, "?fps_limit=15") for _ in range(SESSIONS)]
        took: list[float] = []
        refused = 0

        async def watch(line: aiohttp.ClientWebSocketResponse) -> None:
            nonlocal refused
            sent: dict[str, float] = {}

            async def hear() -> None:
                nonlocal refused
                async for message in line:
                    answer = json.loads(message.data)
                    if answer["type"] == "detection_result":
                        took.append(time.perf_counter() - sent[answer["data"]["frame_id"]])
                    else:
                        refused += 1

            hearing = asyncio.create_task(hear())
            end = time.perf_counter() + SECONDS
            due = time.perf_counter() + np.random.default_rng(id(line)).uniform(0, 0.1)
            number = 0
            while due < end:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                number += 1
                header = json.dumps({"frame_id": str(number)}).encode()
                sent[str(number)] = time.perf_counter()
                await line.send_bytes(len(header).to_bytes(4, "big") + header + content)
                due += 0.1
            await asyncio.sleep(0.5)
            await line.close()
            await hearing

        cpu = time.process_time()
        began = time.perf_counter()
        await asyncio.gather(*map(watch, lines))
        passed = time.perf_counter() - began - 0.5
        cpu = time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    fps = len(took) / passed / SESSIONS
    print(f"\n{SESSIONS} sessions at 10 fps: {fps:.2f} results a second each, {refused} refused, {percentiles(took)}")
    print(
        f"RSS {(peak - before) / SESSIONS:.2f} MiB a session and its client, {cpu / passed:.2f} cores with the clients"
    )


def rss() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024 / 1024


async def test_requests_a_second() -> None:
    """Eight connections, as fast as they go; a route of bare aiohttp answers the same bytes."""
    async with opened(rate_per_sec=100_000) as door:
        for number in range(200):
            door.serving.judged(verdict(number))
        for path in ("/healthz", "/v1/verdicts"):
            body = (await door.get(path)).body
            bare = await bare_server(body)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=8)) as session:
                ours, theirs = [], []
                for _ in range(3):
                    theirs.append(await rate(session, bare.name))
                    ours.append(await rate(session, door.address + path))
            await bare.runner.cleanup()
            print(f"\n{path}: {max(ours):.0f} a second; bare aiohttp {max(theirs):.0f} ({len(body)} bytes)", end="")
    print()


class Bare:
    def __init__(self, runner: web.AppRunner, name: str) -> None:
        self.runner = runner
        self.name = name


async def bare_server(body: bytes) -> Bare:
    async def answer(request: web.Request) -> web.Response:
        del request
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port: Any = runner.addresses[0][1]
    return Bare(runner, f"http://127.0.0.1:{port}/")


async def rate(session: aiohttp.ClientSession, url: str, seconds: float = 2.0) -> float:
    done = 0

    async def ask() -> None:
        nonlocal done
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            async with session.get(url) as answer:
                await answer.read()
            done += 1

    await asyncio.gather(*(ask() for _ in range(8)))
    return done / seconds
