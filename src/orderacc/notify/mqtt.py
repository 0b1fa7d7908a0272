"""An MQTT broker: verdicts at QoS 1, the stations' states and our own availability retained."""

from __future__ import annotations

import random
import ssl
from typing import TYPE_CHECKING, Final

import anyio
from anyio import TASK_STATUS_IGNORED

from orderacc.backoff import Backoff
from orderacc.errors import NotifyError
from orderacc.notify.mqtt_connection import BrokerConnection
from orderacc.notify.sink import DELIVERED, Delivery, Outcome, Result
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from orderacc.config.notify import MqttConfig
    from orderacc.domain.verdicts import Verdict

_log = get_logger(__name__)

FIRST_WAIT: Final = 0.5
"""Longest wait before the first attempt to connect again, seconds."""

FAREWELL: Final = 2.0
"""Seconds that telling everybody of our end may take."""


class MqttSink:
    """Keeps a connection to one broker and publishes messages through it.

    The broker tells everybody that we are `offline` when it loses us (its last will), and so do we when we stop.

    Args:
        config: Which broker, who we are, and what topics begin with.
        store: Name of the restaurant.
        tls: For encryption, from `tls_context`; None for none.
        guest: Come beside the one who is there under this name, as `NAME-test`, and say nothing of our availability:
            of two clients with one name a broker keeps the last.
    """

    def __init__(
        self, config: MqttConfig, store: str, tls: ssl.SSLContext | None = None, *, guest: bool = False
    ) -> None:
        self._config = config
        self._identifier = (config.client_id or f"orderacc-{store}") + ("-test" if guest else "")
        self._availability = None if guest else f"{config.topic}/availability"
        self._tls = tls
        self._statuses = frozenset(config.statuses)
        self._states: dict[str, bytes] = {}
        self._connection: BrokerConnection | None = None
        self._connected = anyio.Event()
        self._trouble = "not connected yet"

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return self._config.name

    def wants(self, verdict: Verdict) -> bool:
        """See `Sink.wants`. A revision is always told: it may take back what was told before."""
        return verdict.status in self._statuses or verdict.revision > 1

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """See `Sink.run`."""
        task_status.started()
        longest = self._config.retry_max_sec
        waits = Backoff(min(FIRST_WAIT, longest), longest, random.Random())  # noqa: S311  it spreads waits
        while True:
            connection = BrokerConnection(self._config, self._identifier, self._availability, self._tls)
            try:
                await connection.open()
                await self._stay(connection, waits)
            except NotifyError as error:
                self._note(error)
            finally:
                self._connection = None
                self._connected = anyio.Event()
                with anyio.CancelScope(shield=True):
                    await self._leave(connection)
            await anyio.sleep(waits.next())

    async def deliver(self, message: Delivery) -> Outcome:
        """See `Sink.deliver`."""
        with anyio.move_on_after(self._config.timeout_sec):
            await self._connected.wait()
        if self._connection is None:
            return Outcome(Result.FAILED, self._trouble)
        return await self._publish(self._connection, f"{self._config.topic}/{message.station_id}/verdict", message.body)

    async def tell_state(self, station_id: str, state: bytes) -> None:
        """Publish a station's state now, or as soon as there is a connection; only the newest counts.

        Args:
            station_id: The station.
            state: JSON; empty makes the broker forget it.
        """
        self._states[station_id] = state
        if self._connection is not None:
            await self._publish_state(self._connection, station_id, state)

    async def _stay(self, connection: BrokerConnection, waits: Backoff) -> None:
        if self._availability is not None:
            await connection.publish(self._availability, b"online", retain=True)
        waits.reset()
        self._trouble = "the connection was lost"
        _log.info("broker_connected", sink=self.name, host=self._config.host)
        # Before any message: whoever has waited for his messages to go out has the states told too.
        sent: dict[str, bytes] = {}
        while news := {name: state for name, state in self._states.items() if sent.get(name) != state}:
            for station_id, state in news.items():
                await self._publish_state(connection, station_id, state)
            sent |= news
        self._connection = connection
        self._connected.set()
        await connection.lost.wait()
        self._note(NotifyError("the connection was lost"))

    async def _publish(
        self, connection: BrokerConnection, topic: str, payload: bytes, *, retain: bool = False
    ) -> Outcome:
        try:
            await connection.publish(topic, payload, retain=retain)
        except NotifyError as error:
            # One that confirms nothing is given up too: what it was given is sent again through the next.
            connection.lost.set()
            return Outcome(Result.FAILED, error.message)
        return DELIVERED

    async def _publish_state(self, connection: BrokerConnection, station_id: str, state: bytes) -> None:
        outcome = await self._publish(connection, f"{self._config.topic}/{station_id}/state", state, retain=True)
        if outcome is DELIVERED and self._states.get(station_id) == b"":
            del self._states[station_id]

    async def _leave(self, connection: BrokerConnection) -> None:
        if self._availability is not None and not connection.lost.is_set():
            with anyio.move_on_after(FAREWELL):
                await self._publish(connection, self._availability, b"offline", retain=True)
        await connection.aclose()

    def _note(self, error: NotifyError) -> None:
        trouble = f"{self._config.host}: {error.message}"
        if trouble != self._trouble:
            _log.warning("broker_lost", sink=self.name, reason=trouble)
        self._trouble = trouble


def tls_context(config: MqttConfig) -> ssl.SSLContext | None:
    """What encryption needs, or None. Reads files: call it from a worker thread."""
    return ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file else None) if config.tls else None
