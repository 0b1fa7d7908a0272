"""Orders that a process left behind are judged by the next one, beside the watching, whatever the object store does."""

from __future__ import annotations

from functools import partial

import anyio
import cv2
import numpy as np
import pytest

from daemon_nursery import ORDERS, ScriptedBuilder, ScriptedRuntime
from orderacc.config import Config, SimulatorSource, StationConfig, StorageConfig
from orderacc.errors import StorageError
from orderacc.service import daemon, storing
from orderacc.storage.folder import FolderStore
from orderacc.storage.journal import FILE_NAME, Journal
from orderacc.storage.objects import SELECTED, visit_key
from orderacc.storage.records import ClosedVisit, EvidenceFrame, OpenedVisit, now_text
from staged_stations import until

pytestmark = pytest.mark.anyio

MANY = 20
"""More than are fetched at a time, and more than wait for a judge."""


class SilentStore(FolderStore):
    """Says nothing of an order's frames until it is `well`, and then what it should, or that it is `gone`."""

    def __init__(self, folder) -> None:
        super().__init__(folder)
        self.asked: set[str] = set()
        self.well = anyio.Event()
        self.gone = False

    async def list(self, prefix=""):
        if prefix.removeprefix(f"{SELECTED}/") not in {prefix, ""}:
            self.asked.add(prefix)
            await self.well.wait()
            if self.gone:
                raise StorageError("it does not answer", code="storage_unavailable")
        async for one in super().list(prefix):
            yield one


@pytest.fixture
async def store(tmp_path, monkeypatch):
    store = SilentStore(tmp_path / "store")

    async def open_store(_):
        return store

    monkeypatch.setattr(daemon, "Runtime", ScriptedRuntime)
    monkeypatch.setattr(daemon, "StationBuilder", ScriptedBuilder)
    monkeypatch.setattr(storing, "open_store", open_store)
    return store


def config(folder) -> Config:
    return Config(
        stations=(StationConfig(id="left", source=SimulatorSource(type="simulator", seed=7)),),
        storage=StorageConfig(data_dir=str(folder / "data")),
    )


async def left_behind(folder, store, visits: int, station: str = "left") -> set[str]:
    """Orders that were seen to their end and have no verdict; their frames are in the store and nowhere else."""
    ids = set()
    picture = cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))[1].tobytes()
    async with Journal.open(folder / "data" / FILE_NAME) as journal:
        for number in range(1, visits + 1):
            visit_id = f"{station}-{number:06d}"
            key = f"selected/{visit_id}/0.jpg"
            await store.put(key, picture, "image/jpeg")
            frames = (EvidenceFrame(key, 7, 0.7, 0.9),)
            at = now_text()
            await journal.closed(
                ClosedVisit(visit_id, station, number, "000", at, at, at, 0.1, 9.5, "empty", None, frames)
            )
            ids.add(visit_id)
    return ids


async def unfinished(folder) -> set[str]:
    async with Journal.open(folder / "data" / FILE_NAME) as journal:
        return {visit.opened.visit_id for visit in await journal.unfinished()}


@pytest.mark.parametrize("gone", [False, True], ids=["slow", "gone"])
async def test_a_store_that_is_silent_holds_up_neither_the_start_nor_the_orders_of_today(tmp_path, store, gone):
    store.gone = gone
    late = await left_behind(tmp_path, store, MANY)
    nowhere = await left_behind(tmp_path, store, 1, station="removed")
    async with Journal.open(tmp_path / "data" / FILE_NAME) as journal:
        await journal.opened(OpenedVisit("left-000099", "left", 99, "000", now_text()))
    said = []

    async def on_verdict(verdict) -> None:
        said.append(verdict)
        fresh = {one.verdict_id for one in said} - late - nowhere - {"left-000099"}
        if len(fresh) == ORDERS:
            store.well.set()

    with anyio.fail_after(60):
        assert await daemon.run_daemon(config(tmp_path), signals=False, on_verdict=on_verdict)
    reasons = {one.verdict_id: one.reason for one in said}
    assert len(said) == len(reasons) == ORDERS + MANY + 2
    # Those that are judged find that the till knows no such order.
    assert {reasons[visit_id] for visit_id in late} == {"interrupted" if gone else "no_order"}
    assert {len(one.frames) for one in said if one.verdict_id in late} == {0 if gone else 1}
    assert {reasons[visit_id] for visit_id in (*nowhere, "left-000099")} == {"interrupted"}
    assert await unfinished(tmp_path) == set()


async def test_what_is_not_here_when_the_watching_is_stopped_is_left_to_the_next_process(tmp_path, store):
    late = await left_behind(tmp_path, store, 3)
    said = []

    async def on_verdict(verdict) -> None:
        said.append(verdict)

    run = partial(daemon.run_daemon, config(tmp_path), signals=False, on_verdict=on_verdict)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            stations = await group.start(run)
            await until(lambda: store.asked == {visit_key(SELECTED, visit_id) for visit_id in late})
            stations.stop()
        assert {one.verdict_id for one in said}.isdisjoint(late)
        assert await unfinished(tmp_path) == late
        store.well.set()
        await run()
    assert late <= {one.verdict_id for one in said}
    assert await unfinished(tmp_path) == set()
