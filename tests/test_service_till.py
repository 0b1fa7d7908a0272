"""POS orders and the journal they are kept in: a restart changes nothing about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orderacc.config import OrdersConfig
from orderacc.domain.orders import Item, Order
from orderacc.service.till import PosOrders
from orderacc.storage.journal import Journal
from orderacc.storage.records import time_text

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
