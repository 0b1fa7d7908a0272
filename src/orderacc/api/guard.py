"""What stands before every route: whose request it is, from where, how many, and what becomes of what goes wrong."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from orderacc.api.limits import RateLimit
from orderacc.api.parting import cut
from orderacc.api.problems import problem, problem_of, problem_of_http
from orderacc.api.sessions import COOKIE, CSRF_HEADER, Session, Sessions
from orderacc.config.api import LOOPBACK
from orderacc.errors import OrderAccError, RequestError
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping

    from orderacc.api.routes import Route, Scope
    from orderacc.api.tokens import Token, TokenFile
    from orderacc.config import ApiConfig
    from orderacc.telemetry.box_metrics import BoxMetrics

_log = get_logger(__name__)

FAILURES_PER_SECOND: Final = 1.0
MOST_FAILURES: Final = 20.0
"""Wrong tokens of one address: so many at once, and a second."""

CHANGES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
}
"""Headers of every answer that does not set them itself."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is.

    Attributes:
        name: For the log.
        token: What they showed; None for whoever is on this machine when there are no tokens.
        session: Their login, when it was the cookie that they showed.
    """

    name: str
    token: Token | None = None
    session: Session | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether they may do such things."""
        return self.token is None or self.token.allows(scope)


CALLER: Final = web.RequestKey("caller", Caller)


