"""MQTT against a real broker that is killed, stopped and strict."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

import ports
from orderacc.config import MqttConfig
from orderacc.notify import Pump, PumpPolicy
from orderacc.notify.mqtt import MqttSink, tls_context
from orderacc.notify.sink import Delivery, Result
from orderacc.storage.journal import Journal
from orderacc.storage.records import OutboxMessage
from receivers import broker, eventually, subscriber

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

QUICK = PumpPolicy(first_wait=0.02, longest_wait=0.1)


def config(port: int, **changes: object) -> MqttConfig:
    settings = {"host": "127.0.0.1", "port": port, "retry_max_sec": 0.1, "timeout_sec": 5.0, "keepalive_sec": 5}
    return MqttConfig.model_validate({**settings, **changes})


@pytest.fixture
def port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def message(number: int, station: str = "drive-1") -> OutboxMessage:
    key = f"store/{station}/{number}/1"
    return OutboxMessage("mqtt", station, key, {"key": key, "station": station, "number": number})


@asynccontextmanager
async def running(sink: MqttSink) -> AsyncIterator[MqttSink]:
    async with anyio.create_task_group() as group:
        await group.start(sink.run)
        yield sink
        group.cancel_scope.cancel()


async def test_a_verdict_as_it_arrives_and_what_is_retained(tmp_path, port):
    with broker(tmp_path, port):
        async with subscriber(port) as hearer:
            async with running(MqttSink(config(port), "store")) as sink:
                body = b'{"key":"store/drive-1/1/1"}'
                assert (await sink.deliver(Delivery("k", "drive-1", body))).result is Result.DELIVERED
                await sink.tell_state("drive-1", b'{"phase":"running"}')
                await sink.tell_state("drive-2", b'{"phase":"stalled"}')
                await sink.tell_state("drive-2", b"")
                await eventually(lambda: hearer.last("orderacc/drive-2/state") == b"")
            await eventually(lambda: hearer.last("orderacc/availability") == b"offline")
        assert ("orderacc/drive-1/verdict", body, False) in hearer.heard
        # Whoever comes later hears what is retained, and no verdicts of before.
        async with subscriber(port) as late:
            await eventually(lambda: len(late.heard) >= 2)
        assert set(late.heard) == {
            ("orderacc/availability", b"offline", True),
            ("orderacc/drive-1/state", b'{"phase":"running"}', True),
        }


async def test_the_broker_says_that_we_are_gone_when_it_loses_us(tmp_path, port):
    source = (
        "import asyncio, sys\n"
        "from orderacc.config import MqttConfig\n"
        "from orderacc.notify.mqtt import MqttSink\n"
        "config = MqttConfig(host='127.0.0.1', port=int(sys.argv[1]))\n"
        "asyncio.run(MqttSink(config, 'store').run())\n"
    )
    with broker(tmp_path, port):
        async with subscriber(port) as hearer:
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", source, str(port))
            await eventually(lambda: hearer.last("orderacc/availability") == b"online")
            process.kill()
            await process.wait()
            await eventually(lambda: hearer.last("orderacc/availability") == b"offline")


async def test_a_broker_killed_under_load_hears_everything(tmp_path, port):
    """Killed with -9 again and again while messages come: the subscriber's set is ours."""
    written = [message(number, f"s{number % 5}") for number in range(400)]
    with broker(tmp_path, port) as one:
        async with (
            Journal.open(tmp_path / "journal.db") as journal,
            subscriber(port) as hearer,
            running_pump(journal, config(port, timeout_sec=1.0)) as pump,
        ):
            await one.save()
            for round_, start in enumerate(range(0, len(written), 40)):
                await journal.outbox.add(written[start : start + 40])
                pump.wake()
                heard = len(hearer.heard)
                await eventually(lambda heard=heard, more=3 * round_: len(hearer.heard) > heard + more)
                # What it has confirmed to us and the subscriber has not read yet would be lost whatever we do.
                one.stop()
                await eventually(lambda: hearer.unread() == 0)
                one.kill()
                await eventually(lambda: not hearer.connected.is_set())
                one.start()
                await eventually(hearer.connected.is_set)
            await eventually(lambda: len({body["key"] for body in hearer.verdicts()}) == len(written), 30)
            await pump.settled()
            assert await journal.outbox.counts() == {("mqtt", "delivered"): len(written)}
        verdicts = hearer.verdicts()
    bodies = {body["key"]: body for body in verdicts}
    assert bodies == {one.key: one.body for one in written}
    for station in {one.station_id for one in written}:
        numbers = [body["number"] for body in verdicts if body["station"] == station]
        firsts = list(dict.fromkeys(numbers))
        assert firsts == sorted(firsts)
    print(f"{len(written)} messages, 10 kills: {len(verdicts) - len(bodies)} came twice, each with its key")


