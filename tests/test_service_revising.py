"""Orders the till tells late or amends: the bag is judged by the right version, once and then by revisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc.config import OrdersConfig
from orderacc.domain.evidence import Candidate, Evidence
from orderacc.domain.frames import Frame
from orderacc.domain.menus import Menu
from orderacc.domain.orders import Item, Order
from orderacc.domain.verdicts import ModelVersions
from orderacc.selection.visits import StationTracker
from orderacc.service import revising
from orderacc.service.judging import JudgeSettings, OrderJudge
from orderacc.service.pipeline import Pipeline
from orderacc.service.revising import Revisions
from orderacc.service.station import Eyes, Station
from orderacc.service.till import PosOrders
from orderacc.simulator.menu import DEMO_ITEMS, NAMES
from orderacc.testing import StagedEngine
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.prompt import format_answer
from staged_stations import until

pytestmark = pytest.mark.anyio

LAID = {"Burger": 1, "Cola": 1}
RIGHT = (Item("Burger"), Item("Cola"))
WRONG = (Item("Burger"), Item("Fries"))


class NoReader:
    """Stands where a camera would: bags are handed over by the test."""

    station_id = "counter"


class Counter:
    """A till, a pipeline that rests on it, and bags that end when the test says so."""

    def __init__(self, wait=30.0, within=600.0, grace=10.0):
        self.till = PosOrders(OrdersConfig())
        self.engine = StagedEngine(lambda _: format_answer(LAID, NAMES))
        batcher = VlmBatcher(self.engine)
        judge = OrderJudge(batcher, Menu(DEMO_ITEMS), JudgeSettings((56, 56)), ModelVersions())
        self.verdicts = []
        revisions = Revisions(judge, self.till.store, self.till, wait=wait, within=within)
        self.pipeline = Pipeline(judge, batcher, self._sink, grace=grace, revisions=revisions)
        now = datetime.now(UTC)
        eyes = Eyes(None, StationTracker("counter"))
        self.station = Station(NoReader(), eyes, self.till, now - timedelta(seconds=100), paced=False)
        self._bags = 0

    async def _sink(self, verdict):
        self.verdicts.append(verdict)

    def bag(self, number):
        """A bag has gone; its visit's id."""
        self._bags += 1
        frame = Frame("counter", self._bags, 99.0, np.zeros((8, 8, 3), np.uint8))
        seen = Candidate(frame, (), 1.0, half=np.zeros((4, 4, 3), np.uint8))
        visit = f"counter-{self._bags:06d}"
        evidence = Evidence(visit, "counter", number, None, (seen,), 90.0, 100.0, "empty")
        self.station.state.at = 100.0
        self.pipeline.take(self.station, [evidence])
        return visit

    def of(self, visit):
        return [one for one in self.verdicts if one.verdict_id == visit]

    async def __aenter__(self):
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        begun = anyio.Event()

        async def watching():
            begun.set()
            await anyio.sleep_forever()

        self._group.start_soon(self.pipeline.serve, watching)
        with anyio.fail_after(60):
            await begun.wait()
            await anyio.wait_all_tasks_blocked()
        return self

    async def __aexit__(self, *failure):
        self.pipeline.stop()
        return await self._group.__aexit__(*failure)


def order(number, items, version=1, **fields):
    return Order(f"id-{number}", items, version, source="till", display_id=number, **fields)


async def test_an_order_that_comes_after_the_bag_is_judged_when_it_comes():
    async with Counter() as counter:
        visit = counter.bag("42")
        other = counter.bag("7")
        await anyio.wait_all_tasks_blocked()
        assert counter.verdicts == []
        await counter.till.store.put(order("42", RIGHT))
        await until(lambda: counter.of(visit))
        assert [(one.status, one.order_id, one.revision) for one in counter.of(visit)] == [("accurate", "id-42", 1)]
        assert not counter.of(other)
    assert [(one.status, one.reason) for one in counter.of(other)] == [("undetermined", "no_order")]


async def test_a_bag_waits_no_longer_than_it_should_and_is_judged_again_when_the_order_comes_later_still():
    async with Counter(wait=0.05) as counter:
        visit = counter.bag("42")
        await until(lambda: counter.of(visit))
        assert counter.of(visit)[0].reason == "no_order"
        await counter.till.store.put(order("42", WRONG))
        await until(lambda: len(counter.of(visit)) == 2)
    assert [(one.reason, one.status, one.revision) for one in counter.of(visit)][1] == (None, "inaccurate", 2)


