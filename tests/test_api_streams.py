"""What happens as it happens: events that are resumed, pictures that are acknowledged, and those who are too slow."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import cv2
import numpy as np
import pytest

from door import opened, verdict
from orderacc.api import routes_events, routes_live
from orderacc.errors import StorageError
from orderacc.service.ledger import RecentLedger
from orderacc.service.looks import LatestLook
from orderacc.service.newsroom import Newsroom
from orderacc.storage.journal import Journal
from staged_stations import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from door import Door
    from orderacc.storage.records import JournalEvent

pytestmark = pytest.mark.anyio


class Listener:
    """Somebody who follows server-sent events."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self) -> dict[str, Any]:
        """The next event."""
        fields: dict[str, str] = {}
        with anyio.fail_after(20):
            while True:
                line = (await self._answer.content.readline()).decode()
                if not line:
                    raise EOFError
                name, _, value = line.rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif "data" in fields:
                    return {"id": fields["id"], "event": fields["event"], **json.loads(fields["data"])}
                else:
                    fields = {}

    async def verdicts(self, count: int) -> list[tuple[str, str]]:
        """Ids and numbers of the next verdicts; what happens at the stations is left aside."""
        found: list[tuple[str, str]] = []
        while len(found) < count:
            event = await self.next()
            if event["event"] == "verdict":
                found.append((event["id"], event["data"]["slip_text"]))
        return found


@asynccontextmanager
async def listening(door: Door, query: str = "", **headers: str) -> AsyncIterator[Listener]:
    url = f"{door.address}/v1/events{query}"
    async with door.session.get(url, headers={**door.bearer(), **headers}) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        yield Listener(answer)


async def test_a_listener_goes_on_where_it_left_off() -> None:
    async with opened() as door:
        async with listening(door) as listener:
            door.serving.judged(verdict(1))
            ((first, number),) = await listener.verdicts(1)
            assert number == "1"
        for n in (2, 3):
            door.serving.judged(verdict(n))
        for query, headers in (("", {"Last-Event-ID": first}), (f"?after={first}", {})):
            async with listening(door, query, **headers) as listener:
                assert [number for _, number in await listener.verdicts(2)] == ["2", "3"]
        async with listening(door, "?after=0") as listener:
            assert [number for _, number in await listener.verdicts(3)] == ["1", "2", "3"]


async def test_a_verdict_is_told_at_once() -> None:
    async with opened() as door, listening(door) as listener:
        for number in range(50):
            with anyio.fail_after(1):
                door.serving.judged(verdict(number))
                assert [text for _, text in await listener.verdicts(1)] == [str(number)]


@pytest.mark.parametrize("known", ["", "7", "zz-3", "-", "x" * 60])
async def test_who_knows_an_event_of_another_time_is_told_that_some_were_missed(known: str) -> None:
    async with opened() as door:
        door.serving.judged(verdict(1))
        async with listening(door, **{"Last-Event-ID": known or "?"}) as listener:
            assert (await listener.next())["event"] == "missed"
            assert [number for _, number in await listener.verdicts(1)] == ["1"]


async def test_events_that_are_not_kept_any_more_are_told_as_missed() -> None:
    async with opened(ledger=RecentLedger(100, events=5)) as door:
        async with listening(door) as listener:
            door.serving.judged(verdict(1))
            ((first, _),) = await listener.verdicts(1)
        for n in range(2, 20):
            door.serving.judged(verdict(n))
        async with listening(door, **{"Last-Event-ID": first}) as listener:
            assert (await listener.next())["event"] == "missed"
            assert [number for _, number in await listener.verdicts(5)] == [str(n) for n in range(15, 20)]


async def test_the_journals_events_survive_the_door(tmp_path: Path) -> None:
    async with Journal.open(tmp_path / "journal.db") as journal:
        async with opened(ledger=journal) as door, listening(door) as listener:
            await journal.record(verdict(1))
            ((first, _),) = await listener.verdicts(1)
        await journal.record(verdict(2))
        async with opened(ledger=journal) as door, listening(door, **{"Last-Event-ID": first}) as listener:
            assert [number for _, number in await listener.verdicts(1)] == ["2"]


async def test_a_journal_that_counts_again_is_told_as_missed() -> None:
    async with opened() as door:
        door.serving.judged(verdict(1))
        async with listening(door, "?after=0") as listener:
            ((last, _),) = await listener.verdicts(1)
        edition, _, number = last.rpartition("-")
        async with listening(door, **{"Last-Event-ID": f"{edition}-{int(number) + 40}"}) as listener:
            door.serving.judged(verdict(2))
            assert (await listener.next())["event"] == "missed"
            assert [number for _, number in await listener.verdicts(2)] == ["1", "2"]


