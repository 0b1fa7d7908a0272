"""Where orders come from: files, folders and tills that are asked; late, twice, malformed and huge."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import asynccontextmanager
from random import Random

import anyio
import pytest
from aiohttp import web

from orderacc.config import OrdersConfig, PollConfig, SecretText, StationOrdersConfig, load_config
from orderacc.domain.orders import Item
from orderacc.errors import ConfigError, OrdersError
from orderacc.orders import FileOrders, OrderStore, read_orders
from orderacc.orders.file import FileFeed
from orderacc.orders.polling import PolledFeed
from orderacc.service.till import PosOrders, question
from staged_stations import until

pytestmark = pytest.mark.anyio


def neutral(order_id, name="Tea", **fields):
    return {"order_id": order_id, "items": [{"name": name}], **fields}


def write(path, content):
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(content if isinstance(content, str) else json.dumps(content))
    fresh.replace(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("orders.json", [neutral("1"), neutral("2")]),
        ("orders.json", {"schema": 1, "orders": [neutral("1"), neutral("2")]}),
        ("orders.json", {"1": [{"name": "Tea"}], "2": [{"name": "Tea"}]}),
        ("orders.ndjson", f"{json.dumps(neutral('1'))}\n\n{json.dumps(neutral('2'))}\n"),
        (
            "orders.jsonl",
            f"\ufeff{json.dumps(neutral('2', 'Pie'))}\r\n{json.dumps(neutral('1'))}\n{json.dumps(neutral('2'))}",
        ),
        ("orders.yaml", "orders:\n- {order_id: '1', items: [{name: Tea}]}\n- {order_id: '2', items: [{name: Tea}]}"),
    ],
)
async def test_a_file_may_be_written_in_each_of_these_ways(tmp_path, name, content):
    write(tmp_path / name, content)
    orders = read_orders(tmp_path / name)
    assert {key: one.items for key, one in orders.items()} == {"1": (Item("Tea"),), "2": (Item("Tea"),)}
    assert {one.source for one in orders.values()} == {"file"}


def test_one_order_alone_and_two_sources_with_one_id(tmp_path):
    write(tmp_path / "one.json", neutral("7", source="till"))
    assert next(iter(read_orders(tmp_path / "one.json").values())).source == "till"
    write(tmp_path / "two.json", [neutral("7", source="a"), neutral("7", source="b"), neutral("7", "Pie", source="b")])
    assert {key: one.items[0].name for key, one in read_orders(tmp_path / "two.json").items()} == {
        "7": "Tea",
        "b/7": "Pie",
    }


def test_what_is_wrong_in_a_file_is_named_with_its_line(tmp_path):
    path = tmp_path / "orders.json"
    path.write_text('{"orders": [\n{"order_id": "1", "items": []},\n{"order_id": "2",\n "items": [{"name": ""}]}]}')
    with pytest.raises(ConfigError) as caught:
        read_orders(path)
    assert str(caught.value) == f"{path}:4:13 orders[1].items[0].name: should be text on one line, not empty"
    path = tmp_path / "orders.ndjson"
    path.write_text('{"order_id": "1", "items": []}\nnonsense\n{"items": []}\n')
    with pytest.raises(ConfigError) as caught:
        read_orders(path)
    assert [str(one).removeprefix(str(path)) for one in caught.value.findings] == [
        ":2:1: not JSON: Expecting value",
        ":3:1 order_id: is required",
    ]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_orders(path)


async def test_five_megabytes_are_taken_whole_and_their_faults_named_in_time(tmp_path):
    path = tmp_path / "orders.json"
    lines = [{"name": "A burger with quite a long name, as tills have them", "quantity": 2}, {"name": "Tea"}]
    orders = {str(number): lines for number in range(50_000)}
    write(path, orders)
    assert path.stat().st_size > 5_000_000
    assert len(read_orders(path)) == 50_000
    write(path, {number: [{"name": "A", "quantity": 0}, {"name": "Tea"}] for number in orders})
    began = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        read_orders(path)
    assert time.monotonic() - began < 30
    assert len(caught.value.findings) == 51
    assert "49950 more" in str(caught.value.findings[-1])


async def test_a_folder_is_all_its_files_and_a_bad_one_costs_only_itself(tmp_path, caplog):
    write(tmp_path / "a.json", [neutral("1")])
    write(tmp_path / "b.ndjson", json.dumps(neutral("2")))
    (tmp_path / "c.json").write_text("{")
    (tmp_path / "notes.txt").write_text("{")
    book = FileOrders(tmp_path)

    async def known():
        return [number for number in "123" if (await book.find("s", number)).order is not None]

    assert await known() == ["1", "2"]
    write(tmp_path / "c.json", [neutral("3"), neutral("1", "Pie")])
    os.utime(tmp_path / "c.json", (2**31, 2**31))
    assert await known() == ["1", "2", "3"]
    assert (await book.find("s", "1")).order.items == (Item("Pie"),)
    (tmp_path / "b.ndjson").unlink()
    (tmp_path / "c.json").write_text("[")
    assert await known() == ["1", "3"]
    (tmp_path / "c.json").unlink()
    assert await known() == ["1"]
    assert (await book.find("s", "1")).order.version == 3
    assert sum("orders_file_bad" in str(record.msg) for record in caplog.records) == 2


async def test_a_folder_that_is_gone_for_a_moment_keeps_its_orders_and_is_told_of_once(tmp_path, caplog):
    folder = tmp_path / "orders"
    folder.mkdir()
    write(folder / "a.json", [neutral("1")])
    book = FileOrders(folder)
    for _ in range(2):
        folder.rename(tmp_path / "elsewhere")
        assert [(await book.find("s", "1")).order is None for _ in range(3)] == [False] * 3
        (tmp_path / "elsewhere").rename(folder)
        assert (await book.find("s", "1")).order.version == 1
    assert sum("orders_file_bad" in str(record.msg) for record in caplog.records) == 2
    (folder / "a.json").unlink()
    assert (await book.find("s", "1")).order is None


async def test_a_pipe_that_nobody_writes_to_holds_up_no_orders(tmp_path):
    write(tmp_path / "a.json", [neutral("1")])
    os.mkfifo(tmp_path / "b.json")
    with anyio.fail_after(60):
        book = await anyio.to_thread.run_sync(FileOrders, tmp_path, abandon_on_cancel=True)
        assert (await book.find("s", "1")).order is not None
        with pytest.raises(ConfigError, match="not a regular file"):
            await anyio.to_thread.run_sync(FileOrders, tmp_path / "b.json", abandon_on_cancel=True)


async def test_a_file_that_numbers_versions_is_followed_forward_only(tmp_path):
    path = tmp_path / "orders.json"
    store = OrderStore()
    write(path, [neutral("1", version=3)])
    feed = FileFeed(path, store)
    await feed.refresh()
    write(path, [neutral("1", "Pie", version=2)])
    await feed.refresh()
    assert store.get("file", "1").items == (Item("Tea"),)
    write(path, [neutral("1", "Pie", version=4)])
    await feed.refresh()
    assert store.get("file", "1").items == (Item("Pie"),)
    feed.leave()
    assert store.orders() == ()


class Till:
    """A till's HTTP side that answers what the test says."""

    def __init__(self):
        self.orders = []
        self.body = None
        self.status = 200
        self.etags = True
        self.headers = {}
        self.asked = []
        self.delay = 0.0
        self.port = 0

    @property
    def url(self):
        return f"http://crew:canary@127.0.0.1:{self.port}/orders"

    @property
    def open_url(self):
        return f"http://127.0.0.1:{self.port}/orders"

    async def answer(self, request):
        self.asked.append((request.method, dict(request.headers), await request.text()))
        await asyncio.sleep(self.delay)
        text = json.dumps(self.orders) if self.body is None else self.body
        etag = f'"{hash(text)}"'
        if self.status == 200 and self.etags and request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        headers = {"ETag": etag} if self.etags else {}
        return web.Response(status=self.status, body=text, headers=headers | self.headers)