async def test_many_bags_that_wait_hold_up_no_other():
    async with Counter() as counter:
        for number in range(60):
            counter.bag(f"9{number:02d}")
        await counter.till.store.put(order("42", RIGHT))
        visit = counter.bag("42")
        await until(lambda: counter.of(visit))
    assert len(counter.verdicts) == 61
    assert len({one.verdict_id for one in counter.verdicts}) == 61


async def test_an_amended_order_is_judged_again_as_a_revision_without_asking_again():
    async with Counter() as counter:
        await counter.till.store.put(order("42", WRONG))
        visit = counter.bag("42")
        await until(lambda: counter.of(visit))
        asked = len(counter.engine.batches)
        await counter.till.store.put(order("42", RIGHT, 3))
        await until(lambda: len(counter.of(visit)) == 2)
        await counter.till.store.put(order("42", WRONG, 2))  # late: an older version changes nothing
        await counter.till.store.put(order("42", RIGHT, 4, state="closed"))  # nor does what changes no line
        await counter.till.store.cancel("till", "id-42")  # the bag has gone
        await anyio.wait_all_tasks_blocked()
    first, second = counter.of(visit)
    assert (first.status, first.revision, first.order_version) == ("inaccurate", 1, 1)
    assert (second.status, second.revision, second.order_version) == ("accurate", 2, 3)
    assert second.timings.order_end_to_verdict is None
    assert len(counter.engine.batches) == asked


async def test_what_is_too_old_is_not_revised():
    async with Counter(within=0.0) as counter:
        await counter.till.store.put(order("42", WRONG))
        visit = counter.bag("42")
        await until(lambda: counter.of(visit))
        await counter.till.store.put(order("42", RIGHT, 2))
        await anyio.wait_all_tasks_blocked()
    assert len(counter.of(visit)) == 1


@pytest.mark.parametrize(("room", "kept"), [(2 * (192 + 48), ["42", "7"]), (2 * (192 + 48) - 1, ["7"])])
async def test_what_has_no_room_for_its_pictures_is_not_revised(monkeypatch, room, kept):
    monkeypatch.setattr(revising, "PICTURES", room)
    async with Counter() as counter:
        visits = {}
        for number in ("42", "7"):
            await counter.till.store.put(order(number, WRONG))
            visits[number] = counter.bag(number)
            await until(lambda: counter.of(visits[number]))  # noqa: B023  waited for here
        for number in visits:
            await counter.till.store.put(order(number, RIGHT, 2))
        await until(lambda: len(counter.of(visits["7"])) == 2)
        await anyio.wait_all_tasks_blocked()
    assert [number for number, visit in visits.items() if len(counter.of(visit)) == 2] == kept


async def test_a_number_that_two_open_orders_have_is_unsure_and_names_them_until_one_is_cancelled():
    placed = datetime.now(UTC) - timedelta(minutes=3)
    async with Counter() as counter:
        await counter.till.store.put(order("42", RIGHT, placed_at=placed))
        await counter.till.store.put(replace(order("42", WRONG), order_id="other"))
        visit = counter.bag("42")
        await until(lambda: counter.of(visit))
        await counter.till.store.cancel("till", "other")
        await until(lambda: len(counter.of(visit)) == 2)
    first, second = counter.of(visit)
    assert (first.status, first.reason, first.order_id) == ("unsure", "ambiguous_order", None)
    assert "Burger, 1 Cola" in first.sentence
    assert "Burger, 1 Fries" in first.sentence
    assert f"{placed:%H:%M} UTC" in first.sentence
    assert (second.status, second.order_id, second.revision) == ("accurate", "id-42", 2)


@pytest.mark.parametrize("placed", [datetime.now(UTC), None])
async def test_an_order_that_comes_late_takes_the_place_of_an_old_one_of_its_number(placed):
    old = order("42", WRONG, state="closed", placed_at=datetime.now(UTC) - timedelta(minutes=50))
    async with Counter() as counter:
        await counter.till.store.put(old)
        visit = counter.bag("42")
        await until(lambda: counter.of(visit))
        await counter.till.store.put(replace(order("42", RIGHT, placed_at=placed), order_id="new"))
        await until(lambda: len(counter.of(visit)) == 2)
        await counter.till.store.put(replace(order("42", WRONG, 2, placed_at=placed), order_id="new"))
        await until(lambda: len(counter.of(visit)) == 3)
        await anyio.wait_all_tasks_blocked()
    told = [(one.revision, one.status, one.order_id) for one in counter.of(visit)]
    assert told == [(1, "inaccurate", "id-42"), (2, "accurate", "new"), (3, "inaccurate", "new")]