async def test_states_are_told_again_to_a_broker_that_lost_them(tmp_path, port):
    with broker(tmp_path, port) as one:
        async with running(MqttSink(config(port), "store")) as sink, subscriber(port) as hearer:
            await sink.tell_state("drive-1", b"{}")
            await eventually(lambda: hearer.last("orderacc/drive-1/state") == b"{}")
            one.kill()
            await sink.tell_state("drive-1", b'{"phase":"stalled"}')
            hearer.heard.clear()
            one.start()
            await eventually(lambda: hearer.last("orderacc/drive-1/state") == b'{"phase":"stalled"}')
            await eventually(lambda: hearer.last("orderacc/availability") == b"online")


async def test_a_broker_that_stands_still_is_given_up_in_time(tmp_path, port):
    with broker(tmp_path, port) as one:
        async with running(MqttSink(config(port, timeout_sec=0.3), "store")) as sink:
            assert (await sink.deliver(Delivery("k", "a", b"{}"))).result is Result.DELIVERED
            one.stop()
            outcome = await sink.deliver(Delivery("k", "a", b"{}"))
            assert outcome.result is Result.FAILED
            one.kill()
            one.start()
            await eventually_delivered(sink)


@pytest.mark.parametrize("password", [None, "wrong", "open-sesame"])
async def test_a_broker_that_wants_a_password(tmp_path, port, password):
    who = {} if password is None else {"user": "crew", "password": password}
    with broker(tmp_path, port, passwords=True):
        await eventually(lambda: listens(port))
        async with running(MqttSink(config(port, timeout_sec=1.0, **who), "store")) as sink:
            outcome = await sink.deliver(Delivery("k", "a", b"{}"))
            assert outcome.result is (Result.DELIVERED if password == "open-sesame" else Result.FAILED)
            if outcome.error:
                assert "ot authori" in outcome.error or "user name or password" in outcome.error
                assert "wrong" not in outcome.error


@pytest.mark.parametrize("what", [ports.garbage, ports.hang_up, ports.web_page])
async def test_what_is_no_broker(what):
    with ports.answering(what) as port:
        async with running(MqttSink(config(port, timeout_sec=0.5), "store")) as sink:
            outcome = await sink.deliver(Delivery("k", "a", b"{}"))
    assert outcome.result is Result.FAILED
    assert outcome.error


async def test_a_port_that_says_nothing():
    with ports.silent() as port:
        async with running(MqttSink(config(port, timeout_sec=0.3), "store")) as sink:
            outcome = await sink.deliver(Delivery("k", "a", b"{}"))
    assert outcome.result is Result.FAILED


def test_certificates_that_are_none(tmp_path):
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(ssl.SSLError):
        tls_context(config(1, tls=True).model_copy(update={"ca_file": tmp_path / "ca.pem"}))
    assert tls_context(config(1)) is None
    assert isinstance(tls_context(config(1, tls=True)), ssl.SSLContext)


@asynccontextmanager
async def running_pump(journal: Journal, settings: MqttConfig) -> AsyncIterator[Pump]:
    pump = Pump(MqttSink(settings, "store"), journal.outbox, QUICK, rng=random.Random(1))
    async with anyio.create_task_group() as group:
        await group.start(pump.run)
        yield pump
        group.cancel_scope.cancel()


async def eventually_delivered(sink: MqttSink) -> None:
    with anyio.fail_after(20):
        while (await sink.deliver(Delivery("k", "a", b"{}"))).result is not Result.DELIVERED:
            pass


def listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0
