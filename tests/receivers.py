"""Who is told: a receiver of webhooks in the test's own loop, and a real MQTT broker."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
import pytest
from aiohttp import web
from paho.mqtt.enums import CallbackAPIVersion

from orderacc.notify.signature import verify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = b"1\xf2\x90\xf6\xbf\x06)\x8a\xabO\x08\xd4<?\x08,\xf6H\xa3b\xda-\xa4\xb0"


async def eventually(condition: Callable[[], object], within: float = 20.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


async def takes(request: web.Request) -> web.Response:
    """Answers as it should."""
    del request
    return web.Response(status=204)


def answers(status: int, text: str = "", **headers: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Always the same."""

    async def answer(request: web.Request) -> web.Response:
        del request
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return answer


async def hangs(request: web.Request) -> web.Response:
    """Takes the message and says nothing until the sender has gone."""
    del request
    await asyncio.Event().wait()
    raise AssertionError


@dataclass
class Receiver:
    """A receiver of webhooks that answers what a function says; only what it took with a 2xx counts as received.

    Attributes:
        answer: The function; may be changed at any time.
        port: Where it listens.
        received: Bodies it took, in the order it took them.
        asked: Requests so far.
        forged: Requests that are not signed as they should be.
        held: Requests it is at now.
        most_held: Most of them at a time.
    """

    answer: Callable[[web.Request], Awaitable[web.Response]] = takes
    port: int = 0
    received: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    forged: int = 0
    held: int = 0
    most_held: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/t0ken"

    @property
    def keys(self) -> list[str]:
        return [body["key"] for body in self.received]

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.asked.append(dict(request.headers))
        self.forged += not verify(request.headers, raw, keys=[KEY], now=time.time())
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        try:
            response = await self.answer(request)
        finally:
            self.held -= 1
        if 200 <= response.status < 300:
            self.received.append(json.loads(raw))
        return response


@asynccontextmanager
async def receiver(
    answer: Callable[[web.Request], Awaitable[web.Response]] = takes, port: int = 0
) -> AsyncIterator[Receiver]:
    """A receiver while the block runs."""
    server = Receiver(answer)
    app = web.Application()
    app.router.add_post("/hooks/t0ken", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def need_broker() -> None:
    """Skip where there is no broker; fail where there should be one."""
    if MOSQUITTO is None:
        reason = "mosquitto is not installed"
        if os.environ.get("ORDERACC_REQUIRE_MQTT"):
            pytest.fail(reason)
        pytest.skip(reason)


class Broker:
    """A mosquitto of our own. Its clients' sessions and what is retained outlive it, as of the last `save`."""

    def __init__(self, folder: Path, port: int, *, passwords: bool = False) -> None:
        self.port = port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        lines = ["listener {port} 127.0.0.1", "persistence true", "persistence_location {folder}/", "log_type none"]
        # What it has confirmed it has also handed on to whoever is connected, so that killing it loses nothing of that.
        lines += ["max_inflight_messages 0", "max_queued_messages 0", "set_tcp_nodelay true"]
        if passwords:
            (folder / "passwords").write_text("crew:open-sesame\n")
            subprocess.run(["mosquitto_passwd", "-U", str(folder / "passwords")], check=True)
            lines += ["allow_anonymous false", "password_file {folder}/passwords"]
        else:
            lines.append("allow_anonymous true")
        # Run by root it would become another user, who may not write here.
        lines.append("user root" if os.geteuid() == 0 else "")
        (folder / "mosquitto.conf").write_text("\n".join(lines).format(port=port, folder=folder) + "\n")

    def start(self) -> None:
        assert MOSQUITTO is not None
        command = [MOSQUITTO, "-c", str(self._folder / "mosquitto.conf")]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def save(self) -> None:
        """Have it write down who is subscribed to what."""
        assert self._process is not None
        file = self._folder / "mosquitto.db"
        before = file.stat().st_mtime_ns if file.exists() else 0
        self._process.send_signal(signal.SIGUSR1)
        await eventually(lambda: file.exists() and file.stat().st_mtime_ns > before)

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """With -9: what it has in memory only is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@contextmanager
def broker(folder: Path, port: int, *, passwords: bool = False) -> Iterator[Broker]:
    """A broker that runs, killed behind the block."""
    need_broker()
    one = Broker(folder, port, passwords=passwords)
    one.start()
    try:
        yield one
    finally:
        one.kill()


class Subscriber:
    """Hears everything under `orderacc/`, through every loss of the broker; its session outlives its connections."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._client: paho.Client | None = None
        self.connected = threading.Event()
        self.heard: list[tuple[str, bytes, bool]] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen in a thread while the block runs."""
        client = self._client = paho.Client(CallbackAPIVersion.VERSION2, "subscriber", clean_session=False)
        client.reconnect_delay_set(min_delay=0.02, max_delay=0.05)
        client.on_connect = lambda *_: client.subscribe("orderacc/#", 1)
        client.on_subscribe = lambda *_: self.connected.set()
        client.on_disconnect = lambda *_: self.connected.clear()
        client.on_message = lambda _, __, one: self.heard.append((one.topic, one.payload, one.retain))
        client.connect_async("127.0.0.1", self._port, keepalive=5)
        client.loop_start()
        try:
            yield
        finally:
            client.disconnect()
            client.loop_stop()

    def unread(self) -> int:
        """Bytes that have come and are not heard yet; a broker that is killed now takes them along."""
        there = self._client.socket() if self._client else None
        return int.from_bytes(fcntl.ioctl(there, termios.FIONREAD, bytes(4)), sys.byteorder) if there else 0

    def verdicts(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for topic, payload, _ in self.heard if topic.endswith("/verdict")]

    def last(self, topic: str) -> bytes | None:
        return next((payload for name, payload, _ in reversed(self.heard) if name == topic), None)


@asynccontextmanager
async def subscriber(port: int) -> AsyncIterator[Subscriber]:
    """A subscriber while the block runs."""
    one = Subscriber(port)
    with one.listening():
        await eventually(one.connected.is_set)
        yield one
