"""The WebSocket protocol itself, byte by byte: the cases of the Autobahn test suite that concern us.

Numbers in the names of cases are Autobahn's. What it echoes is here a ping message, answered with a pong message.
"""

from __future__ import annotations

import asyncio
import json
import os
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from door import opened
from orderacc.api.streaming.messages import LARGEST_MESSAGE
from staged_detector import StagedDetector, jpeg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from door import Door

pytestmark = pytest.mark.anyio

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
ASK = b'{"type":"ping"}'


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, declared: int | None = None) -> bytes:
    """A frame as a client sends it, masked."""
    size = len(payload) if declared is None else declared
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + size.to_bytes(8, "big")
    mask = os.urandom(4)
    key = int.from_bytes((mask * (len(payload) // 4 + 1))[: len(payload)], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(len(payload), "big")


class Line:
    """A connection whose bytes a test writes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *frames: bytes) -> None:
        self._writer.write(b"".join(frames))
        await self._writer.drain()

    async def receive(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame; what a server sends is never masked and here never in pieces."""
        with anyio.fail_after(20):
            first, second = await self._reader.readexactly(2)
            assert first & 0x80
            assert not second & 0x80
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
            return first & 0x4F, await self._reader.readexactly(size)

    async def message(self) -> str:
        """The type of the next message."""
        opcode, payload = await self.receive()
        assert opcode == TEXT, (opcode, payload)
        return str(json.loads(payload)["type"])

    async def closed(self) -> int | None:
        """The code the server closes with; None when it just ends the connection."""
        try:
            while True:
                opcode, payload = await self.receive()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2], "big") if payload else 1005
        except (asyncio.IncompleteReadError, ConnectionError):
            return None


@asynccontextmanager
async def plain_line(door: Door, *headers: str) -> AsyncIterator[tuple[Line, str]]:
    """A connection, and the answer to its upgrade."""
    host, port = door.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [
        "GET /stream/detection HTTP/1.1",
        f"Host: {host}:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *headers,
    ]
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert answer.startswith("HTTP/1.1 101 "), answer
        assert "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in answer.lower()
        yield Line(reader, writer), answer
    finally:
        writer.close()


@asynccontextmanager
async def line_to(door: Door) -> AsyncIterator[Line]:
    """A connection that has been welcomed."""
    async with plain_line(door) as (line, _):
        assert await line.message() == "session_created"
        yield line


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with opened(detector=StagedDetector()) as door:
        yield door


async def refused(door: Door, *frames: bytes) -> int | None:
    """The code a connection is closed with after these frames."""
    async with line_to(door) as line:
        await line.send(*frames)
        return await line.closed()


async def alive(line: Line) -> None:
    await line.send(frame(TEXT, ASK))
    assert await line.message() == "pong"


def padded(size: int) -> bytes:
    return b'{"type":"ping","x":"' + b"*" * (size - 22) + b'"}'


# 1: framing, every way a length is written. 5: fragmentation.


async def test_1_messages_of_every_size_in_pieces_of_any(door: Door) -> None:
    async with line_to(door) as line:
        for size in (125, 126, 127, 128, 65_535, 65_536, 300_000):
            content = frame(TEXT, padded(size))
            await line.send(content)
            assert await line.message() == "pong"
            for begin in range(0, len(content), 997):
                await line.send(content[begin : begin + 997])
                await asyncio.sleep(0)
            assert await line.message() == "pong"


async def test_2_pings_are_answered_with_what_they_hold(door: Door) -> None:
    async with line_to(door) as line:
        for payload in (b"", b"Hello", bytes(125), bytes(range(125))):
            await line.send(frame(PING, payload))
            assert await line.receive() == (PONG, payload)
        await alive(line)


async def test_2_ten_pings_and_pongs_nobody_asked_for(door: Door) -> None:
    async with line_to(door) as line:
        await line.send(*(frame(PING, str(number).encode()) for number in range(10)))
        assert [await line.receive() for _ in range(10)] == [(PONG, str(number).encode()) for number in range(10)]
        await line.send(frame(PONG, b"unasked"), frame(PONG))
        await alive(line)


async def test_2_5_control_frames_are_short_and_whole(door: Door) -> None:
    for opcode in (PING, PONG, CLOSE):
        for wrong in (frame(opcode, bytes(126)), frame(opcode, b"", fin=False)):
            assert await refused(door, wrong) == 1002


async def test_3_reserved_bits(door: Door) -> None:
    for rsv in range(1, 8):
        for opcode in (TEXT, BINARY):
            assert await refused(door, frame(opcode, ASK, rsv=rsv)) == 1002


async def test_4_reserved_opcodes(door: Door) -> None:
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        assert await refused(door, frame(opcode)) == 1002


async def test_5_a_message_in_fragments_with_pings_in_between(door: Door) -> None:
    async with line_to(door) as line:
        pieces = [frame(TEXT, ASK[:4], fin=False)]
        for byte in ASK[4:-1]:
            pieces += [frame(PING, bytes([byte])), frame(CONTINUATION, bytes([byte]), fin=False)]
        pieces += [frame(CONTINUATION, b"", fin=False), frame(CONTINUATION, ASK[-1:])]
        await line.send(*pieces)
        for byte in ASK[4:-1]:
            assert await line.receive() == (PONG, bytes([byte]))
        assert await line.message() == "pong"


async def test_5_fragments_out_of_order(door: Door) -> None:
    for frames in (
        (frame(CONTINUATION, ASK),),
        (frame(CONTINUATION, ASK, fin=False), frame(CONTINUATION)),
        (frame(TEXT, ASK[:4], fin=False), frame(TEXT, ASK[4:])),
        (frame(TEXT, ASK[:4], fin=False), frame(TEXT, ASK[4:], fin=False)),
        (frame(TEXT, ASK[:4], fin=False), frame(BINARY, ASK[4:])),
        (frame(TEXT, ASK), frame(CONTINUATION, b"more")),
    ):
        assert await refused(door, *frames) == 1002


# 6: UTF-8.

BROKEN = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xed\xa0\x80",
    b"\xed\xb0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\x80",
    b"\xce",
    b"\xe1\xbd",
]


