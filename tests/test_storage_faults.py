"""Full disks, I/O errors and damaged files: nothing is acknowledged that is not kept, and it goes on by itself."""

from __future__ import annotations

import asyncio
import resource
import shutil
import sqlite3
import time
from contextlib import contextmanager

import anyio
import pytest

from orderacc.config import StorageConfig
from orderacc.domain.orders import Item, Order
from orderacc.domain.verdicts import Verdict
from orderacc.errors import StorageError
from orderacc.service.keeping import Keeping
from orderacc.service.storing import open_storing
from orderacc.storage.backup import back_up
from orderacc.storage.journal import Journal
from orderacc.storage.lock import DataLock
from orderacc.storage.records import OutboxMessage
from small_disk import fill, make_room, small_disk
from staged_stations import until

pytestmark = pytest.mark.anyio

RECOVERY = 5.0
"""Seconds within which writes succeed again once there is space."""


def order(number: int) -> Order:
    return Order(f"{number:05d}", (Item("Burger" * 20),), source="till")


async def put_until_refused(journal, first: int) -> tuple[set[str], StorageError]:
    """Orders acknowledged, and the first refusal."""
    kept: set[str] = set()
    for number in range(first, first + 100_000):
        try:
            await journal.put_order(order(number))
        except StorageError as refusal:
            return kept, refusal
        kept.add(f"{number:05d}")
    pytest.fail("nothing was refused")


async def goes_on(journal, number: int) -> float:
    """Seconds until an order is taken again."""
    started = time.monotonic()
    with anyio.fail_after(60):
        while True:
            try:
                await journal.put_order(order(number))
            except StorageError:
                await anyio.sleep(0.02)
            else:
                return time.monotonic() - started


async def test_a_full_disk_refuses_keeps_what_it_acknowledged_and_goes_on_when_there_is_space(tmp_path):
    with small_disk(tmp_path / "disk", 2) as disk:
        kept: set[str] = set()
        recoveries = []
        async with Journal.open(disk / "journal.db") as journal:
            for round_ in range(3):
                fill(disk, leave=200_000)
                acknowledged, refusal = await put_until_refused(journal, 20_000 * round_)
                assert refusal.code == "storage_full"
                assert "make room" in refusal.message
                kept |= acknowledged
                assert (journal.health().ok, journal.health().code) == (False, "storage_full")
                assert kept == {one.order.order_id for one in await journal.orders("2020")}
                with pytest.raises(StorageError):
                    await journal.put_order(order(99_999))
                make_room(disk)
                recoveries.append(await goes_on(journal, 20_000 * round_ + 19_999))
                kept.add(f"{20_000 * round_ + 19_999:05d}")
                assert journal.health().ok
        async with Journal.open(disk / "journal.db") as journal:
            assert kept == {one.order.order_id for one in await journal.orders("2020")}
        print(f"\n{len(kept)} orders acknowledged and kept; went on {max(recoveries):.2f} s after there was space")
        assert max(recoveries) <= RECOVERY


@pytest.mark.parametrize("first_start", [True, False])
async def test_a_start_on_a_full_disk_waits_for_space(tmp_path, caplog, first_start):
    with small_disk(tmp_path / "disk", 2) as disk:
        data = disk / "data"
        if not first_start:
            async with Journal.open(data / "journal.db") as journal:
                await journal.put_order(order(1))
        fill(disk)
        started, over = anyio.Event(), anyio.Event()

        async def daemon():
            with DataLock(data):
                async with open_storing(StorageConfig(data_dir=str(data))) as storing:
                    await storing.keeping.journal.put_order(order(2))
                    assert storing.keeping.journal.health().set_aside == 0
                    started.set()
                    await over.wait()

        async with anyio.create_task_group() as group:
            group.start_soon(daemon)
            with anyio.fail_after(60):
                await until(lambda: any("waiting_for_space" in str(record.msg) for record in caplog.records))
            with pytest.raises(StorageError, match="used by another"), DataLock(data):
                pass
            assert not started.is_set()
            make_room(disk)
            with anyio.fail_after(RECOVERY):
                await started.wait()
            over.set()
        async with Journal.open(data / "journal.db") as journal:
            kept = {one.order.order_id for one in await journal.orders("2020")}
            assert kept == ({"00002"} if first_start else {"00001", "00002"})


