"""The commands a person types, on real video with the models that ship."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import anyio
import pytest

from orderacc import replay
from orderacc.models.store import SHIPPED_ROOT
from orderacc.simulator.random_script import random_script
from orderacc.simulator.scoring import score
from orderacc.simulator.video import record

ORDERACC = [sys.executable, "-c", "from orderacc.cli import main; main()"]


def orderacc(*arguments, **settings):
    return subprocess.run(
        [*ORDERACC, *map(str, arguments)], capture_output=True, text=True, timeout=280, check=False, **settings
    )


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    """A recorded counter: two orders."""
    folder = tmp_path_factory.mktemp("counter")
    record(random_script(910_200, 2), folder)
    return folder


def test_simulate_writes_the_same_video_for_the_same_seed(tmp_path):
    for name in ("one", "two"):
        done = orderacc("simulate", "--seed", 3, "--orders", 1, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert "1 orders" in done.stdout
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["inventory.json", "orders.json", "script.json", "station.mp4", "truth.json"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_try_judges_a_recorded_video_with_the_models_and_the_menu_of_a_configuration(counter, tmp_path):
    mine = shutil.copytree(SHIPPED_ROOT / "demo-vlm", tmp_path / "mine")
    manifest = json.loads((mine / "orderacc.json").read_text())
    (mine / "orderacc.json").write_text(json.dumps({**manifest, "id": "mine"}))
    stations = tmp_path / "stations.yaml"
    stations.write_text(
        "stations: [{id: drive-1, source: {type: simulator}}]\n"
        f"menu: {{file: {counter / 'inventory.json'}}}\nmodels: {{vlm: ./mine}}\n"
    )
    done = orderacc(
        "try", counter / "station.mp4", "--orders", counter / "orders.json", "--stations", stations, "--json"
    )
    assert done.returncode == 0, done.stderr
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    truth = json.loads((counter / "truth.json").read_text())
    assert [verdict["slip_text"] for verdict in verdicts] == [order["slip_text"] for order in truth["orders"]]
    assert all(1 <= verdict["vlm_calls"] <= 3 for verdict in verdicts)
    assert all(verdict["models"]["detector"].startswith("demo-detector@") for verdict in verdicts)
    assert all(verdict["models"]["vlm"].startswith("mine@") for verdict in verdicts)


def test_replaying_at_any_speed_gives_the_same_verdicts_from_the_same_frames(counter):
    async def judged(speed):
        found = []
        async for verdict in replay(counter / "station.mp4", orders=counter / "orders.json", speed=speed):
            content = verdict.to_dict()
            del content["timings_ms"]
            found.append(content)
        return found

    fast, again, slow = (anyio.run(judged, speed) for speed in (None, None, 4.0))
    assert fast == again == slow
    truth = json.loads((counter / "truth.json").read_text())
    from orderacc.service.station import RECORDING_EPOCH

    result = score(truth, fast, RECORDING_EPOCH)
    assert (result.single, result.stray, result.foreign_frames, result.slips_read) == (2, 0, 0, 2)


def test_leaving_a_replay_early_leaves_nothing_behind(counter):
    async def first():
        verdicts = replay(counter / "station.mp4", orders=counter / "orders.json")
        verdict = await anext(verdicts)
        await verdicts.aclose()
        return verdict

    assert anyio.run(first).slip_text


def test_try_names_what_is_wrong_with_its_files(counter, tmp_path):
    bad = tmp_path / "orders.json"
    bad.write_text('{"384": [{"name": "Burger", "quantity": 0}]}')
    done = orderacc("try", counter / "station.mp4", "--orders", bad)
    assert done.returncode == 1
    assert f"{bad}:1:" in done.stderr
    assert "Traceback" not in done.stderr
    no_video = tmp_path / "station.mp4"
    no_video.write_text("not a video")
    done = orderacc("try", no_video, "--orders", counter / "orders.json")
    assert done.returncode == 1
    assert "bad_stream" in done.stderr
    assert orderacc("try", tmp_path / "nowhere.mp4", "--orders", bad).returncode == 2


def test_a_menu_the_demo_model_does_not_know_is_refused_with_the_way_out(counter, tmp_path):
    menu = tmp_path / "inventory.json"
    menu.write_text('{"items": [{"id": "1", "name": "Bulgogi Bowl", "category": "mains", "aliases": []}]}')
    done = orderacc("try", counter / "station.mp4", "--orders", counter / "orders.json", "--inventory", menu)
    assert done.returncode == 1
    assert "menu_unknown" in done.stderr
    assert "Bulgogi Bowl" in done.stderr
    assert "orderacc models fetch" in done.stderr
    assert "`--stations`" in done.stderr


def test_try_takes_menu_and_models_from_a_configuration_and_the_environment(counter, tmp_path):
    (tmp_path / "menu.json").write_text('{"items": [{"name": "Bulgogi Bowl"}]}')
    stations = tmp_path / "stations.yaml"
    stations.write_text("stations: [{id: a, source: {type: simulator}}]\nmenu: {file: menu.json}\n")
    video = ("try", counter / "station.mp4", "--orders", counter / "orders.json")
    done = orderacc(*video, "--stations", stations)
    assert (done.returncode, "not: Bulgogi Bowl" in done.stderr) == (1, True)
    done = orderacc(*video, env={**os.environ, "ORDERACC_MODELS__VLM": "nosuch"})
    assert (done.returncode, "no model or folder 'nosuch'" in done.stderr) == (1, True)


def test_demo_compares_itself_with_the_truth():
    done = orderacc("demo", "--fast", "--json", "--stations", 2, "--orders", 1)
    assert done.returncode == 0, done.stderr
    *verdicts, summary = map(json.loads, done.stdout.splitlines())
    assert {verdict["station_id"] for verdict in verdicts} == {"counter-1", "counter-2"}
    assert summary["summary"]["orders"] == 2
    assert summary["summary"]["single"] == 2
    assert summary["summary"]["order_end_to_verdict_s"]["p50"] > 0


def test_run_judges_its_stations_as_fast_as_it_can_and_ends_when_they_do(counter, tmp_path):
    stations = tmp_path / "stations.yaml"
    stations.write_text(
        "schema: 1\n"
        f"stations:\n  - {{id: recorded, source: {{type: file, path: {counter / 'station.mp4'}}}}}\n"
        "  - {id: simulated, source: {type: simulator, seed: 910201, orders: 1}}\n"
        "  - {id: unpaid, source: {type: simulator, seed: 910201, orders: 1, own_orders: false}}\n"
        f"orders: {{file: {counter / 'orders.json'}, wait_sec: 0}}\n"
        "results: {file: verdicts.ndjson}\n"
    )
    assert orderacc("check", "--stations", stations).returncode == 0
    done = orderacc("run", "--fast", "--stations", stations)
    assert done.returncode == 0, done.stderr
    verdicts = [json.loads(line) for line in (tmp_path / "verdicts.ndjson").read_text().splitlines()]
    said = {
        name: [one for one in verdicts if one["station_id"] == name] for name in ("recorded", "simulated", "unpaid")
    }
    assert [len(some) for some in said.values()] == [2, 1, 1]
    # Who asks the POS about the same bag learns that nobody has paid for it.
    (known,), (unknown,) = said["simulated"], said["unpaid"]
    assert unknown["slip_text"] == known["slip_text"]
    assert (known["order_id"], unknown["reason"]) == (known["slip_text"], "no_order")
    truth = json.loads((counter / "truth.json").read_text())
    assert [one["status"] for one in said["recorded"]] == [order["status"] for order in truth["orders"]]
    logged = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in logged].count("verdict") == 4


def test_run_finishes_orders_in_flight_on_sigterm(tmp_path):
    stations = tmp_path / "stations.yaml"
    stations.write_text(
        "schema: 1\nstations:\n  - {id: endless, source: {type: simulator, seed: 5, loop: true}}\n"
        "results: {file: verdicts.ndjson}\nshutdown_grace: 5\n"
    )
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*ORDERACC, "run", "--stations", str(stations)], stderr=subprocess.PIPE, text=True, env=environment
    ) as daemon:
        events = (json.loads(line)["event"] for line in daemon.stderr)
        assert next(event for event in events if event in {"verdict", "stopped"}) == "verdict"
        daemon.send_signal(signal.SIGTERM)
        rest = list(events)
        assert daemon.wait(60) == 0
    assert "stopping" in rest
    assert rest[-1] == "stopped"
    ids = [json.loads(line)["verdict_id"] for line in (tmp_path / "verdicts.ndjson").read_text().splitlines()]
    assert len(ids) == len(set(ids)) >= 1


@pytest.fixture
def starting(tmp_path):
    """A daemon that reads its configuration when the test writes it; its data directory shows how far it is."""
    stations = tmp_path / "stations.yaml"
    os.mkfifo(stations)
    with subprocess.Popen(
        [*ORDERACC, "run", "--stations", str(stations)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as daemon:
        yield daemon, stations, tmp_path / "data"
        daemon.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_told_to_stop_before_it_knows_what_to_watch_ends_well(starting, number):
    daemon, stations, _ = starting
    with stations.open("w"):  # it reads
        daemon.send_signal(number)
        assert daemon.wait(60) == 0
    assert daemon.stdout.read() == ""


def test_run_told_to_stop_while_the_models_load_ends_well(starting):
    daemon, stations, data = starting
    stations.write_text(
        "stations: [{id: endless, source: {type: simulator, seed: 5, loop: true}}]\nstorage: {data_dir: data}\n"
    )
    deadline = time.monotonic() + 60
    while not (data / "lock").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    daemon.send_signal(signal.SIGTERM)
    told, _ = daemon.communicate(timeout=60)
    assert daemon.returncode == 0, told
    assert "Traceback" not in told
    assert [json.loads(line)["event"] for line in told.splitlines()][-1] == "stopped"


def test_run_says_all_that_is_wrong_with_its_configuration(tmp_path):
    stations = tmp_path / "stations.yaml"
    stations.write_text("schema: 1\nstations:\n  - {id: one, sorce: {type: simulator}}\nvlm: {devise: CPU}\n")
    for command in ("check", "run"):
        done = orderacc(command, "--stations", stations)
        assert done.returncode == 1
        assert f"{stations}:3:" in done.stderr
        assert "did you mean" in done.stderr
        assert f"{stations}:4:" in done.stderr


def test_check_misses_the_orders_of_a_camera_and_reads_scripts(tmp_path):
    (tmp_path / "script.json").write_text('{"orders": 3}')
    stations = tmp_path / "stations.yaml"
    stations.write_text(
        "stations:\n"
        "  - {id: drive-1, source: {type: rtsp, url: 'rtsp://crew:canary@camera/1'}}\n"
        "  - {id: counter, source: {type: simulator, script: script.json}}\n"
        "  - {id: asking, source: {type: simulator, own_orders: false}}\n"
    )
    done = orderacc("check", "--stations", stations)
    assert done.returncode == 1
    assert f"{stations}:2:5 stations[0]: station drive-1: needs POS orders" in done.stderr
    assert f"{stations}:4:5 stations[2]: station asking: needs POS orders" in done.stderr
    assert f"{tmp_path / 'script.json'}:1:" in done.stderr
    assert "canary" not in done.stdout + done.stderr
