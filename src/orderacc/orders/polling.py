"""Orders that are asked for over HTTP, again and again."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import aiohttp

from orderacc.backoff import Backoff
from orderacc.errors import OrdersError
from orderacc.orders.memory import Put
from orderacc.orders.reading import LARGEST
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orderacc.documents import FieldPath
    from orderacc.domain.orders import Order
    from orderacc.orders.memory import OrderStore

_log = get_logger(__name__)

MOST_TOLD: Final = 10
"""Problems with one answer that are logged."""

_CONDITIONS: Final = {"If-None-Match": "ETag", "If-Modified-Since": "Last-Modified"}

Adapter: TypeAlias = "Callable[[Any, str], tuple[list[Order], list[tuple[FieldPath, str]]]]"
"""Reads an answer's JSON values: the orders in it and what is wrong with the rest, given the source's name."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask.

    Attributes:
        url: Whom. May hold credentials.
        shown: The same as it may be shown.
        source: Name of this source of orders.
        read: Reads the answers.
        interval: Seconds between two questions.
        timeout: Seconds an answer may take.
        longest_wait: Seconds between two questions that fail, at most.
        headers: Sent along.
        body: JSON to post; None gets.
    """

    url: str = field(repr=False)
    shown: str
    source: str
    read: Adapter
    interval: float = 2.0
    timeout: float = 10.0
    longest_wait: float = 60.0
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    body: str | None = None


class PolledFeed:
    """Puts what a till answers into a store.

    An answer that is as before costs next to nothing where the till sends an `ETag` or `Last-Modified`. What is wrong
    with one order of an answer costs that order only, and `order_refused` is logged. An order that an answer leaves out
    stays: tills list what is open, and a bag may be looked at later. While questions fail they become rarer.

    Args:
        question: What to ask.
        store: Takes the orders.
        rng: Decides by how much waits differ.

    Attributes:
        error: Why the last question failed, None when it did not.
        answered: Whether any was answered.
    """

    def __init__(self, question: Question, store: OrderStore, rng: Random | None = None) -> None:
        self.error: OrdersError | None = None
        self.answered = False
        self._question = question
        self._store = store
        self._backoff = Backoff(question.interval, question.longest_wait, rng or Random())  # noqa: S311  no secret
        self._conditions: dict[str, str] = {}
        self._rest = 0.0  # seconds the till asked to be left alone

    async def run(self) -> None:
        """Ask until cancelled."""
        timeout = aiohttp.ClientTimeout(total=self._question.timeout)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            while True:
                wait = await self.ask(session)
                await asyncio.sleep(wait)

    async def ask(self, session: aiohttp.ClientSession) -> float:
        """Ask once.

        Returns:
            Seconds to wait until the next time.
        """
        self._rest = 0.0
        try:
            await self._ask(session)
        except TimeoutError:
            self._failed(f"did not answer within {self._question.timeout:.3g} s")
        except (aiohttp.ClientError, OSError) as error:
            self._failed(f"cannot be reached ({type(error).__name__})")
        except OrdersError as error:
            self._failed(error.message)
        else:
            if self.error is not None:
                _log.info("orders_poll_ok", source=self._question.source)
            self.error, self.answered = None, True
            self._backoff.reset()
            return self._question.interval
        return max(self._rest, self._backoff.next())

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        question = self._question
        method = "GET" if question.body is None else "POST"
        headers = {"Accept": "application/json", **question.headers}
        if question.body is None:
            headers |= self._conditions
        else:
            headers["Content-Type"] = "application/json"
        async with session.request(
            method, question.url, headers=headers, data=question.body, allow_redirects=False
        ) as response:
            if response.status == 304 and self._conditions:
                return
            if response.status != 200:
                with suppress(ValueError):
                    asked = float(response.headers.get("Retry-After", ""))
                    self._rest = min(max(0.0, asked), self._question.longest_wait)
                raise OrdersError(f"answered {response.status}")
            text = await _body(response)
            told = {name: response.headers.get(stamp) for name, stamp in _CONDITIONS.items()}
        await self._take(text)
        # Not before the orders are in: an answer that could not be taken is asked for again.
        self._conditions = {name: value for name, value in told.items() if value is not None}

    async def _take(self, text: bytes) -> None:
        orders, problems = await asyncio.to_thread(self._read, text)
        for path, message in problems[:MOST_TOLD]:
            _log.warning("order_refused", source=self._question.source, at=".".join(map(str, path)), reason=message)
        if len(problems) > MOST_TOLD:
            _log.warning("order_refused", source=self._question.source, further=len(problems) - MOST_TOLD)
        counts = await self._store.put_all(orders)
        if counts[Put.CREATED] or counts[Put.UPDATED]:
            _log.info("orders_polled", source=self._question.source, **{str(put): n for put, n in counts.items()})

    def _read(self, text: bytes) -> tuple[list[Order], list[tuple[FieldPath, str]]]:
        try:
            return self._question.read(json.loads(text), self._question.source)
        except (ValueError, RecursionError) as error:
            raise OrdersError(f"did not answer with JSON ({type(error).__name__})") from None

    def _failed(self, reason: str) -> None:
        error = OrdersError(f"{self._question.shown} {reason}")
        if self.error is None or self.error.message != error.message:
            _log.warning("orders_poll_failed", source=self._question.source, reason=error.message)
        self.error = error


async def _body(response: aiohttp.ClientResponse) -> bytes:
    text = bytearray()
    async for piece in response.content.iter_chunked(2**16):
        text += piece
        if len(text) > LARGEST:
            raise OrdersError(f"answered with more than {LARGEST} bytes")
    return bytes(text)
