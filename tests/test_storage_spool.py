"""The spool: what is taken in arrives, in order, whatever the store and the process do meanwhile."""

from __future__ import annotations

import asyncio
import errno
import os
import random

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc import StorageError
from orderacc.storage import spool as spool_module
from orderacc.storage.folder import FolderStore
from orderacc.storage.spool import Spool
from orderacc.storage.spool_folder import SpoolFolder
from orderacc.storage.spooled import SpooledStore
from orderacc.telemetry.metrics import exposition
from orderacc.telemetry.spool_metrics import SpoolMetrics
from small_disk import fill, make_room, small_disk
from staged_store import StagedStore, running

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(spool_module, "FIRST_WAIT", 0.002)


async def opened(root, store, **settings):
    spool = Spool(SpoolFolder(root), store, longest_wait=0.01, **settings)
    await spool.open()
    return spool


async def until(condition):
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110  the spool tells nobody
            await anyio.sleep(0.002)


async def test_what_is_added_arrives_in_order_of_each_visit(tmp_path):
    store = StagedStore()
    spool = await opened(tmp_path, store, puts_at_once=4)
    keys = [f"selected/visit-{visit}/{frame}.jpg" for visit in range(10) for frame in range(3)]
    async with running(spool):
        for key in keys:
            await spool.add(key, key.encode())
        await spool.drained()
    assert store.stored == {key: key.encode() for key in keys}
    for visit in range(10):
        assert [key for key in store.order if f"visit-{visit}/" in key] == keys[visit * 3 : visit * 3 + 3]
    now = spool.statistics()
    assert (now.waiting, now.waiting_bytes, now.oldest_s, now.stored, now.failing) == (0, 0, 0.0, 30, None)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_several_visits_are_put_at_once_and_no_more_than_allowed(tmp_path):
    store = StagedStore()
    store.hangs.clear()
    spool = await opened(tmp_path, store, puts_at_once=4)
    for visit in range(10):
        await spool.add(f"selected/visit-{visit}/0.jpg", b"x")
    async with running(spool):
        await until(lambda: store.at_once == 4)
        store.hangs.set()
        await spool.drained()
    assert store.at_once == 4


@pytest.mark.parametrize("code", ["storage_unavailable", "storage_denied", "no_such_bucket", "storage_full"])
async def test_an_outage_loses_nothing_and_is_probed_with_one_put_at_a_time(tmp_path, code):
    store = StagedStore()
    store.fails = code
    spool = await opened(tmp_path, store)
    keys = [f"selected/visit-{visit}/0.jpg" for visit in range(8)]
    async with running(spool):
        for key in keys:
            await spool.add(key, b"x")
        await until(lambda: spool.statistics().failures >= 12)
        now = spool.statistics()
        assert (now.failing, now.waiting, now.stored) == (code, 8, 0)
        assert now.oldest_s >= 0
        tried, store.at_once = len(store.attempts), 0
        await until(lambda: len(store.attempts) >= tried + 3)
        assert store.at_once == 1
        store.fails = None
        await spool.drained()
    assert store.order[0] == keys[0]
    assert sorted(store.stored) == keys
    assert spool.statistics().failing is None


