"""Listening: connections counted, silent ones ended, and all of it closed in good order."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from orderacc.api.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from orderacc.config import ApiConfig

FIRST_REQUEST: Final = 10.0
"""Seconds a new connection has to say what it wants."""

HANDSHAKE: Final = 5.0
"""Seconds of these in which encryption has to be agreed on."""

KEEP_ALIVE: Final = 30.0
"""Seconds it may then be silent between requests."""

GRACE: Final = 5.0
"""Seconds that answers in flight get when the serving ends."""

LINGER: Final = 1.0
"""Seconds the rest of a body that was refused is taken in, so that the refusal is read."""

SWEEP: Final = 0.25
"""Seconds between looks at the connections."""

LONGEST_LINE: Final = 8190
MOST_HEADERS: Final = 64


class _OurFaults(logging.Filter):
    """Lets pass what went wrong here.

    What others send wrong is answered, and whoever goes away has gone; in the log both would be theirs to fill.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError | ConnectionError)


_http_log = logging.getLogger("orderacc.api.http")
_http_log.addFilter(_OurFaults())


class Doorman:
    """Lets connections in, so many at a time, and shows those out that never ask for anything.

    Args:
        server: Makes what serves a connection.
        most: Connections at a time.
        encrypted: Whether they come only after a handshake, until which there is nothing here but their promise.
    """

    def __init__(self, server: web.Server, most: int, *, encrypted: bool) -> None:
        self._server = server
        self._most = most
        self._encrypted = encrypted
        self._new: dict[Any, float] = {}
        self._here: set[Any] = set()

    def __call__(self) -> asyncio.Protocol:
        """Serve one more connection."""
        promised = len(self._new) if self._encrypted else 0
        if max(len(self._server.connections), promised) >= self._most:
            return _Full()
        one = self._server()
        self._new[one] = asyncio.get_running_loop().time() + FIRST_REQUEST
        return one

    def asked(self, connection: object) -> None:
        """Take note that a connection has asked for something; from then on the server itself looks after it."""
        self._new.pop(connection, None)
        self._here.discard(connection)

    async def sweep(self) -> None:
        """Show out who has been silent for too long, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP)
            now = asyncio.get_running_loop().time()
            for one, due in tuple(self._new.items()):
                here = one.transport is not None
                gone = not here and (one in self._here or not self._encrypted)
                if here:
                    self._here.add(one)
                if gone or due <= now:
                    self.asked(one)  # one that has gone still holds what it sent
                if here and due <= now:
                    one.force_close()


class _Full(asyncio.Protocol):
    """A connection there is no room for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


@asynccontextmanager
async def listening(app: web.Application, config: ApiConfig) -> AsyncIterator[str]:
    """Serve an application while the block runs.

    Args:
        app: The application.
        config: Where, and how many at a time.

    Yields:
        The address, `http://127.0.0.1:8080`.

    Raises:
        ConfigError: If the certificate or its key is of no use.
        OSError: If it cannot listen there.
    """
    context = await asyncio.to_thread(tls_context, config.tls) if config.tls else None
    doormen: list[Doorman] = []

    @web.middleware
    async def greet(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        for doorman in doormen:
            doorman.asked(request.protocol)
        return await handler(request)

    app.middlewares.insert(0, greet)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_http_log,
        shutdown_timeout=GRACE,
        keepalive_timeout=KEEP_ALIVE,
        lingering_time=LINGER,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
        max_headers=MOST_HEADERS,
    )
    await runner.setup()
    assert runner.server is not None  # noqa: S101  setup has made it
    doorman = Doorman(runner.server, config.connections, encrypted=context is not None)
    doormen.append(doorman)
    sweeping = None
    try:
        loop = asyncio.get_running_loop()
        shaking = HANDSHAKE if context else None
        server = await loop.create_server(
            doorman, config.host, config.port, ssl=context, ssl_handshake_timeout=shaking, backlog=128
        )
        try:
            sweeping = asyncio.create_task(doorman.sweep(), name="api-sweep")
            host, port = server.sockets[0].getsockname()[:2]
            yield f"http{'s' if context else ''}://{f'[{host}]' if ':' in host else host}:{port}"
        finally:
            server.close()
    finally:
        if sweeping is not None:
            sweeping.cancel()
        # What ends the serving is often a cancellation, which must not end the ending too.
        with anyio.CancelScope(shield=True):
            await runner.cleanup()
