"""Telling the outside: the receivers of one process, fed out of the journal's outbox."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import anyio
from anyio import TASK_STATUS_IGNORED

from orderacc.config import NotifyConfig
from orderacc.errors import ConfigError
from orderacc.notify import Announcer, Pump, PumpPolicy, SinkState
from orderacc.notify.pump import FIRST_WAIT
from orderacc.service.serving import Part
from orderacc.storage.records import OutboxMessage, time_text
from orderacc.telemetry import get_logger
from orderacc.telemetry.notify_metrics import NotifyMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from anyio.abc import TaskStatus

    from orderacc.capture import StationHealth
    from orderacc.config.notify import SinkSection
    from orderacc.domain.verdicts import Verdict
    from orderacc.notify import Outbox, Sink, SinkStatistics
    from orderacc.notify.mqtt import MqttSink
    from orderacc.service.serving import Serving

_log = get_logger(__name__)

STATE_EVERY: Final = 1.0
"""Seconds between looks at the stations for what a broker is told of them."""


class Notifying:
    """The receivers of a configuration.

    Args:
        config: Who is told.
        sinks: The receivers.
        broker: That of them which is also told the stations' states.
    """

    def __init__(self, config: NotifyConfig, sinks: Mapping[Sink, SinkSection], broker: MqttSink | None = None) -> None:
        self._sinks = dict(sinks)
        self._broker = broker
        self._announcer = Announcer(config.store, tuple(sinks))
        self._pumps: tuple[Pump, ...] = ()
        self._states: _States | None = None

    @classmethod
    def load(cls, config: NotifyConfig | None) -> Notifying:
        """Make the receivers. Reads certificates: call it from a worker thread.

        Args:
            config: Who is told; None for nobody.

        Raises:
            ConfigError: See `make_sinks`.
        """
        config = config or NotifyConfig()
        return cls(config, *make_sinks(config))

    def messages(self, verdict: Verdict) -> tuple[OutboxMessage, ...]:
        """What is to be written to the outbox together with a verdict."""
        said = self._announcer.announce(verdict, time_text(datetime.now(UTC)))
        return tuple(OutboxMessage(one.sink, one.station_id, one.key, dict(one.body)) for one in said)

    def wake(self) -> None:
        """Say that messages were written."""
        for pump in self._pumps:
            pump.wake()

    def statistics(self) -> tuple[SinkStatistics, ...]:
        """How every receiver is."""
        return tuple(pump.statistics() for pump in self._pumps)

    def show_in(self, serving: Serving | None) -> None:
        """Show over HTTP how every receiver is, where something listens; before it does."""
        if serving is not None:
            parts = {f"notify:{sink.name}": partial(self._part, sink.name) for sink in self._sinks}
            serving.also_show(parts, NotifyMetrics(self.statistics))

    async def run(
        self,
        outbox: Outbox,
        health: Callable[[], Mapping[str, StationHealth]],
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        """Send until cancelled; never raises for what is wrong outside.

        Args:
            outbox: The journal's.
            health: Gives how every station is.
            task_status: Told when messages go out.
        """
        self._pumps = tuple(
            Pump(sink, outbox, _policy(config), rng=random.Random())  # noqa: S311  it spreads waits
            for sink, config in self._sinks.items()
        )
        async with anyio.create_task_group() as group:
            for pump in self._pumps:
                await group.start(pump.run)
            if self._broker is not None:
                self._states = _States(self._broker, health)
                group.start_soon(self._states.run)
            task_status.started()

    def _part(self, name: str) -> Part:
        now = next((one for one in self.statistics() if one.name == name), None)
        if now is None or now.state is SinkState.READY:
            return Part(ok=True)
        return Part(ok=False, reason=f"{now.state}, {now.pending} messages wait: {now.last_error}")

    async def settle(self, patience: float) -> None:
        """Wait until everything that can be sent now is sent.

        Args:
            patience: Seconds it may take; what is left then stays in the outbox for the next start.
        """
        with anyio.move_on_after(patience) as waiting:
            async with anyio.create_task_group() as group:
                for pump in self._pumps:
                    group.start_soon(pump.settled)
                if self._states is not None:
                    group.start_soon(self._states.tell)
        left = {one.name: one.pending for one in self.statistics() if one.pending}
        if left:
            _log.warning("messages_left", pending=left, hurried=waiting.cancelled_caught)


def make_sinks(config: NotifyConfig, *, guest: bool = False) -> tuple[dict[Sink, SinkSection], MqttSink | None]:
    """Make the receivers. Reads certificates.

    Args:
        config: Who is told.
        guest: Whether they are asked beside a daemon, which is not to be disturbed.

    Returns:
        All of them, each with its part of the configuration; and that of them which is a broker.

    Raises:
        ConfigError: `extra_missing` if one needs what is not installed; `bad_config` if a certificate is none.
    """
    from orderacc.notify.webhook import WebhookSink

    sinks: dict[Sink, SinkSection] = {WebhookSink(one): one for one in config.webhooks}
    broker = _broker(config, guest=guest)
    if broker is not None and config.mqtt is not None:
        sinks[broker] = config.mqtt
    return sinks, broker


def state_of(health: StationHealth) -> dict[str, Any]:
    """What a broker is told of a station: only what changes rarely."""
    return {
        "station_id": health.station_id,
        "phase": str(health.phase),
        "warnings": [str(one) for one in health.warnings],
        "last_error": None
        if health.last_error is None
        else {"code": health.last_error.code, "message": health.last_error.message},
    }


class _States:
    """What a broker is told of the stations, whenever it has changed.

    Args:
        broker: Told.
        health: Gives how every station is.
    """

    def __init__(self, broker: MqttSink, health: Callable[[], Mapping[str, StationHealth]]) -> None:
        self._broker = broker
        self._health = health
        self._told: dict[str, bytes] = {}

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            await self.tell()
            await asyncio.sleep(STATE_EVERY)

    async def tell(self) -> None:
        """Tell what has changed since the last time."""
        now = {name: json.dumps(state_of(one), ensure_ascii=False).encode() for name, one in self._health().items()}
        told, self._told = self._told, now
        for station in told.keys() - now.keys():
            await self._broker.tell_state(station, b"")  # it forgets a station that is no more
        for station, state in now.items():
            if told.get(station) != state:
                await self._broker.tell_state(station, state)


def _broker(config: NotifyConfig, *, guest: bool) -> MqttSink | None:
    if config.mqtt is None:
        return None
    if find_spec("paho") is None:
        raise ConfigError("notify.mqtt needs the extra mqtt: pip install 'orderacc[mqtt]'", code="extra_missing")
    from orderacc.notify.mqtt import MqttSink, tls_context

    try:
        return MqttSink(config.mqtt, config.store, tls_context(config.mqtt), guest=guest)
    except OSError as error:  # that of a certificate which is none is one too
        raise ConfigError(f"notify.mqtt.ca_file: {config.mqtt.ca_file} holds no certificates: {error}") from error


def _policy(config: SinkSection) -> PumpPolicy:
    return PumpPolicy(
        in_flight=config.max_in_flight,
        first_wait=min(FIRST_WAIT, config.retry_max_sec),
        longest_wait=config.retry_max_sec,
        give_up_after=config.give_up_after_sec,
    )
