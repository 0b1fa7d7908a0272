"""A service over HTTP that knows more words. What it does not say in time is not waited for."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

import aiohttp

from orderacc.breaker import Circuit, CircuitBreaker
from orderacc.errors import OrderAccError
from orderacc.telemetry import get_logger
from orderacc.telemetry.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orderacc.config.validation import SemanticServiceConfig

FAILURE_WINDOW: Final = 60.0
"""Seconds a failure counts."""

LONGEST_ANSWER: Final = 2**20
"""Bytes of an answer that are read; a longer one is none."""

_log = get_logger(__name__)


@dataclass(slots=True)
class ServiceStatistics:
    """What became of the pairs so far.

    Attributes:
        remembered: Answered from memory.
        answered: Answered by the service.
        failed: Not answered, or not in time.
        spared: Not asked about, because the service failed too often.
    """

    remembered: int = 0
    answered: int = 0
    failed: int = 0
    spared: int = 0


class _UnfitAnswerError(OrderAccError):
    """An answer that is none."""

    default_code = "bad_answer"


class SemanticService:
    """Asks a service about names; see `Semantics`. Belongs to the event loop it is first used in.

    Args:
        config: Where it is, and how long it may take.
        rng: Decides the breaker's jitter.

    Attributes:
        statistics: What became of the pairs so far.
    """

    def __init__(self, config: SemanticServiceConfig, rng: Random | None = None) -> None:
        self._config = config
        self._breaker = CircuitBreaker(
            config.circuit_breaker_threshold,
            FAILURE_WINDOW,
            config.circuit_breaker_cooldown_sec,
            rng or Random(),  # noqa: S311  jitter is no secret
        )
        self._known: OrderedDict[tuple[str, str], float | None] = OrderedDict()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self.statistics = ServiceStatistics()

    async def opinions(self, pairs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], float]:
        """See `Semantics.opinions`."""
        found = {pair: self._known[pair] for pair in pairs if pair in self._known}
        for pair in found:
            self._known.move_to_end(pair)
        self.statistics.remembered += len(found)
        asked = list(dict.fromkeys(pair for pair in pairs if pair not in found))
        if asked:
            found |= await self._ask(asked)
        return {pair: score for pair, score in found.items() if score is not None}

    async def aclose(self) -> None:
        """End every connection; nobody is asked any more."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _ask(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], float | None]:
        began = time.monotonic()
        if self._closed or not self._breaker.probe(began):
            self.statistics.spared += len(pairs)
            return {}
        try:
            scores = _scores(await self._post(pairs), len(pairs))
        except (aiohttp.ClientError, TimeoutError, OSError, _UnfitAnswerError) as error:
            self._breaker.failed(time.monotonic(), began)
            self.statistics.failed += len(pairs)
            self._report(error)
            return {}
        except asyncio.CancelledError:
            # Whoever waited has gone, which says nothing; but a probe must not leave the service in doubt for ever.
            if self._breaker.circuit is Circuit.HALF_OPEN:
                self._breaker.failed(time.monotonic(), began)
            raise
        self._breaker.close()
        self.statistics.answered += len(pairs)
        found = dict(zip(pairs, scores, strict=True))
        self._remember(found)
        return found

    def _remember(self, found: Mapping[tuple[str, str], float | None]) -> None:
        self._known.update(found)
        while len(self._known) > self._config.cache_size:
            self._known.popitem(last=False)

    def _report(self, error: Exception) -> None:
        what = (
            error.message if isinstance(error, _UnfitAnswerError) else redact_text(str(error)) or type(error).__name__
        )
        _log.warning("semantic_service_failed", reason=what)

    async def _post(self, pairs: Sequence[tuple[str, str]]) -> bytes:
        body = {"pairs": [{"ordered": ordered, "seen": seen} for ordered, seen in pairs]}
        async with self._open_session().post(
            self._config.url.reveal(),
            json=body,
            # Elsewhere the token is nobody's business.
            allow_redirects=False,
        ) as response:
            answer = bytearray()
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > LONGEST_ANSWER:
                    raise _UnfitAnswerError(f"answered with more than {LONGEST_ANSWER} bytes")
            if response.status != 200:
                raise _UnfitAnswerError(f"answered with status {response.status}")
            return bytes(answer)

    def _open_session(self) -> aiohttp.ClientSession:
        # Not before it is used: services are made in worker threads, which have no event loop.
        if self._session is None:
            token = self._config.token
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._config.connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._config.timeout_sec),
                headers={"Authorization": f"Bearer {token.reveal()}"} if token else None,
            )
        return self._session


def _scores(body: bytes, count: int) -> list[float | None]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise _UnfitAnswerError("answered with what is no JSON") from None
    scores = content.get("scores") if isinstance(content, dict) else None
    if not isinstance(scores, list) or len(scores) != count:
        raise _UnfitAnswerError(f"answered without a list of {count} scores")
    if not all(score is None or _is_share(score) for score in scores):
        raise _UnfitAnswerError("answered with scores that are not within 0 to 1")
    return [None if score is None else float(score) for score in scores]


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
