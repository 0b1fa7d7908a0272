"""The application: the table of routes behind the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from orderacc.api.openapi import openapi_document
from orderacc.api.reference import reference_page
from orderacc.api.routes import BODY_LIMIT, Route, Scope, data_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from orderacc.api.guard import Guard

TAG: Final = "Reference"

STREAMS: Final = (None, "text/event-stream")
"""Media types of what goes on for as long as somebody listens: there is no asking for the headers alone."""


def make_app(
    routes: Sequence[Route], guard: Guard, *, on_shutdown: Sequence[Callable[[], Awaitable[None]]] = ()
) -> web.Application:
    """Put it together.

    Args:
        routes: Everything there is to ask for; the document about it is added.
        guard: Stands before it.
        on_shutdown: Ends the streams that are open when the serving ends.
    """
    table = (*routes, *_about(routes))
    app = web.Application(middlewares=[guard.middleware], client_max_size=BODY_LIMIT)
    app.on_response_prepare.append(guard.dress)
    for route in table:
        also = ("HEAD",) if route.method == "GET" and route.media not in STREAMS else ()
        for method in (route.method, *also):
            guard.watch(app.router.add_route(method, route.path, route.handler), route)
    for close in on_shutdown:
        app.on_shutdown.append(_calling(close))
    return app


def _about(routes: Sequence[Route]) -> tuple[Route, ...]:
    async def document(request: web.Request) -> web.Response:
        del request
        return data_answer(content)

    async def page(request: web.Request) -> web.Response:
        del request
        headers = {"Content-Security-Policy": policy}
        return web.Response(text=html, content_type="text/html", headers=headers)

    own = (
        Route("GET", "/openapi.json", document, "This API as an OpenAPI 3.1 document.", TAG, Scope.READ),
        Route("GET", "/docs", page, "The same for people; needs no network.", TAG, Scope.READ, media="text/html"),
    )
    content = openapi_document((*routes, *own))
    html, policy = reference_page(content)
    return own


def _calling(close: Callable[[], Awaitable[None]]) -> Callable[[web.Application], Awaitable[None]]:
    async def on_shutdown(app: web.Application) -> None:
        del app
        await close()

    return on_shutdown
