"""The daemon on real cameras: network streams that never end, signals from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from functools import partial
from queue import Empty, Queue

import anyio
import pytest

from orderacc import load_config, run_daemon
from orderacc.capture import Delivery, StationPhase, VideoFileSource
from orderacc.config import JudgingConfig
from orderacc.domain.orders import Item
from orderacc.orders import FileOrders
from orderacc.service.pipeline import Pipeline
from orderacc.service.runtime import Runtime
from orderacc.simulator.script import Action, Script, ScriptedOrder
from orderacc.simulator.video import record
from rtsp_server import RtspServer, clip_of, need_rtsp
from staged_stations import until

pytestmark = pytest.mark.anyio

FPS = 5
DEADLINE = 120


def script(seed: int, number: str, laid: list[str], paid: list[str]) -> Script:
    """One order, slowly: the slip, its items, a while to look at them, and away with everything."""
    actions = [Action(1.0, "slip"), *(Action(2.5 + 1.5 * index, "lay", what) for index, what in enumerate(laid))]
    order = ScriptedOrder(number, tuple(Item(name) for name in paid), (*actions, Action(15.0, "take")))
    return Script(seed, (order,), fps=FPS, seconds=19.0)


SCRIPTS = {
    "drive-1": script(920_001, "4821", ["Burger", "Cola"], ["Burger", "Cola"]),
    "drive-2": script(920_002, "3507", ["Pizza Slice"], ["Pizza Slice", "Coffee"]),
    "window-1": script(920_003, "1964", ["Taco", "Donut"], ["Taco", "Donut"]),
    "window-2": script(920_004, "7283", ["Salad", "Cookie"], ["Salad"]),
}


@pytest.fixture(scope="module")
def counters(tmp_path_factory):
    """A recording of each counter, and the orders of all of them."""
    folder = tmp_path_factory.mktemp("counters")
    orders = {}
    for name, played in SCRIPTS.items():
        record(played, folder / name)
        orders |= json.loads((folder / name / "orders.json").read_text())
    (folder / "orders.json").write_text(json.dumps(orders))
    return folder


def judgement(verdict) -> dict[str, object]:
    content = verdict.to_dict()
    return {
        key: content[key]
        for key in ("order_id", "slip_text", "status", "reason", "matched", "missing", "extra", "quantity_mismatch")
    }


async def judged_from_files(counters):
    """The verdict on each recording, every frame looked at."""
    verdicts = {}

    async def sink(verdict):
        verdicts[verdict.station_id] = judgement(verdict)

    runtime = await anyio.to_thread.run_sync(Runtime.load, JudgingConfig())
    book = FileOrders(counters / "orders.json")
    stations = [
        runtime.station(
            VideoFileSource(counters / name / "station.mp4", name, FPS), book, delivery=Delivery.LOSSLESS, speed=None
        )
        for name in SCRIPTS
    ]
    await Pipeline(runtime.judge, runtime.batcher, sink).run(stations)
    await runtime.aclose()
    return verdicts


async def test_network_cameras_lead_to_the_verdicts_of_their_recordings(counters, tmp_path):
    need_rtsp()
    expected = await judged_from_files(counters)
    assert {name: found["status"] for name, found in expected.items()} == {
        "drive-1": "accurate",
        "drive-2": "inaccurate",
        "window-1": "accurate",
        "window-2": "inaccurate",
    }
    clips = {name: clip_of(counters / name / "station.mp4", tmp_path / f"{name}.clip") for name in SCRIPTS}
    found, stamps = {}, []

    async def take(verdict):
        found.setdefault(verdict.station_id, judgement(verdict))
        stamps.append(verdict.to_dict()["opened_at"])

    started = datetime.now(UTC)
    with RtspServer(clips, auth=("crew", "canary"), once=True) as cameras:
        stations_file = tmp_path / "stations.yaml"
        # A camera that is opened again would show its order again: it is given no time for that.
        stations_file.write_text(
            "schema: 1\nstations:\n"
            + "".join(
                f"  - {{id: {name}, fps: {FPS}, source: {{type: rtsp, url: '{cameras.url(name)}'}}}}\n"
                for name in clips
            )
            + f"orders: {{file: {counters / 'orders.json'}}}\n"
            + "capture: {reconnect_interval: 600, reconnect_interval_max: 600, stall_detection_sec: 60}\n"
        )
        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as group:
                daemon = partial(run_daemon, load_config(stations_file), signals=False, on_verdict=take)
                stations = await group.start(daemon)
                await until(lambda: len(found) == len(clips))
                await until(lambda: all(one.failures for one in stations.health().values()))
                health = stations.health()
                stations.stop()
    assert found == expected
    assert len(stamps) == len(clips)
    assert all(started <= datetime.fromisoformat(stamp) <= datetime.now(UTC) for stamp in stamps)
    for one in health.values():
        assert one.phase is StationPhase.RESTARTING
        assert one.failures == {"end_of_stream": 1}
        assert (one.info.codec, one.info.width, one.info.height) == ("h264", 1280, 720)
    assert "canary" not in repr(health)


class Daemon:
    """`orderacc run` as a child process whose log is read while it runs."""

    def __init__(self, stations_file):
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from orderacc.cli import main; main()", "run", "--stations", str(stations_file)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._lines: Queue[dict[str, object]] = Queue()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._reading.join()
        self._process.stderr.close()

    def _read(self):
        for line in self._process.stderr:
            self._lines.put(json.loads(line))

    def tell(self, number):
        self._process.send_signal(number)

    def ends(self):
        return self._process.wait(DEADLINE)

    def log_until(self, *wanted):
        """What is logged up to when all of these have been: events, or (event, station)."""
        lines, missing, deadline = [], set(wanted), time.monotonic() + DEADLINE
        while missing:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                pytest.fail(f"{missing} was not logged within {DEADLINE} s, but {lines}")
            lines.append(line)
            missing -= {line["event"], (line["event"], line.get("station_id"))}
        return lines


def test_hangup_takes_up_what_has_changed_and_nothing_else(counters, tmp_path):
    stations_file = tmp_path / "stations.yaml"

    def write(*lines):
        stations_file.write_text(
            f"schema: 1\norders: {{file: {counters / 'orders.json'}}}\nstations:\n" + "".join(lines)
        )

    def entry(name, recording):
        path = counters / recording / "station.mp4"
        return f"  - {{id: {name}, fps: 1, source: {{type: file, path: {path}, loop: true}}}}\n"

    write(entry("stays", "drive-1"), entry("goes", "drive-2"), entry("turns", "drive-2"))
    with Daemon(stations_file) as daemon:
        daemon.log_until("started")
        daemon.tell(signal.SIGHUP)
        lines = daemon.log_until("reloaded", *(("station_moved", name) for name in ("stays", "goes", "turns")))
        (early,) = [line for line in lines if line["event"] == "reloaded"]
        assert early["added"] == early["removed"] == early["changed"] == early["needs_restart"] == []

        write(entry("stays", "drive-1"), entry("turns", "window-1"), entry("comes", "window-2"))
        daemon.tell(signal.SIGHUP)
        lines = daemon.log_until("reloaded", ("station_moved", "comes"))
        (reloaded,) = [line for line in lines if line["event"] == "reloaded"]
        assert (reloaded["added"], reloaded["removed"], reloaded["changed"]) == (["comes"], ["goes"], ["turns"])
        assert "stays" not in {line.get("station_id") for line in lines if line["event"] == "station_moved"}

        write(entry("stays", "drive-1"), "  - {id: comes, fbs: 1}\n")
        daemon.tell(signal.SIGHUP)
        (*_, refused) = daemon.log_until("reload_refused")
        assert any(f"{stations_file}:5:" in finding and "fps" in finding for finding in refused["findings"])

        daemon.tell(signal.SIGTERM)
        lines = daemon.log_until("stopped")
        assert {"stays", "comes"} <= {line["station_id"] for line in lines if line["event"] == "station_moved"}
        assert daemon.ends() == 0
