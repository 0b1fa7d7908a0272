"""What it means when a server does not answer a question, and what may be done about it."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from orderacc.errors import EngineError
from orderacc.telemetry.redaction import MASK, redact_text
from orderacc.vlm.endpoints import Health

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST_REST: Final = 60.0
"""Seconds a server is left alone at most, whatever it asks for."""

SHORT_REST: Final = 0.3
"""Seconds a busy server is left alone when it asks for nothing."""

LONGEST_QUOTE: Final = 200
"""Characters of a server's own message that are passed on."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A question that got no answer.

    Attributes:
        code: Of the `EngineError` it becomes.
        message: Likewise; without secrets.
        health: What it tells of the server.
        elsewhere: Whether another server may answer.
        again: Whether the same server may, a moment later.
        negotiable: Whether it may be about an optional part of the question.
        rest: Seconds the server asked to be left alone.
    """

    code: str
    message: str
    health: Health = Health.BAD
    elsewhere: bool = True
    again: bool = False
    negotiable: bool = False
    rest: float = 0.0

    def error(self) -> EngineError:
        """The error to raise when nothing else may be done."""
        return EngineError(self.message, code=self.code)


_BUSY = Refusal("busy", "", Health.GOOD, again=True)
_UNREACHABLE = Refusal("unreachable", "", again=True)
_UNAUTHORIZED = Refusal("unauthorized", "")
_NOT_FOUND = Refusal("not_found", "")
_NO_ANSWER = Refusal("bad_answer", "")
_REFUSED = Refusal("refused", "", Health.GOOD, elsewhere=False)
_NEGOTIABLE = replace(_REFUSED, negotiable=True)

_KINDS: Final[Mapping[int, Refusal]] = {
    400: _NEGOTIABLE,
    401: _UNAUTHORIZED,
    403: _UNAUTHORIZED,
    404: _NOT_FOUND,
    405: _NOT_FOUND,
    408: _BUSY,
    422: _NEGOTIABLE,
    429: _BUSY,
    501: _NEGOTIABLE,
    502: _UNREACHABLE,
    503: replace(_BUSY, health=Health.BAD),
    504: _UNREACHABLE,
}
_KINDS_BY_HUNDRED: Final[Mapping[int, Refusal]] = {
    3: _NOT_FOUND,
    4: _REFUSED,
    5: Refusal("engine_failed", ""),
}


def refused(status: int, message: str, *, rest: float = 0.0) -> Refusal:
    """Judge an HTTP status other than 200.

    Args:
        status: The status.
        message: For a person; without secrets.
        rest: Seconds from the header `Retry-After`.
    """
    kind = _KINDS.get(status) or _KINDS_BY_HUNDRED.get(status // 100, _NO_ANSWER)
    return replace(kind, message=message, rest=max(rest, SHORT_REST) if kind.code == "busy" else 0.0)


def rest_asked_for(header: str | None) -> float:
    """Seconds out of a `Retry-After`, which holds seconds or a date; 0 when it holds neither."""
    if not header:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return min(max(0.0, seconds), LONGEST_REST) if math.isfinite(seconds) else 0.0


class Quoter:
    """Quotes what servers say about a failure; some repeat the token they were sent.

    Args:
        secrets: Texts that are never quoted.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted(secrets, key=len, reverse=True)

    def quote(self, body: bytes) -> str:
        """The message in a server's error, on one line; empty when there is none.

        Args:
            body: Of the answer; JSON as the API has it, or anything.
        """
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            return ""
        error = found.get("error", found) if isinstance(found, dict) else None
        message = error.get("message") if isinstance(error, dict) else error
        return self.clean(message) if isinstance(message, str) else ""

    def clean(self, text: str) -> str:
        """A text without secrets, on one line and cut."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return redact_text(" ".join(text.split())[: 4 * LONGEST_QUOTE])[:LONGEST_QUOTE]
