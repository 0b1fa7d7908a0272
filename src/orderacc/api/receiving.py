"""Receiving a recording: a form of any order and size, streamed to the disk and looked at before it is taken."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import BodyPartReader
from aiohttp.http_exceptions import HttpProcessingError

from orderacc.capture import probe_video
from orderacc.errors import ConfigError, RequestError, SourceError
from orderacc.orders import FileOrders
from orderacc.service.videos import ORDERS, VIDEO
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiohttp import web

    from orderacc.service.video_job import VideoJob
    from orderacc.service.videos import Videos

_log = get_logger(__name__)

MEGABYTE: Final = 1024 * 1024

CHUNK: Final = 256 * 1024
"""Bytes that are written at a time."""

SILENCE: Final = 20.0
"""Seconds in which nothing comes, after which a form is given up."""

MOST_PARTS: Final = 16
"""Parts of a form."""

LARGEST_ORDERS: Final = MEGABYTE
"""Bytes of the orders that come with a recording."""

LONGEST_NAME: Final = 100
"""Characters of a recording's name."""

LONGEST_TEXT: Final = 4 * LONGEST_NAME
"""Bytes of a part that is text."""

LEAST_FREE: Final = 200 * MEGABYTE
"""Bytes that have to stay free on the disk."""


@dataclass(slots=True)
class _Form:
    """What has come of a form."""

    name: str = ""
    fps: float = 10.0
    has_video: bool = False


async def receive_video(request: web.Request, videos: Videos) -> VideoJob:
    """Take a recording out of a form.

    Raises:
        RequestError: `unsupported_media_type`, `too_large`, `timeout`, `invalid`, `unavailable` or `bad_request`.
        ConfigError: If its orders are wrong.
    """
    if request.content_type != "multipart/form-data":
        message = "the body should be a form, with Content-Type: multipart/form-data"
        raise RequestError(message, code="unsupported_media_type")
    most = videos.config.max_mb * MEGABYTE
    if (request.content_length or 0) > most + 2 * LARGEST_ORDERS:
        raise _too_large(most)
    videos.room()
    video_id, folder = await asyncio.to_thread(videos.new_folder)
    with _disk():
        try:
            form = await _receive(request, folder, most)
            duration = await asyncio.to_thread(_look, folder)
            return await videos.add(video_id, form.name or "video", form.fps, duration)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(videos.discard, video_id))
            raise


@contextmanager
def _disk() -> Iterator[None]:
    """Tell of what the disk refuses as of something that passes."""
    try:
        yield
    except ConnectionError:
        raise  # who sends has gone away
    except OSError as error:
        _log.error("video_not_kept", reason=str(error))
        raise RequestError("the disk does not take it", code="unavailable") from error


async def _receive(request: web.Request, folder: Path, most: int) -> _Form:
    form = _Form()
    try:
        reader = await request.multipart()
        for _ in range(MOST_PARTS):
            async with asyncio.timeout(SILENCE):
                part = await reader.next()
            if part is None:
                break
            if not isinstance(part, BodyPartReader):
                raise RequestError("the form holds a form", code="bad_request")
            await _take(part, form, folder, most)
    except TimeoutError:
        raise RequestError("the body did not arrive in time", code="timeout") from None
    except (ValueError, AssertionError, HttpProcessingError) as error:
        raise RequestError("the body is no form that can be read", code="bad_request") from error
    if not form.has_video:
        raise RequestError("the form is not as it should be", code="invalid", details=[("video", "is missing")])
    return form


async def _take(part: BodyPartReader, form: _Form, folder: Path, most: int) -> None:
    if part.name in ("video", "file") and not form.has_video:
        form.name = form.name or (part.filename or "")[:LONGEST_NAME]
        form.has_video = True
        await _store(part, folder / VIDEO, most)
    elif part.name == "orders":
        await _store(part, folder / ORDERS, LARGEST_ORDERS)
    elif part.name in ("name", "video_id"):
        form.name = _name(await _text(part))
    elif part.name == "fps":
        form.fps = _fps(await _text(part))
    else:
        details = [(part.name or "form", "is not known here, or comes twice")]
        raise RequestError("the form is not as it should be", code="invalid", details=details)


async def _store(part: BodyPartReader, path: Path, most: int) -> None:
    size = 0
    with closing(await asyncio.to_thread(path.open, "wb")) as file:
        while True:
            chunk = await _chunk(part, CHUNK)
            if not chunk:
                return
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            await asyncio.to_thread(file.write, chunk)
            if size % (64 * CHUNK) < CHUNK and (await asyncio.to_thread(shutil.disk_usage, path)).free < LEAST_FREE:
                raise RequestError("the disk has no room for it", code="unavailable")


async def _chunk(part: BodyPartReader, most: int) -> bytes:
    async with asyncio.timeout(SILENCE):
        return await part.read_chunk(most)


async def _text(part: BodyPartReader) -> str:
    content = b""
    while chunk := await _chunk(part, LONGEST_TEXT):
        content += chunk
        if len(content) > LONGEST_TEXT:
            details = [(part.name or "form", f"should be at most {LONGEST_TEXT} bytes")]
            raise RequestError("the form is not as it should be", code="invalid", details=details)
    return content.decode(errors="replace").strip()


def _name(text: str) -> str:
    if len(text) > LONGEST_NAME:
        details = [("name", f"should be at most {LONGEST_NAME} characters")]
        raise RequestError("the form is not as it should be", code="invalid", details=details)
    return text


def _fps(text: str) -> float:
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 1 <= fps <= 60:
        details = [("fps", "should be a number between 1 and 60")]
        raise RequestError("the form is not as it should be", code="invalid", details=details)
    return fps


def _look(folder: Path) -> float | None:
    """How long a recording is; it and its orders have to be what they should."""
    try:
        info = probe_video(folder / VIDEO)
    except SourceError as error:
        raise RequestError("the video cannot be read", code="unsupported_media_type") from error
    if (folder / ORDERS).exists():
        try:
            FileOrders(folder / ORDERS)
        except ConfigError as error:
            details = [(found.path or "orders", found.message) for found in error.findings]
            raise RequestError("the orders are not as they should be", code="invalid", details=details) from None
    return info.duration


def _too_large(most: int) -> RequestError:
    message = f"at most {most // MEGABYTE} MB are taken; api.videos.max_mb says so"
    return RequestError(message, code="too_large")
