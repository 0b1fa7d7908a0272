"""The store of orders: versions in any order, cancellations, feeds that hold orders, numbers that come again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orderacc.domain.orders import Item, Order, OrderLine
from orderacc.errors import StorageError
from orderacc.orders import MatchRules, OrderStore, Put, StationOrders
from orderacc.testing import StagedClock

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def now(coroutine):
    """The result of what never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


def order(order_id="1", version=1, items="x", **fields):
    return Order(order_id, tuple(Item(name) for name in items), version, source=fields.pop("source", "till"), **fields)


async def test_a_version_counts_once_and_never_after_a_later_one():
    store = OrderStore()
    assert await store.put(order()) is Put.CREATED
    assert await store.put(order()) is Put.UNCHANGED
    assert await store.put(order(version=4, items="z")) is Put.UPDATED
    assert await store.put(order(version=2, items="y")) is Put.STALE
    assert await store.put(order(version=4, items="y")) is Put.STALE
    assert store.get("till", "1") == order(version=4, items="z")
    assert store.get("other", "1") is None
    assert store.orders() == (order(version=4, items="z"),)


async def test_a_source_that_does_not_count_versions_gets_them_counted():
    store = OrderStore()
    assert await store.put(order(version=0)) is Put.CREATED
    assert await store.put(order(version=0)) is Put.UNCHANGED
    assert await store.put(order(version=0, items="y")) is Put.UPDATED
    assert store.get("till", "1") == order(version=2, items="y")


async def test_a_cancelled_order_does_not_come_back_by_what_was_under_way():
    store = OrderStore()
    await store.put(order(version=2))
    assert await store.cancel("till", "1", 1) is Put.STALE
    assert await store.cancel("till", "1", 3) is Put.TOMBSTONED
    assert await store.cancel("till", "1", 3) is Put.UNCHANGED
    assert await store.put(order(version=3)) is Put.TOMBSTONED
    assert await store.put(order(version=1)) is Put.TOMBSTONED
    assert (await store.find("s", "1")).order.state == "cancelled"
    assert await store.put(order(version=4)) is Put.UPDATED
    assert await store.cancel("till", "1") is Put.TOMBSTONED
    assert await store.put(order(version=99)) is Put.TOMBSTONED
    assert await store.put(order(version=0, items="y")) is Put.TOMBSTONED


@pytest.mark.parametrize("version", [0, 1])
async def test_what_is_sent_without_a_version_brings_no_cancelled_order_back(version):
    store = OrderStore()
    await store.put(order(version=version))
    assert await store.put(order(version=0, state="cancelled")) is Put.UPDATED
    assert await store.put(order(version=0)) is Put.TOMBSTONED
    assert await store.put(order(version=0, state="cancelled")) is Put.UNCHANGED
    assert store.get("till", "1").state == "cancelled"
    await store.put(order("2"))
    await store.cancel("till", "2", 1)
    assert await store.put(order("2", version=0)) is Put.TOMBSTONED
    assert await store.put(order("2", version=2)) is Put.UPDATED
    # A till that is asked says what is, and a file shows it.
    assert (await store.put_all([order(version=0)]))[Put.UPDATED] == 1
    await store.cancel("till", "1", 9)
    await store.take("file", [order(version=0)])
    assert store.get("till", "1").state == "open"


async def test_an_order_cancelled_before_it_came_stays_cancelled():
    store = OrderStore()
    assert await store.cancel("till", "1", 2) is Put.TOMBSTONED
    assert await store.put(order(version=1)) is Put.TOMBSTONED
    assert await store.put(order(version=2)) is Put.TOMBSTONED


async def test_what_cannot_be_kept_is_not_acknowledged_and_does_not_count():
    kept = []

    async def keep(one):
        if one.order_id == "bad":
            raise StorageError("the disk is full", code="storage_full")
        assert store.get(one.source, one.order_id) is None
        kept.append(one)

    store = OrderStore(on_put=keep)
    with pytest.raises(StorageError):
        await store.put(order("bad"))
    assert len(store) == 0
    assert await store.put(order()) is Put.CREATED
    assert await store.put(order()) is Put.UNCHANGED
    assert kept == [order()]
    # A till that is polled tells it again: its orders count all the same.
    assert (await store.put_all([order("bad")]))[Put.CREATED] == 1
    await store.take("file", [order("held")])
    assert kept == [order()]