@asynccontextmanager
async def serving():
    till = Till()
    app = web.Application()
    app.router.add_route("*", "/orders", till.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    till.port = runner.addresses[0][1]
    try:
        yield till
    finally:
        await runner.cleanup()


@asynccontextmanager
async def polling(till, **fields):
    fields = {"interval_sec": 0.05, "backoff_max_sec": 0.1, "timeout_sec": 5.0} | fields
    config = PollConfig(url=SecretText(till.url if "token" not in fields else till.open_url), **fields)
    store = OrderStore()
    feed = PolledFeed(question(config), store, Random(1))
    task = asyncio.create_task(feed.run())
    try:
        yield store, feed
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_till_is_asked_again_and_again_and_pays_for_changes_only():
    async with serving() as till, polling(till, token=SecretText("canary-token")) as (store, feed):
        till.orders = [neutral("1", version=1)]
        await until(lambda: store.get("orderacc", "1") is not None)
        await until(lambda: len(till.asked) > 4)
        assert "If-None-Match" in till.asked[-1][1]
        assert till.asked[-1][1]["Authorization"] == "Bearer canary-token"
        till.orders = [neutral("1", "Pie", version=2), neutral("2", version=1)]
        await until(lambda: store.get("orderacc", "2") is not None)
        assert store.get("orderacc", "1").items == (Item("Pie"),)
        till.orders = []
        await until(lambda: len(till.asked) > 8)
        assert store.get("orderacc", "1") is not None
        assert feed.error is None


async def test_a_search_is_posted():
    body = '{"location_ids": ["L1"]}'
    async with serving() as till, polling(till, format="square", source="pos", body=body) as (store, _):
        till.orders = {"orders": [{"id": "A", "version": 1, "line_items": [{"name": "Tea", "quantity": "1"}]}]}
        await until(lambda: store.get("pos", "A") is not None)
        assert (till.asked[-1][0], till.asked[-1][2]) == ("POST", body)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 401},
        {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}},
        {"body": "{"},
        {"body": "[" * 100_000},
        {"body": "\x00\xff"},
        {"status": 429, "headers": {"Retry-After": "0.01"}},
        {"status": 503, "headers": {"Retry-After": "soon"}},
    ],
)
async def test_a_till_that_fails_is_asked_again_and_loses_nothing(fault, caplog):
    async with serving() as till:
        for name, value in fault.items():
            setattr(till, name, value)
        async with polling(till) as (store, feed):
            await until(lambda: len(till.asked) > 3 and feed.error is not None)
            assert "canary" not in feed.error.message
            till.status, till.body, till.headers, till.orders = 200, None, {}, [neutral("1")]
            await until(lambda: store.get("orderacc", "1") is not None and feed.error is None)
    assert "canary" not in caplog.text
    assert sum("orders_poll_failed" in str(record.msg) for record in caplog.records) == 1


