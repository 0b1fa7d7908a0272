"""How much one caller may ask for."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from orderacc.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MOST_CALLERS: Final = 4096
"""Callers remembered; the one that has been silent longest is forgotten first."""

BURST: Final = 10.0
"""Seconds' worth of requests that may come at once."""


class Turns:
    """Lets large answers be made one at a time, each a few milliseconds, and everybody else be served in between."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn, and let others have theirs behind it."""
        async with self._lock:
            yield
            await asyncio.sleep(0)


class RateLimit:
    """A bucket for each caller that fills at a rate and pays for requests.

    Args:
        per_second: Requests a second.
        burst: Requests at once; `BURST` seconds' worth when None.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, per_second: float, *, burst: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.change(per_second, burst=burst)

    def change(self, per_second: float, *, burst: float | None = None) -> None:
        """Let another rate hold from now on; what a caller has used up stays used up."""
        self._rate = per_second
        self._most = max(1.0, per_second * BURST if burst is None else burst)

    def take(self, caller: str) -> None:
        """Let one request through.

        Raises:
            RequestError: `rate_limited`, with a `Retry-After` in whole seconds.
        """
        now = self._clock()
        left, since = self._buckets.pop(caller, (self._most, now))
        left = min(self._most, left + (now - since) * self._rate)
        allowed = left >= 1
        self._buckets[caller] = (left - 1 if allowed else left, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        if not allowed:
            wait = max(1, round((1 - left) / self._rate + 0.5))
            raise RequestError(
                f"more than {self._rate:g} requests a second",
                code="rate_limited",
                headers={"Retry-After": str(wait)},
            )
