"""Webhooks: signed as the specification says, and what becomes of receivers that do not take them."""

from __future__ import annotations

import json
import random
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ports
from orderacc.config import WebhookConfig
from orderacc.config.notify import signing_key
from orderacc.domain.verdicts import Verdict
from orderacc.errors import StorageError
from orderacc.notify import Announcer, Pump, PumpPolicy, SinkState
from orderacc.notify import pump as pump_module
from orderacc.notify.pump import json_bytes
from orderacc.notify.signature import message_id, sign, verify
from orderacc.notify.sink import Delivery, Result
from orderacc.notify.webhook import WebhookSink
from orderacc.storage.database import Database
from orderacc.storage.journal import Journal
from orderacc.storage.outbox import Outbox
from orderacc.storage.records import OutboxMessage
from receivers import KEY, SECRET, answers, eventually, hangs, receiver, takes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

RESTFUL = PumpPolicy(first_wait=600.0, longest_wait=600.0)
QUICK = PumpPolicy(first_wait=0.02, longest_wait=0.1, gone_wait=0.2, refusals=3)


def config(url: str, **changes: object) -> WebhookConfig:
    return WebhookConfig.model_validate({"name": "pos", "url": url, "secrets": [SECRET], **changes})


def message(number: int, station: str = "drive-1") -> OutboxMessage:
    key = f"store/{station}/{number}/1"
    return OutboxMessage("pos", station, key, {"key": key, "station": station, "number": number})


@asynccontextmanager
async def sink_to(url: str, **changes: object) -> AsyncIterator[WebhookSink]:
    sink = WebhookSink(config(url, **changes))
    async with anyio.create_task_group() as group:
        await group.start(sink.run)
        yield sink
        group.cancel_scope.cancel()


@asynccontextmanager
async def pumping(outbox: Outbox, url: str, policy: PumpPolicy = QUICK, **changes: object) -> AsyncIterator[Pump]:
    pump = Pump(WebhookSink(config(url, **changes)), outbox, policy, rng=random.Random(1))
    async with anyio.create_task_group() as group:
        await group.start(pump.run)
        yield pump
        group.cancel_scope.cancel()


class TestSignatures:
    def test_the_specifications_example(self):
        signature = sign([KEY], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
        assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        assert signing_key(SECRET) == signing_key(SECRET.removeprefix("whsec_")) == KEY

    @given(st.binary(min_size=24, max_size=64), st.text(), st.binary(), st.integers(0, 2**33))
    def test_what_is_signed_is_verified_and_nothing_else(self, key, name, body, at):
        identifier = message_id(name)
        headers = {
            "webhook-id": identifier,
            "webhook-timestamp": str(at),
            "webhook-signature": sign([b"x" * 24, key], identifier, at, body),
        }
        assert "." not in identifier
        assert verify(headers, body, keys=[key], now=at + 299)
        assert verify(headers, body, keys=[b"y" * 24, key], now=at - 299)
        assert not verify(headers, body, keys=[key], now=at + 301)
        assert not verify(headers, body + b" ", keys=[key], now=at)
        assert not verify(headers, body, keys=[key + b"!"], now=at)
        assert not verify({**headers, "webhook-id": identifier + "0"}, body, keys=[key], now=at)
        assert not verify({**headers, "webhook-timestamp": str(at + 1)}, body, keys=[key], now=at)

    @given(st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()))
    def test_any_headers_are_answered(self, headers):
        assert not verify(headers, b"{}", keys=[KEY], now=time.time())

    @pytest.mark.parametrize("secret", ["whsec_", "hunter2", "whsec_aHVudGVyMg==", "whsec_" + "A" * 100, "whsec_€"])
    def test_a_weak_secret_is_not_taken_and_not_repeated(self, secret):
        with pytest.raises(ValueError, match="24 to 64 bytes in base64") as caught:
            signing_key(secret)
        assert secret == "whsec_" or secret not in str(caught.value)