async def test_a_till_that_hangs_is_not_waited_for():
    async with serving() as till:
        till.delay = 30
        async with polling(till, timeout_sec=0.05) as (store, feed):
            await until(lambda: feed.error is not None)
            assert "0.05 s" in feed.error.message
            till.delay, till.orders = 0.0, [neutral("1")]
            await until(lambda: len(store) == 1)


async def test_one_bad_order_of_an_answer_costs_only_itself(caplog):
    async with serving() as till:
        till.orders = [neutral("1"), {"order_id": "2"}, neutral("3"), *([{}] * 40)]
        async with polling(till) as (store, _):
            await until(lambda: store.get("orderacc", "3") is not None)
    assert len(store) == 2
    assert 10 < sum("order_refused" in str(record.msg) for record in caplog.records) < 14


async def test_a_till_that_does_not_answer_is_not_a_till_without_the_order(tmp_path):
    write(tmp_path / "orders.json", [neutral("1")])
    async with serving() as till:
        till.status = 500
        poll = PollConfig(url=SecretText(till.url), interval_sec=0.05)
        orders = PosOrders(OrdersConfig(file=str(tmp_path / "orders.json"), poll=(poll,)))
        running = asyncio.create_task(orders.run())
        await until(lambda: till.asked)
        await until(lambda: orders._polled[0][1].error is not None)
        assert (await orders.find("s", "1")).order is not None
        with pytest.raises(OrdersError):
            await orders.find("s", "2")
        till.status, till.orders = 200, [neutral("2")]
        await until(lambda: len(orders.store) == 2)
        await until(lambda: orders._polled[0][1].error is None)
        assert (await orders.find("s", "2")).order is not None
        assert (await orders.find("s", "3")).order is None
        asked = len(till.asked)
        orders.follow(OrdersConfig(stations={"drive": StationOrdersConfig(channels=("drive",))}))
        with pytest.raises(ConfigError, match="needs POS orders"):
            PosOrders(None).need("drive")
        assert (await orders.find("s", "1")).order is None
        assert (await orders.find("s", "2")).order is not None
        running.cancel()
        await asyncio.wait([running])
        assert len(till.asked) >= asked


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{url: 'http://crew:pw@till/', token: secret}", "poll[0]: credentials should be given once"),
        ("{url: 'http://crew:pw@till/', headers: {authorization: x}}", "poll[0]: credentials should be given once"),
        ("{url: 'http://till/', token: x, headers: {Authorization: y}}", "poll[0]: credentials should be given once"),
        ("{url: 'http://till/', headers: {X-Key: \"a\\nb\"}}", "poll[0]: token and headers should be ASCII"),
        ("{url: 'ftp://till/'}", "poll[0].url: should begin with http:// or https://"),
        ("{url: 'http://till/', interval_sec: 0}", "poll[0].interval_sec"),
        ("{url: 'http://till/', format: clover}", "poll[0].format: should be"),
    ],
)
def test_a_till_that_cannot_be_asked_so_is_refused_at_the_start(tmp_path, written, message):
    path = tmp_path / "stations.yaml"
    path.write_text(f"schema: 1\nstations: [{{id: a, source: {{type: simulator}}}}]\norders:\n  poll:\n  - {written}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, environment={})
    assert f"orders.{message}" in str(caught.value)
    assert "pw" not in str(caught.value)
