"""Ending connections whose other end does not read: a goodbye would wait for them for ever."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiohttp import WSCloseCode, web

GOODBYE: Final = 1.0
"""Seconds a goodbye may take."""


def cut(request: web.Request) -> None:
    """End a connection at once, whatever was still to be sent."""
    if request.transport is not None:
        request.transport.abort()


def end_with(sending: asyncio.Task[None], request: web.Request) -> None:
    """End a connection when what sends on it has failed: its other end would wait for ever, and take it for alive."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            cut(request)

    sending.add_done_callback(ended)


async def part(request: web.Request, socket: web.WebSocketResponse, code: WSCloseCode, reason: str) -> None:
    """End a WebSocket with a reason; whoever does not take it is cut off."""
    with suppress(ConnectionError):
        try:
            async with asyncio.timeout(GOODBYE):
                await socket.close(code=code, message=reason.encode())
        except TimeoutError:
            cut(request)
