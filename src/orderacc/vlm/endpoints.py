"""The addresses of one remote engine: which is asked next, which is left alone, and for how long.

Pure: time is passed in, in seconds, and must not run backwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from yarl import URL

from orderacc.breaker import Circuit, CircuitBreaker
from orderacc.telemetry.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from random import Random

    from orderacc.config.secrets import SecretText

FAILURE_WINDOW: Final = 60.0
"""Seconds a failure of an address counts."""

DEFAULT_PATH: Final = "/v1"


class Health(Enum):
    """What an attempt told of the server."""

    GOOD = "good"
    """It answered, be it that the question was wrong or that it is busy."""
    BAD = "bad"
    """It failed."""
    UNKNOWN = "unknown"
    """Nothing: whoever asked went away first."""


@dataclass(slots=True, eq=False)
class Endpoint:
    """One address.

    Attributes:
        base: Where its API begins, without credentials.
        user: User name in the URL, or None.
        password: Its password, or None.
        breaker: Gives it up after too many failures.
        outstanding: Questions it holds now.
        rests_until: It asked not to be asked before.
        frugality: How many of the optional parts of a question it is known to refuse; see `orderacc.vlm.openai.EXTRAS`.
        last_turn: Number of the attempt made last.
    """

    base: URL
    user: str | None
    password: str | None = field(repr=False)
    breaker: CircuitBreaker
    outstanding: int = 0
    rests_until: float = -math.inf
    frugality: int = 0
    last_turn: int = 0

    @property
    def label(self) -> str:
        """The address for logs and messages."""
        return redact_text(str(self.base))

    @property
    def questions_url(self) -> URL:
        """Where questions go."""
        return (self.base / "chat" / "completions").with_query(self.base.query)


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One question on its way.

    Attributes:
        endpoint: Where to.
        probe: Whether its end decides if the address is trusted again.
    """

    endpoint: Endpoint
    probe: bool


class Endpoints:
    """Chooses the address with the fewest questions outstanding.

    Args:
        urls: Where the API begins, `http://host:port/v1`; `/v1` when no path is written. May hold a user and a
            password.
        threshold: Failures in a row, within `FAILURE_WINDOW`, after which an address is given up.
        cooldown: Seconds until one question is tried on it again.
        rng: Decides the jitter.
    """

    def __init__(self, urls: Sequence[SecretText], *, threshold: int, cooldown: float, rng: Random) -> None:
        self.all = tuple(
            _endpoint(URL(url.reveal()), CircuitBreaker(threshold, FAILURE_WINDOW, cooldown, rng)) for url in urls
        )
        self._turn = 0

    def begin(self, now: float, but_not: Collection[Endpoint] = ()) -> Attempt | None:
        """Choose an address; `end` must follow. None when there is none that may be asked now.

        Args:
            now: Seconds.
            but_not: Leave these out.
        """
        free = [one for one in self.all if one not in but_not and one.rests_until <= now]
        for one in sorted(free, key=lambda one: (one.outstanding, one.last_turn)):
            if one.breaker.probe(now):
                self._turn += 1
                one.last_turn = self._turn
                one.outstanding += 1
                return Attempt(one, probe=one.breaker.circuit is Circuit.HALF_OPEN)
        return None

    def end(self, attempt: Attempt, now: float, health: Health, *, rest: float = 0.0) -> None:
        """Take in how an attempt ended.

        Args:
            attempt: From `begin`.
            now: Seconds.
            health: What it told of the server.
            rest: Seconds the server asked to be left alone.
        """
        endpoint = attempt.endpoint
        endpoint.outstanding -= 1
        endpoint.rests_until = max(endpoint.rests_until, now + rest)
        if health is Health.GOOD:
            endpoint.breaker.close()
        elif health is Health.BAD or attempt.probe:
            # A probe that nobody waited for must not leave the address in doubt for ever.
            endpoint.breaker.failed(now)
            # What comes back may be another server, or a newer one.
            endpoint.frugality = 0

    def rest_over(self, but_not: Collection[Endpoint] = ()) -> float | None:
        """When the first of those that only rest may be asked again; None when there is none."""
        resting = [one for one in self.all if one not in but_not and one.breaker.circuit is Circuit.CLOSED]
        return min((one.rests_until for one in resting), default=None)


def _endpoint(url: URL, breaker: CircuitBreaker) -> Endpoint:
    base = url.with_user(None).with_fragment(None)
    if base.path in ("", "/"):
        base = base.with_path(DEFAULT_PATH, keep_query=True)
    return Endpoint(base, url.user, url.password, breaker)
