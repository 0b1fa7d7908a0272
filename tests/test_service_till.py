"""POS orders and the journal they are kept in: a restart changes nothing about them, nor does a journal in trouble."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from orderacc.config import OrdersConfig
from orderacc.domain.orders import Item, Order
from orderacc.errors import StorageError
from orderacc.orders import Put
from orderacc.service.till import PosOrders
from orderacc.storage.backup import back_up
from orderacc.storage.journal import Journal
from orderacc.storage.records import time_text
from small_disk import fill, make_room, small_disk
from staged_stations import until

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)


@pytest.fixture
async def journal(tmp_path):
    async with Journal.open(tmp_path / "journal.db") as opened_journal:
        yield opened_journal


def order(order_id: str, number: str = "384", **fields) -> Order:
    return Order(order_id, (Item("Burger"),), source="till", display_id=number, **fields)


async def kept_in(journal: Journal) -> PosOrders:
    """The orders of a process that has just started."""
    till = PosOrders(OrdersConfig())
    await till.keep_in(journal)
    return till


async def came(journal: Journal, ago: timedelta) -> None:
    """Let all that is kept have come so long ago."""
    at = time_text(NOW - ago)
    await journal.database.write(lambda connection: connection.execute("UPDATE orders SET received_at = ?", (at,)))


async def kept(journal: Journal) -> set[str]:
    return {one.order.order_id for one in await journal.orders("2020")}


async def put_for_ever(till: PosOrders) -> None:
    for number in count():
        await till.store.put(order(f"early-{number}"))


async def test_an_order_is_after_a_restart_as_old_as_it_was(journal):
    before = await kept_in(journal)
    await before.store.put(order("yesterday"))
    await came(journal, timedelta(hours=24))
    after = await kept_in(journal)
    assert after.store.get("till", "yesterday") is not None
    assert (await after.find("drive", "384", NOW)).order is None
    await after.store.put(order("today"))
    again = await kept_in(journal)
    assert (await again.find("drive", "384", NOW)).order == order("today")


async def test_an_order_that_came_a_moment_ago_is_found_after_a_restart(journal):
    await (await kept_in(journal)).store.put(order("now"))
    await came(journal, -timedelta(minutes=5))  # the clock was put back meanwhile
    after = await kept_in(journal)
    assert (await after.find("drive", "384", NOW)).order == order("now")


async def test_what_a_till_told_while_the_journal_refused_is_kept_when_it_is_told_again(tmp_path):
    with small_disk(tmp_path / "disk", 2) as disk:
        async with Journal.open(disk / "journal.db") as journal:
            till = await kept_in(journal)
            fill(disk)
            with pytest.raises(StorageError, match="no space left"):
                await put_for_ever(till)
            assert (await till.store.put_all([order("polled")]))[Put.CREATED] == 1
            for _ in range(2):  # known, but not kept: it must not be acknowledged
                with pytest.raises(StorageError):
                    await till.store.put(order("polled"))
            make_room(disk)
            await until(lambda: journal.health().ok)
            assert "polled" not in await kept(journal)
            assert (await till.store.put_all([order("polled")]))[Put.UNCHANGED] == 1
            assert "polled" in await kept(journal)


@pytest.mark.parametrize("back", [False, True], ids=["gone", "backup"])
async def test_what_an_earlier_file_kept_is_acknowledged_by_the_next_only_when_that_keeps_it(tmp_path, journal, back):
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    till = await kept_in(journal)
    await till.store.put(order("first"))
    await asyncio.to_thread(back_up, path, copy)
    await till.store.put(order("again"))
    await till.store.put(order("cancelled"))
    await till.store.cancel("till", "cancelled")
    if back:
        copy.replace(path)
    else:
        path.unlink()
    await till.store.put(order("last"))
    assert await kept(journal) == {"last"} | ({"first"} if back else set())
    for one in ("first", "again"):
        assert await till.store.put(order(one)) is Put.UNCHANGED
    assert await till.store.cancel("till", "cancelled") is Put.UNCHANGED
    assert await kept(journal) == {"first", "again", "cancelled", "last"}
    events = await journal.last_event()
    assert (await till.store.put_all([order("first"), order("again"), order("last")]))[Put.UNCHANGED] == 3
    assert await journal.last_event() == events


async def test_what_a_file_held_is_kept_when_it_is_handed_in_too(journal):
    till = await kept_in(journal)
    await till.store.take("file", [order("both")])
    assert await kept(journal) == set()
    assert await till.store.put(order("both")) is Put.UNCHANGED
    assert await kept(journal) == {"both"}
