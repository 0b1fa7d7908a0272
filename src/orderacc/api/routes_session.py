"""Logging in with a token once, for a page that must not keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from aiohttp import web
from pydantic import Field

from orderacc.api.guard import CALLER, Caller, caller_of
from orderacc.api.routes import Route, Scope, json_answer, read_body
from orderacc.api.sessions import COOKIE, LIFETIME
from orderacc.api.shapes import Given, Told

if TYPE_CHECKING:
    from orderacc.api.guard import Guard

TAG: Final = "Session"


class TokenGiven(Given):
    """A token to log in with."""

    token: Annotated[str, Field(min_length=1, max_length=200)]
    """As `orderacc token create` printed it."""


class SessionTold(Told):
    """A login."""

    name: str
    """Whose token it is."""
    scopes: list[Scope]
    """What it allows."""
    csrf: str | None
    """To be sent as X-CSRF-Token with whatever changes something; null where no cookie is in use."""


class SessionRoutes:
    """The routes' handlers.

    Args:
        guard: Knows who is let in and who is logged in, and counts wrong tokens.
        secure: Whether the cookie is for encrypted connections only.
    """

    def __init__(self, guard: Guard, *, secure: bool) -> None:
        self._guard = guard
        self._tokens = guard.tokens
        self._sessions = guard.sessions
        self._secure = secure

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        return (
            Route(
                "POST",
                "/v1/session",
                self.begin,
                "Log in with a token: sets a cookie, and tells what to send beside it with every change.",
                TAG,
                None,
                SessionTold,
                status=201,
                body=TokenGiven,
                problems=("unauthorized",),
            ),
            Route("GET", "/v1/session", self.get, "Whose token or login this is.", TAG, Scope.READ, SessionTold),
            Route("DELETE", "/v1/session", self.end, "Log out.", TAG, Scope.READ, status=204, media=None),
        )

    async def begin(self, request: web.Request) -> web.Response:
        """`POST /v1/session`."""
        given = await read_body(request, TokenGiven)
        token = self._tokens.find(given.token.strip()) if self._tokens is not None else None
        if self._tokens is not None and token is None:
            raise self._guard.refusal(request)
        if token is None:
            return json_answer(SessionTold(name="this machine", scopes=list(Scope), csrf=None), 201)
        cookie, session = self._sessions.begin(token)
        request[CALLER] = Caller(token.name, token, session)
        answer = json_answer(SessionTold(name=token.name, scopes=sorted(token.scopes), csrf=session.csrf), 201)
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=int(LIFETIME),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self._secure,
        )
        return answer

    async def get(self, request: web.Request) -> web.Response:
        """`GET /v1/session`."""
        return json_answer(_told(caller_of(request)))

    async def end(self, request: web.Request) -> web.Response:
        """`DELETE /v1/session`."""
        self._sessions.end(request.cookies.get(COOKIE, ""))
        answer = web.Response(status=204)
        answer.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=self._secure)
        return answer


def _told(caller: Caller) -> SessionTold:
    scopes = list(Scope) if caller.token is None else sorted(caller.token.scopes)
    return SessionTold(name=caller.name, scopes=scopes, csrf=caller.session.csrf if caller.session else None)
