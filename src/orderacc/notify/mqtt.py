"""An MQTT broker: verdicts at QoS 1, the stations' states and our own availability retained."""

from __future__ import annotations

import random
import ssl
from typing import TYPE_CHECKING, Final

import aiomqtt
import anyio
from anyio import TASK_STATUS_IGNORED

from orderacc.backoff import Backoff
from orderacc.notify.sink import DELIVERED, Delivery, Outcome, Result
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from orderacc.config.notify import MqttConfig
    from orderacc.domain.verdicts import Verdict

_log = get_logger(__name__)

AT_LEAST_ONCE: Final = 1

FAREWELL: Final = 2.0
"""Seconds that saying good-bye to the broker may take."""

FIRST_WAIT: Final = 0.5
"""Longest wait before the first attempt to connect again, seconds."""


class MqttSink:
    """Keeps a connection to one broker and publishes messages through it.

    The broker tells everybody that we are `offline` when it loses us (its last will), and so do we when we stop.

    Args:
        config: Which broker, who we are, and what topics begin with.
        store: Name of the restaurant.
        tls: For encryption, from `tls_context`; None for none.
    """

    def __init__(self, config: MqttConfig, store: str, tls: ssl.SSLContext | None = None) -> None:
        self._config = config
        self._identifier = config.client_id or f"orderacc-{store}"
        self._tls = tls
        self._statuses = frozenset(config.statuses)
        self._states: dict[str, bytes] = {}
        self._client: aiomqtt.Client | None = None
        self._connected = anyio.Event()
        self._lost = anyio.Event()
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
        waits = Backoff(FIRST_WAIT, self._config.retry_max_sec, random.Random())  # noqa: S311  it spreads waits
        while True:
            try:
                await self._stay_connected(waits)
            except aiomqtt.MqttError as error:
                trouble = f"{self._config.host}: {error}"
                if trouble != self._trouble:
                    _log.warning("broker_lost", sink=self.name, reason=trouble)
                self._trouble = trouble
            await anyio.sleep(waits.next())

    async def deliver(self, message: Delivery) -> Outcome:
        """See `Sink.deliver`."""
        with anyio.move_on_after(self._config.timeout_sec):
            if self._client is None:
                await self._connected.wait()
            return await self._publish(f"{self._config.topic}/{message.station_id}/verdict", message.body)
        self._lost.set()  # a broker that confirms nothing is given up; what it was given is sent again
        return Outcome(Result.FAILED, self._trouble if self._client is None else "not confirmed in time")

    async def tell_state(self, station_id: str, state: bytes) -> None:
        """Publish a station's state now, or as soon as there is a connection; only the newest counts.

        Args:
            station_id: The station.
            state: JSON; empty forgets the station.
        """
        self._states[station_id] = state
        if self._client is not None:
            with anyio.move_on_after(self._config.timeout_sec):
                await self._publish_state(station_id, state)

    async def _stay_connected(self, waits: Backoff) -> None:
        client = self._new_client()
        # Cancelled half way, it would leave its socket behind; it gives up by itself soon enough.
        with anyio.CancelScope(shield=True):
            await self._connect(client)
        self._lost = anyio.Event()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._notice_loss, client)
                self._client = client
                self._connected.set()
                await self._introduce(client)
                waits.reset()
                self._trouble = "connection lost"
                await self._lost.wait()
                group.cancel_scope.cancel()
        finally:
            self._client = None
            self._connected = anyio.Event()
            with anyio.CancelScope(shield=True):
                await self._leave(client)

    async def _connect(self, client: aiomqtt.Client) -> None:
        try:
            await client.__aenter__()
        except aiomqtt.MqttError:
            _hang_up(client)
            raise

    async def _introduce(self, client: aiomqtt.Client) -> None:
        try:
            await client.publish(self._availability, b"online", AT_LEAST_ONCE, retain=True)
            for station_id, state in list(self._states.items()):
                await self._publish_state(station_id, state)
            _log.info("broker_connected", sink=self.name, host=self._config.host)
        except aiomqtt.MqttError:
            self._lost.set()

    async def _publish_state(self, station_id: str, state: bytes) -> None:
        outcome = await self._publish(f"{self._config.topic}/{station_id}/state", state, retain=True)
        if outcome is DELIVERED and not state and self._states.get(station_id) == b"":
            del self._states[station_id]

    async def _publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Outcome:
        """Publish and wait until the broker has confirmed, or the connection is lost."""
        client, lost = self._client, self._lost
        if client is None:
            return Outcome(Result.FAILED, self._trouble)
        outcome = Outcome(Result.FAILED, "connection lost")

        async def publish() -> None:
            nonlocal outcome
            try:
                await client.publish(topic, payload, AT_LEAST_ONCE, retain=retain, timeout=self._config.timeout_sec)
                outcome = DELIVERED
            except aiomqtt.MqttError as error:
                outcome = Outcome(Result.FAILED, str(error))
                lost.set()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(publish)
            await lost.wait()
            group.cancel_scope.cancel()
        return outcome

    async def _notice_loss(self, client: aiomqtt.Client) -> None:
        """Nothing is subscribed to: the only thing that comes is the end."""
        try:
            async for _ in client.messages:
                pass
        except aiomqtt.MqttError:
            self._lost.set()

    async def _leave(self, client: aiomqtt.Client) -> None:
        with anyio.move_on_after(FAREWELL):
            try:
                if not self._lost.is_set():
                    await client.publish(self._availability, b"offline", AT_LEAST_ONCE, retain=True, timeout=FAREWELL)
                await client.__aexit__(None, None, None)
            except aiomqtt.MqttError as error:
                _log.debug("farewell_failed", sink=self.name, reason=str(error))
        _hang_up(client)

    @property
    def _availability(self) -> str:
        return f"{self._config.topic}/availability"

    def _new_client(self) -> aiomqtt.Client:
        config = self._config
        return aiomqtt.Client(
            config.host,
            config.port or (8883 if config.tls else 1883),
            username=config.user,
            password=config.password.reveal() if config.password else None,
            identifier=self._identifier,
            clean_session=True,
            will=aiomqtt.Will(self._availability, b"offline", AT_LEAST_ONCE, retain=True),
            timeout=config.timeout_sec,
            keepalive=config.keepalive_sec,
            max_inflight_messages=config.max_in_flight + 1,
            tls_context=self._tls,
        )


def tls_context(config: MqttConfig) -> ssl.SSLContext | None:
    """What encryption needs, or None. Reads files: call it from a worker thread."""
    return ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file else None) if config.tls else None


def _hang_up(client: aiomqtt.Client) -> None:
    """Close the socket: a client that never was connected, or lost its connection oddly, keeps it open for ever."""
    client._client.disconnect()  # noqa: SLF001  there is no public way
