from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc import ConfigError, load_config
from orderacc.capture import CapturePolicy
from orderacc.cli import main
from orderacc.config import (
    CaptureConfig,
    Config,
    DeviceSource,
    FileSource,
    PictureConfig,
    SimulatorSource,
    TrackingConfig,
    json_schema,
)
from orderacc.perception.picture import PictureSettings
from orderacc.tracking.settings import TrackerSettings

SECTIONS = sorted({"schema", *Config.model_fields} - {"schema_version"})
TYPES = "device, file, http, rtsp or simulator"

LAUGHS = "a: &a [1]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + former] * 9)}]\n" for former, name in pairwise("abcdefghi")
)
MINIMAL = "stations: [{id: a, source: {type: simulator}}]\n"


@pytest.fixture
def write(tmp_path):
    (tmp_path / "video.mp4").write_bytes(b"video")
    (tmp_path / "orders.json").write_text('{"1": [{"name": "Tea"}]}')

    def to_file(text):
        path = tmp_path / "stations.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


def findings(path, **environment):
    with pytest.raises(ConfigError) as caught:
        load_config(path, environment=environment)
    return [str(found).removeprefix(str(path)) for found in caught.value.findings]


def test_stations_are_all_one_needs_to_write(write):
    config = load_config(write(MINIMAL), environment={})
    (station,) = config.stations
    assert isinstance(station.source, SimulatorSource)
    assert (station.fps, station.roi, config.selection.frames, config.vlm.device) == (10.0, None, 3, "AUTO")
    assert config.orders is None
    assert config.menu is None


def test_everything_there_is(write, tmp_path):
    config = load_config(
        write(
            """
schema: 1
stations:
  - id: drive-1
    source: {type: file, path: video.mp4, loop: true}
    fps: 5
    roi: [0.1, 0, 0.9, 1]
  - id: drive-2
    source: {type: simulator, seed: 3, orders: 2, wrong_share: 0.5}
orders: {file: orders.json}
models: {vlm: ./models/qwen, detector: demo-detector, slip_reader: rapidocr, device: GPU}
vlm: {device: NPU, threads: 2, max_batch_size: 4, max_new_tokens: 128, queue_size: 8}
selection: {frames: 2}
tracking: {empty_after: 2, idle_after: 8.5}
validation: {strategy: exact, threshold: 0.9}
results: {file: out/verdicts.ndjson}
telemetry: {log_format: console, log_level: debug}
shutdown_grace: 3
"""
        ),
        environment={},
    )
    assert isinstance(config.stations[0].source, FileSource)
    assert (config.stations[0].source.path, config.stations[0].source.loop) == (tmp_path / "video.mp4", True)
    assert config.stations[0].roi == (0.1, 0, 0.9, 1)
    assert config.orders.file == tmp_path / "orders.json"
    assert config.models.vlm == str(tmp_path / "models/qwen")
    assert config.models.detector == "demo-detector"
    assert config.results.file == tmp_path / "out/verdicts.ndjson"
    assert config.tracking.empty_after == 2.0
    assert config.shutdown_grace == 3.0


def test_the_demo_configuration_is_right():
    config = load_config(Path(__file__).parent.parent / "configs/stations.demo.yaml", environment={})
    assert len(config.stations) >= 2


def test_tracking_is_configured_by_the_trackers_own_names():
    assert TrackingConfig().model_dump() == asdict(TrackerSettings())


def test_so_are_the_warnings_about_pictures():
    assert PictureConfig().model_dump() == asdict(PictureSettings())


def test_capture_is_configured_by_the_policys_own_names():
    assert CaptureConfig().model_dump() == asdict(CapturePolicy())


@pytest.mark.parametrize("waits", ["reconnect_interval: 20", "reconnect_interval: 5, reconnect_interval_max: 4"])
def test_the_longest_wait_is_not_shorter_than_the_first(write, waits):
    (finding,) = findings(write(MINIMAL + f"capture: {{{waits}}}\n"))
    assert finding.endswith("capture.reconnect_interval_max: should not be less than reconnect_interval")
    assert finding.startswith(":2:")


