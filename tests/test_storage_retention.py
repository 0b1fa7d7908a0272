"""What is too old or too much goes, rows and objects together; what is needed stays; what is purged is gone."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc.domain.orders import Item, Order
from orderacc.domain.verdicts import Verdict
from orderacc.errors import StorageError
from orderacc.storage.journal import Journal
from orderacc.storage.records import OpenedVisit, OutboxMessage, StoredObject, now_text, time_text
from orderacc.storage.retention import AT_ONCE, PAGES_AT_ONCE, Keep, Retention, RetentionPolicy

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)


class Shelf:
    """Objects by key; fails when told to."""

    def __init__(self) -> None:
        self.objects: dict[str, int] = {}
        self.fails = False

    async def delete(self, keys) -> None:
        if self.fails:
            raise StorageError("staged")
        for key in keys:
            self.objects.pop(key, None)


async def judged(journal, shelf, number: int, days_ago: float = 0.0, *, frames: int = 2, size: int = 1000) -> str:
    """A visit with a verdict, frames, a clip, a message and a POS order of then."""
    visit_id = f"left-{number:06d}"
    then = time_text(NOW - timedelta(days=days_ago))
    await journal.put_order(Order(str(number), (Item("Burger"),), source="till"))
    await journal.opened(OpenedVisit(visit_id, "left", number, str(number), then))
    said = Verdict(
        "accurate",
        verdict_id=visit_id,
        station_id="left",
        slip_text=str(number),
        order_id=str(number),
        closed_at=then,
    )
    await journal.record(said, [OutboxMessage("hook", "left", visit_id, {"slip": number})])
    objects = [StoredObject(f"selected/{visit_id}/{one}.jpg", "frames", visit_id, size) for one in range(frames)]
    objects += [StoredObject(f"frames/{visit_id}/clip.mp4", "clips", visit_id, size)]
    await journal.stored(objects)
    shelf.objects |= {one.key: one.size for one in objects}

    def age(connection):
        connection.execute("UPDATE verdicts SET recorded_at = ? WHERE verdict_id = ?", (then, visit_id))
        connection.execute("UPDATE objects SET stored_at = ? WHERE visit_id = ?", (then, visit_id))
        connection.execute("UPDATE events SET at = ? WHERE subject = ?", (then, visit_id))
        connection.execute("UPDATE orders SET received_at = ? WHERE order_id = ?", (then, str(number)))

    await journal.database.write(age)
    return visit_id


async def rows(journal, table: str) -> int:
    return await journal.database.read(lambda file: file.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


@pytest.fixture
async def kept(tmp_path):
    shelf = Shelf()
    async with Journal.open(tmp_path / "journal.db") as journal:
        yield journal, shelf, Retention(journal.database, shelf.delete)


async def test_frames_clips_and_verdicts_go_by_their_own_age(kept):
    journal, shelf, retention = kept
    for number, days in enumerate((0, 10, 40, 400)):
        await judged(journal, shelf, number, days)
    would = await retention.clean(RetentionPolicy(), dry_run=True)
    assert len(shelf.objects) == 12
    removal = await retention.clean(RetentionPolicy())
    assert replace(removal, events=0) == replace(would, events=0)  # a verdict's events go with it
    assert (removal.objects, removal.verdicts, removal.size) == ({"frames": 4, "clips": 3}, 1, 7000)
    assert set(shelf.objects) == {
        "selected/left-000000/0.jpg",
        "selected/left-000000/1.jpg",
        "frames/left-000000/clip.mp4",
        "selected/left-000001/0.jpg",
        "selected/left-000001/1.jpg",
    }
    assert [one.verdict_id for one in (await journal.verdicts()).verdicts] == [f"left-{n:06d}" for n in (2, 1, 0)]
    assert (await rows(journal, "visits"), await rows(journal, "orders"), await rows(journal, "outbox")) == (3, 3, 3)
    assert not await retention.clean(RetentionPolicy())


async def test_the_oldest_go_when_there_are_too_many(kept):
    journal, shelf, retention = kept
    for number in range(6):
        await judged(journal, shelf, number, 6 - number)
    policy = RetentionPolicy(frames=Keep(max_bytes=5000), clips=Keep(max_bytes=1000), verdicts=Keep())
    removal = await retention.clean(policy)
    assert removal.objects == {"frames": 7, "clips": 5}
    assert "selected/left-000003/1.jpg" in shelf.objects or "selected/left-000003/0.jpg" in shelf.objects
    assert sum(size for key, size in shelf.objects.items() if key.startswith("selected")) == 5000
    by_size = await retention.clean(RetentionPolicy(verdicts=Keep(max_bytes=2500)))
    assert 0 < by_size.verdicts < 6
    assert (await journal.verdicts()).verdicts[0].verdict_id == "left-000005"


async def test_the_oldest_verdicts_go_when_they_take_too_much(kept):
    journal, shelf, retention = kept
    for number in range(6):
        await judged(journal, shelf, number, 6 - number)
    each = await journal.database.read(
        lambda file: file.execute("SELECT max(length(body)) FROM verdicts").fetchone()[0]
    )
    assert (await retention.clean(RetentionPolicy(verdicts=Keep(max_bytes=2 * each)))).verdicts == 4
    assert [one.verdict_id for one in (await journal.verdicts()).verdicts] == ["left-000005", "left-000004"]
    assert not any("left-000003" in key for key in shelf.objects)


async def test_a_long_log_is_cut_step_by_step(kept):
    journal, _, retention = kept
    for phase in range(3 * AT_ONCE):
        await journal.station_event("left", {"phase": phase})
    later = NOW + timedelta(days=31)
    assert (await retention.clean(RetentionPolicy(), now=later, dry_run=True)).events == 3 * AT_ONCE
    assert (await retention.clean(RetentionPolicy(), now=later)).events == 3 * AT_ONCE
    assert await rows(journal, "events") == 0


async def test_what_is_removed_makes_room_on_the_disk(kept, tmp_path):
    journal, _, retention = kept
    file = tmp_path / "journal.db"
    for part in range(4):
        await journal.station_event("left", {"note": "x" * 1_000_000, "part": part})
    await journal.database.forget_log()
    full = file.stat().st_size
    assert full > 1.5 * PAGES_AT_ONCE * 4096
    assert (await retention.clean(RetentionPolicy(), now=NOW + timedelta(days=31))).events == 4
    await journal.database.forget_log()
    assert file.stat().st_size < full / 10


async def test_what_a_review_is_open_on_stays_until_it_is_closed(kept):
    journal, shelf, retention = kept
    visit_id = await judged(journal, shelf, 1, 500)
    await journal.review(visit_id, "open")
    removal = await retention.clean(RetentionPolicy())
    assert (removal.verdicts, removal.kept, len(shelf.objects)) == (0, 1, 3)
    purged = await retention.purge(order="1")
    assert (purged.verdicts, purged.kept) == (0, 1)
    await journal.review(visit_id, "confirmed")
    assert (await retention.clean(RetentionPolicy())).verdicts == 1
    assert shelf.objects == {}


class SlowShelf(Shelf):
    """One that lets something happen while it removes the first objects."""

    def __init__(self, meanwhile) -> None:
        super().__init__()
        self.meanwhile = meanwhile

    async def delete(self, keys) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        await super().delete(keys)


@pytest.mark.parametrize("keep", ["verdicts", "frames"])
async def test_a_review_that_is_opened_while_a_clean_up_goes_on_keeps_what_is_still_there(kept, monkeypatch, keep):
    journal, _, _ = kept
    monkeypatch.setattr("orderacc.storage.retention.AT_ONCE", 2)
    shelf = SlowShelf(lambda: journal.review("left-000002", "open", note="the customer complains"))
    for number in range(4):
        await judged(journal, shelf, number, 100 - number)
    policy = RetentionPolicy(**{"clips": Keep(), "verdicts": Keep(), "frames": Keep(), keep: Keep(50)})
    removal = await Retention(journal.database, shelf.delete).clean(policy)
    assert [one.note for one in await journal.reviews("left-000002")] == ["the customer complains"]
    assert await journal.verdict("left-000002") is not None
    assert {key for key in shelf.objects if "clip" not in key} == {f"selected/left-000002/{one}.jpg" for one in (0, 1)}
    assert removal.kept == (keep == "verdicts")


async def test_nothing_is_said_of_a_verdict_whose_removal_has_begun_and_the_next_clean_up_ends_it(kept):
    journal, shelf, retention = kept
    visit_id = await judged(journal, shelf, 1, 500)
    shelf.fails = True
    with pytest.raises(StorageError, match="staged"):
        await retention.clean(RetentionPolicy())
    with pytest.raises(StorageError, match="is being removed") as refused:
        await journal.review(visit_id, "open")
    assert refused.value.code == "no_such_verdict"
    shelf.fails = False
    for most in (None, 1_000_000):
        assert (await retention.clean(RetentionPolicy(verdicts=Keep(900, most)))).verdicts == (most is None)
    assert (await rows(journal, "going"), await rows(journal, "verdicts"), shelf.objects) == (0, 0, {})


async def test_an_order_that_still_waits_for_its_verdict_stays(kept):
    journal, _, retention = kept
    await journal.opened(OpenedVisit("left-000001", "left", 1, "384", "2020-01-01T00:00:00.000Z"))
    await retention.clean(RetentionPolicy())
    assert len(await journal.unfinished()) == 1


async def test_a_store_that_fails_loses_no_row_and_the_next_time_it_works(kept):
    journal, shelf, retention = kept
    await judged(journal, shelf, 1, 500)
    shelf.fails = True
    with pytest.raises(StorageError):
        await retention.clean(RetentionPolicy())
    assert (await rows(journal, "objects"), await rows(journal, "verdicts")) == (3, 1)
    shelf.fails = False
    assert (await retention.clean(RetentionPolicy())).verdicts == 1
    assert await rows(journal, "objects") == 0


async def test_a_purged_order_is_nowhere_not_even_in_the_file(kept, tmp_path):
    journal, shelf, retention = kept
    for number, days in ((384, 0), (385, 0), (38400, 3)):
        await judged(journal, shelf, number, days)
    secret = "Burger with canary sauce"
    await journal.put_order(Order("386", (Item(secret),), source="till"))
    assert secret.encode() in (tmp_path / "journal.db-wal").read_bytes()
    assert (await retention.purge(order="386", dry_run=True)).orders == 1
    await retention.purge(order="386")
    assert (await retention.purge(order="384")).verdicts == 1
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()
    assert not any("left-000384" in key for key in shelf.objects)
    assert len((await journal.verdicts()).verdicts) == 2
    assert (await retention.purge(until=NOW - timedelta(days=1))).verdicts == 1
    with pytest.raises(ValueError, match="name an order or a time"):
        await retention.purge()


async def test_an_order_named_by_its_verdict_goes_with_its_pos_order(kept):
    journal, shelf, retention = kept
    for number in (384, 385):
        await judged(journal, shelf, number)
    assert (await retention.purge(order="left-000384", dry_run=True)).orders == 1
    gone = await retention.purge(order="left-000384")
    assert (gone.verdicts, gone.orders) == (1, 1)
    assert [one.order.order_id for one in await journal.orders("2020")] == ["385"]
    events = await journal.events(0, 1000)
    # A stamp's milliseconds may be 384 as well.
    told = {
        number: [one for one in events if re.search(rf"(?<![\d.])0*{number}(?!\d)", str(one.body))]
        for number in (384, 385)
    }
    assert not told[384]
    assert told[385]


async def test_what_a_review_is_open_on_keeps_its_pos_order(kept):
    journal, shelf, retention = kept
    visit = await judged(journal, shelf, 384, 500)
    await journal.review(visit, "open")
    gone = await retention.purge(order="384")
    assert (gone.kept, gone.verdicts, gone.orders) == (1, 0, 0)
    assert (await retention.clean(RetentionPolicy())).orders == 0
    await journal.review(visit, "confirmed")
    assert (await retention.purge(order="384")).orders == 1


async def test_the_log_is_cut_whether_the_store_answers_or_not(kept):
    journal, shelf, retention = kept
    await judged(journal, shelf, 1, 500)
    shelf.fails = True
    before = await rows(journal, "events")
    with pytest.raises(StorageError):
        await retention.clean(RetentionPolicy())
    assert await rows(journal, "events") < before
    assert await rows(journal, "verdicts") == 1


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 60), st.booleans()), max_size=8), st.floats(1, 50))
def test_a_clean_up_removes_what_is_older_and_nothing_else(tmp_path_factory, visits, days):

    async def work():
        shelf = Shelf()
        async with Journal.open(tmp_path_factory.mktemp("journal") / "journal.db") as journal:
            for number, (age, needed) in enumerate(visits):
                visit_id = await judged(journal, shelf, number, age)
                if needed:
                    await journal.review(visit_id, "open")
            policy = RetentionPolicy(Keep(days), Keep(days), Keep(days), 365.0)
            await Retention(journal.database, shelf.delete).clean(policy, now=NOW)
            left = {one.verdict_id for one in (await journal.verdicts()).verdicts}
            expected = {
                f"left-{number:06d}"
                for number, (age, needed) in enumerate(visits)
                if needed or time_text(NOW - timedelta(days=age)) >= time_text(NOW - timedelta(days=days))
            }
            assert left == expected
            assert {key.split("/")[1] for key in shelf.objects} == expected
            assert await rows(journal, "objects") == len(shelf.objects)

    asyncio.run(work())


def test_times_are_written_so_that_they_sort() -> None:
    assert now_text() < time_text(datetime.now(UTC) + timedelta(seconds=1))