class TestAttempts:
    async def test_a_message_as_it_arrives(self):
        async with receiver() as there, sink_to(there.url) as sink:
            outcome = await sink.deliver(Delivery("store/a.b/1/1", "a.b", '{"key":"store/a.b/1/1","x":"é"}'.encode()))
        assert outcome.result is Result.DELIVERED
        assert there.received == [{"key": "store/a.b/1/1", "x": "é"}]
        assert there.forged == 0
        headers = there.asked[0]
        assert headers["Content-Type"] == "application/json"
        assert headers["webhook-id"] == message_id("store/a.b/1/1")
        assert headers["webhook-signature"].count("v1,") == 1

    async def test_two_secrets_give_two_signatures(self):
        other = "whsec_" + "B" * 32
        async with receiver() as there, sink_to(there.url, secrets=[other, SECRET]) as sink:
            await sink.deliver(Delivery("k", "a", b"{}"))
        assert there.forged == 0
        assert len(there.asked[0]["webhook-signature"].split()) == 2

    @pytest.mark.parametrize(
        ("status", "result"),
        [
            (200, Result.DELIVERED),
            (202, Result.DELIVERED),
            (301, Result.FAILED),
            (400, Result.REFUSED),
            (401, Result.FAILED),
            (404, Result.FAILED),
            (410, Result.GONE),
            (413, Result.REFUSED),
            (422, Result.REFUSED),
            (429, Result.FAILED),
            (500, Result.FAILED),
            (503, Result.FAILED),
        ],
    )
    async def test_every_status(self, status, result):
        async with receiver(answers(status, "so  it\nis", Location="/else")) as there, sink_to(there.url) as sink:
            outcome = await sink.deliver(Delivery("k", "a", b"{}"))
        assert outcome.result is result
        assert outcome.error == ("" if result is Result.DELIVERED else f"answered {status}: so it is")
        assert len(there.asked) == 1

    @pytest.mark.parametrize(
        ("header", "rest"), [("7", 7.0), ("9" * 400, 600.0), ("-1", 0.0), ("soon", 0.0), ("\uff11", 0.0)]
    )
    async def test_a_receiver_says_when_to_come_back(self, header, rest):
        from orderacc.notify.webhook import rest_asked_for

        assert rest_asked_for(header) == rest

    async def test_a_receiver_that_is_not_there(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        async with sink_to(f"http://127.0.0.1:{port}/hooks/t0ken") as sink:
            outcome = await sink.deliver(Delivery("k", "a", b"{}"))
        assert outcome.result is Result.FAILED
        assert "t0ken" not in outcome.error

    @pytest.mark.parametrize("answer", [ports.garbage, ports.hang_up])
    async def test_what_is_no_receiver(self, answer):
        with ports.answering(answer) as port:
            async with sink_to(f"http://127.0.0.1:{port}/hooks/t0ken") as sink:
                outcome = await sink.deliver(Delivery("k", "a", b"{}"))
        assert outcome.result is Result.FAILED
        assert outcome.error

    @pytest.mark.parametrize("port_of", [ports.silent, ports.black_hole])
    async def test_a_receiver_that_hangs(self, port_of):
        with port_of() as port:
            async with sink_to(f"http://127.0.0.1:{port}/", timeout_sec=0.2) as sink:
                outcome = await sink.deliver(Delivery("k", "a", b"{}"))
        assert outcome.result is Result.FAILED
        assert outcome.error == "no answer within 0.2 s"

    async def test_no_message_repeats_a_secret(self):
        async def repeats(request):
            said = f"{request.url} {request.path_qs} {request.headers.get('Authorization')}"
            return await answers(500, said)(request)

        async with receiver(repeats) as there:
            url = there.url.replace("http://", "http://crew:c4n4ry@") + "?token=b1rd"
            async with sink_to(url) as sink:
                outcome = await sink.deliver(Delivery("k", "a", b"{}"))
        assert outcome.error.startswith("answered 500: ")
        for song in ("c4n4ry", "b1rd", "t0ken", "Y3JldzpjNG40cnk"):
            assert song not in outcome.error


class TestPump:
    """With the real outbox in a real journal, and a receiver that misbehaves."""

    async def test_messages_arrive_in_order_per_station_and_stations_side_by_side(self, tmp_path):
        async def slowly(request):
            await anyio.sleep(0.002)
            return await takes(request)

        async with Journal.open(tmp_path / "journal.db") as journal, receiver(slowly) as there:
            stations = [f"s{number}" for number in range(6)]
            await journal.outbox.add([message(n, station) for n in range(20) for station in stations])
            async with pumping(journal.outbox, there.url) as pump:
                await eventually(lambda: len(there.received) == 120)
                await pump.settled()
                assert pump.statistics().pending == 0
                assert pump.statistics().delivered == 120
            for station in stations:
                numbers = [body["number"] for body in there.received if body["station"] == station]
                assert numbers == list(range(20))
            assert 1 < there.most_held <= 4
            assert there.forged == 0
            assert await journal.outbox.counts() == {("pos", "delivered"): 120}

    async def test_what_comes_while_the_outbox_is_looked_into_is_not_left(self, tmp_path):
        async with Journal.open(tmp_path / "journal.db") as journal, receiver() as there:
            outbox, looking, go_on = journal.outbox, anyio.Event(), anyio.Event()

            class SlowToTell:
                def __getattr__(self, name):
                    return getattr(outbox, name)

                async def due(self, *about):
                    found = await outbox.due(*about)
                    looking.set()
                    await go_on.wait()
                    return found

            async with pumping(SlowToTell(), there.url) as pump:
                await looking.wait()
                await outbox.add([message(1)])
                async with anyio.create_task_group() as group:
                    group.start_soon(pump.settled)
                    await anyio.wait_all_tasks_blocked()
                    go_on.set()
                assert there.keys == [message(1).key]

    @pytest.mark.parametrize("fault", [answers(500), answers(503, Retry_After="0"), answers(401), hangs])
    async def test_a_receiver_that_recovers_gets_everything_once(self, tmp_path, fault):
        async with Journal.open(tmp_path / "journal.db") as journal, receiver(fault) as there:
            await journal.outbox.add([message(n, f"s{n % 3}") for n in range(12)])
            async with pumping(journal.outbox, there.url, timeout_sec=0.1) as pump:
                await eventually(lambda: len(there.asked) >= 6)
                assert pump.statistics().state is SinkState.RESTING
                there.answer = takes
                await eventually(lambda: len(there.received) >= 12)
                await pump.settled()
                assert pump.statistics().state is SinkState.READY
            assert sorted(there.keys) == sorted(message(n, f"s{n % 3}").key for n in range(12))

    async def test_a_failing_receiver_is_tried_with_one_message_at_a_time(self, tmp_path):
        async with Journal.open(tmp_path / "journal.db") as journal, receiver(answers(500)) as there:
            await journal.outbox.add([message(n, f"s{n}") for n in range(30)])
            slow = PumpPolicy(first_wait=30.0, longest_wait=30.0)
            async with pumping(journal.outbox, there.url, slow) as pump:
                await pump.settled()
                # Those that were on their way when the first failed, and no more.
                assert 1 <= len(there.asked) <= slow.in_flight
                assert pump.statistics().last_error == "answered 500"

    async def test_a_refused_message_is_given_up_and_its_station_goes_on(self, tmp_path):
        async def picky(request):
            body = json.loads(await request.read())
            return await (answers(422, "no such order") if body["number"] == 1 else takes)(request)

        async with Journal.open(tmp_path / "journal.db") as journal, receiver(picky) as there:
            await journal.outbox.add([message(n) for n in range(4)])
            async with pumping(journal.outbox, there.url) as pump:
                await eventually(lambda: len(there.received) == 3)
                assert pump.statistics().dead == 1
                assert [body["number"] for body in there.received] == [0, 2, 3]
                (dead,) = await journal.outbox.log(state="dead")
                assert (dead.key, dead.attempts, dead.last_error) == (message(1).key, 3, "answered 422: no such order")

                there.answer = takes
                assert await journal.outbox.replay("pos") == 1
                await eventually(lambda: len(there.received) == 4)
                assert len(set(there.keys)) == 4

    async def test_one_bad_message_does_not_hold_up_other_stations(self, tmp_path):
        async def choking(request):
            body = json.loads(await request.read())
            return await (answers(500) if body["station"] == "bad" else takes)(request)

        async with Journal.open(tmp_path / "journal.db") as journal, receiver(choking) as there:
            await journal.outbox.add([message(0, "bad"), *(message(n, "good") for n in range(10))])
            async with pumping(journal.outbox, there.url):
                await eventually(lambda: len(there.received) == 10)

    async def test_a_message_that_fails_for_too_long_is_given_up(self, tmp_path):
        async with Journal.open(tmp_path / "journal.db") as journal, receiver(answers(500)) as there:
            await journal.outbox.add([message(0)])
            hasty = PumpPolicy(first_wait=0.01, longest_wait=0.01, give_up_after=0.0, tries=4)
            async with pumping(journal.outbox, there.url, hasty) as pump:
                await eventually(lambda: pump.statistics().dead == 1)
                await pump.settled()
            assert len(there.asked) == 4
            assert await journal.outbox.counts() == {("pos", "dead"): 1}

    async def test_a_receiver_that_is_gone_is_left_alone_and_loses_nothing(self, tmp_path):
        async with Journal.open(tmp_path / "journal.db") as journal, receiver(answers(410)) as there:
            await journal.outbox.add([message(n) for n in range(5)])
            lasting = PumpPolicy(first_wait=0.01, longest_wait=0.01, gone_wait=3600)
            async with pumping(journal.outbox, there.url, lasting) as pump:
                await pump.settled()
                assert pump.statistics().state is SinkState.GONE
                pump.wake()
                await pump.settled()
                assert len(there.asked) == 1
            there.answer = takes
            async with pumping(journal.outbox, there.url):
                await eventually(lambda: len(there.received) == 5)

    @pytest.mark.parametrize("fault", [answers(410), answers(503, Retry_After="600"), answers(500)])
    async def test_a_replay_ends_the_rest_of_a_receiver_that_is_well_again(self, tmp_path, monkeypatch, fault):
        monkeypatch.setattr(pump_module, "POLL", 0.02)
        async with Journal.open(tmp_path / "journal.db") as journal, receiver(fault) as there:
            await journal.outbox.add([message(0, "left"), message(1, "left"), message(2, "right")])
            (given_up, *_) = await journal.outbox.log()
            await journal.outbox.dead(given_up.id, "answered 422")
            async with pumping(journal.outbox, there.url, RESTFUL) as pump:
                await pump.settled()
                there.answer = takes
                asked = len(there.asked)
                async with await Database.open(tmp_path / "journal.db", mend=False) as of_another_process:
                    assert await Outbox(of_another_process).replay("screen") == 0
                    await anyio.sleep(0.1)
                    assert len(there.asked) == asked
                    assert await Outbox(of_another_process).replay("pos") == 1
                await eventually(lambda: len(there.received) == 3)
                await eventually(lambda: pump.statistics().state is SinkState.READY)

    async def test_a_replay_while_a_message_is_on_its_way_ends_the_rest_that_follows(self, tmp_path, monkeypatch):
        monkeypatch.setattr(pump_module, "POLL", 0.02)
        go_on = anyio.Event()

        async def says_so_late(request):
            there.answer = takes
            await go_on.wait()
            return await answers(410)(request)

        async with Journal.open(tmp_path / "journal.db") as journal, receiver(says_so_late) as there:
            await journal.outbox.add([message(0)])
            async with pumping(journal.outbox, there.url, replace(RESTFUL, first_wait=0.01)):
                await eventually(lambda: there.asked)
                await journal.outbox.replay("pos")
                go_on.set()
                await eventually(lambda: there.received)

    async def test_an_outbox_in_trouble_ends_no_rest(self, tmp_path, monkeypatch):
        monkeypatch.setattr(pump_module, "POLL", 0.01)
        async with Journal.open(tmp_path / "journal.db") as journal, receiver(answers(410)) as there:
            outbox, looks = journal.outbox, []

            class Unreadable:
                def __getattr__(self, name):
                    return getattr(outbox, name)

                async def replays(self, sink):
                    if there.asked:
                        looks.append(sink)
                        raise StorageError("disk I/O error", code="storage_failed")
                    return await outbox.replays(sink)

            await outbox.add([message(0)])
            async with pumping(Unreadable(), there.url, RESTFUL) as pump:
                await eventually(lambda: len(looks) >= 5)
                assert len(there.asked) == 1
                assert pump.statistics().state is SinkState.GONE

    async def test_a_pump_that_was_cut_off_begins_where_it_stopped(self, tmp_path):
        async with Journal.open(tmp_path / "journal.db") as journal, receiver() as there:
            await journal.outbox.add([message(n, f"s{n % 4}") for n in range(40)])
            while len(set(there.keys)) < 40:
                before = len(there.received)
                async with pumping(journal.outbox, there.url):
                    await eventually(lambda before=before: len(there.received) > before or len(set(there.keys)) == 40)
            assert set(there.keys) == {message(n, f"s{n % 4}").key for n in range(40)}

    async def test_every_fault_at_once(self, tmp_path):
        """The receiver fails, hangs, goes, takes messages and does not say so; the pump is cut off; messages come."""
        rng = random.Random(5)

        async def moody(request):
            await request.read()
            mood = rng.choice(("well", "well", "500", "410", "401", "slow", "hang", "deaf", "rude"))
            if mood in ("deaf", "rude"):  # it has the message, and the sender does not know
                there.received.append(await request.json())
            if mood == "rude":
                request.transport.abort()
            if mood in ("hang", "rude"):
                return await hangs(request)
            await anyio.sleep(0.002 if mood == "slow" else 0)
            return await answers({"500": 500, "410": 410, "401": 401, "deaf": 500}.get(mood, 204))(request)

        written = [message(n, f"s{n % 4}") for n in range(80)]
        hardened = PumpPolicy(first_wait=0.005, longest_wait=0.02, gone_wait=0.02)
        async with Journal.open(tmp_path / "journal.db") as journal, receiver(moody) as there:
            for start in range(0, 80, 20):
                async with pumping(journal.outbox, there.url, hardened, timeout_sec=0.05) as pump:
                    await journal.outbox.add(written[start : start + 20])
                    pump.wake()
                    enough = len(there.received) + 10
                    await eventually(lambda enough=enough: len(there.received) >= enough)
            async with pumping(journal.outbox, there.url, hardened, timeout_sec=0.05):
                await eventually(lambda: len(set(there.keys)) == 80, 60)
                there.answer = takes
            async with pumping(journal.outbox, there.url, hardened) as pump:
                with anyio.fail_after(30):
                    while await journal.outbox.counts() != {("pos", "delivered"): 80}:
                        await pump.settled()
                        await anyio.sleep(0.01)
        assert {body["key"]: body for body in there.received} == {one.key: one.body for one in written}
        for station in ("s0", "s1", "s2", "s3"):
            firsts = list(dict.fromkeys(body["number"] for body in there.received if body["station"] == station))
            assert firsts == sorted(firsts)
        assert there.forged == 0
        print(f"80 messages, {len(there.asked)} attempts: {len(there.received) - 80} came twice, each with its key")

    async def test_the_outbox_may_fail_too(self, tmp_path):
        class Failing:
            """A journal whose disk is full for a while."""

            def __init__(self, outbox: Outbox) -> None:
                self._outbox = outbox
                self.failures = 4

            def __getattr__(self, name: str) -> object:
                from orderacc.errors import StorageError

                if self.failures and name in ("due", "delivered"):
                    self.failures -= 1
                    raise StorageError("no space left", code="storage_full")
                return getattr(self._outbox, name)

        async with Journal.open(tmp_path / "journal.db") as journal, receiver() as there:
            await journal.outbox.add([message(n) for n in range(5)])
            failing = Failing(journal.outbox)
            async with pumping(failing, there.url) as pump:
                await eventually(lambda: len(set(there.keys)) == 5 and not failing.failures)
                await pump.settled()
            assert await journal.outbox.counts() == {("pos", "delivered"): 5}

    async def test_sinks_do_not_share_trouble(self, tmp_path):
        async with (
            Journal.open(tmp_path / "journal.db") as journal,
            receiver(hangs) as bad,
            receiver() as good,
            anyio.create_task_group() as group,
        ):
            for name, there in (("bad", bad), ("good", good)):
                await journal.outbox.add([OutboxMessage(name, "s", f"k{n}", {"key": f"k{n}"}) for n in range(10)])
                sink = WebhookSink(config(there.url, name=name, timeout_sec=5.0))
                await group.start(Pump(sink, journal.outbox, QUICK, rng=random.Random(1)).run)
            await eventually(lambda: len(good.received) == 10)
            assert bad.received == []
            group.cancel_scope.cancel()


class TestAnnouncing:
    def test_a_message_for_everybody_who_wants_to_know(self):
        wants_all = WebhookSink(config("http://a/"))
        wants_bad = WebhookSink(config("http://b/", name="screen", statuses=["inaccurate"]))
        announcer = Announcer("store-17", [wants_all, wants_bad])
        accurate = Verdict("accurate", verdict_id="drive-1/b1/7", station_id="drive-1")
        inaccurate = Verdict("inaccurate", verdict_id="drive-1/b1/8", station_id="drive-1")
        revised = Verdict("accurate", verdict_id="drive-1/b1/8", station_id="drive-1", revision=2)

        assert [one.sink for one in announcer.announce(accurate, "2026-11-21T08:00:00.000Z")] == ["pos"]
        assert [one.sink for one in announcer.announce(inaccurate, "2026-11-21T08:00:00.000Z")] == ["pos", "screen"]
        first, second = announcer.announce(revised, "2026-11-21T08:00:01.000Z")
        assert (first.sink, second.sink) == ("pos", "screen")
        assert first.key == "store-17/drive-1/b1/8/2"
        assert first.body == {
            "type": "verdict.revised",
            "timestamp": "2026-11-21T08:00:01.000Z",
            "key": "store-17/drive-1/b1/8/2",
            "store": "store-17",
            "data": revised.to_dict(),
        }
        json.dumps(first.body)

    def test_half_of_a_character_stops_no_message(self):
        assert json.loads(json_bytes({"sentence": "Extra: 1 Pizza \ud83c."})) == {"sentence": "Extra: 1 Pizza ?."}
