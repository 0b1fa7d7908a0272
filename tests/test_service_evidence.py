"""Evidence is held until the verdict, then stored or dropped, and found again by whoever comes after a crash."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import anyio
import av
import cv2
import numpy as np
import pytest

from orderacc import StorageError, Verdict
from orderacc.domain.evidence import Candidate, Evidence
from orderacc.domain.frames import Frame
from orderacc.domain.verdicts import FrameRef
from orderacc.service import evidence_store
from orderacc.service.evidence_store import EvidenceStore
from orderacc.service.film import Film
from orderacc.service.recall import recall, video
from orderacc.storage.folder import FolderStore
from orderacc.storage.spool import Spool
from orderacc.storage.spool_folder import SpoolFolder
from orderacc.storage.spooled import SpooledStore

pytestmark = pytest.mark.anyio

VISIT = "drive-1-000042"


def frame(index, at, *, shade=None):
    image = np.full((90, 160, 3), 40 * index if shade is None else shade, np.uint8)
    return Frame("drive-1", index, at, image)


def closed(visit_id=VISIT, *, frames=3, upload=None, film=None):
    candidates = tuple(Candidate(frame(index, 10.0 + index), (), 0.5) for index in range(1, frames + 1))
    evidence = Evidence(visit_id, "drive-1", "384", None, candidates, 10.0, 14.0, "empty")
    return SimpleNamespace(evidence=evidence, station=SimpleNamespace(upload=upload, film=film))


def verdict(status="inaccurate", *, visit_id=VISIT, frames=3, revision=1):
    refs = tuple(FrameRef(f"frame/{index}", "1970-01-01T00:00:00.000Z", 0.5) for index in range(1, frames + 1))
    return Verdict(status, verdict_id=visit_id, station_id="drive-1", frames=refs, revision=revision)


@asynccontextmanager
async def opened(root, **settings):
    """The store with everything behind it; `noted` is what the journal was told; cleared, `takes_notes` refuses."""
    folder, store = SpoolFolder(root / "spool"), FolderStore(root / "objects")
    spool = Spool(folder, store)
    await spool.open()
    noted = []
    takes_notes = asyncio.Event()
    takes_notes.set()

    async def note(objects):
        await takes_notes.wait()
        noted.extend(objects)

    seen = SpooledStore(store, folder, spool)
    evidence = EvidenceStore(spool, seen, note=note, **settings)
    running = asyncio.create_task(evidence.run())
    await evidence.running.wait()
    try:
        yield SimpleNamespace(
            evidence=evidence, spool=spool, store=store, seen=seen, noted=noted, takes_notes=takes_notes
        )
    finally:
        running.cancel()
        await asyncio.wait([running])


async def judged(box, given, *, closed_order=None):
    """From the end of an order to its evidence at rest."""
    box.evidence.closed(closed_order or closed(given.verdict_id, frames=len(given.frames)))
    told = await box.evidence.referenced(given)
    box.evidence.settle(told)
    await box.evidence.finish()
    await box.spool.drained()
    return told


async def keys_of(store):
    return [one.key async for one in store.list()]


async def test_evidence_of_an_order_is_stored_under_the_keys_its_verdict_names(tmp_path):
    async with opened(tmp_path) as box:
        told = await judged(box, verdict())
        names = [f"selected/{VISIT}/{place}.jpg" for place in range(3)]
        assert [one.ref for one in told.frames] == names
        assert await keys_of(box.store) == [f"results/{VISIT}/1.json", *names]
        assert json.loads(await box.store.get(f"results/{VISIT}/1.json")) == told.to_dict()
        picture = cv2.imdecode(np.frombuffer(await box.store.get(names[1]), np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (90, 160, 3)
        assert abs(float(picture.mean()) - 80) < 1  # as it was seen, with nothing drawn on it
        assert {one.key: one.kind for one in box.noted} == {
            **dict.fromkeys(names, "frames"),
            f"results/{VISIT}/1.json": "verdicts",
        }
        assert {one.visit_id for one in box.noted} == {VISIT}
        now = box.evidence.statistics()
        assert (now.waiting, now.waiting_bytes, now.stored) == (0, 0, 4)


@pytest.mark.parametrize(
    ("upload", "stored"),
    [
        ("all", {"accurate", "inaccurate", "unsure", "undetermined"}),
        ("mismatches", {"inaccurate", "unsure", "undetermined"}),
        ("none", set()),
    ],
)
@pytest.mark.parametrize("of_station", [False, True])
async def test_whose_evidence_is_stored_is_the_stations_choice(tmp_path, upload, stored, of_station):
    other = "all" if upload == "none" else "none"
    async with opened(tmp_path, upload=other if of_station else upload) as box:
        for status in ("accurate", "inaccurate", "unsure", "undetermined"):
            order = closed(status, upload=upload if of_station else None)
            told = await judged(box, verdict(status, visit_id=status), closed_order=order)
            assert all(one.ref.startswith("selected/") == (status in stored) for one in told.frames)
        assert {key.split("/")[1] for key in await keys_of(box.store)} == stored
        assert await box.spool.held_visits() == []


async def test_a_revision_is_stored_beside_the_first_and_names_the_same_frames(tmp_path):
    async with opened(tmp_path) as box:
        first = await judged(box, verdict())
        revised = await box.evidence.referenced(verdict("accurate", revision=2))
        assert revised.frames == first.frames
        box.evidence.settle(revised)
        await box.evidence.finish()
        await box.spool.drained()
        found = await recall(box.store, VISIT)
        assert (found.verdict["revision"], found.verdict["status"]) == (2, "accurate")
        assert len(found.frames) == 3


async def test_a_revision_names_no_frames_that_were_thrown_away(tmp_path):
    async with opened(tmp_path, upload="mismatches") as box:
        await judged(box, verdict("accurate"))
        revised = await box.evidence.referenced(verdict(revision=2))
        assert [one.ref for one in revised.frames] == [f"frame/{index}" for index in (1, 2, 3)]
        box.evidence.settle(revised)
        await box.evidence.finish()
        await box.spool.drained()
        assert await keys_of(box.store) == [one.key for one in box.noted] == [f"results/{VISIT}/2.json"]


async def test_nothing_is_stored_that_the_journal_does_not_know(tmp_path):
    async with opened(tmp_path) as box:
        box.takes_notes.clear()
        box.evidence.closed(closed())
        box.evidence.settle(await box.evidence.referenced(verdict()))
        with anyio.move_on_after(0.2):
            await box.evidence.finish()
        assert (await keys_of(box.store), box.evidence.statistics().waiting) == ([], 0)
        assert len(await box.evidence.pictures(VISIT)) == 3
        box.takes_notes.set()
        await box.evidence.finish()
        await box.spool.drained()
        assert await keys_of(box.store) == sorted(one.key for one in box.noted)
        assert await box.spool.held_visits() == []


@pytest.mark.parametrize("done", [0, 2, 3])
async def test_a_death_on_the_way_to_the_store_leaves_nothing_undone(tmp_path, done):
    names = [f"selected/{VISIT}/{place}.jpg" for place in range(3)]
    async with opened(tmp_path) as box:
        box.evidence.closed(closed())
        told = await box.evidence.referenced(verdict())
        await box.spool.release(VISIT, names[:done])  # the frames before the verdict's JSON

    async def body_of(visit_id):
        assert visit_id == VISIT
        return told.to_dict()

    async with opened(tmp_path) as box:
        await box.evidence.recover({}, body_of)
        await box.evidence.finish()
        await box.spool.drained()
        assert await keys_of(box.store) == [f"results/{VISIT}/1.json", *names]
        assert (await recall(box.seen, VISIT)).verdict == told.to_dict()
        assert await box.spool.held_visits() == []


async def test_half_of_a_character_costs_no_evidence(tmp_path):
    async with opened(tmp_path) as box:
        told = await judged(box, replace(verdict(), sentence="Extra: 1 Pizza \ud83c."))
        kept = json.loads(await box.store.get(f"results/{VISIT}/1.json"))
        assert kept == {**told.to_dict(), "sentence": "Extra: 1 Pizza ?."}


async def test_an_order_without_frames_leaves_its_verdict(tmp_path):
    async with opened(tmp_path) as box:
        await judged(box, verdict("undetermined", frames=0))
        found = await recall(box.store, VISIT)
        assert found.frames == {}
        with pytest.raises(StorageError, match="no pictures"):
            await video(found)


async def test_a_clip_of_the_order_is_what_recall_plays(tmp_path):
    film = Film(fps=2, width=64, max_sec=30)
    for number in range(200):
        one = frame(number, number / 10, shade=number)
        if film.wants(one.at):
            film.take(one)
    async with opened(tmp_path) as box:
        await judged(box, verdict(), closed_order=closed(film=film))
        assert f"frames/{VISIT}/clip.mp4" in await keys_of(box.store)
        assert {one.kind for one in box.noted} == {"frames", "clips", "verdicts"}
        found = await recall(box.seen, VISIT)
        path = tmp_path / "replay.mp4"
        await anyio.Path(path).write_bytes(await video(found))
    pictures = played(path)
    assert {picture.shape for _, picture in pictures} == {(36, 64, 3)}
    # From a second before the order began at 10 s to its end at 14 s, twice a second; the last one stays.
    assert [at for at, _ in pictures] == [place * 0.5 for place in range(11)] + [6.0]
    assert [round(float(picture.mean()), -1) for _, picture in pictures[:3]] == [90, 90, 100]


async def test_without_a_clip_the_frames_are_played(tmp_path):
    async with opened(tmp_path) as box:
        await judged(box, verdict())
        path = tmp_path / "replay.mp4"
        await anyio.Path(path).write_bytes(await video(await recall(box.store, VISIT)))
    assert [at for at, _ in played(path)] == [0.0, 1.5, 3.0, 4.0]


def played(path):
    with av.open(str(path)) as container:
        return [(one.time, one.to_ndarray(format="bgr24")) for one in container.decode(video=0)]


def test_film_keeps_the_last_while_and_no_more():
    film = Film(fps=1, width=32, max_sec=5)
    for number in range(1000):
        film.take(frame(number, float(number), shade=0))
    assert [still.at for still in film.between(0, 2000)] == [float(at) for at in range(993, 1000)]
    assert film.between(0, 500) == ()


async def test_a_full_spool_stores_nothing_and_the_verdict_names_nothing(tmp_path):
    async with opened(tmp_path) as box:
        box.spool._max_bytes = 100
        told = await judged(box, verdict())
        assert told == verdict()
        assert await keys_of(box.store) == []
        assert box.evidence.statistics().rejected > 0


async def test_a_slow_disk_delays_no_verdict(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_store, "PATIENCE", 0.05)
    async with opened(tmp_path) as box:
        go_on = asyncio.Event()
        original = box.spool.hold

        async def slow(*arguments):
            await go_on.wait()
            await original(*arguments)

        monkeypatch.setattr(box.spool, "hold", slow)
        box.evidence.closed(closed())
        told = await box.evidence.referenced(verdict())
        assert told == verdict()
        box.evidence.settle(told)
        go_on.set()
        await box.evidence.finish()
        await box.spool.drained()
        assert await keys_of(box.store) == [f"results/{VISIT}/1.json"]
        assert await box.spool.held_visits() == []


async def test_what_a_process_held_when_it_died_is_taken_up_by_the_next(tmp_path):
    visits = ("open", "told", "told-without", "unknown")
    async with opened(tmp_path) as box:
        for visit in visits:
            box.evidence.closed(closed(visit))
        await box.evidence.finish()
    bodies = {
        "told": {"revision": 1, "frames": [{"ref": f"selected/told/{place}.jpg"} for place in range(3)]},
        "told-without": {"revision": 1, "frames": [{"ref": "frame/1"}]},
    }
    evidence = ["results/told/1.json", *(f"selected/told/{place}.jpg" for place in range(3))]

    async def body_of(visit_id):
        return bodies.get(visit_id)

    async with opened(tmp_path) as box:
        await box.evidence.recover({"open": None}, body_of)
        pictures = await box.evidence.pictures("open")
        assert list(pictures) == [f"selected/open/{place}.jpg" for place in range(3)]
        await box.evidence.finish()
        await box.spool.drained()
        assert await keys_of(box.store) == sorted(one.key for one in box.noted) == evidence
        assert json.loads(await box.store.get("results/told/1.json")) == bodies["told"]
        assert await box.spool.held_visits() == ["open"]
        told = await box.evidence.referenced(verdict(visit_id="open"))
        assert [one.ref for one in told.frames] == list(pictures)
        box.evidence.settle(told)
        await box.evidence.finish()
        await box.spool.drained()
        assert await box.evidence.pictures("open") == pictures  # from the store now
        assert await box.spool.held_visits() == []


async def test_a_left_over_order_is_its_stations_business_still(tmp_path):
    async with opened(tmp_path) as box:
        box.evidence.closed(closed(upload="none"))
        await box.evidence.finish()

    async def body_of(visit_id):
        raise AssertionError(visit_id)

    async with opened(tmp_path) as box:
        await box.evidence.recover({VISIT: "none"}, body_of)
        told = await box.evidence.referenced(verdict())
        assert told == verdict()
        box.evidence.settle(told)
        await box.evidence.finish()
        await box.spool.drained()
        assert await keys_of(box.store) == []
        assert await box.spool.held_visits() == []


async def test_nothing_is_stored_of_an_order_nobody_knows(tmp_path):
    async with opened(tmp_path) as box:
        with pytest.raises(StorageError, match="nothing is stored of 'never'") as caught:
            await recall(box.seen, "never")
        assert caught.value.code == "no_such_object"
        assert await box.evidence.referenced(verdict(visit_id="never")) == verdict(visit_id="never")
        box.evidence.settle(verdict(visit_id="never"))
