"""Servers of the OpenAI chat API: a staged one in the test's own loop, and `orderacc serve-vlm` as a process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator


def completion(text: str = '{"items":[]}', **changes: object) -> dict[str, Any]:
    """The body of a good answer."""
    return {
        "id": "1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 90, "completion_tokens": 10},
        **changes,
    }


async def good(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answers as it should."""
    del request, body
    return web.json_response(completion())


def saying(status: int, text: str = "", **headers: str) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Always the same status and body."""

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        del request, body
        return web.Response(
            status=status, text=text, headers={name.replace("_", "-"): v for name, v in headers.items()}
        )

    return answer


async def silent(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Takes the question and says nothing until the client has gone."""
    del request, body
    await asyncio.Event().wait()
    raise AssertionError


async def breaking_off(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Begins to answer and is gone."""
    del body
    reply = web.StreamResponse(headers={"Content-Length": "1000"})
    await reply.prepare(request)
    await reply.write(b'{"choices": [{')
    assert request.transport is not None
    request.transport.close()
    return reply


@dataclass
class Staged:
    """A server that answers what a function says.

    Attributes:
        answer: The function; may be changed at any time.
        port: Where it listens.
        questions: Bodies so far.
        headers: Of the questions.
        held: Questions it is at now.
        most_held: Most of them at a time.
    """

    answer: Callable[..., Awaitable[web.StreamResponse]] = good
    port: int = 0
    questions: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    held: int = 0
    most_held: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.questions.append(body)
        self.headers.append(dict(request.headers))
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        try:
            return await self.answer(request, body)
        finally:
            self.held -= 1


@asynccontextmanager
async def staged(answer: Callable[..., Awaitable[web.StreamResponse]] = good, port: int = 0) -> AsyncIterator[Staged]:
    """A staged server while the block runs."""
    server = Staged(answer)
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/chat/completions", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@dataclass
class Served:
    """A running `orderacc serve-vlm`."""

    url: str
    process: subprocess.Popen[str]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextmanager
def serve_vlm(*options: str, port: int = 0, token: str = "") -> Iterator[Served]:
    """`orderacc serve-vlm` with the demo model in a process of its own, killed behind the block."""
    with starting_vlm(*options, port=port, token=token) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert ": http://" in line, line
        yield Served(line.split(": ", 1)[1].strip(), process)


@contextmanager
def starting_vlm(*options: str, port: int = 0, token: str = "") -> Iterator[subprocess.Popen[str]]:
    """The same, from its first moment on."""
    source = str(Path(__file__).parent.parent / "src")
    environment = {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1", "ORDERACC_SERVE_TOKEN": token}
    command = [sys.executable, "-c", "from orderacc.cli import main; main()", "serve-vlm", "--device", "CPU"]
    process = subprocess.Popen(
        [*command, "--threads", "1", "--port", str(port), *options],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        # A stopped process does not hear anything else.
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
