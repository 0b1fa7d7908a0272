"""Routes for whoever runs the box: is it alive, is it well, what are its figures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from orderacc.api.routes import Route, Scope, json_answer
from orderacc.api.shapes_health import Alive, Health, Ready

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.api.health import HealthBoard

TAG: Final = "Operations"
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def operation_routes(board: HealthBoard, metrics: Callable[[], bytes]) -> tuple[Route, ...]:
    """The routes.

    Args:
        board: Knows how everything is.
        metrics: Gives the figures as Prometheus reads them.
    """

    async def healthz(request: web.Request) -> web.Response:
        del request
        return json_answer(Alive(status="ok"))

    async def readyz(request: web.Request) -> web.Response:
        del request
        ready = board.health().status != "failed"
        return json_answer(Ready(ready=ready), 200 if ready else 503)

    async def health(request: web.Request) -> web.Response:
        del request
        now = board.health()
        return json_answer(now, 503 if now.status == "failed" else 200)

    async def figures(request: web.Request) -> web.Response:
        del request
        await asyncio.sleep(0)  # what has waited for the loop goes first: writing them takes a few milliseconds
        return web.Response(body=metrics(), headers={"Content-Type": METRICS_TYPE})

    return (
        Route("GET", "/healthz", healthz, "Whether the process is alive.", TAG, None, answer=Alive, metered=False),
        Route(
            "GET",
            "/readyz",
            readyz,
            "Whether orders are judged; 503 when not.",
            TAG,
            None,
            answer=Ready,
            others=(503,),
            metered=False,
        ),
        Route(
            "GET",
            "/health",
            health,
            "Every part with what is wrong with it; 503 when no order can be judged.",
            TAG,
            Scope.READ,
            answer=Health,
            others=(503,),
        ),
        Route("GET", "/metrics", figures, "Figures for Prometheus.", TAG, Scope.READ, media="text/plain"),
    )
