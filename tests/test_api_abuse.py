"""What must not bring the door down: bad requests by the hundred, slow ones, silent ones and too many of them.

`ORDERACC_BAD_INPUTS` sets how many bad requests are made.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from bad_requests import bad_request
from door import opened
from orderacc.api import listening, routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from door import Door

pytestmark = pytest.mark.anyio

BAD_INPUTS = int(os.environ.get("ORDERACC_BAD_INPUTS", "250"))
IDLE = 300


async def send(door: Door, content: bytes) -> bytes:
    """What comes back; the connection is given up when nothing more does."""
    host, port = door.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = b""
    try:
        writer.write(content)
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(0.5):
                answer = await reader.read(2**16)
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return answer


@asynccontextmanager
async def alive(door: Door) -> AsyncIterator[list[float]]:
    """Asks whether the door is alive, again and again; gives the seconds that took."""
    took: list[float] = []

    async def ask() -> None:
        while True:
            began = time.monotonic()
            answer = await door.get("/healthz")
            took.append(time.monotonic() - began)
            assert answer.status == 200
            await asyncio.sleep(0.02)

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        yield took
        group.cancel_scope.cancel()


def memory() -> int:
    """Bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_bad_requests_by_the_hundred() -> None:
    chance = random.Random(20260)
    async with opened(rate_per_sec=100_000) as door:
        await door.get("/docs")
        before, statuses = memory(), []
        limit = anyio.CapacityLimiter(8)

        async def one() -> None:
            async with limit:
                answer = await send(door, bad_request(chance))
                if answer:
                    statuses.append(int(answer.split(b" ", 2)[1]))

        async with alive(door) as took, anyio.create_task_group() as group:
            for _ in range(BAD_INPUTS):
                group.start_soon(one)
        grown, worst = (memory() - before) / 2**20, sorted(took)[int(len(took) * 0.99)] * 1000
        print(f"{BAD_INPUTS} bad requests: {len(statuses)} answered, {grown:.0f} MiB, /healthz p99 {worst:.1f} ms")
        assert len(statuses) > BAD_INPUTS / 3
        assert all(status < 500 for status in statuses), sorted(set(statuses))
        assert grown < 64
        assert door.stage.stations.ids() == ("front",)


async def test_who_does_not_finish_a_first_request_is_shown_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "FIRST_REQUEST", 0.2)
    monkeypatch.setattr(listening, "SWEEP", 0.05)
    async with opened() as door:
        host, port = door.address.removeprefix("http://").split(":")
        for begun in (b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(begun)
            with anyio.fail_after(20), suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
        assert (await door.get("/healthz")).status == 200


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from orderacc.api import routes_orders

    monkeypatch.setattr(routes, "BODY_TIME", 0.2)
    monkeypatch.setattr(routes_orders, "BODY_TIME", 0.2)
    async with opened() as door:
        host, port = door.address.removeprefix("http://").split(":")
        for path in ("PUT /v1/orders/till/7", "POST /v1/stations"):
            reader, writer = await asyncio.open_connection(host, int(port))
            head = (
                f"{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"
            )
            writer.write(head.encode() + b'{"items": [')
            with anyio.fail_after(20):
                answer = await reader.readuntil(b"\r\n")
            assert answer.startswith(b"HTTP/1.1 408")
            writer.transport.abort()


async def test_idle_connections_cost_little_and_too_many_are_turned_away() -> None:
    with ExitStack() as lines:
        async with opened(connections=IDLE) as door:
            await door.get("/healthz")  # this one stays open
            host, port = door.address.removeprefix("http://").split(":")
            before = memory()
            loop = asyncio.get_running_loop()
            for _ in range(IDLE):
                line = lines.enter_context(socket.socket())
                line.setblocking(False)  # noqa: FBT003  its own signature
                await loop.sock_connect(line, (host, int(port)))
            with anyio.fail_after(20), suppress(ConnectionError):
                assert await loop.sock_recv(line, 1) == b""
            assert (await door.get("/healthz")).status == 200
            grown = (memory() - before) / 2**20
            print(f"{IDLE} idle connections: {grown:.1f} MiB, both ends")
            assert grown < 64


async def test_a_websocket_that_talks_nonsense_is_closed_with_the_right_code() -> None:
    key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n"
    frames: dict[str, tuple[bytes, int]] = {
        "a reserved bit": (bytes([0xC1, 0x80, 0, 0, 0, 0]), 1002),
        "a reserved code": (bytes([0x83, 0x80, 0, 0, 0, 0]), 1002),
        "a ping in pieces": (bytes([0x09, 0x80, 0, 0, 0, 0]), 1002),
        "a ping too long": (bytes([0x89, 0xFE, 0, 126, 0, 0, 0, 0]) + bytes(126), 1002),
        "a continuation of nothing": (bytes([0x80, 0x80, 0, 0, 0, 0]), 1002),
        "text that is none": (bytes([0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28]), 1007),
        "too much": (bytes([0x81, 0xFE, 0x7F, 0xFF, 0, 0, 0, 0]) + b"a" * 0x7FFF, 1009),
        "a bad close code": (bytes([0x88, 0x82, 0, 0, 0, 0, 0, 5]), 1002),
    }
    async with opened() as door:
        host, port = door.address.removeprefix("http://").split(":")
        for path in ("/v1/events", "/v1/stations/front/live"):
            for name, (frame, code) in frames.items():
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{upgrade}".encode())
                with anyio.fail_after(20):
                    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101"), name
                    writer.write(frame)
                    assert await close_code(reader) == code, (path, name)
                writer.transport.abort()
        assert (await door.get("/healthz")).status == 200


async def close_code(reader: asyncio.StreamReader) -> Any:
    """The code of the close frame that ends what a server says."""
    while True:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2))
        content = await reader.readexactly(size)
        if first & 0x0F == 8:
            return int.from_bytes(content[:2])
