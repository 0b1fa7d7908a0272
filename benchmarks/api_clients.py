"""Clients that a benchmark runs in processes of their own: `python api_clients.py WHAT ADDRESS ...` prints JSON.

`speed ADDRESS PATH SECONDS` asks as fast as it goes; `pulse ADDRESS` asks whether the door is alive until its standard
input ends; `bad ADDRESS COUNT SEED`, `bombs ADDRESS COUNT` and `crowd ADDRESS COUNT SECONDS` misbehave.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import struct
import sys
import time
import zlib
from collections import Counter
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bad_requests import bad_request, polyglot
from staged_detector import jpeg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

AT_ONCE = 8
PULSE_EVERY = 0.01
FORM = "multipart/form-data; boundary=x"


async def speed(address: str, path: str, seconds: str) -> dict[str, float]:
    """Requests a second over a few connections that stay open; a client that does no more than it must."""
    host, port = _host(address)
    ends, asked = time.perf_counter() + float(seconds), 0
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    async def one() -> None:
        nonlocal asked
        reader, writer = await asyncio.open_connection(host, port, limit=2**20)
        while time.perf_counter() < ends:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
            await reader.readexactly(int(length))
            asked += 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return {"per_second": asked / (time.perf_counter() - began)}


async def pulse(address: str) -> dict[str, float]:
    """How long `/healthz` takes, in milliseconds."""
    over = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    took: list[float] = []
    async with aiohttp.ClientSession() as session:
        while not over.done():
            began = time.perf_counter()
            async with session.get(f"{address}/healthz") as answer:
                assert answer.status == 200
                await answer.read()
            took.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(PULSE_EVERY)
    took.sort()
    return {"asked": len(took), "p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)], "worst": took[-1]}


async def bad(address: str, count: str, seed: str) -> dict[str, Any]:
    """So many kinds of bad input: requests, pictures, messages of a stream and forms."""
    chance = random.Random(int(seed))  # noqa: S311  the same in every run
    ways = (_raw, _raw, _picture, _message, _form)
    answers: Counter[str] = Counter()
    room = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as session:

        async def one(way: Callable[..., Awaitable[str]]) -> None:
            async with room:
                try:
                    answers[await way(address, session, chance)] += 1
                except aiohttp.ClientConnectionError:
                    answers["cut off"] += 1

        await asyncio.gather(*(one(ways[number % len(ways)]) for number in range(int(count))))
    return dict(sorted(answers.items()))


async def bombs(address: str, count: str) -> dict[str, Any]:
    """Small files that say they are 50,000 x 50,000."""
    answers: Counter[str] = Counter()
    pictures = (jpeg_bomb(), png_bomb(), webp_bomb())
    async with aiohttp.ClientSession() as session:

        async def one() -> None:
            async with session.ws_connect(f"{address}/stream/detection?fps_limit=30") as line:
                await line.receive_json()
                for number in range(int(count) // AT_ONCE):
                    await line.send_bytes(pictures[number % len(pictures)])
                    told = await line.receive_json()
                    answers[told.get("error_code", told["type"])] += 1

        await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return dict(answers)


async def crowd(address: str, count: str, seconds: str) -> dict[str, Any]:
    """So many connections at once: silent ones, ones that write slowly, and ones that ask for much and do not read."""
    host, port = _host(address)
    loop = asyncio.get_running_loop()
    ends, most = loop.time() + float(seconds), 0
    open_now: set[asyncio.StreamWriter] = set()
    whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    much = b"GET /v1/verdicts?limit=500 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 8
    events = b"GET /v1/events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    body = b"PUT /v1/orders/till/7 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body += b"Content-Length: 200000\r\n\r\n" + b" " * 1000
    kinds = (whole, whole, whole, whole, b"", b"GET / HTTP/1.1\r\nX: ", body, much, events, whole)

    async def one(number: int) -> None:
        nonlocal most
        begin = kinds[number % len(kinds)]
        await asyncio.sleep(number / 500)
        while loop.time() < ends:
            reader, writer = await asyncio.open_connection(host, port, limit=1024)
            open_now.add(writer)
            most = max(most, len(open_now))
            with suppress(ConnectionError):
                writer.write(begin)
                while loop.time() < ends and not reader.at_eof():
                    await asyncio.sleep(0.5)
                    if begin.endswith((b"X: ", b" ")):
                        writer.write(b"y")
            open_now.discard(writer)
            writer.transport.abort()

    await asyncio.gather(*(one(number) for number in range(int(count))))
    return {"most": most}


# Bad input.


async def _raw(address: str, session: aiohttp.ClientSession, chance: random.Random) -> str:
    del session
    reader, writer = await asyncio.open_connection(*_host(address))
    answer = b""
    try:
        writer.write(bad_request(chance))
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(0.5):
                answer = await reader.read(2**16)
    finally:
        writer.transport.abort()
    return answer.split(b" ", 2)[1].decode() if answer else "nothing"


async def _picture(address: str, session: aiohttp.ClientSession, chance: random.Random) -> str:
    async with session.post(f"{address}/stream/sessions", json={}) as answer:
        client = (await answer.json())["client_id"]
    body = chance.choice(
        (
            lambda: json.dumps({"image_data": bad_base64(chance)}).encode(),
            lambda: json.dumps({"image_data": base64.b64encode(bad_picture(chance)).decode()}).encode(),
            lambda: b'{"image_data":"AAAA","metadata":' + b'{"a":' * chance.choice((100, 50_000)),
        )
    )()
    headers = {"Content-Type": "application/json"}
    async with session.post(f"{address}/stream/process/{client}", data=body, headers=headers) as answer:
        told = str(answer.status)
    async with session.delete(f"{address}/stream/sessions/{client}") as answer:
        assert answer.status == 200
    return told


async def _message(address: str, session: aiohttp.ClientSession, chance: random.Random) -> str:
    async with session.ws_connect(f"{address}/stream/detection") as line:
        await line.receive_json()
        picture = bad_picture(chance)
        kind = chance.randrange(5)
        if kind == 0:
            await line.send_bytes(picture)
        elif kind == 1:
            await line.send_bytes(struct.pack(">I", chance.choice((0, 7, 2**31, 2**32 - 1))) + picture)
        elif kind == 2:
            await line.send_str(json.dumps({"type": "frame", "image_data": bad_base64(chance)}))
        elif kind == 3:
            await line.send_str('{"type":"frame","image_data":' * chance.choice((1, 50_000)))
        else:
            await line.send_str(json.dumps({"type": "config_update", "config": {"fps_limit": chance.choice(ODD)}}))
        with suppress(TimeoutError):
            told = await line.receive(timeout=5)
            if told.type is not aiohttp.WSMsgType.TEXT:
                return f"closed with {line.close_code}"
            return str(json.loads(told.data).get("error_code", "taken"))
        return "nothing"


async def _form(address: str, session: aiohttp.ClientSession, chance: random.Random) -> str:
    head = b'--x\r\nContent-Disposition: form-data; name="video"; filename="../../x.mp4"\r\n\r\n'
    body = chance.choice(
        (
            head + bad_picture(chance) + b"\r\n--x--\r\n",
            head + chance.randbytes(chance.randrange(1, 50_000)),
            head.replace(b"video", chance.randbytes(20)) + b"\r\n--x--\r\n",
            b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n--y--\r\n--x--\r\n",
            head + b"#EXTM3U\nfile:///etc/passwd\n\r\n--x--\r\n",
            (head + b"\r\n") * 100,
            b"--x\r\n" + b"A: b\r\n" * 5000,
        )
    )
    async with session.post(f"{address}/v1/videos", data=body, headers={"Content-Type": FORM}) as answer:
        return str(answer.status)


ODD: tuple[Any, ...] = (0, -1, 31, 1e300, "15", None, [], {}, True, "\ud800", 10**400)


def bad_base64(chance: random.Random) -> str:
    """Text that is no base64 of a picture."""
    whole = base64.b64encode(jpeg()).decode()
    at = chance.randrange(len(whole))
    odd = chance.choice(("=", "\n", "\x00", "é", "-_", "%3D", "====", " " * 9000, "\ud800"))
    return chance.choice(
        (whole[:at] + odd + whole[at:], whole[:at], "data:image/jpeg;base64" + whole, odd, "A" * 99_999)
    )


def bad_picture(chance: random.Random) -> bytes:
    """A file that begins as a picture does, or nearly, and is not right."""
    whole = jpeg(640, 480, kind=chance.choice((".jpg", ".png", ".webp")))
    at = chance.randrange(len(whole))
    return chance.choice(
        (
            whole[:at],
            whole[:at] + chance.randbytes(40) + whole[at + 40 :],
            whole[: at // 20],
            jpeg_bomb(),
            png_bomb(),
            webp_bomb(),
            polyglot(chance) + whole,
            whole[:20] + b"PK\x03\x04<script>" + whole[20:],
            jpeg()[:-2] + jpeg_bomb(),
            b"GIF89a" + struct.pack("<HH", 50_000, 50_000) + bytes(20),
            b"<svg width='50000' height='50000'/>",
        )
    )


@cache
def jpeg_bomb(side: int = 50_000) -> bytes:
    """A small JPEG that says it is a large one."""
    whole = jpeg()
    at = whole.index(b"\xff\xc0") + 5
    return whole[:at] + struct.pack(">HH", side, side) + whole[at + 4 :]


@cache
def png_bomb(side: int = 50_000) -> bytes:
    """A small PNG that is a large one, as far as it goes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@cache
def webp_bomb(side: int = 50_000) -> bytes:
    """The beginning of a WebP with a large canvas."""
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + 2 * (side - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(canvas) + 4) + b"WEBP" + canvas


def _host(address: str) -> tuple[str, int]:
    host, port = address.removeprefix("http://").split(":")
    return host, int(port)


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    clients = {"speed": speed, "pulse": pulse, "bad": bad, "bombs": bombs, "crowd": crowd}
    print(json.dumps(asyncio.run(clients[what](*arguments))))
