"""Logins of the page: a cookie that no script can read, and a word beside it that no other site knows."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.api.tokens import Token

COOKIE: Final = "orderacc_session"
CSRF_HEADER: Final = "X-CSRF-Token"
LIFETIME: Final = 12 * 3600.0
"""Seconds a login lasts: a shift."""

MOST_SESSIONS: Final = 1000
"""Logins at a time; the oldest ends first."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who logged in.

    Attributes:
        token: What they showed.
        csrf: What requests that change something must carry in `X-CSRF-Token`.
        ends: When it ends, seconds by the clock.
    """

    token: Token
    csrf: str
    ends: float


class Sessions:
    """Those who are logged in; kept in memory, so that a restart asks for the token again.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def begin(self, token: Token) -> tuple[str, Session]:
        """Log somebody in.

        Returns:
            The cookie's value, and the session.
        """
        cookie = secrets.token_urlsafe(32)
        session = Session(token, secrets.token_urlsafe(32), self._clock() + LIFETIME)
        self._sessions[_key(cookie)] = session
        if len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return cookie, session

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie; None when there is none, or it has ended."""
        session = self._sessions.get(_key(cookie))
        if session is not None and session.ends <= self._clock():
            del self._sessions[_key(cookie)]
            return None
        return session

    def end(self, cookie: str) -> None:
        """Log somebody out."""
        self._sessions.pop(_key(cookie), None)


def _key(cookie: str) -> str:
    # Looked up by what cannot be guessed from the time a look-up takes.
    return sha256(cookie.encode(errors="replace")).hexdigest()
