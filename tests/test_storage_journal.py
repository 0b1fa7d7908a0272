"""The journal keeps what it says it keeps, once, and gives it back."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc.domain.orders import Item, Order
from orderacc.domain.verdicts import Verdict
from orderacc.errors import StorageError
from orderacc.storage.database import TOLD_AT_ONCE
from orderacc.storage.journal import Journal
from orderacc.storage.lock import DataLock
from orderacc.storage.records import (
    ClosedVisit,
    EvidenceFrame,
    OpenedVisit,
    OutboxMessage,
    VerdictFilter,
    now_text,
)

pytestmark = pytest.mark.anyio


def opened(number: int, slip: str = "384", station: str = "left") -> OpenedVisit:
    return OpenedVisit(f"{station}-{number:06d}", station, number, slip, now_text())


def closed(number: int, slip: str | None = "384", station: str = "left") -> ClosedVisit:
    frame = EvidenceFrame("selected/x/0.jpg", 7, 0.7, 0.9, (("burger", 0.9, (1.0, 2.0, 3.0, 4.0)),))
    return ClosedVisit(
        f"{station}-{number:06d}",
        station,
        number,
        slip,
        now_text(),
        now_text(),
        now_text(),
        0.1,
        9.5,
        "empty",
        None,
        (frame,),
    )


def verdict(number: int, revision: int = 1, status: str = "accurate", station: str = "left", **fields) -> Verdict:
    return Verdict(status, verdict_id=f"{station}-{number:06d}", station_id=station, revision=revision, **fields)


def message(number: int, sink: str = "hook", station: str = "left") -> OutboxMessage:
    return OutboxMessage(sink, station, f"store/{station}-{number:06d}/1", {"number": number})


@pytest.fixture
async def journal(tmp_path):
    async with Journal.open(tmp_path / "data" / "journal.db") as opened_journal:
        yield opened_journal


async def test_an_order_is_kept_in_all_its_versions_and_found_again(journal):
    first = Order("384", (Item("Burger"),), source="till")
    assert await journal.put_order(first)
    assert not await journal.put_order(first)
    amended = Order("384", (Item("Burger", 2),), version=2, source="till")
    assert await journal.put_order(amended)
    assert [one.order for one in await journal.orders("2020")] == [amended]
    assert [event.body["version"] for event in await journal.events()] == [1, 2]


async def test_a_visit_is_unfinished_until_it_has_a_verdict(journal):
    await journal.opened(opened(1))
    await journal.opened(opened(1, slip="381"))
    await journal.opened(opened(2, station="right"))
    (left, right) = await journal.unfinished()
    assert (left.opened.slip_text, left.closed, right.opened.station_id) == ("381", None, "right")
    ended = closed(1, slip="381")
    await journal.closed(ended)
    assert {one.closed for one in await journal.unfinished()} == {ended, None}
    assert await journal.record(verdict(1))
    assert [one.opened.visit_id for one in await journal.unfinished()] == ["right-000002"]
    await journal.opened(opened(1))
    await journal.closed(closed(1))
    assert len(await journal.unfinished()) == 1


async def test_a_verdict_and_its_messages_are_written_once(journal):
    assert await journal.record(verdict(1), [message(1), message(1, "broker")])
    assert not await journal.record(verdict(1, status="inaccurate"), [message(9)])
    assert [one.key for one in await journal.outbox.log()] == ["store/left-000001/1"] * 2
    assert await journal.record(verdict(1, 2, "inaccurate"), [])
    assert (await journal.verdict("left-000001")).body["status"] == "inaccurate"
    assert [one.revision for one in await journal.revisions("left-000001")] == [1, 2]
    assert await journal.record(verdict(1, 4))
    assert await journal.record(verdict(1, 3))
    assert (await journal.verdict("left-000001")).revision == 4
    assert await journal.verdict("nowhere") is None


async def test_half_of_a_character_costs_no_verdict_and_no_message(journal):
    told = OutboxMessage("hook", "left", "store/left-000001/1", {"sentence": "Extra: 1 Pizza \ud83c."})
    assert await journal.record(verdict(1, sentence="Extra: 1 Pizza \ud83c."), [told])
    (kept,) = (await journal.verdicts(VerdictFilter())).verdicts
    assert kept.body == {**verdict(1).to_dict(), "sentence": "Extra: 1 Pizza ?."}
    (waiting,) = await journal.outbox.due("hook", time.time(), 9)
    assert waiting.body == {"sentence": "Extra: 1 Pizza ?."}


async def test_verdicts_are_filtered_and_paged(journal):
    for number in range(10):
        status = "inaccurate" if number % 2 else "accurate"
        station = "left" if number < 5 else "right"
        await journal.record(
            verdict(number, status=status, station=station, slip_text=f"38{number}", sentence="50% off_")
        )
    seen, cursor = [], None
    while True:
        page = await journal.verdicts(cursor=cursor, limit=3)
        seen += [one.body["slip_text"] for one in page.verdicts]
        if (cursor := page.cursor) is None:
            break
    assert seen == [f"38{number}" for number in reversed(range(10))]

    async def found(**wanted):
        return {one.body["slip_text"] for one in (await journal.verdicts(VerdictFilter(**wanted))).verdicts}

    assert await found(station_id="right", status=("inaccurate",)) == {"385", "387", "389"}
    assert await found(text="384") == {"384"}
    assert len(await found(text="50% OFF_")) == 10
    assert await found(text="50%_off") == set()
    assert await found(since="2999") == set()
    assert len(await found(until="2999")) == 10
    await journal.review("left-000003", "wrong", items=[{"name": "Fries", "quantity": 1}], note="no fries")
    assert await found(reviewed=True) == {"383"}
    assert len(await found(reviewed=False)) == 9


async def test_reviews_are_of_the_latest_revision(journal):
    with pytest.raises(StorageError, match="no verdict 'left-000001'") as refused:
        await journal.review("left-000001", "confirmed")
    assert refused.value.code == "no_such_verdict"
    await journal.record(verdict(1))
    await journal.record(verdict(1, 2))
    said = await journal.review("left-000001", "wrong", items=[{"name": "Cola", "quantity": 2}], reviewer="kim")
    assert (said.revision, said.items) == (2, ({"name": "Cola", "quantity": 2},))
    assert await journal.reviews("left-000001") == [said]
    assert await journal.reviews("left-000002") == []


async def test_listeners_resume_where_they_were_and_wait_for_news(journal):
    await journal.record(verdict(1))
    (event,) = await journal.events()
    assert (event.kind, event.body["verdict_id"]) == ("verdict", "left-000001")
    waiting = asyncio.create_task(journal.changed())
    await asyncio.sleep(0)
    assert not waiting.done()
    await journal.station_event("left", {"phase": "stalled"})
    await asyncio.wait_for(waiting, 10)
    assert [one.body for one in await journal.events(event.event_id)] == [{"phase": "stalled"}]
    assert await journal.last_event() == event.event_id + 1


async def test_visit_numbers_are_never_used_twice(tmp_path):
    path = tmp_path / "journal.db"
    before = int(time.time())
    async with Journal.open(path) as journal:
        first = await journal.first_visit()
        assert before <= first <= time.time()
        await journal.opened(opened(first + 5000))
        edition = await journal.edition()
    async with Journal.open(path) as journal:
        assert await journal.first_visit() == first + 5001
        assert await journal.edition() == edition


async def test_writes_that_come_together_share_commits(journal):
    await asyncio.gather(*(journal.record(verdict(number), [message(number)]) for number in range(500)))
    assert [event.body["verdict_id"] for event in await journal.events(limit=500)] == [
        f"left-{number:06d}" for number in range(500)
    ]


async def test_writers_that_are_told_of_one_commit_do_not_hold_the_loop_together(journal):
    told, over = [], asyncio.Event()

    async def write(number: int) -> None:
        await journal.record(verdict(number))
        told.append("writer")

    async def have_turns() -> None:
        while not over.is_set():
            told.append("other")
            await asyncio.sleep(0)

    others = asyncio.create_task(have_turns())
    await asyncio.gather(*(write(number) for number in range(100)))
    over.set()
    await others
    longest = max(len(run) for run in "".join("w" if one == "writer" else " " for one in told).split())
    assert longest <= 2 * TOLD_AT_ONCE


async def test_a_write_that_fails_takes_no_other_along(journal):
    await journal.record(verdict(1))
    outcomes = await asyncio.gather(
        journal.record(verdict(2)),
        journal.review("nowhere", "confirmed"),
        journal.review("left-000001", "bad opinion"),
        journal.record(verdict(3)),
        return_exceptions=True,
    )
    assert [type(one) for one in outcomes] == [bool, StorageError, sqlite3.IntegrityError, bool]
    assert len((await journal.verdicts()).verdicts) == 3


async def test_readers_do_not_hold_up_the_writer(journal):
    def slow(connection):
        connection.execute("BEGIN")
        (before,) = connection.execute("SELECT count(*) FROM verdicts").fetchone()
        started.set()
        for _ in range(2000):
            time.sleep(0.001)
            if written.is_set():
                break
        (after,) = connection.execute("SELECT count(*) FROM verdicts").fetchone()
        connection.execute("COMMIT")
        return before, after

    started, written = threading.Event(), threading.Event()
    reading = asyncio.create_task(journal.database.read(slow))
    await asyncio.to_thread(started.wait, 10)
    await journal.record(verdict(1))
    assert not reading.done()
    written.set()
    assert await reading == (0, 0)


async def test_a_journal_of_a_newer_program_is_refused(tmp_path):
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 999")
    file.close()
    with pytest.raises(StorageError, match="version 999") as refused:
        async with Journal.open(path):
            pass
    assert refused.value.code == "storage_newer"


async def test_a_station_is_told_in_order_and_waits_behind_what_failed(journal):
    for number in range(3):
        await journal.record(verdict(number), [message(number)])
        await journal.record(verdict(number, station="right"), [message(number, station="right")])
    box, now = journal.outbox, time.time() + 1
    due = await box.due("hook", now)
    assert [(one.station_id, one.body["number"]) for one in due] == [
        (station, number) for number in range(3) for station in ("left", "right")
    ]
    await box.failed(due[0].id, now + 60, "HTTP 500")
    assert {one.station_id for one in await box.due("hook", now)} == {"right"}
    await box.delivered(due[1].id)
    assert [one.body["number"] for one in await box.due("hook", now)] == [1, 2]
    assert await box.due("broker", now) == []
    await box.dead(due[0].id, "HTTP 410")
    assert len(await box.due("hook", now)) == 4
    assert await box.replay("hook") == 1
    assert (await box.due("hook", now + 2))[0].body["number"] == 0
    (last,) = await box.log("hook", state="delivered")
    assert (last.attempts, last.last_error) == (1, None)
    assert await box.counts() == {("hook", "pending"): 5, ("hook", "delivered"): 1}


def test_a_second_process_is_refused_and_told_who_is_there(tmp_path):
    code = (
        "import sys; from pathlib import Path; from orderacc.storage.lock import DataLock\n"
        "from orderacc.errors import StorageError\n"
        "try:\n  DataLock(Path(sys.argv[1])).__enter__()\nexcept StorageError as error:\n  print(error.code, error)\n"
    )
    with DataLock(tmp_path / "data"):
        asked = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "data"], capture_output=True, text=True, check=True
        )
    assert asked.stdout.startswith("storage_locked")
    assert f"process {os.getpid()}" in asked.stdout
    with DataLock(tmp_path / "data"):
        pass


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["opened", "closed", "record", "revise", "again"]), st.integers(0, 4)), max_size=25
)


@settings(max_examples=25, deadline=None)
@given(ACTIONS)
def test_any_sequence_of_writes_gives_what_a_simple_model_says(tmp_path_factory, actions):
    asyncio.run(_follow(tmp_path_factory.mktemp("journal") / "journal.db", actions))


async def _follow(path, actions):
    states: dict[int, str] = {}
    revisions: dict[int, int] = {}
    async with Journal.open(path) as journal:
        for action, number in actions:
            if action == "opened":
                await journal.opened(opened(number))
                states.setdefault(number, "judged" if number in revisions else "open")
            elif action == "closed":
                await journal.closed(closed(number))
                if states.get(number) in {None, "open"}:
                    states[number] = "judged" if number in revisions else "waiting"
            else:
                known = revisions.get(number, 0)
                revision = {"record": 1, "revise": known + 1, "again": max(known, 1)}[action]
                fresh = await journal.record(verdict(number, revision), [message(number)])
                assert fresh == (revision > known)
                revisions[number] = max(known, revision)
                if number in states:
                    states[number] = "judged"
    async with Journal.open(path) as journal:
        unfinished = {one.opened.number for one in await journal.unfinished()}
        assert unfinished == {number for number, state in states.items() if state != "judged"}
        page = (await journal.verdicts()).verdicts
        assert {int(one.verdict_id[-6:]): one.revision for one in page} == revisions
        assert len(await journal.outbox.log()) == len(revisions)