async def test_an_order_that_comes_late_beside_an_open_one_of_its_number_leaves_the_verdict_open_until_one_goes():
    async with Counter() as counter:
        await counter.till.store.put(order("42", WRONG, placed_at=datetime.now(UTC) - timedelta(minutes=50)))
        visit = counter.bag("42")
        await until(lambda: counter.of(visit))
        new = replace(order("42", RIGHT), order_id="new")
        await counter.till.store.put(new)
        await until(lambda: len(counter.of(visit)) == 2)
        await counter.till.store.put(replace(new, version=2, state="ready"))  # no news
        await anyio.wait_all_tasks_blocked()
        await counter.till.store.cancel("till", "id-42")
        await until(lambda: len(counter.of(visit)) == 3)
    told = [(one.status, one.reason, one.order_id, one.revision) for one in counter.of(visit)]
    assert told == [
        ("inaccurate", None, "id-42", 1),
        ("unsure", "ambiguous_order", None, 2),
        ("accurate", None, "new", 3),
    ]


@pytest.mark.parametrize("goes", ["closed", "withdrawn"])
async def test_an_order_that_goes_when_it_is_handed_out_leaves_its_bag_to_no_other(goes):
    earlier = replace(order("42", RIGHT, state="closed"), order_id="earlier")
    async with Counter() as counter:
        await counter.till.store.put(earlier)
        await counter.till.store.take("file", [order("42", WRONG)])
        visit = counter.bag("42")
        await until(lambda: counter.of(visit))
        await counter.till.store.take("file", [order("42", WRONG, 2, state="closed")] if goes == "closed" else [])
        await counter.till.store.put(replace(earlier, version=2, channel="drive"))
        await counter.till.store.put(replace(order("42", RIGHT), order_id="next"))
        await anyio.wait_all_tasks_blocked()
    assert [(one.status, one.order_id) for one in counter.of(visit)] == [("inaccurate", "id-42")]


async def test_a_cancelled_order_that_is_there_after_all_is_judged():
    async with Counter() as counter:
        await counter.till.store.put(order("42", RIGHT, state="cancelled"))
        visit = counter.bag("42")
        await until(lambda: counter.of(visit))
        await counter.till.store.put(order("42", RIGHT, 2))
        await until(lambda: len(counter.of(visit)) == 2)
    assert [(one.status, one.reason) for one in counter.of(visit)] == [
        ("undetermined", "cancelled"),
        ("accurate", None),
    ]


async def test_a_cancelled_order_is_not_judged():
    async with Counter() as counter:
        await counter.till.store.put(order("42", RIGHT))
        await counter.till.store.cancel("till", "id-42")
        visit = counter.bag("42")
        await until(lambda: counter.of(visit))
    assert [(one.status, one.reason) for one in counter.verdicts] == [("undetermined", "cancelled")]


@settings(max_examples=25)
@given(st.data())
def test_whatever_the_till_does_the_last_word_on_every_bag_is_by_the_last_version(data):
    """Bags and versions in any order: one first verdict each, revisions that grow, and the last by what holds."""
    versions = data.draw(st.lists(st.tuples(st.sampled_from("12"), st.integers(1, 4)), max_size=10))
    bags = data.draw(st.lists(st.sampled_from("12"), min_size=1, max_size=4))
    steps = data.draw(st.permutations([("put", one) for one in versions] + [("bag", one) for one in bags]))

    async def play():
        async with Counter() as counter:
            visits = {}
            newest = {}
            for kind, what in steps:
                if kind == "bag":
                    visits[counter.bag(what)] = what
                else:
                    number, version = what
                    await counter.till.store.put(order(number, RIGHT if version % 2 else WRONG, version))
                    newest[number] = max(version, newest.get(number, 0))
                if data.draw(st.booleans()):
                    await anyio.wait_all_tasks_blocked()
            known = [visit for visit, number in visits.items() if number in newest]

            def settled(visit):
                found = counter.of(visit)
                wanted = "accurate" if newest[visits[visit]] % 2 else "inaccurate"
                return bool(found) and found[-1].status == wanted

            await until(lambda: all(settled(visit) for visit in known))
        for visit, number in visits.items():
            found = counter.of(visit)
            assert [one.revision for one in found] == list(range(1, len(found) + 1))
            assert (found[0].reason == "no_order") == (number not in newest)
            versions_judged = [one.order_version for one in found if one.order_version is not None]
            assert versions_judged == sorted(set(versions_judged))
            for one in found:
                if one.order_version is not None:
                    assert one.status == ("accurate" if one.order_version % 2 else "inaccurate")

    anyio.run(play)