@contextmanager
def files_no_larger_than(size: int):
    """Every write beyond this size of a file fails, in this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_writes_that_fail_are_refused_and_it_goes_on_when_they_do_not(tmp_path):
    path = tmp_path / "journal.db"
    async with Journal.open(path) as journal:
        kept = {(await journal.put_order(order(0))) and "00000"}
        largest = path.with_name("journal.db-wal").stat().st_size + 200_000
        with files_no_larger_than(largest):
            acknowledged, refusal = await put_until_refused(journal, 1)
            assert refusal.code in {"storage_failed", "storage_full"}
            kept |= acknowledged
            assert not journal.health().ok
        assert await goes_on(journal, 99_999) <= RECOVERY
        kept.add("99999")
    async with Journal.open(path) as journal:
        assert kept == {one.order.order_id for one in await journal.orders("2020")}


async def test_a_file_that_is_no_journal_is_set_aside_and_a_new_one_begun(tmp_path, caplog):
    path = tmp_path / "journal.db"
    path.write_bytes(b"not a database at all, but long enough to look at" * 100)
    async with Journal.open(path) as journal:
        assert journal.health().set_aside == 1
        assert await journal.put_order(order(1))
    (aside,) = tmp_path.glob("journal.db.damaged-*")
    assert aside.read_bytes().startswith(b"not a database")
    told = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert [(line["event"], line["aside"]) for line in told] == [("journal_set_aside", str(aside))]


async def test_a_damaged_page_is_found_at_start(tmp_path):
    path = tmp_path / "journal.db"
    async with Journal.open(path) as journal:
        await asyncio.gather(*(journal.put_order(order(number)) for number in range(2000)))
        edition = await journal.edition()
    content = bytearray(path.read_bytes())
    for page in range(20, 60):
        content[page * 4096 : page * 4096 + 512] = b"\xa5" * 512
    path.write_bytes(content)
    async with Journal.open(path) as journal:
        assert journal.health().set_aside == 1
        assert await journal.edition() != edition
        assert await journal.orders("2020") == []


async def test_damage_while_it_runs_is_met_by_a_new_file(tmp_path):
    path = tmp_path / "journal.db"
    async with Journal.open(path) as journal:
        await asyncio.gather(*(journal.put_order(order(number)) for number in range(2000)))
        await journal.database.forget_log()
        with path.open("r+b") as file:
            for page in range(1, 200):
                file.seek(page * 4096)
                file.write(b"\xa5" * 4096)
        with sqlite3.connect(path) as other:  # makes every connection read the pages anew
            other.execute("PRAGMA user_version = 1")
        other.close()
        with anyio.fail_after(60):
            while journal.health().set_aside == 0:
                try:
                    await journal.orders("2020")
                    await journal.put_order(order(5))
                except StorageError:
                    await anyio.sleep(0.01)
        assert await goes_on(journal, 7) <= RECOVERY
        assert "00007" in {one.order.order_id for one in await journal.orders("2020")}


async def test_a_file_taken_away_while_it_runs_is_begun_anew_and_nothing_is_written_to_nowhere(tmp_path, caplog):
    path = tmp_path / "data" / "journal.db"
    async with Journal.open(path) as journal:
        await journal.put_order(order(1))
        path.unlink()
        await journal.put_order(order(2))
        assert "journal_replaced" in caplog.text
        assert {one.order.order_id for one in await journal.orders("2020")} == {"00002"}
        shutil.rmtree(path.parent)
        with pytest.raises(StorageError) as refusal:
            await journal.put_order(order(3))
        assert refusal.value.code == "storage_failed"
        path.parent.mkdir()
        assert await goes_on(journal, 4) <= RECOVERY
        assert {one.order.order_id for one in await journal.orders("2020")} == {"00004"}
    async with Journal.open(path) as journal:
        assert {one.order.order_id for one in await journal.orders("2020")} == {"00004"}


async def test_a_file_removed_to_make_room_is_begun_anew_by_itself(tmp_path, caplog):
    with small_disk(tmp_path / "disk", 2) as disk:
        path = disk / "journal.db"
        async with Journal.open(path) as journal:
            fill(disk, leave=400_000)
            acknowledged, refusal = await put_until_refused(journal, 0)
            assert refusal.code == "storage_full"
            files = journal.files
            for file in disk.glob("journal.db*"):
                file.unlink()
            assert await goes_on(journal, 50_000) <= RECOVERY
            assert "journal_replaced" in caplog.text
            assert journal.files > files
            assert {one.order.order_id for one in await journal.orders("2020")} == {"50000"}
        assert acknowledged


async def test_a_backup_put_back_while_it_runs_is_gone_on_with(tmp_path):
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    async with Journal.open(path) as journal:
        await journal.put_order(order(1))
        await asyncio.to_thread(back_up, path, copy)
        await journal.put_order(order(2))
        copy.replace(path)
        await journal.put_order(order(3))
        assert {one.order.order_id for one in await journal.orders("2020")} == {"00001", "00003"}
        assert journal.health().ok


async def test_verdicts_wait_for_a_full_disk_in_their_order_and_the_crew_does_not(tmp_path):
    with small_disk(tmp_path / "disk", 2) as disk:
        async with Journal.open(disk / "journal.db") as journal:
            keeping = Keeping(journal, lambda one: [OutboxMessage("hook", "left", str(one.verdict_id), {})])
            async with anyio.create_task_group() as group:
                group.start_soon(keeping.run)
                await keeping.record(Verdict("accurate", verdict_id="left-000000", station_id="left"))
                fill(disk)
                _, refusal = await put_until_refused(journal, 0)
                assert refusal.code == "storage_full"
                waits = []
                for number in range(1, 30):
                    started = time.monotonic()
                    said = Verdict("accurate", verdict_id=f"left-{number:06d}", station_id="left")
                    await keeping.record(said)
                    waits.append(time.monotonic() - started)
                assert keeping.waiting > 0
                make_room(disk)
                with anyio.fail_after(RECOVERY):
                    await until(lambda: not keeping.waiting)
                group.cancel_scope.cancel()
            await keeping.finish()
            told = [entry.key for entry in reversed(await journal.outbox.log())]
            assert told == [f"left-{number:06d}" for number in range(30)]
            print(f"\nlongest a verdict waited for a full disk: {max(waits):.2f} s")
            assert max(waits) < RECOVERY