async def test_6_text_that_is_no_utf_8(door: Door) -> None:
    for text in BROKEN:
        assert await refused(door, frame(TEXT, text)) == 1007
        assert await refused(door, frame(TEXT, text[:1], fin=False), frame(CONTINUATION, text[1:])) == 1007


async def test_6_text_that_is_utf_8_even_cut_within_a_character(door: Door) -> None:
    async with line_to(door) as line:
        text = "κόσμε \x7f\u0080\u07ff\u0800\ud7ff\ue000\ufffd\uffff\U00010000\U0010ffff"
        content = json.dumps({"type": "ping", "x": text}, ensure_ascii=False).encode()
        pieces = [
            frame(CONTINUATION if place else TEXT, bytes([byte]), fin=False) for place, byte in enumerate(content)
        ]
        await line.send(*pieces, frame(CONTINUATION))
        assert await line.message() == "pong"


# 7: closing.


async def test_7_a_goodbye_is_returned(door: Door) -> None:
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        goodbye = frame(CLOSE, code.to_bytes(2, "big") + "adieu, κόσμε".encode())
        assert await refused(door, goodbye) in (code, 1000)


async def test_7_a_goodbye_without_a_code_and_what_comes_behind_it(door: Door) -> None:
    assert await refused(door, frame(CLOSE), frame(TEXT, ASK), frame(PING)) in (1000, 1005)


async def test_7_goodbyes_that_are_none(door: Door) -> None:
    for code in (0, 999, 1004, 1005, 1015, 1016, 1100, 2000, 2999):
        assert await refused(door, frame(CLOSE, code.to_bytes(2, "big"))) == 1002
    assert await refused(door, frame(CLOSE, b"\x03")) == 1002
    assert await refused(door, frame(CLOSE, b"\x03\xe8\xce\xba\xe1\xbd")) == 1007


# 9 and 10: limits.


async def test_9_a_message_that_is_too_large_is_refused_by_its_length(door: Door) -> None:
    for declared in (LARGEST_MESSAGE, 1 << 40, (1 << 63) - 1):
        assert await refused(door, frame(BINARY, b"", declared=declared)) == 1009


async def test_9_fragments_that_are_too_large_together(door: Door) -> None:
    async with line_to(door) as line:
        piece = LARGEST_MESSAGE // 2 + 1
        await line.send(frame(BINARY, bytes(piece), fin=False))
        await line.send(frame(CONTINUATION, b"", declared=piece))
        assert await line.closed() == 1009


async def test_9_the_largest_picture_gets_through(door: Door) -> None:
    async with line_to(door) as line:
        content = jpeg()
        await line.send(frame(BINARY, content + bytes(8 * 1024 * 1024 - len(content))))
        assert await line.message() == "detection_result"


# 12 and 13: compression of messages.

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


def deflated(content: bytes) -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (squeeze.compress(content) + squeeze.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


async def test_12_messages_are_compressed_both_ways(door: Door) -> None:
    async with plain_line(door, DEFLATE) as (line, answer):
        assert "permessage-deflate" in answer
        inflate, heard = zlib.decompressobj(-15), []

        async def hear() -> None:
            opcode, payload = await line.receive()
            if opcode == 0x40 | TEXT:
                heard.append(json.loads(inflate.decompress(payload + b"\x00\x00\xff\xff"))["type"])
            else:
                assert (opcode, payload) == (PONG, b"between")

        await hear()
        content = deflated(padded(100_000))
        await line.send(
            frame(TEXT, deflated(ASK), rsv=4),
            frame(TEXT, content[:20], fin=False, rsv=4),
            frame(PING, b"between"),
            frame(CONTINUATION, content[20:]),
            frame(TEXT, ASK),
        )
        for _ in range(4):
            await hear()
        assert heard == ["session_created", "pong", "pong", "pong"]
        # 100 MB of nothing in 100 KB: it is not unpacked beyond what a message may have.
        await line.send(frame(BINARY, deflated(bytes(100_000_000)), rsv=4))
        assert await line.closed() == 1009


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
async def test_whatever_comes_the_others_are_served(door: Door, content: bytes) -> None:
    async with line_to(door) as good:
        async with line_to(door) as line:
            await line.send(content)
        await alive(good)
