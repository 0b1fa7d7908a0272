"""One connection to an MQTT broker, from the event loop; the protocol runs in a thread of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import anyio
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from orderacc.errors import NotifyError

if TYPE_CHECKING:
    import ssl

    from paho.mqtt.reasoncodes import ReasonCode

    from orderacc.config.notify import MqttConfig

AT_LEAST_ONCE: Final = 1

LONGEST_CONNECT: Final = 3.0
"""Seconds reaching the broker's port may take; it cannot be cut short."""

FAREWELL: Final = 2.0
"""Seconds that ending a connection may take; after that its thread ends by itself, with the keepalive."""


class BrokerConnection:
    """A connection that is opened once, lost or closed once, and never used again.

    What the broker has not confirmed when it is lost may have arrived or not; whoever published it does so again
    through the next connection.

    Args:
        config: Which broker, and who we are.
        identifier: Our name there.
        will: Topic the broker says `offline` on when it loses us; None for nothing.
        tls: For encryption; None for none.
    """

    def __init__(self, config: MqttConfig, identifier: str, will: str | None, tls: ssl.SSLContext | None) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[None] = self._loop.create_future()
        self._unconfirmed: dict[int, asyncio.Future[None]] = {}
        self.lost = anyio.Event()
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, identifier, protocol=paho.MQTTv311, reconnect_on_failure=False
        )
        client.connect_timeout = min(config.timeout_sec, LONGEST_CONNECT)
        client.max_inflight_messages_set(config.max_in_flight + 1)
        if will is not None:
            client.will_set(will, b"offline", AT_LEAST_ONCE, retain=True)
        if config.user is not None:
            client.username_pw_set(config.user, config.password.reveal() if config.password else None)
        if tls is not None:
            client.tls_set_context(tls)
        client.on_connect = self._heard_connect
        client.on_publish = self._heard_publish
        client.on_disconnect = self._heard_disconnect

    async def open(self) -> None:
        """Connect.

        Raises:
            NotifyError: If the broker cannot be reached, does not let us in, or does not answer.
        """
        config = self._config
        port = config.port or (8883 if config.tls else 1883)
        try:
            # Cancelled half way it would leave its socket behind.
            with anyio.CancelScope(shield=True):
                await asyncio.to_thread(self._client.connect, config.host, port, config.keepalive_sec)
        except (OSError, ValueError) as error:
            raise NotifyError(str(error) or type(error).__name__) from error
        self._client.loop_start()
        try:
            with anyio.fail_after(config.timeout_sec):
                await self._answer
        except TimeoutError:
            raise NotifyError(f"the broker did not answer within {config.timeout_sec:.3g} s") from None

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish; returns when the broker has confirmed.

        Args:
            topic: Where.
            payload: What.
            retain: Whether whoever subscribes later is told.

        Raises:
            NotifyError: If the connection is lost before, or the broker does not confirm in time.
        """
        if self.lost.is_set():
            raise NotifyError("the connection was lost")
        sent = self._client.publish(topic, payload, AT_LEAST_ONCE, retain)
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise NotifyError(paho.error_string(sent.rc))
        confirmed: asyncio.Future[None] = self._loop.create_future()
        # The confirmation is heard in the loop, so not before this.
        self._unconfirmed[sent.mid] = confirmed
        try:
            with anyio.fail_after(self._config.timeout_sec):
                await confirmed
        except TimeoutError:
            raise NotifyError(f"the broker did not confirm within {self._config.timeout_sec:.3g} s") from None
        finally:
            self._unconfirmed.pop(sent.mid, None)

    async def aclose(self) -> None:
        """End it, once; what is not confirmed fails."""
        if self._client.disconnect() == paho.MQTT_ERR_SUCCESS:
            with anyio.move_on_after(FAREWELL):
                await self.lost.wait()
        self._lose("the connection was closed")
        # Without the way back to us, and the way there, it goes at once, and its sockets with it.
        self._client.on_connect = self._client.on_publish = self._client.on_disconnect = None
        del self._client

    # What the broker says is heard in the protocol's thread and passed to the loop.

    def _heard_connect(self, client: Any, data: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:  # noqa: ANN401  paho's signature
        del client, data, flags, properties
        self._tell(self._admit, str(reason) if reason.is_failure else None)

    def _heard_publish(self, client: Any, data: Any, mid: int, reason: Any, properties: Any) -> None:  # noqa: ANN401  likewise
        del client, data, reason, properties
        self._tell(self._confirm, mid)

    def _heard_disconnect(self, client: Any, data: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:  # noqa: ANN401  likewise
        del client, data, flags, properties
        self._tell(self._lose, f"the connection was lost: {reason}")

    def _tell(self, what: Any, *args: object) -> None:  # noqa: ANN401  any of the three below
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *args)

    def _admit(self, refusal: str | None) -> None:
        if self._answer.done():
            return
        if refusal is None:
            self._answer.set_result(None)
        else:
            self._answer.set_exception(NotifyError(f"the broker refused: {refusal}", code="broker_refused"))

    def _confirm(self, mid: int) -> None:
        confirmed = self._unconfirmed.get(mid)
        if confirmed is not None and not confirmed.done():
            confirmed.set_result(None)

    def _lose(self, reason: str) -> None:
        self.lost.set()
        for future in (self._answer, *self._unconfirmed.values()):
            if not future.done():
                future.set_exception(NotifyError(reason))
        if not self._answer.cancelled():
            self._answer.exception()  # marks it as seen: whoever waited for it may have gone