def test_every_mistake_is_told_at_once_with_its_place(write):
    path = write(
        """schema: 2
stations:
  - id: a b
    source: {type: fil, path: x}
    fsp: 10
  - id: c1
    source: {type: file, path: nope.mp4, lop: true}
    roi: [0.5, 0, 0.5, 1]
  - id: c1
    source: {seed: 1}
    fps: "10"
vlm:
  devise: CPU
  device: GPUU
  threads: 1.5
telemetry: console
models: {vlm: "${NOPE}/x", slip_reader: rapid_ocr}
shutdown_grace: .inf
results: {}
rtsp: 1
"""
    )
    assert findings(path) == [
        ":1:1 schema: should be 1, not 2",
        ":3:5 stations[0].id: should be letters, digits, dots, dashes and underscores, at most 64, not 'a b'",
        f":4:5 stations[0].source: needs a type: {TYPES}; 'fil' is none, did you mean 'file'?",
        ":5:5 stations[0].fsp: there is no such key, did you mean 'fps'?",
        ":7:5 stations[1].source: a recorded video needs POS orders: add orders: {file: orders.json}",
        ":7:26 stations[1].source.path: there is no file 'nope.mp4' (paths are relative to this file)",
        ":7:42 stations[1].source.lop: there is no such key, did you mean 'loop'?",
        ":8:5 stations[1].roi: should be left, top, right, bottom, with left < right and top < bottom",
        ":9:5 stations[2].id: 'c1' is the id of stations[1] already",
        f":10:5 stations[2].source: needs a type: {TYPES}",
        ":11:5 stations[2].fps: should be a number",
        ":13:3 vlm.devise: there is no such key, did you mean 'device'?",
        ":14:3 vlm.device: should be AUTO, CPU, GPU or NPU, not 'GPUU', did you mean 'GPU'?",
        ":15:3 vlm.threads: should be a whole number",
        ":16:1 telemetry: should be a table of keys",
        ":17:10 models.vlm: the environment variable 'NOPE' is not set",
        ":17:28 models.slip_reader: should be rapidocr or easyocr, not 'rapid_ocr', did you mean 'rapidocr'?",
        ":18:1 shutdown_grace: should be a finite number",
        ":19:1 results.file: is required",
        f":20:1 rtsp: there is no such key; there are: {', '.join(SECTIONS)}",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "should be a table with the key stations"),
        ("- a", ":1:1: should be a table with the key stations"),
        ("schema: 1", ":1:1 stations: is required"),
        ("stations: []", ":1:1 stations: should not be empty"),
        ("stations: 3", ":1:1 stations: should be a list"),
        ("stations:\n  - id: 7\n    source: 1", ":2:5 stations[0].id: should be text; put it in quotes"),
        ("stations:\n  - a", ":2:5 stations[0]: should be a table of keys"),
        ("stations: [\n  {id: a", ":2:9: not YAML: "),
        ("a: 1\n  b: 2", ":2:4: not YAML: mapping values are not allowed here"),
        ("stations:\n\t- a", ":2:1: not YAML: "),
        (MINIMAL + "vlm: {threads: 1}\nvlm: {threads: 2}", ":3:1 vlm: this key is written twice"),
        (MINIMAL + "vlm: {threads: 1, threads: 2}", ":2:19 vlm.threads: this key is written twice"),
        ("a: &a [*a]\n" + MINIMAL, ": more than 200000 values once every alias is put in"),
        (LAUGHS, ": more than 200000 values once every alias is put in"),
        ("a: *b", ":1:4: not YAML: found undefined alias 'b'"),
        ("a: !!python/object:os.system x", "not YAML: could not determine a constructor"),
        ("a: 2026-13-45", "not YAML: month must be in 1..12"),
        (b"a: \xff", ":1:4: not UTF-8 text: save the file as UTF-8"),
        (b"a: \x00", ":1:4: not YAML: special characters are not allowed"),
        ("[" * 1200, "nested too deeply"),
        (MINIMAL + "shutdown_grace: -1", ":2:1 shutdown_grace: should be greater than or equal to 0"),
        (MINIMAL + "vlm: {threads: true}", ":2:7 vlm.threads: should be a whole number"),
        (MINIMAL + "validation: {strategy: Exact}", "not 'Exact', did you mean 'exact'?"),
        (MINIMAL + "orders: {file: 3}", ":2:10 orders.file: should be a path, as text"),
        (MINIMAL + "menu: {file: .}", ":2:8 menu.file: should be a file, not a folder"),
        (MINIMAL + "results:\n  file: ''", ":3:3 results.file: should be a path, as text"),
        (MINIMAL + "selection: {frames: 0}", ":2:13 selection.frames: should be greater than or equal to 1"),
        ("stations: [{id: a, source: {type: simulator}, roi: [0, 1]}]", "stations[0].roi[2]: is required"),
    ],
)  # fmt: skip
def test_each_kind_of_mistake(write, text, message):
    found = findings(write(text))
    assert any(message in each for each in found), found


