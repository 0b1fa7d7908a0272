"""The page the crew looks at: files of this package, the same for everybody; what they show comes over the API."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from aiohttp import web

from orderacc.api.routes import Route
from orderacc.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

TAG: Final = "Page"
FRONT: Final = "index.html"

TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
"""What the page is made of."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'"
)
"""Nothing from elsewhere, nothing written into the page as code."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page.

    Attributes:
        content: Its bytes.
        media: Its type.
        etag: Changes with the content.
    """

    content: bytes
    media: str
    etag: str


def page_files() -> dict[str, PageFile]:
    """The page's files by name, read from the package."""
    found = {}
    for entry in files("orderacc").joinpath("web").iterdir():
        media = TYPES.get(f".{entry.name.rpartition('.')[2]}")
        if media is not None:
            content = entry.read_bytes()
            found[entry.name] = PageFile(content, media, hashlib.sha256(content).hexdigest()[:20])
    return found


def page_routes() -> tuple[Route, ...]:
    """The routes. Anybody may have the files; whoever needs a token is asked for it by the page."""
    known = page_files()

    async def front(request: web.Request) -> web.Response:
        return _answer(request, known[FRONT])

    async def part(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in known:
            raise RequestError("the page has no such file", code="not_found")
        return _answer(request, known[name])

    return (
        Route("GET", "/", front, "The page for the crew.", TAG, None, media="text/html", others=(304,)),
        Route(
            "GET",
            "/web/{name}",
            part,
            "A file of the page.",
            TAG,
            None,
            media="*/*",
            others=(304,),
            problems=("not_found",),
            parameters={"name": "Its name."},
        ),
    )


def _answer(request: web.Request, file: PageFile) -> web.Response:
    # Kept by the browser, but asked about every time: a page must never be older than the box it talks to.
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": POLICY, "ETag": f'"{file.etag}"'}
    known = request.if_none_match or ()
    if any(tag.value in (file.etag, "*") for tag in known):
        return web.Response(status=304, headers=headers)
    answer = web.Response(body=file.content, content_type=file.media, charset="utf-8", headers=headers)
    answer.enable_compression()
    return answer
