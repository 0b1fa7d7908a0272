"""Backup, export and purge on the command line."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3

import pytest

from orderacc.cli import main
from orderacc.domain.orders import Item, Order
from orderacc.domain.verdicts import Verdict
from orderacc.storage.folder import FolderStore
from orderacc.storage.journal import Journal
from orderacc.storage.lock import DataLock
from orderacc.storage.records import ClosedVisit, OpenedVisit, now_text
from orderacc.storage.spool_folder import SpoolFolder
from small_disk import fill, make_room, small_disk


@pytest.fixture
def box(tmp_path):
    """A configuration whose journal holds three verdicts, a review and an order."""

    async def fill():
        async with Journal.open(tmp_path / "data" / "journal.db") as journal:
            await journal.put_order(Order("384", (Item("Burger", 2),), source="till"))
            for number in (384, 385, 386):
                said = Verdict("accurate", verdict_id=f"left-{number}", station_id="left", slip_text=str(number))
                await journal.record(said)
            await journal.review("left-385", "wrong", items=[{"name": "Cola", "quantity": 1}])

    asyncio.run(fill())
    stations = tmp_path / "stations.yaml"
    stations.write_text("stations:\n  - {id: left, source: {type: simulator}}\nstorage: {data_dir: data}\n")
    return stations


def orderacc(*argv) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in argv])
    return int(ended.value.code or 0)


def test_a_backup_is_a_sound_journal_and_replaces_the_last_one(box, tmp_path, capsys):
    copy = tmp_path / "backup" / "journal.db"
    for _ in range(2):
        assert orderacc("backup", "--stations", box, copy) == 0
    assert "3 verdicts, 1 orders" in capsys.readouterr().out
    assert [path.name for path in copy.parent.iterdir()] == ["journal.db"]
    with sqlite3.connect(copy) as file:
        assert file.execute("SELECT count(*) FROM verdicts").fetchone() == (3,)
    file.close()


def test_a_backup_never_takes_the_journals_place(box, tmp_path, capsys):
    journal = tmp_path / "data" / "journal.db"
    before = journal.stat().st_ino
    (tmp_path / "other.db").symlink_to(journal)
    for target in (journal, tmp_path / "data" / ".." / "data" / "journal.db", tmp_path / "other.db"):
        assert orderacc("backup", "--stations", box, target) == 1
        assert "is the journal itself" in capsys.readouterr().err
    assert journal.stat().st_ino == before
    assert orderacc("backup", "--stations", box, "--check") == 0


def test_a_backup_says_that_there_is_no_space_for_it_and_leaves_nothing_there(box, tmp_path, capsys):
    with small_disk(tmp_path / "disk", 1) as disk:
        fill(disk, leave=40_000)
        assert orderacc("backup", "--stations", box, disk / "copy.db") == 1
        told = capsys.readouterr().err
        assert [path.name for path in disk.iterdir()] == ["ballast"]
        make_room(disk)
        assert orderacc("backup", "--stations", box, disk / "copy.db") == 0
    assert "storage_full" in told
    assert f"{disk / 'copy.db'}: no space left for a copy of" in told
    assert "by itself" not in told


@pytest.mark.parametrize("folder", ["stations.yaml", "/proc"])
def test_a_backup_where_none_can_be_written_names_its_place(box, tmp_path, folder, capsys):
    copy = tmp_path / folder / "copy.db"
    assert orderacc("backup", "--stations", box, copy) == 1
    assert f"storage_failed: {copy}: " in capsys.readouterr().err


def test_a_journal_is_checked(box, tmp_path, capsys):
    assert orderacc("backup", "--stations", box, "--check") == 0
    assert "sound" in capsys.readouterr().out
    (tmp_path / "data" / "journal.db").write_bytes(b"no journal at all" * 1000)
    assert orderacc("backup", "--stations", box, "--check") == 1
    assert "storage_corrupt" in capsys.readouterr().err
    assert orderacc("backup", "--data-dir", tmp_path / "nowhere", "--check") == 1
    assert "no journal here" in capsys.readouterr().err


@pytest.mark.parametrize(("table", "count"), [("verdicts", 3), ("reviews", 1), ("orders", 1), ("events", 5)])
def test_everything_is_exported_as_lines_and_as_parquet(box, tmp_path, table, count):
    parquet = pytest.importorskip("pyarrow.parquet")
    lines, columns = tmp_path / "out.ndjson", tmp_path / "out.parquet"
    for out in (lines, columns):
        assert orderacc("export", table, "--stations", box, "-o", out) == 0
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(rows) == count
    read = parquet.read_table(columns)
    assert read.num_rows == count
    assert set(read.column_names) >= set(rows[0])


def test_an_export_may_be_of_a_time(box, capsys):
    assert orderacc("export", "--stations", box, "--since", "2999-01-01") == 0
    assert capsys.readouterr().out == ""
    assert orderacc("export", "--stations", box, "--until", "2999-01-01") == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["verdict_id"], first["latest"]) == ("left-384", True)


def test_an_order_is_purged_unless_the_daemon_runs(box, tmp_path, capsys):
    assert orderacc("purge", "--stations", box, "--order", "384", "--dry-run") == 0
    assert "would go: verdicts: 1; POS orders: 1" in capsys.readouterr().out
    with DataLock(tmp_path / "data"):
        assert orderacc("purge", "--stations", box, "--order", "384") == 1
        assert "storage_locked" in capsys.readouterr().err
    assert orderacc("purge", "--stations", box, "--order", "384") == 0
    orderacc("export", "--stations", box)
    assert "left-384" not in capsys.readouterr().out


def test_a_verdict_without_evidence_is_recalled_from_the_journal(box, tmp_path, capsys):
    out = tmp_path / "recalled"
    assert orderacc("recall", "left-384", "--stations", box, "--out", out) == 0
    assert json.loads((out / "verdict.json").read_text())["verdict_id"] == "left-384"
    assert [path.name for path in out.iterdir()] == ["verdict.json"]
    assert orderacc("recall", "384", "--stations", box) == 1
    assert "its verdicts, the newest first: left-384" in capsys.readouterr().err
    assert orderacc("recall", "nothing", "--stations", box) == 1
    assert "no_such_object" in capsys.readouterr().err


def test_what_is_stored_can_be_linked_to(box, tmp_path, capsys):
    assert orderacc("recall", "left-384", "--stations", box, "--links", 60) == 1
    assert "the object store has nothing of 'left-384'" in capsys.readouterr().err
    store = FolderStore(tmp_path / "data" / "objects")
    for key in ("results/left-384/1.json", "selected/left-384/0.jpg"):
        asyncio.run(store.put(key, b"x", ""))
    assert orderacc("recall", "left-384", "--stations", box, "--links", 60) == 0
    links = capsys.readouterr().out.split()
    assert [link.rpartition("/")[2] for link in links] == ["1.json", "0.jpg"]
    assert all(link.startswith("file:///") for link in links)


@pytest.mark.parametrize("until", ["2026-11-20", "2026-11-22", "2026-11-22T01:00:00+01:00"])
@pytest.mark.parametrize("command", ["purge", "export"])
def test_a_time_that_ends_before_it_begins_is_wrong_usage(box, command, until, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert orderacc(command, "--stations", box, "--since", "2026-11-22", "--until", until) == 2
    captured = capsys.readouterr()
    assert f"{until} is not after --since 2026-11-22: nothing is between" in captured.err
    assert captured.out == ""


def test_a_purge_finds_what_the_journal_has_lost_and_names_what_it_leaves(box, tmp_path, capsys):
    data = tmp_path / "data"
    asyncio.run(FolderStore(data / "objects").put("selected/left-999/0.jpg", b"x", "image/jpeg"))
    aside, videos = data / "journal.db.damaged-20261121T000000Z", data / "videos"
    aside.write_bytes(b"x")
    videos.mkdir()
    assert orderacc("purge", "--stations", box, "--order", "left-999", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "1 of frames" in out
    assert [line for line in out.splitlines() if line.startswith("not touched")] == [f"not touched: {aside}"]
    (videos / "4f1c").mkdir()
    (videos / "4f1c" / "job.json").write_text("{}")
    assert len(list(data.rglob("*.jpg"))) == 1
    assert orderacc("purge", "--stations", box, "--order", "left-999") == 0
    assert f"not touched: {videos}" in capsys.readouterr().out.splitlines()
    assert not list(data.rglob("*.jpg"))


def test_a_purge_of_a_time_takes_what_the_journal_has_lost(box, tmp_path, capsys):
    async def lose():
        objects = FolderStore(tmp_path / "data" / "objects")
        for visit in ("left-999", "left-384"):
            await objects.put(f"selected/{visit}/0.jpg", b"x", "image/jpeg")
        async with Journal.open(tmp_path / "data" / "journal.db") as journal:
            await journal.review("left-384", "open")

    asyncio.run(lose())
    assert orderacc("purge", "--stations", box, "--until", "2020-01-01") == 0
    assert "objects: none" in capsys.readouterr().out
    for dry in (("--dry-run",), ()):
        assert len(list((tmp_path / "data").rglob("*.jpg"))) == 2
        assert orderacc("purge", "--stations", box, "--since", "2020-01-01", "--until", "2099-01-01", *dry) == 0
        assert "objects: 1 of frames" in capsys.readouterr().out
    assert [path.parent.name for path in (tmp_path / "data").rglob("*.jpg")] == ["left-384"]


@pytest.fixture
def waiting(box, tmp_path):
    """Two orders that a process which was killed had seen to their ends, with a picture of each; 777 is on the till."""

    async def leave():
        async with Journal.open(tmp_path / "data" / "journal.db") as journal:
            await journal.put_order(Order("till-1", (Item("Burger"),), source="till", display_id="777"))
            for number, slip in ((7, "#0777"), (8, "778")):
                visit = OpenedVisit(f"left-{number}", "left", number, slip, now_text())
                await journal.opened(visit)
                times = (visit.opened_at, now_text(), "2026-11-21T08:00:00+00:00", 0.0, 9.0)
                await journal.closed(ClosedVisit(f"left-{number}", "left", number, slip, *times, "left", None))
        for number in (7, 8):
            SpoolFolder(tmp_path / "data" / "spool").hold(f"left-{number}", f"selected/left-{number}/0.jpg", b"jpeg")

    asyncio.run(leave())
    return box


def held(tmp_path) -> list[str]:
    return sorted(path.parent.name for path in (tmp_path / "data" / "spool" / "held").rglob("*.jpg"))


def lines(tmp_path, of: str) -> list[str]:
    with sqlite3.connect(tmp_path / "data" / "journal.db") as file:
        found = [str(line) for line in file.execute(f"SELECT * FROM {of}")]  # noqa: S608
    file.close()
    return found


@pytest.mark.parametrize("named", ["left-7", "#0777", "777", "till-1"])
def test_an_order_that_waits_for_its_verdict_is_purged_with_its_pictures(waiting, tmp_path, capsys, named):
    goes = "verdicts: 0; POS orders: 1; orders without a verdict: 1; objects: 1 of frames"
    assert orderacc("purge", "--stations", waiting, "--order", named, "--dry-run") == 0
    assert f"would go: {goes}" in capsys.readouterr().out
    assert held(tmp_path) == ["left-7", "left-8"]
    assert orderacc("purge", "--stations", waiting, "--order", named) == 0
    out = capsys.readouterr().out
    assert f"gone: {goes}" in out
    assert "kept" not in out
    assert held(tmp_path) == ["left-8"]
    # A stamp's milliseconds may be 777 as well.
    of_the_order = re.compile(r"(?<![\d.])0*777(?!\d)|left-7\b")
    left = [line for of in ("visits", "events", "orders") for line in lines(tmp_path, of)]
    assert [line for line in left if of_the_order.search(line)] == []
    assert len(lines(tmp_path, "visits")) == 1


def test_a_purge_of_a_time_takes_what_waits_for_its_verdict(waiting, tmp_path, capsys):
    assert orderacc("purge", "--stations", waiting, "--until", "2020-01-01") == 0
    assert held(tmp_path) == ["left-7", "left-8"]
    assert orderacc("purge", "--stations", waiting, "--since", "2020-01-01") == 0
    assert "orders without a verdict: 2; objects: 2 of frames" in capsys.readouterr().out
    assert (held(tmp_path), lines(tmp_path, "visits")) == ([], [])


def test_a_purge_says_what_it_leaves_to_an_order_that_waits(waiting, tmp_path, capsys):
    with sqlite3.connect(tmp_path / "data" / "journal.db") as file:
        file.execute("UPDATE orders SET received_at = '2026-11-20T23:59:00.000Z'")
        file.execute("UPDATE visits SET opened_at = '2026-11-21T00:00:00.000Z', closed_at = '2026-11-21T00:02:00.000Z'")
    file.close()
    for dry in (("--dry-run",), ()):
        assert orderacc("purge", "--stations", waiting, "--until", "2026-11-21", *dry) == 0
        out = capsys.readouterr().out
        assert "POS orders: 1;" in out
        assert "kept: 1 POS orders" in out
    assert any("till-1" in line for line in lines(tmp_path, "orders"))


def test_a_purge_makes_no_journal(tmp_path, capsys):
    stations = tmp_path / "stations.yaml"
    stations.write_text("stations:\n  - {id: left, source: {type: simulator}}\nstorage: {data_dir: data}\n")
    assert orderacc("purge", "--stations", stations, "--order", "1", "--dry-run") == 1
    assert "there is no journal here" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "argv",
    [
        ["backup"],
        ["backup", "--check"],
        ["export", "--data-dir", "x", "--stations", "y"],
        ["export", "--data-dir", "x", "--since", "yesterday"],
        ["export", "--data-dir", "x", "-o", "x.csv"],
        ["export", "tables", "--data-dir", "x"],
        ["purge", "--stations", __file__],
    ],
)
def test_wrong_usage_is_said_to_be_that(argv, capsys):
    assert orderacc(*argv) == 2
    assert "Error" in capsys.readouterr().err