async def test_a_known_order_is_kept_again_only_where_it_is_not_kept():
    kept, place = [], 1

    async def keep(one):
        kept.append((place, one.order_id))

    store = OrderStore(on_put=keep, place=lambda: place)
    store.restore([(order("old"), time.time())])
    for file in (1, 1, 2, 2):
        place = file
        assert await store.put(order("old")) is Put.UNCHANGED
        await store.put_all([order("new")])
        await store.take("file", [order("held")])
    assert kept == [(1, "new"), (2, "old"), (2, "new")]


async def test_orders_kept_elsewhere_come_back_without_being_kept_again():
    async def keep(_):
        raise AssertionError

    store = OrderStore(on_put=keep)
    await store.take("file", [order("2", 5)])
    store.restore([(order("1", 3), time.time()), (order("2", 1), time.time())])
    assert store.get("till", "1") == order("1", 3)
    assert store.get("till", "2").version == 5
    assert await store.put(order("1", 2)) is Put.STALE


async def test_old_orders_go_by_age_and_by_count_but_not_what_a_feed_holds():
    clock = StagedClock()
    store = OrderStore(most=3, keep=100, clock=clock)
    await store.take("file", [order("held")])
    for number in range(5):
        await store.put(order(str(number)))
    assert {one.order_id for one in store.orders()} == {"held", "2", "3", "4"}
    clock.advance(60)
    await store.put(order("3"))
    clock.advance(60)
    await store.put(order("9"))
    assert {one.order_id for one in store.orders()} == {"held", "3", "9"}
    assert (await store.find("s", "2")).order is None
    store.release("file")
    assert store.get("till", "held") is None


async def test_orders_kept_elsewhere_age_from_when_they_became_known():
    clock = StagedClock()
    store = OrderStore(keep=100, clock=clock)
    store.restore([(order("gone"), 850.0), (order("old"), 950.0), (order("ahead"), 5000.0)])
    assert {one.order_id for one in store.orders()} == {"old", "ahead"}
    clock.advance(60)
    await store.put(order("new"))
    assert {one.order_id for one in store.orders()} == {"ahead", "new"}
    clock.advance(60)  # what the clock said before it was put back makes nothing young
    await store.put(order("newer"))
    assert {one.order_id for one in store.orders()} == {"new", "newer"}


async def test_those_who_watch_see_every_order_as_it_is_now_once():
    store = OrderStore()
    await store.put(order("0"))
    with store.watch() as changes:
        await store.put(order("1"))
        await store.put(order("2"))
        await store.put(order("1", 2, "y"))
        await store.put(order("0"))
        assert [await changes.next(), await changes.next()] == [order("1", 2, "y"), order("2")]
        waiting = asyncio.ensure_future(changes.next())
        await asyncio.sleep(0)
        await store.cancel("till", "2")
        assert (await waiting).state == "cancelled"
    await store.put(order("3"))


@pytest.mark.parametrize(
    ("slip", "shown", "found"),
    [
        ("42", ["42"], "42"),
        ("#42", ["42"], "42"),
        ("042", ["42"], "42"),
        ("042", ["42", "042"], "042"),
        ("0042", ["42", "042"], None),
        ("4S", ["45"], "45"),
        ("B0I", ["801"], "801"),
        ("801", ["B0I"], "B0I"),
        ("8O1", ["801", "BO1"], None),
        ("O42", ["42"], "42"),
        ("S", ["5", "S"], "S"),
        ("47", ["42"], None),
        ("4", ["42"], None),
        ("", ["42"], None),
    ],
)
async def test_how_a_slip_is_read_may_be_off_by_zeros_and_by_letters_that_look_like_digits(slip, shown, found):
    store = OrderStore()
    for number in shown:
        await store.put(order(number))
    match = await store.find("s", slip)
    assert (match.order.display_id if match.order else None) == found
    assert bool(match.candidates) == (found is None and len(shown) > 1)


async def test_a_number_as_it_is_written_counts_before_zeros_aside_and_a_closed_order_may_have_either():
    store = OrderStore()
    await store.put(order("42", state="closed"))
    assert (await store.find("s", "0042")).order.display_id == "42"
    await store.put(order("042"))
    assert (await store.find("s", "0042")).order.display_id == "042"
    await store.put(order("0042", state="closed"))
    assert (await store.find("s", "0042")).order.display_id == "0042"