class BrokenLedger(RecentLedger):
    """Cannot be read while `broken`."""

    broken = False

    async def events(self, after_id: int, limit: int = 100) -> Sequence[JournalEvent]:
        if self.broken:
            raise StorageError("the disk does not answer", code="storage_failed")
        return await super().events(after_id, limit)


async def test_who_listens_is_let_go_when_the_events_cannot_be_read_and_goes_on_when_they_can() -> None:
    ledger = BrokenLedger(100)
    async with opened(ledger=ledger) as door:
        url = f"{door.address}/v1/events"
        async with listening(door) as listener, door.session.ws_connect(url) as line:
            door.serving.judged(verdict(1))
            ((known, _),) = await listener.verdicts(1)
            ledger.broken = True
            door.serving.judged(verdict(2))
            with anyio.fail_after(20):
                while (await line.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
                assert line.close_code == aiohttp.WSCloseCode.TRY_AGAIN_LATER
            with pytest.raises(EOFError):
                await listener.next()
        ledger.broken = False
        async with listening(door, **{"Last-Event-ID": known}) as listener:
            assert [number for _, number in await listener.verdicts(1)] == ["2"]


async def test_a_picture_that_cannot_be_drawn_ends_the_line_it_was_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(*_: object) -> bytes:
        raise RuntimeError("no picture")

    monkeypatch.setattr(LatestLook, "jpeg", failing)
    async with opened() as door, door.session.ws_connect(f"{door.address}/v1/stations/front/live") as line:
        await door.stage.show("front", 1)
        with anyio.fail_after(20):
            while (await line.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert line.closed


async def test_what_changes_at_a_station_is_told() -> None:
    async with opened() as door, listening(door, "?after=0") as listener:
        await door.stage.show("front", 1)
        seen: list[str] = []
        while "running" not in seen:
            event = await listener.next()
            assert (event["event"], event["data"]["station_id"]) == ("station", "front")
            seen.append(event["data"]["phase"])
        await door.ask("POST", "/v1/stations", {"id": "back", "source": {"type": "simulator"}})
        await door.ask("DELETE", "/v1/stations/back")
        await door.ask("POST", "/v1/stations/front/restart")


async def test_reviews_are_told_too() -> None:
    async with opened() as door, listening(door) as listener:
        door.serving.judged(verdict(1))
        await door.ask("POST", "/v1/verdicts/front-000001/review", {"opinion": "wrong", "note": "two\nlines"})
        while (event := await listener.next())["event"] != "review":
            pass
        assert (event["data"]["opinion"], event["data"]["note"]) == ("wrong", "two\nlines")


async def test_the_same_over_a_websocket() -> None:
    async with opened() as door:
        door.serving.judged(verdict(1))
        url = f"{door.address}/v1/events?after=0"
        async with door.session.ws_connect(url, headers=door.bearer()) as line:
            events = []
            with anyio.fail_after(20):
                while not events or events[-1]["event"] != "verdict":
                    events.append(await line.receive_json())
            assert set(events[-1]) == {"id", "event", "at", "data"}
        async with door.session.ws_connect(url, headers=door.bearer()) as line:
            await line.send_str("x" * 5000)
            with anyio.fail_after(20):
                while (message := await line.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
            assert line.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG, message


async def test_listeners_are_told_when_the_serving_ends() -> None:
    async with (
        opened() as door,
        door.session.ws_connect(f"{door.address}/v1/events") as events,
        door.session.ws_connect(f"{door.address}/v1/stations/front/live") as live,
        door.session.get(f"{door.address}/v1/events") as answer,
    ):
        ended: list[str] = []

        async def read() -> None:
            await answer.content.read()
            ended.append("sse")

        async def receive(what: str, one: aiohttp.ClientWebSocketResponse) -> None:
            while (await one.receive()).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
                pass
            assert one.close_code == aiohttp.WSCloseCode.GOING_AWAY
            ended.append(what)

        tasks = [asyncio.ensure_future(each) for each in (read(), receive("socket", events), receive("live", live))]
        with anyio.fail_after(20):
            door.close()
            await asyncio.gather(*tasks)
        assert sorted(ended) == ["live", "socket", "sse"]


async def test_a_slow_listener_is_let_go_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_events, "SLOW", 0.3)
    big = {"sentence": "x" * 50_000}
    async with opened() as door:
        host, port = door.address.removeprefix("http://").split(":")
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)  # noqa: FBT003  its own signature
        await asyncio.get_running_loop().sock_connect(plain, (host, int(port)))
        reader, writer = await asyncio.open_connection(sock=plain, limit=2**12)
        writer.write(b"GET /v1/events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readline()
        async with listening(door) as listener:
            for number in range(200):
                door.serving.judged(verdict(number, **big))
                await listener.verdicts(1)
                assert (await door.get("/healthz")).status == 200
            ended = b'orderacc_http_requests_total{route="GET /v1/events",status="200"} 1.0'
            with anyio.fail_after(20):
                while ended not in (await door.get("/metrics")).body:  # noqa: ASYNC110  figures set no event
                    await anyio.sleep(0.05)
        read = 0
        with anyio.fail_after(20), suppress(ConnectionError):
            while content := await reader.read(2**16):
                read += len(content)
        assert read < 200 * 50_000  # the connection was ended before all of it had been sent
        writer.close()


# Looking on.


@pytest.fixture
def lively(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_live, "SIGN_OF_LIFE", 0.05)


@pytest.mark.usefixtures("lively")
async def test_pictures_come_as_fast_as_they_are_acknowledged() -> None:
    async with opened() as door:
        await door.stage.show("front", 1)
        url = f"{door.address}/v1/stations/front/live?width=64&fps=30"
        async with door.session.ws_connect(url) as line:

            async def picture() -> dict[str, Any]:
                with anyio.fail_after(20):
                    while True:
                        state = await line.receive_json()
                        if state["frame"] is not None:
                            content = await line.receive_bytes()
                            assert len(content) == state["frame"]["bytes"]
                            assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None
                            return state

            first = await picture()
            assert (first["station_id"], first["phase"], first["warnings"]) == ("front", "running", [])
            assert {box["label"] for box in first["frame"]["boxes"]} <= {"slip", "burger", "bag", "hand"}
            await door.stage.show("front", 1)
            assert (await picture())["frame"]["index"] > first["frame"]["index"]
            # Two are not acknowledged: the next comes with the acknowledgement, and it is the newest.
            await door.stage.show("front", 5)
            latest = door.serving.stations.latest("front")
            newest = first["frame"]["index"] + 6
            await until(lambda: latest.look is not None and latest.look.frame.index == newest)
            await line.send_str("ack")
            assert (await picture())["frame"]["index"] == newest
            await line.send_str("hello")
            with anyio.fail_after(20):
                while (await line.receive()).type is not aiohttp.WSMsgType.CLOSE:
                    pass
            assert line.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION


@pytest.mark.usefixtures("lively")
async def test_who_never_acknowledges_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_live, "SLOW", 0.2)
    async with opened() as door:
        await door.stage.show("front", 1)
        async with door.session.ws_connect(f"{door.address}/v1/stations/front/live?fps=30") as line:
            with anyio.fail_after(30):
                while (message := await line.receive()).type is not aiohttp.WSMsgType.CLOSE:
                    if message.type is aiohttp.WSMsgType.BINARY:
                        door.stage.builder.camera("front").give(1)
            assert line.close_code == aiohttp.WSCloseCode.TRY_AGAIN_LATER


@pytest.mark.usefixtures("lively")
async def test_a_station_that_goes_takes_its_lookers_on_along() -> None:
    async with opened() as door:
        await door.ask("POST", "/v1/stations", {"id": "back", "source": {"type": "simulator"}})
        async with door.session.ws_connect(f"{door.address}/v1/stations/back/live") as line:
            assert (await door.ask("DELETE", "/v1/stations/back")).status == 204
            with anyio.fail_after(20):
                while (await line.receive()).type is not aiohttp.WSMsgType.CLOSE:
                    pass
            assert line.close_code == aiohttp.WSCloseCode.GOING_AWAY


@pytest.mark.usefixtures("lively")
async def test_many_who_look_on_share_one_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    from orderacc.service import looks

    encoded: list[int] = []
    real = looks.encode
    monkeypatch.setattr(looks, "encode", lambda image, width: encoded.append(width) or real(image, width))
    async with opened() as door:
        await door.stage.show("front", 1)
        answers = await asyncio.gather(*(door.get("/v1/stations/front/snapshot.jpg?width=64") for _ in range(10)))
        assert len({answer.body for answer in answers}) == 1
        assert encoded == [64]


async def test_news_that_comes_while_a_listener_looks_is_not_slept_through() -> None:
    ledger = RecentLedger(10)
    newsroom = Newsroom(ledger, edition=await ledger.edition())
    async with anyio.create_task_group() as group:
        await group.start(newsroom.run)
        await anyio.wait_all_tasks_blocked()
        known = newsroom.number_of_news
        assert (await newsroom.after(0)).events == ()
        ledger.record(verdict(1))
        await until(lambda: newsroom.number_of_news != known)
        with anyio.fail_after(1):
            await newsroom.wait(known, 60)
        group.cancel_scope.cancel()