class Guard:
    """Checks requests against the configuration.

    Args:
        config: The section `api`.
        tokens: Who is let in; None where whoever is on this machine is.
        sessions: Who is logged in.
        metrics: Counts what is asked.

    Attributes:
        tokens: As given.
        sessions: As given.
    """

    def __init__(self, config: ApiConfig, tokens: TokenFile | None, sessions: Sessions, metrics: BoxMetrics) -> None:
        self._config = config
        self.tokens = tokens
        self.sessions = sessions
        self._metrics = metrics
        self._rate = RateLimit(config.rate_per_sec)
        self._failures = RateLimit(FAILURES_PER_SECOND, burst=MOST_FAILURES)
        self._hosts = LOOPBACK | {host.lower() for host in config.hosts}
        self._routes: dict[web.AbstractRoute, Route] = {}
        self._listening: dict[asyncio.BaseProtocol, tuple[web.Request, Caller]] = {}

    def watch(self, registered: web.AbstractRoute, route: Route) -> None:
        """Learn what a route of the application asks for; one that is not known lets nobody through."""
        self._routes[registered] = route

    def show_out(self) -> None:
        """End the streams of those who would not be let in any more: a token was revoked, a login has ended."""
        for request, caller in tuple(self._listening.values()):
            if not self._known(request, caller):
                cut(request)

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Let a request through to its route, or answer it with a problem."""
        began = time.monotonic()
        route = self._routes.get(request.match_info.route)
        try:
            answer = await self._let_through(request, route, handler)
        except OrderAccError as error:
            answer = problem_of(error)
        except web.HTTPException as error:
            answer = problem_of_http(error)
        except ConnectionError:
            raise  # who asked has gone away
        except Exception as error:  # noqa: BLE001  one request must not end the serving, nor show what went wrong inside
            _log.error("request_failed", route=route.name if route else None, exc_info=error)
            answer = problem(500, "internal", "something went wrong here; the log has it")
        seconds = time.monotonic() - began if route is not None and route.media == "application/json" else None
        self._metrics.answered(route.name if route else "none", answer.status, seconds)
        if route is not None and request.method in CHANGES:
            self._audit(request, route, answer.status)
        return answer

    async def dress(self, request: web.Request, answer: web.StreamResponse) -> None:
        """Give an answer the headers that every one has."""
        answer.headers["Server"] = "orderacc"
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        if self._config.tls is not None:
            answer.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        origin = request.headers.get("Origin")
        if origin is not None and origin in self._config.origins:
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
            answer.headers.add("Vary", "Origin")

    async def _let_through(
        self,
        request: web.Request,
        route: Route | None,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        self._check_host(request)
        self._check_origin(request)
        if request.method == "OPTIONS" and request.headers.get("Origin") in self._config.origins:
            return _preflight()
        if route is None:
            self._rate.take(_address(request))
            raise request.match_info.http_exception or web.HTTPNotFound
        if route.scope is None:
            if route.metered:
                self._rate.take(_address(request))
            return await handler(request)
        caller = self._caller(request)
        request[CALLER] = caller
        if route.metered:
            self._rate.take(caller.token.token_id if caller.token else _address(request))
        if not caller.allows(route.scope):
            raise RequestError(f"this needs a token with the scope {route.scope}", code="forbidden")
        if not route.lasts:
            return await handler(request)
        self._listening[request.protocol] = request, caller
        try:
            return await handler(request)
        finally:
            del self._listening[request.protocol]

    def _caller(self, request: web.Request) -> Caller:
        if self.tokens is None:
            return Caller("this machine")
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            token = self.tokens.find(shown.strip())
            if token is not None:
                return Caller(token.name, token)
        elif COOKIE in request.cookies:
            session = self.sessions.find(request.cookies[COOKIE])
            if session is not None and self.tokens.holds(session.token):
                _check_csrf(request, session)
                return Caller(session.token.name, session.token, session)
        raise self.refusal(request)

    def _known(self, request: web.Request, caller: Caller) -> bool:
        """Whether somebody who was let in still would be."""
        if self.tokens is None or caller.token is None:
            return True
        if caller.session is not None and self.sessions.find(request.cookies[COOKIE]) is not caller.session:
            return False
        return self.tokens.holds(caller.token)

    def refusal(self, request: web.Request) -> RequestError:
        """The error for somebody who shows no good token; for those who try many it is another one."""
        # What shows nothing guesses nothing.
        shown = "Authorization" in request.headers or COOKIE in request.cookies or request.method == "POST"
        try:
            (self._failures if shown else self._rate).take(_address(request))
        except RequestError as error:
            return error
        return RequestError(
            "this needs a bearer token in the header Authorization; orderacc token create makes one",
            code="unauthorized",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _check_host(self, request: web.Request) -> None:
        """Where there are no tokens, a page elsewhere whose name was made to point here must get nothing."""
        host = request.headers.get("Host")
        if self.tokens is None and host is not None and _name(host) not in self._hosts:
            raise RequestError("this machine is not known by that name; api.hosts may name it", code="bad_host")

    def _check_origin(self, request: web.Request) -> None:
        """Pages elsewhere get nothing, streams included, which browsers do not keep from them by themselves."""
        origin = request.headers.get("Origin")
        if origin is None or origin in self._config.origins:
            return
        if origin != f"{request.scheme}://{request.headers.get('Host', '')}":
            raise RequestError("pages of that origin may not ask; api.origins may name it", code="bad_origin")

    def _audit(self, request: web.Request, route: Route, status: int) -> None:
        caller = request.get(CALLER)
        who = caller.name if caller is not None else None
        _log.info(
            "audit", who=who, address=request.remote, route=route.name, on=dict(request.match_info), status=status
        )


def caller_of(request: web.Request) -> Caller:
    """Whose request it is, behind the guard."""
    return request[CALLER]


def _check_csrf(request: web.Request, session: Session) -> None:
    given = request.headers.get(CSRF_HEADER, "")
    if request.method in CHANGES and not hmac.compare_digest(given.encode(errors="replace"), session.csrf.encode()):
        raise RequestError(f"a change by cookie needs the header {CSRF_HEADER}", code="csrf")


def _preflight() -> web.Response:
    headers = {
        "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID",
        "Access-Control-Max-Age": "600",
    }
    return web.Response(status=204, headers=headers)


def _name(host: str) -> str:
    """A Host header's name, without its port and brackets."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower().rstrip(".")


def _address(request: web.Request) -> str:
    return request.remote or ""