@pytest.mark.parametrize("ends", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
async def test_what_failed_together_is_tried_again_the_oldest_first(tmp_path, ends):
    keys = [f"selected/visit-{visit}/0.jpg" for visit in range(4)]
    may_end = {key: asyncio.Event() for key in keys}

    class OneByOne(StagedStore):
        async def put(self, key, data, content_type):
            await may_end[key].wait() if self.fails else None
            await super().put(key, data, content_type)

    store = OneByOne()
    store.fails = "storage_unavailable"
    spool = await opened(tmp_path, store, puts_at_once=4)
    for key in keys:
        await spool.add(key, b"x")
    async with running(spool):
        for failed, visit in enumerate(ends, 1):
            may_end[keys[visit]].set()
            await until(lambda failed=failed: spool.statistics().failures >= failed)
        tried = len(store.attempts)
        await until(lambda: len(store.attempts) > tried)
        assert store.attempts[tried] == keys[0]
        store.fails = None
        await spool.drained()
    assert store.order[0] == keys[0]


async def test_an_object_that_is_refused_for_good_is_set_aside_and_holds_up_no_other(tmp_path):
    store = StagedStore()
    store.refuses = {"selected/visit-1/0.jpg"}
    spool = await opened(tmp_path, store)
    async with running(spool):
        for visit in range(4):
            await spool.add(f"selected/visit-{visit}/0.jpg", b"x")
        await spool.drained()
    assert sorted(store.stored) == [f"selected/visit-{visit}/0.jpg" for visit in (0, 2, 3)]
    assert spool.statistics().refused == 1
    assert [path.name.partition(".")[2] for path in (tmp_path / "refused").iterdir()] == ["selected!visit-1!0.jpg"]


async def test_what_is_set_aside_is_bounded_and_can_be_forgotten(tmp_path):
    store = StagedStore()
    keys = [f"selected/visit-{visit}/0.jpg" for visit in range(5)]
    store.refuses = set(keys)
    spool = await opened(tmp_path, store, max_bytes=1000)
    async with running(spool):
        for key in keys:
            await spool.add(key, bytes(40))
        await spool.drained()
        kept = [path.name.partition(".")[2].replace("!", "/") for path in (tmp_path / "refused").iterdir()]
        assert len(kept) == 2
        await spool.forget(kept[:1])
        assert [path.name.partition(".")[2].replace("!", "/") for path in (tmp_path / "refused").iterdir()] == kept[1:]


async def test_a_put_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(spool_module, "SLOW", 0.05)
    store = StagedStore()
    store.hangs.clear()
    spool = await opened(tmp_path, store)
    await spool.add("selected/visit/0.jpg", b"x")
    async with running(spool):
        await until(lambda: spool.statistics().failures >= 2)
        store.hangs.set()
        await spool.drained()
    assert store.stored == {"selected/visit/0.jpg": b"x"}


async def test_a_large_object_has_the_time_its_bytes_take(tmp_path, monkeypatch):
    monkeypatch.setattr(spool_module, "SLOW", 0.05)
    monkeypatch.setattr(spool_module, "SLOWEST", 1000)

    class SlowLine(StagedStore):
        async def put(self, key, data, content_type):
            await asyncio.sleep(0.2)
            await super().put(key, data, content_type)

    store = SlowLine()
    spool = await opened(tmp_path, store)
    await spool.add("frames/visit/clip.mp4", bytes(20_000))
    async with running(spool):
        await until(lambda: spool.statistics().stored or spool.statistics().failures)
    assert store.order == ["frames/visit/clip.mp4"]


@pytest.mark.parametrize("whose_patience", ["the spool's", "the store's"])
async def test_an_object_that_takes_too_long_again_and_again_holds_up_no_other(tmp_path, monkeypatch, whose_patience):
    monkeypatch.setattr(spool_module, "SLOW", 0.1)
    clip, behind_it = "frames/visit-0/clip.mp4", "selected/visit-0/0.jpg"

    class SlowWithClips(StagedStore):
        slow = True

        async def put(self, key, data, content_type):
            if key == clip and self.slow:
                self.attempts.append(key)
                if whose_patience == "the spool's":
                    await asyncio.Event().wait()
                raise StorageError("no answer in time") from TimeoutError()
            await super().put(key, data, content_type)

    store = SlowWithClips()
    spool = await opened(tmp_path, store)
    for key in (clip, behind_it):
        await spool.add(key, b"x")
    others = [f"selected/visit-{visit}/0.jpg" for visit in range(1, 10)]
    async with running(spool):
        await until(lambda: spool.statistics().failures)
        for key in others:
            await spool.add(key, b"x")
        await until(lambda: spool.statistics().waiting == 2)
        assert sorted(store.stored) == others
        assert store.attempts.count(clip) >= spool_module.TIMEOUTS
        store.slow = False
        await spool.drained()
    assert store.order[-2:] == [clip, behind_it]
    assert spool.statistics().waiting_bytes == 0


async def test_a_full_spool_says_so_and_goes_on_when_there_is_room(tmp_path):
    store = StagedStore()
    store.fails = "storage_unavailable"
    spool = await opened(tmp_path, store, max_bytes=100)
    await spool.add("selected/a/0.jpg", bytes(60))
    await spool.hold("b", {"selected/b/0.jpg": bytes(40)})
    for attempt in (spool.add("selected/c/0.jpg", b"x"), spool.hold("c", {"selected/c/0.jpg": b"x"})):
        with pytest.raises(StorageError, match="evidence is not stored") as caught:
            await attempt
        assert caught.value.code == "spool_full"
    assert spool.statistics().rejected == 2
    await spool.drop("b")
    await spool.add("selected/c/0.jpg", b"x")
    store.fails = None
    async with running(spool):
        await spool.drained()
    assert sorted(store.stored) == ["selected/a/0.jpg", "selected/c/0.jpg"]
    assert spool.statistics().waiting_bytes == 0


async def test_a_full_disk_takes_nothing_in_and_leaves_nothing_behind(tmp_path, monkeypatch):
    spool = await opened(tmp_path, StagedStore())

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as staged:
        staged.setattr(os, "fsync", full)
        for attempt in (spool.add("selected/a/0.jpg", b"x"), spool.hold("a", {"selected/a/0.jpg": b"x"})):
            with pytest.raises(StorageError) as caught:
                await attempt
            assert caught.value.code == "storage_full"
    now = spool.statistics()
    assert (now.waiting, now.waiting_bytes, now.rejected) == (0, 0, 2)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_disk_that_is_really_full_acknowledges_nothing_and_all_goes_on_when_there_is_room(tmp_path):
    with small_disk(tmp_path / "disk", 2) as disk:
        store = FolderStore(disk / "objects")
        spool = Spool(SpoolFolder(tmp_path / "spool"), store)
        await spool.open()
        fill(disk, leave=300_000)
        keys = [f"selected/visit-{visit}/0.jpg" for visit in range(10)]
        async with running(spool):
            for key in keys:
                await spool.add(key, bytes(100_000))
            await until(lambda: spool.statistics().failures >= 11)  # the waits have grown to seconds
            assert spool.statistics().failing == "storage_full"
            with pytest.raises(StorageError) as caught:
                await store.put("selected/late/0.jpg", bytes(300_000), "image/jpeg")
            assert caught.value.code == "storage_full"
            here = [one.key async for one in store.list()]
            assert sorted(set(keys) - set(here)) == sorted(one.key for one in SpoolFolder(tmp_path / "spool").waiting())
            make_room(disk)
            began = anyio.current_time()
            with anyio.fail_after(5):
                await spool.drained()
            print(f"recovered {anyio.current_time() - began:.2f} s after there was room")
        assert [one.key async for one in store.list()] == keys


async def test_what_is_held_waits_for_its_verdict(tmp_path):
    store = StagedStore()
    spool = await opened(tmp_path, store)
    names = {f"selected/visit/{frame}.jpg": bytes([frame]) for frame in range(3)}
    async with running(spool):
        await spool.hold("visit", names)
        await spool.hold("other", {"selected/other/0.jpg": b"x"})
        assert await spool.held("visit") == names
        await spool.drained()
        assert store.stored == {}
        store.hangs.clear()
        await spool.release("visit", ["selected/visit/2.jpg", "selected/visit/0.jpg"])
        assert await spool.held("visit") == {"selected/visit/1.jpg": b"\1"}
        assert spool.statistics().waiting_bytes == 4
        store.hangs.set()
        await spool.drop("visit")
        await spool.drop("other")
        await spool.drained()
        assert store.order == ["selected/visit/2.jpg", "selected/visit/0.jpg"]
        assert await spool.held_visits() == []
        await spool.release("other", ["selected/other/0.jpg"])
    assert spool.statistics().waiting_bytes == 0


async def test_what_waits_can_be_read_and_forgotten_as_if_it_were_stored(tmp_path):
    store = FolderStore(tmp_path / "objects")
    spool = await opened(tmp_path / "spool", store)
    seen = SpooledStore(store, SpoolFolder(tmp_path / "spool"), spool)
    for name in ("0.jpg", "1.jpg"):
        await spool.add(f"selected/visit/{name}", name.encode())
    await seen.put("selected/visit/2.jpg", b"past the spool", "image/jpeg")
    assert [one.key async for one in seen.list("selected/visit/")] == [f"selected/visit/{n}.jpg" for n in range(3)]
    assert [await seen.get(f"selected/visit/{n}.jpg") for n in range(3)] == [b"0.jpg", b"1.jpg", b"past the spool"]
    await seen.delete(["selected/visit/0.jpg", "selected/visit/2.jpg"])
    async with running(spool):
        await spool.drained()
        await spool.add("selected/other/0.jpg", b"x")
        await seen.delete(["selected/other/0.jpg"])
        await spool.drained()
    assert [one.key async for one in seen.list()] == ["selected/visit/1.jpg"]
    assert spool.statistics().waiting_bytes == 0
    await seen.aclose()


async def test_into_a_folder_files_are_moved_not_copied(tmp_path):
    store = FolderStore(tmp_path / "objects")
    spool = await opened(tmp_path / "spool", store)
    await spool.add("selected/visit/0.jpg", b"x")
    inode = next(path for path in (tmp_path / "spool").rglob("*.jpg")).stat().st_ino
    async with running(spool):
        await spool.drained()
    assert [path.stat().st_ino for path in (tmp_path / "objects").rglob("*.jpg")] == [inode]
    assert await store.get("selected/visit/0.jpg") == b"x"


@settings(max_examples=int(os.environ.get("ORDERACC_SPOOL_EXAMPLES", "15")))
@given(seed=st.integers(0, 2**32))
def test_whatever_happens_what_was_taken_in_arrives_and_nothing_else(tmp_path_factory, seed):
    rng = random.Random(seed)
    root = tmp_path_factory.mktemp("spool")

    async def play():
        store = StagedStore()
        due: dict[str, bytes] = {}
        held: dict[str, dict[str, bytes]] = {}
        numbers = iter(range(1000))
        for _ in range(rng.randint(1, 4)):  # lives of the process
            spool = await opened(root, store, puts_at_once=rng.randint(1, 4))
            assert sorted(await spool.held_visits()) == sorted(held)
            async with running(spool):
                for _ in range(rng.randint(0, 12)):
                    store.fails = rng.choice([None, None, "storage_unavailable"])
                    visit = rng.choice([*held, f"visit-{next(numbers)}"])
                    objects = {f"selected/{visit}/{frame}.jpg": rng.randbytes(4) for frame in range(rng.randint(1, 3))}
                    match rng.choice(["add", "hold", "release", "drop", "wait"]):
                        case "add":
                            for key, data in objects.items():
                                await spool.add(key, data)
                            due |= objects
                        case "hold":
                            if visit not in held:
                                await spool.hold(visit, objects)
                                held[visit] = objects
                        case "release":
                            await spool.release(visit, list(held.get(visit, ())))
                            await spool.drop(visit)
                            due |= held.pop(visit, {})
                        case "drop":
                            await spool.drop(visit)
                            held.pop(visit, None)
                        case "wait":
                            await asyncio.sleep(rng.random() * 0.01)
        store.fails = None
        spool = await opened(root, store)
        async with running(spool):
            await spool.drained()
        assert store.stored == due
        assert spool.statistics().waiting_bytes == sum(len(data) for one in held.values() for data in one.values())

    asyncio.run(play())


async def test_how_it_is_can_be_scraped(tmp_path):
    store = StagedStore()
    spool = await opened(tmp_path, store)
    await spool.add("selected/visit/0.jpg", bytes(10))
    text = exposition(list, SpoolMetrics(spool.statistics)).decode()
    assert "orderacc_spool_waiting 1.0\n" in text
    assert "orderacc_spool_bytes 10.0\n" in text
    assert "orderacc_spool_failing 0.0\n" in text
    async with running(spool):
        await spool.drained()
    assert "orderacc_spool_stored_total 1.0\n" in exposition(list, SpoolMetrics(spool.statistics)).decode()
