"""Webhooks after the Standard Webhooks specification."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import aiohttp
import anyio
from anyio import TASK_STATUS_IGNORED

from orderacc._version import __version__
from orderacc.config.notify import signing_key
from orderacc.notify.signature import message_id, sign
from orderacc.notify.sink import DELIVERED, Delivery, Outcome, Result
from orderacc.telemetry.redaction import MASK, redact_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskStatus

    from orderacc.config.notify import WebhookConfig
    from orderacc.domain.verdicts import Verdict

REFUSALS: Final = frozenset({400, 413, 415, 422})
"""Statuses that are about the message and not about the receiver."""

LONGEST_REST: Final = 600.0
"""Seconds a receiver is left alone at most when it asks for a time."""

LONGEST_QUOTE: Final = 200
"""Characters of an answer that are passed on."""


class WebhookSink:
    """Posts messages to one URL, each signed anew at every attempt.

    Args:
        config: Where to, with which secrets, and how patient to be.
        clock: Seconds since 1970; what signatures are dated with.
    """

    def __init__(self, config: WebhookConfig, *, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._url = config.url.reveal()
        self._keys = tuple(signing_key(secret.reveal()) for secret in config.secrets)
        self._statuses = frozenset(config.statuses)
        self._clock = clock
        self._unspeakable = _secrets_in(self._url)
        self._session: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return self._config.name

    def wants(self, verdict: Verdict) -> bool:
        """See `Sink.wants`. A revision is always told: it may take back what was told before."""
        return verdict.status in self._statuses or verdict.revision > 1

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """See `Sink.run`."""
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._config.max_in_flight),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"orderacc/{__version__}", "Accept-Encoding": "identity"},
            auto_decompress=False,
        ) as self._session:
            task_status.started()
            await anyio.sleep_forever()

    async def deliver(self, message: Delivery) -> Outcome:
        """See `Sink.deliver`."""
        try:
            return await self._post(message)
        except TimeoutError:
            return Outcome(Result.FAILED, f"no answer within {self._config.timeout_sec:.3g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Outcome(Result.FAILED, self._clean(str(error)) or type(error).__name__)

    async def _post(self, message: Delivery) -> Outcome:
        assert self._session is not None  # noqa: S101  only called while it runs
        identifier, timestamp = message_id(message.key), int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": identifier,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self._keys, identifier, timestamp, message.body),
        }
        patience = aiohttp.ClientTimeout(total=self._config.timeout_sec)
        async with self._session.post(
            self._url,
            data=message.body,
            headers=headers,
            timeout=patience,
            # Elsewhere the verdict is nobody's business.
            allow_redirects=False,
        ) as response:
            if 200 <= response.status < 300:
                return DELIVERED  # whatever the body says, and however long it takes to say it
            said = self._clean((await response.content.read(4 * LONGEST_QUOTE)).decode(errors="replace"))
            error = f"answered {response.status}" + (f": {said}" if said else "")
            return _failure(response.status, error, response.headers.get("Retry-After"))

    def _clean(self, text: str) -> str:
        """A text without secrets, on one line and cut."""
        for secret in self._unspeakable:
            text = text.replace(secret, MASK)
        return redact_text(" ".join(text.split()))[:LONGEST_QUOTE]


def _failure(status: int, error: str, retry_after: str | None) -> Outcome:
    if status == 410:
        return Outcome(Result.GONE, error)
    if status in REFUSALS:
        return Outcome(Result.REFUSED, error)
    return Outcome(Result.FAILED, error, rest_asked_for(retry_after))


def _secrets_in(url: str) -> tuple[str, ...]:
    """Texts a receiver may repeat and nobody else should: of many URLs the path is the secret."""
    parts = urlsplit(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    basic = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    texts = {url, f"{parts.path}?{parts.query}", parts.path, parts.query, parts.password or "", password, basic}
    return tuple(sorted((text for text in texts if len(text) > 1), key=len, reverse=True))


def rest_asked_for(header: str | None) -> float:
    """Seconds out of a `Retry-After`; 0 when it holds none."""
    if header is None or not (header.isascii() and header.isdecimal()):
        return 0.0
    return min(float(header[:9]), LONGEST_REST)
