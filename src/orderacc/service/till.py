"""The box's POS orders: one store, and the feeds that the configuration names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import anyio

from orderacc.errors import ConfigError, Finding, OrdersError
from orderacc.orders import MatchRules, OrderStore, StationOrders
from orderacc.orders.file import FileFeed
from orderacc.storage.records import time_text
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orderacc.config import OrdersConfig, PollConfig
    from orderacc.orders import Match
    from orderacc.orders.polling import PolledFeed, Question
    from orderacc.storage.journal import Journal

_log = get_logger(__name__)

EVERY: Final = 1.0
"""Seconds between looks at the orders' files; they are looked at for every order besides."""


NO_ORDERS: Final = "needs POS orders to compare with: add `orders: {file: orders.json}`"
"""What is said of a station that has nothing to compare with."""


class PosOrders:
    """The box's POS orders, wherever the configuration says they are now.

    Args:
        config: The configuration's section, None when there is none.

    Attributes:
        store: All orders; whatever else knows of some puts them there.

    Raises:
        ConfigError: If the orders' file is bad.
    """

    def __init__(self, config: OrdersConfig | None) -> None:
        self.store = OrderStore() if config is None else OrderStore(most=config.keep_most, keep=config.keep_sec)
        self._config: OrdersConfig | None = None
        self._path: Path | None = None
        self._file: FileFeed | None = None
        self._left: list[FileFeed] = []
        self._polled: Sequence[tuple[PollConfig, PolledFeed]] = ()
        self.follow(config)

    def follow(self, config: OrdersConfig | None) -> None:
        """Take orders from what a new configuration names. May be called from any thread.

        Raises:
            ConfigError: If the orders' file is bad; then the old orders stay.
        """
        path = config.file if config else None
        if path != self._path:
            fresh = FileFeed(path, self.store) if path else None
            if self._file is not None:
                self._left.append(self._file)
            self._file, self._path = fresh, path
        if config is None or config.poll != tuple(poll for poll, _ in self._polled):
            self._polled = tuple((poll, self._asked(poll)) for poll in (config.poll if config else ()))
        if config is not None:
            self.store.rules = match_rules(config)
        self._config = config

    def need(self, station_id: str) -> None:
        """Make sure that there are orders for a station.

        Raises:
            ConfigError: If there are none.
        """
        if self._config is None:
            raise ConfigError([Finding("configuration", 0, 0, f"station {station_id}", NO_ORDERS)])

    async def find(self, station_id: str, slip_text: str, at: datetime | None = None) -> Match:
        """See `OrderBook.find`. What is not found while a till does not answer may be there."""
        if self._config is None:
            raise OrdersError("the configuration names no POS orders any more")
        await self._catch_up()
        match = await self.store.find(station_id, slip_text, at)
        failed = next((feed.error for _, feed in self._polled if feed.error is not None), None)
        if failed is not None and match.order is None and not match.candidates:
            raise failed
        return match

    async def keep_in(self, journal: Journal) -> None:
        """Take back the orders that were kept, and keep from now on what is pushed or polled."""
        keep = self._config.keep_sec if self._config is not None else 0.0
        kept = await journal.orders(time_text(datetime.now(UTC) - timedelta(seconds=keep)))
        self.store.place = lambda: journal.files
        self.store.restore((one.order, datetime.fromisoformat(one.received_at).timestamp()) for one in kept)
        self.store.on_put = journal.put_order

    async def run(self) -> None:
        """Keep up with the feeds until cancelled."""
        while True:
            polled = self._polled
            async with anyio.create_task_group() as group:
                for _, feed in polled:
                    group.start_soon(self._poll, feed)
                while self._polled is polled:  # follow may be called from another thread
                    await self._catch_up()
                    await anyio.sleep(EVERY)
                group.cancel_scope.cancel()

    def _asked(self, poll: PollConfig) -> PolledFeed:
        """The feed there is for a till, or a new one."""
        return next((feed for known, feed in self._polled if known == poll), None) or polled_feed(poll, self.store)

    async def _poll(self, feed: PolledFeed) -> None:
        while True:
            try:
                await feed.run()
            except Exception as error:  # noqa: BLE001  a feed that fails must not end the watching
                _log.error("orders_feed_failed", exc_info=error)
                await anyio.sleep(EVERY)

    async def _catch_up(self) -> None:
        while self._left:
            self._left.pop().leave()
        if self._file is not None:
            await self._file.refresh()


def match_rules(config: OrdersConfig) -> MatchRules:
    """When an order may be the one on the counter, out of the configuration."""
    stations = {
        name: StationOrders(section.location, tuple(section.channels)) for name, section in config.stations.items()
    }
    rules = MatchRules(within=config.match_within_sec, closed_within=config.match_closed_within_sec)
    return replace(rules, slack=max(rules.slack, config.wait_sec), stations=MappingProxyType(stations))


def polled_feed(config: PollConfig, store: OrderStore) -> PolledFeed:
    """A feed that asks a till."""
    from orderacc.orders.polling import PolledFeed  # pulls in an HTTP client

    return PolledFeed(question(config), store)


def question(config: PollConfig) -> Question:
    """What to ask a till, out of the configuration."""
    from orderacc.orders.polling import Question
    from orderacc.orders.schema import read_answer
    from orderacc.orders.square import read_square
    from orderacc.orders.toast import read_toast

    readers = {"orderacc": read_answer, "square": read_square, "toast": read_toast}
    headers = {name: value.reveal() for name, value in config.headers.items()}
    if config.token is not None:
        headers["Authorization"] = f"Bearer {config.token.reveal()}"
    return Question(
        url=config.url.reveal(),
        shown=str(config.url),
        source=config.source or config.format,
        read=readers[config.format],
        interval=config.interval_sec,
        timeout=config.timeout_sec,
        longest_wait=max(config.backoff_max_sec, config.interval_sec),
        headers=headers,
        body=config.body,
    )
