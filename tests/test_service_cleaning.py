"""What the store holds and the journal does not know goes in its time too, and nobody else's does."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from orderacc.config import StorageConfig
from orderacc.domain.verdicts import Verdict
from orderacc.errors import StorageError
from orderacc.service.storing import open_storing
from orderacc.service.unknown_objects import UnknownObjects
from orderacc.storage.folder import FolderStore
from orderacc.storage.journal import Journal
from orderacc.storage.records import OpenedVisit, StoredObject
from orderacc.storage.retention import Keep, Retention, RetentionPolicy

pytestmark = pytest.mark.anyio

NAMES = ("selected/{}/0.jpg", "frames/{}/clip.mp4", "results/{}/1.json")
DAY = 86_400
LATER = datetime.now(UTC) + timedelta(days=40)


async def put(store: FolderStore, root, visit_id: str, days_ago: float = 0.0) -> None:
    """Frames, a clip and a verdict of an order, stored then."""
    before = set(root.rglob("*"))
    for name in NAMES:
        await store.put(name.format(visit_id), b"content", "")
    for path in set(root.rglob("*")) - before:
        os.utime(path, (time.time() - days_ago * DAY,) * 2)


async def visits(store: FolderStore) -> list[str]:
    return sorted({one.key.split("/")[1] async for one in store.list()})


async def test_what_a_lost_journal_knew_of_is_removed_when_it_is_too_old(tmp_path) -> None:
    data = tmp_path / "data"
    store = FolderStore(data / "objects")
    for visit_id, days in (("left-1", 400), ("left-2", 3), ("left=3D-3", 400)):
        await put(store, data / "objects", visit_id, days)
    (data / "objects" / "selected" / "a person's").mkdir()
    (data / "objects" / "selected" / "a person's" / "x").mkdir()
    (data / "objects" / "selected" / "a person's" / "x" / "note (1).txt").write_text("mine")
    (data / "journal.db").write_bytes(b"damaged" * 4096)
    async with open_storing(StorageConfig(data_dir=str(data))) as storing:
        assert storing.keeping.journal.health().set_aside == 1
        with anyio.fail_after(60):
            while await visits(store) != ["left-2", "x"]:  # noqa: ASYNC110  the folder tells nobody
                await anyio.sleep(0.02)
    assert len([one async for one in store.list()]) == 4


@pytest.fixture
async def shelf(tmp_path):
    store = FolderStore(tmp_path / "objects")
    for station in ("left", "theirs"):
        await put(store, tmp_path / "objects", f"{station}-1")
    async with Journal.open(tmp_path / "journal.db") as journal:
        yield journal, store, Retention(journal.database, store.delete)


async def test_in_a_shared_store_only_what_is_of_our_stations_is_ours(shelf) -> None:
    journal, store, retention = shelf
    unknown = UnknownObjects(journal.database, store, shared=True)
    assert await unknown.take_in() == 0
    await journal.opened(OpenedVisit("left-2", "left", 2, "385", "2026-11-21T08:00:00.000Z"))
    assert [await unknown.take_in() for _ in range(2)] == [3, 0]
    month = RetentionPolicy(Keep(30), Keep(30), Keep(30))
    assert (await retention.clean(month)).objects == {}
    gone = await retention.clean(month, now=LATER)
    assert gone.objects == {"frames": 1, "clips": 1, "verdicts": 1}
    assert await visits(store) == ["theirs-1"]


async def test_what_is_known_keeps_its_verdict_and_its_age(shelf) -> None:
    journal, store, retention = shelf
    await journal.record(Verdict("accurate", verdict_id="left-1", station_id="left"))
    await journal.stored([StoredObject("results/left-1/1.json", "verdicts", "left-1", 7)])
    assert await UnknownObjects(journal.database, store, shared=False).take_in() == 5
    policy = RetentionPolicy(Keep(30), Keep(30), Keep())
    assert (await retention.clean(policy, now=LATER)).objects == {"frames": 2, "clips": 2}
    assert sorted([one.key async for one in store.list()]) == ["results/left-1/1.json", "results/theirs-1/1.json"]
    by_age = RetentionPolicy(verdicts=Keep(30))
    await journal.review("left-1", "open")
    assert (await retention.clean(by_age, now=LATER)).objects == {"verdicts": 1}
    assert await visits(store) == ["left-1"]


class SilentStore(FolderStore):
    """One that does not answer the first time it is listed."""

    silent = True

    async def list(self, prefix=""):
        if self.silent:
            self.silent = False
            raise StorageError("staged")
        async for one in super().list(prefix):
            yield one


async def test_a_store_that_cannot_be_listed_is_looked_at_again(shelf, tmp_path) -> None:
    journal, _, _ = shelf
    unknown = UnknownObjects(journal.database, SilentStore(tmp_path / "objects"), shared=False)
    with pytest.raises(StorageError, match="staged"):
        await unknown.take_in()
    assert await unknown.take_in() == 6