def test_a_missing_file(tmp_path):
    assert findings(tmp_path / "none.yaml") == [": cannot be read: No such file or directory"]


def test_an_anchor_may_be_merged(write):
    text = "stations:\n  - &one {id: a, source: {type: simulator}, fps: 3}\n  - {<<: *one, id: b}\n"
    assert [(s.id, s.fps) for s in load_config(write(text), environment={}).stations] == [("a", 3.0), ("b", 3.0)]


class TestEnvironment:
    def test_it_wins_over_the_file(self, write):
        path = write(MINIMAL + "vlm: {device: GPU, threads: 4}\n")
        environment = {
            "ORDERACC_VLM__DEVICE": "CPU",
            "ORDERACC_SELECTION__FRAMES": "5",
            "ORDERACC_SHUTDOWN_GRACE": "1.5",
            "ORDERACC_ORDERS__FILE": "orders.json",
            "ORDERACC_MODELS_DIR": "/elsewhere",
            "OTHER_VLM__DEVICE": "NPU",
        }
        config = load_config(path, environment=environment)
        assert (config.vlm.device, config.vlm.threads) == ("CPU", 4)
        assert (config.selection.frames, config.shutdown_grace) == (5, 1.5)
        assert config.orders.file == path.parent / "orders.json"

    def test_its_mistakes_carry_the_variables_name(self, write):
        found = findings(
            write(MINIMAL + "telemetry:\n"),
            ORDERACC_VML__DEVICE="CPU",
            ORDERACC_VLM__DEVISE="CPU",
            ORDERACC_VLM__THREADS="many",
            ORDERACC_STATIONS__ID="b",
            ORDERACC_TELEMETRY__LOG_LEVEL="[",
        )
        assert sorted(found) == [
            "ORDERACC_STATIONS__ID: there is no section 'stations' to set from outside",
            "ORDERACC_TELEMETRY__LOG_LEVEL: should be debug, info, warning or error, not '['",
            "ORDERACC_VLM__DEVISE: there is no such key, did you mean 'device'?",
            "ORDERACC_VLM__THREADS: should be a whole number",
            "ORDERACC_VML__DEVICE: there is no section 'vml' to set from outside, did you mean 'vlm'?",
        ]


class TestReferences:
    def test_values_may_stand_in_the_environment_or_in_a_file(self, write, tmp_path):
        (tmp_path / "name.txt").write_text("drive-7\n")
        path = write('stations: [{id: "file:name.txt", source: {type: simulator, script: "${HERE}/orders.json"}}]')
        config = load_config(path, environment={"HERE": str(tmp_path)})
        assert config.stations[0].id == "drive-7"
        assert config.stations[0].source.script == tmp_path / "orders.json"

    def test_what_leads_nowhere_is_told(self, write, tmp_path):
        (tmp_path / "large").write_bytes(b"x" * 70_000)
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        found = findings(
            write(MINIMAL + 'models: {vlm: "${NO}", detector: "file:none"}\nvlm: {device: "file:large"}\n'
                  'telemetry: {log_level: "file:binary"}')
        )  # fmt: skip
        assert any("models.vlm: the environment variable 'NO' is not set" in each for each in found)
        assert any("models.detector:" in each and "cannot be read: No such file" in each for each in found)
        assert any("vlm.device:" in each and "is too large for a secret" in each for each in found)
        assert any("telemetry.log_level:" in each and "is not UTF-8 text" in each for each in found)

    def test_no_message_shows_what_a_reference_holds(self, write, tmp_path):
        (tmp_path / "secret").write_text("hunter2")
        text = (
            'stations: [{id: "${PW} !", source: {type: "${PW}"}}]\nvlm: {device: "file:secret"}\n'
            'orders: {file: "/x/${PW}"}\ntelemetry: {log_level: "${PW}"}\nmodels: {slip_reader: "x${PW}"}\n'
        )
        found = findings(write(text), PW="hunter2")
        assert len(found) >= 6
        assert not any("hunter2" in each for each in found)


def test_the_schema_has_a_description_and_default_for_every_key():
    schema = json_schema()
    for table in (schema, *schema["$defs"].values()):
        for name, key in table["properties"].items():
            assert key.get("description"), name
            assert name in table.get("required", ()) or "default" in key, name
    assert schema["required"] == ["stations"]
    json.dumps(schema)