async def test_letters_are_taken_for_digits_among_open_orders_only():
    store = OrderStore()
    await store.put(order("45", state="closed"))
    assert (await store.find("s", "4S")).order is None
    assert (await store.find("s", "45")).order is not None
    await store.put(order("4S", source="other"))
    assert (await store.find("s", "45")).order.display_id == "45"


async def test_a_number_that_comes_again_means_the_open_order_of_its_time():
    store = OrderStore()
    hours = [(0, "closed"), (5, "closed"), (9, "open"), (10, "open")]
    for index, (hour, state) in enumerate(hours):
        placed = NOON + timedelta(hours=hour)
        await store.put(order(f"id{index}", display_id="42", state=state, placed_at=placed))

    async def at(hours_later, minutes=0):
        return await store.find("s", "42", NOON + timedelta(hours=hours_later, minutes=minutes))

    assert (await at(0, 30)).order.order_id == "id0"
    assert (await at(2)).order is None
    assert (await at(5, 20)).order.order_id == "id1"
    assert (await at(9, 20)).order.order_id == "id2"
    assert [one.order_id for one in (await at(10, 20)).candidates] == ["id2", "id3"]
    assert (await at(13, 30)).order.order_id == "id3"
    assert [one.order_id for one in (await store.find("s", "42")).candidates] == ["id2", "id3"]


async def test_an_order_due_much_later_is_not_the_one_on_the_counter():
    store = OrderStore()
    await store.put(order(placed_at=NOON, due_at=NOON + timedelta(hours=6)))
    assert (await store.find("s", "1", NOON + timedelta(hours=1))).order is None
    assert (await store.find("s", "1", NOON + timedelta(hours=5, minutes=30))).order is not None
    assert (await store.find("s", "1", NOON + timedelta(hours=9))).order is not None


async def test_stations_hand_out_the_orders_of_their_place_and_channel():
    rules = MatchRules(stations={"drive": StationOrders("north", ("drive",))})
    store = OrderStore(rules)
    await store.put(order("a", display_id="42", location_id="north", channel="drive"))
    await store.put(order("b", display_id="42", location_id="south", channel="drive"))
    await store.put(order("c", display_id="42", location_id="north", channel="counter"))
    assert (await store.find("drive", "42")).order.order_id == "a"
    assert len((await store.find("counter", "42")).candidates) == 3


async def test_a_feed_of_twenty_thousand_orders_lets_others_have_their_turn():
    store = OrderStore()
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(others())
    await store.take("file", [order(str(number)) for number in range(20_000)])
    task.cancel()
    assert len(store) == 20_000
    assert turns >= 100
    assert (await store.find("s", "19999")).order is not None


