"""The whole door: the application over what a daemon shows, listening."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from anyio import TASK_STATUS_IGNORED

from orderacc.api.app import make_app
from orderacc.api.guard import Guard
from orderacc.api.health import HealthBoard
from orderacc.api.listening import listening
from orderacc.api.routes_cameras import CameraRoutes
from orderacc.api.routes_events import EventRoutes
from orderacc.api.routes_evidence import EvidenceRoutes
from orderacc.api.routes_live import LiveRoutes
from orderacc.api.routes_operations import operation_routes
from orderacc.api.routes_orders import OrderRoutes
from orderacc.api.routes_page import page_routes
from orderacc.api.routes_peer_orders import PeerOrderRoutes
from orderacc.api.routes_peer_videos import PeerVideoRoutes
from orderacc.api.routes_session import SessionRoutes
from orderacc.api.routes_stations import StationRoutes
from orderacc.api.routes_stream import StreamRoutes
from orderacc.api.routes_stream_socket import StreamSocketRoutes
from orderacc.api.routes_verdicts import VerdictRoutes
from orderacc.api.routes_videos import VideoRoutes
from orderacc.api.sessions import Sessions
from orderacc.api.streaming.metrics import StreamMetrics
from orderacc.api.streaming.sessions import StreamSessions
from orderacc.api.tokens import TokenFile
from orderacc.telemetry import get_logger
from orderacc.telemetry.detector_metrics import DetectorMetrics

if TYPE_CHECKING:
    from aiohttp import web
    from anyio.abc import TaskStatus

    from orderacc.service.newsroom import Newsroom
    from orderacc.service.serving import Serving

_log = get_logger(__name__)

REFRESH_TOKENS: Final = 1.0
"""Seconds after which a token that was made or revoked counts, and a login that ended does for what is open."""


async def serve(shown: Serving, newsroom: Newsroom, *, task_status: TaskStatus[str] = TASK_STATUS_IGNORED) -> None:
    """Serve until cancelled; those who listen or look on are told that it ends.

    Args:
        shown: What there is to show.
        newsroom: Gives its events.
        task_status: Told the address when it listens.

    Raises:
        ConfigError: If the tokens' file or the certificate is bad.
        OSError: If it cannot listen there.
    """
    config = shown.config
    tokens = await asyncio.to_thread(TokenFile, config.tokens) if config.tokens is not None else None
    guard = Guard(config, tokens, Sessions(), shown.metrics)
    streams = StreamSessions(config.streaming, shown.detector)
    async with anyio.create_task_group() as group:
        if tokens is not None:
            group.start_soon(_refresh, tokens, guard)
        group.start_soon(streams.run)
        if shown.videos is not None:
            await group.start(shown.videos.run)
        async with listening(door_app(shown, newsroom, guard, streams), config) as address:
            _log.info("listening", address=address, tokens=None if tokens is None else len(tokens))
            if tokens is not None and not len(tokens):
                _log.warning("no_tokens", file=str(config.tokens), advice="orderacc token create makes one")
            task_status.started(address)
            await anyio.sleep_forever()


def door_app(shown: Serving, newsroom: Newsroom, guard: Guard, streams: StreamSessions) -> web.Application:
    """The application.

    Args:
        shown: What there is to show.
        newsroom: Gives its events.
        guard: Stands before it.
        streams: Sessions of those who send pictures.
    """
    config = shown.config
    board = HealthBoard(shown.stations, shown.lag, shown.parts, shown.since)
    live, sockets = LiveRoutes(shown.stations), StreamSocketRoutes(streams)
    videos = VideoRoutes(shown.videos, config.cameras)
    seen = () if shown.detector is None else (DetectorMetrics(shown.detector.statistics),)
    collectors = (shown.metrics, *shown.collectors, *seen, StreamMetrics(streams))
    routes = (
        *operation_routes(board, partial(shown.stations.metrics, *collectors)),
        *SessionRoutes(guard, secure=config.tls is not None).routes(),
        *OrderRoutes(shown.orders).routes(),
        *VerdictRoutes(shown.ledger).routes(),
        *EvidenceRoutes(shown.objects, shown.ledger).routes(),
        *EventRoutes(newsroom).routes(),
        *StationRoutes(shown.stations, config.cameras).routes(),
        *CameraRoutes(config.cameras).routes(),
        *live.routes(),
        *videos.routes(),
        *PeerOrderRoutes(videos, shown.ledger, shown.stations, shown.objects).routes(),
        *PeerVideoRoutes(videos, config.cameras).routes(),
        *sockets.routes(),
        *StreamRoutes(streams).routes(),
        *page_routes(),
    )

    async def close() -> None:
        newsroom.close()
        await live.close()
        await sockets.close()
        await streams.close()

    return make_app(routes, guard, on_shutdown=(close,))


async def _refresh(tokens: TokenFile, guard: Guard) -> None:
    while True:
        await anyio.sleep(REFRESH_TOKENS)
        await asyncio.to_thread(tokens.refresh)
        guard.show_out()
