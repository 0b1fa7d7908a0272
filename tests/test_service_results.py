"""Verdicts on their way to the log and the results' file."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from door import verdict
from orderacc.service.results import VerdictLog

pytestmark = pytest.mark.anyio


async def write_all(results: VerdictLog, count: int) -> None:
    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(results.write, verdict(number))


async def test_many_at_once_are_there_once_each_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "verdicts.ndjson"
    for count in (50, 20):
        with VerdictLog(path) as results:
            await write_all(results, count)
            assert results.written == count
    kept = [json.loads(line)["verdict_id"] for line in path.read_text().splitlines()]
    assert kept == [verdict(number).verdict_id for count in (50, 20) for number in range(count)]


async def test_a_full_disk_costs_no_verdict_its_place_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with VerdictLog(Path("/dev/full")) as results:
        await write_all(results, 5)
        assert results.written == 5
    failures = [record.msg for record in caplog.records if record.msg["event"] == "results_file_failed"]
    assert {f"front-{number:06d}" for number in range(5)} <= {
        failure["verdict"]["verdict_id"] for failure in failures if "verdict" in failure
    }