class Till(RuleBasedStateMachine):
    """The store against what a till means: the highest version counts, and a cancelled one ends it."""

    @initialize()
    def begin(self):
        self.kept = []

        async def keep(one):
            self.kept.append(one)

        self.store = OrderStore(on_put=keep)
        self.meant: dict[str, Order] = {}
        self.held: dict[str, Order] = {}
        self.watching = self.store.watch()
        self.changes = self.watching.__enter__()
        self.told: dict[str, Order] = {}

    def teardown(self):
        if hasattr(self, "watching"):
            self.watching.__exit__(None, None, None)

    ids = st.sampled_from("abc")
    versions = st.integers(1, 6)

    @rule(order_id=ids, version=versions, again=st.booleans())
    def put(self, order_id, version, again):
        content = order(order_id, version, "xyz"[: version % 3 + 1])
        known = self.meant.get(order_id)
        put = now(self.store.put(content))
        if known is None:
            assert put is Put.CREATED
        elif version > known.version:
            assert put is Put.UPDATED
        elif known.state == "cancelled":
            assert put is Put.TOMBSTONED
        else:
            assert put is (Put.UNCHANGED if content == known else Put.STALE)
        if known is None or version > known.version:
            self.meant[order_id] = content
        if again:
            assert now(self.store.put(content)) in (Put.UNCHANGED, Put.STALE, Put.TOMBSTONED)

    @rule(order_id=ids, items=st.sampled_from("xyz"), state=st.sampled_from(["open", "cancelled"]))
    def put_without_a_version(self, order_id, items, state):
        content = order(order_id, 0, items, state=state)
        known = self.meant.get(order_id)
        version = 1 if known is None else known.version + 1
        put = now(self.store.put(content))
        if known is not None and replace(content, version=known.version) == known:
            assert put is Put.UNCHANGED
        elif known is not None and known.state == "cancelled":
            assert put is Put.TOMBSTONED
        else:
            assert put is (Put.CREATED if known is None else Put.UPDATED)
            self.meant[order_id] = replace(content, version=version)

    @rule(order_id=ids, version=versions)
    def put_with_other_contents(self, order_id, version):
        known = self.meant.get(order_id)
        if known is not None and version <= known.version:
            assert now(self.store.put(order(order_id, version, "q"))) in (Put.STALE, Put.TOMBSTONED)

    @rule(order_id=ids, version=versions)
    def cancel(self, order_id, version):
        known = self.meant.get(order_id)
        put = now(self.store.cancel("till", order_id, version))
        if known is not None and known.state == "cancelled" and known.version >= version:
            assert put is Put.UNCHANGED
        elif known is not None and known.version > version:
            assert put is Put.STALE
        else:
            assert put is Put.TOMBSTONED
            base = known or Order(order_id, source="till")
            self.meant[order_id] = replace(base, state="cancelled", version=version)

    @rule(held=st.dictionaries(st.sampled_from("de"), st.sampled_from("xyz")))
    def take(self, held):
        before = self.held
        now(self.store.take("file", [order(name, 0, items) for name, items in held.items()]))
        self.held = {name: self.store.get("till", name) for name in held}
        for name, items in held.items():
            assert self.held[name].items == order(name, 1, items).items
            if name in before:
                changed = before[name].items != self.held[name].items
                assert self.held[name].version == before[name].version + changed

    @rule()
    def listen(self):
        while self.changes._unseen:
            one = now(self.changes.next())
            self.told[one.order_id] = one

    @invariant()
    def what_is_found_is_what_is_meant(self):
        if not hasattr(self, "store"):
            return
        for order_id in "abc":
            match = now(self.store.find("s", order_id))
            assert match.order == self.meant.get(order_id)
        for name in "de":
            assert now(self.store.find("s", name)).order == self.held.get(name)

    @invariant()
    def who_listens_and_who_keeps_knows_the_same(self):
        if not hasattr(self, "store"):
            return
        last = {one.order_id: one for one in self.kept}
        assert last == self.meant
        self.listen()
        assert {name: one for name, one in self.told.items() if name in "abc"} == self.meant


Till.TestCase.settings = settings(max_examples=30, stateful_step_count=30)
TestTill = Till.TestCase


@given(st.lists(st.text("0O1I5S8B", min_size=1, max_size=3), min_size=1, max_size=6, unique=True), st.data())
def test_every_open_order_is_found_by_its_own_number_whatever_else_there_is(numbers, data):
    store = OrderStore()
    for index, number in enumerate(numbers):
        now(store.put(order(f"id{index}", display_id=number)))
    number = data.draw(st.sampled_from(numbers))
    match = now(store.find("s", number))
    found = {match.order.display_id} if match.order else {one.display_id for one in match.candidates}
    assert number in found
    same = [one for one in numbers if one.casefold() == number.casefold()]
    assert found == set(same)


async def test_combos_are_seen_as_their_parts_and_equal_lines_add_up():
    lines = (
        OrderLine("1", "Big Meal", 2),
        OrderLine("2", "Burger", parent_line_id="1"),
        OrderLine("3", "Fries", 2, parent_line_id="1"),
        OrderLine("4", "fries"),
        OrderLine("5", "Cola", voided=True),
        OrderLine("6", "Napkins", verifiability="ignore"),
        OrderLine("7", "Toy Meal", voided=True),
        OrderLine("8", "Nuggets", parent_line_id="7"),
    )
    assert Order("1", lines=lines).items == (Item("Burger", 2), Item("Fries", 5))
    for wrong in (
        (OrderLine("1", "A"), OrderLine("1", "B")),
        (OrderLine("1", "A", parent_line_id="9"),),
        (OrderLine("1", "A", parent_line_id="2"), OrderLine("2", "B", parent_line_id="1")),
        tuple(OrderLine(str(n), "A", parent_line_id=str(n - 1) if n else None) for n in range(20)),
    ):
        with pytest.raises(ValueError, match="line"):
            Order("1", lines=wrong)