def test_the_configuration_cannot_be_changed(write):
    config = load_config(write(MINIMAL), environment={})
    with pytest.raises(ValueError, match="frozen"):
        config.vlm.threads = 3


@contextmanager
def placed():
    """Whatever is found has a place in the file."""
    try:
        yield
    except ConfigError as error:
        if not error.findings or any(found.line != 1 for found in error.findings):
            pytest.fail(f"without a place: {error}")
        raise


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["stations", "id", "source", "type", "vlm", "roi", "models", "orders"]), inner
            )
        ),
        max_leaves=12,
    )
)
@settings(deadline=None, max_examples=50)
def test_any_table_is_a_configuration_or_findings(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("configs") / "stations.json"
    path.write_text(json.dumps({"stations": value}))
    with suppress(ConfigError), placed():
        assert load_config(path, environment={}).stations


class TestCheck:
    def run(self, capsys, *arguments):
        with pytest.raises(SystemExit) as caught:
            main(["check", *map(str, arguments)])
        written = capsys.readouterr()
        return caught.value.code or 0, written.out, written.err

    def test_a_right_file(self, capsys, write):
        code, out, err = self.run(capsys, "--stations", write(MINIMAL))
        assert (code, err) == (0, "")
        assert "1 station: a (simulator)" in out

    def test_mistakes_go_to_stderr_one_a_line(self, capsys, write):
        code, out, err = self.run(capsys, "--stations", write("stations: [{id: a, fsp: 1}]"))
        assert (code, out) == (1, "")
        assert err.splitlines()[0].endswith("stations.yaml:1:12 stations[0].source: is required")
        assert "stations.yaml:1:20 stations[0].fsp: there is no such key, did you mean 'fps'?" in err

    def test_the_menu_and_the_orders_are_checked_too(self, capsys, write, tmp_path):
        (tmp_path / "orders.json").write_text('{"1": []}')
        (tmp_path / "menu.json").write_text('{"items": [{"id": 1}]}')
        path = write(MINIMAL + "orders: {file: orders.json}\nmenu: {file: menu.json}\n")
        code, _, err = self.run(capsys, "--stations", path)
        assert code == 1
        assert "menu.json:1:12 items[0].name: every menu item needs a name" in err
        assert "orders.json:1:2 1: should be a list of lines, at least one" in err

    def test_orders_of_a_station_that_is_not_there_are_told_of(self, capsys, write):
        orders = "orders:\n  stations:\n    b: {location: north}\n"
        path = write("stations: [{id: a, source: {type: simulator}}]\n" + orders)
        code, _, err = self.run(capsys, "--stations", path)
        assert (code, err.splitlines()[:-1]) == (1, [f"{path}:4:5 orders.stations.b: there is no station 'b'"])
        code, out, err = self.run(capsys, "--stations", write(path.read_text() + "api: {}\n"))
        assert (code, err) == (0, "")
        assert out.endswith(f"{path}:4:5 orders.stations.b: there is no station 'b' unless it is added over the API\n")
        code, out, _ = self.run(capsys, "--stations", write(MINIMAL + orders.replace("b:", "a:")))
        assert (code, "orders.stations" in out) == (0, False)

    def test_the_schema_is_printed_as_json(self, capsys):
        code, out, _ = self.run(capsys, "--schema")
        assert code == 0
        assert json.loads(out) == json_schema()

    def test_a_file_must_be_named(self, capsys):
        code, _, err = self.run(capsys)
        assert code == 2
        assert "--stations" in err


@pytest.mark.parametrize("device", ["0", "/dev/video0", "/dev/v4l/by-id/counter", "aravissrc ! bayer2rgb ! appsink"])
def test_local_cameras(tmp_path: Path, device: str) -> None:
    path = tmp_path / "stations.yaml"
    path.write_text(f'stations: [{{id: a, source: {{type: device, device: "{device}"}}}}]')
    assert load_config(path).stations[0].source == DeviceSource(type="device", device=device)


@pytest.mark.parametrize("device", ["true", "-1", "/etc/passwd", "/dev/../etc/passwd", "[0]", "video0", "1.5"])
def test_what_is_no_camera_is_told_once(tmp_path: Path, device: str) -> None:
    path = tmp_path / "stations.yaml"
    path.write_text(f"stations: [{{id: a, source: {{type: device, device: {device}}}}}]")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    (finding,) = caught.value.findings
    assert (finding.path, finding.message) == (
        "stations[0].source.device",
        "should be a number, a path under /dev, or a GStreamer pipeline",
    )
