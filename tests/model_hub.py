"""A model hub of our own on localhost: as much of the hub's API as a client that downloads needs."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the hub holds and how it behaves.

    Attributes:
        repository: The one repository there is.
        files: Content by name.
        large: Names stored as large files, which carry a SHA-256.
        cut_at: Bytes after which a transfer of that file is cut off, once.
        down: Names whose download answers 503 after they were cut off.
        damaged: Names whose bytes arrive changed.
        ranges: The `Range` header of every download, in order, with its file.
        agents: `User-Agent` headers seen.
        url: Its address.
    """

    repository: str
    files: dict[str, bytes]
    large: set[str] = field(default_factory=set)
    cut_at: dict[str, int] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    ranges: list[tuple[str, str | None]] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    url: str = ""

    def etag(self, name: str) -> str:
        content = self.files[name]
        if name in self.large:
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()

    async def model(self, request: web.Request) -> web.Response:
        self.agents.append(request.headers.get("User-Agent", ""))
        if request.match_info["repository"] != self.repository:
            return web.json_response(
                {"error": "Repository not found"}, status=404, headers={"X-Error-Code": "RepoNotFound"}
            )
        siblings = [self._sibling(name) for name in self.files]
        return web.json_response(
            {"id": self.repository, "modelId": self.repository, "sha": COMMIT, "siblings": siblings}
        )

    def _sibling(self, name: str) -> dict[str, object]:
        size = len(self.files[name])
        sibling: dict[str, object] = {"rfilename": name, "size": size, "blobId": self.etag(name)}
        if name in self.large:
            sibling["lfs"] = {"size": size, "sha256": self.etag(name), "pointerSize": 130}
        return sibling

    async def tree(self, request: web.Request) -> web.Response:
        del request
        entries = [
            {"type": "file", "path": name, "size": len(self.files[name]), "oid": self.etag(name)} for name in self.files
        ]
        return web.json_response(entries)

    async def file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        content = self.files.get(name)
        if content is None:
            return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        headers = {
            "ETag": f'"{self.etag(name)}"',
            "X-Repo-Commit": COMMIT,
            "X-Linked-Etag": f'"{self.etag(name)}"',
            "X-Linked-Size": str(len(content)),
            "Accept-Ranges": "bytes",
        }
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(content))})
        return await self._download(request, name, content, headers)

    async def _download(
        self, request: web.Request, name: str, content: bytes, headers: dict[str, str]
    ) -> web.StreamResponse:
        wanted = request.headers.get("Range")
        self.ranges.append((name, wanted))
        if name in self.down and name not in self.cut_at:
            return web.Response(status=503)
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        if name in self.damaged:
            content = bytes(byte ^ 1 for byte in content)
        body = content[start:]
        response = web.StreamResponse(status=206 if wanted else 200, headers=headers)
        response.content_length = len(body)
        if wanted:
            response.headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        await response.prepare(request)
        if (cut := self.cut_at.pop(name, None)) is not None:
            await response.write(body[:cut])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(body)
        return response


def serve(hub: Hub) -> Iterator[Hub]:
    """Run the hub in a thread with an event loop of its own while the caller holds the iterator."""
    app = web.Application()
    app.router.add_get("/api/models/{repository:[^/]+/[^/]+}/revision/{revision}", hub.model)
    app.router.add_get("/api/models/{repository:[^/]+/[^/]+}/tree/{revision}", hub.tree)
    app.router.add_get("/{repository:[^/]+/[^/]+}/resolve/{revision}/{name:.+}", hub.file)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    done = asyncio.Event()

    async def run() -> None:
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        hub.url = f"http://{host}:{port}"
        ready.set()
        await done.wait()
        await runner.cleanup()

    def main() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(run())
        loop.close()

    thread = threading.Thread(target=main, name="model-hub")
    thread.start()
    ready.wait(10)
    yield hub
    loop.call_soon_threadsafe(done.set)
    thread.join(10)
