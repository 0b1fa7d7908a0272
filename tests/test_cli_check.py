"""`orderacc check`: what `run` would refuse to start with is found before, each at its line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import cv2
import pytest

from orderacc.cli import main
from orderacc.models.store import SHIPPED_ROOT
from ports import certificate_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Check = tuple[int, str]


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Check]:
    """Checks a configuration of one simulated station, or of others, with these further lines; gives code and err."""

    def run(lines: str, stations: str = "stations: [{id: a, source: {type: simulator}}]\n") -> Check:
        file = tmp_path / "stations.yaml"
        file.write_text("schema: 1\n" + stations + lines)
        with pytest.raises(SystemExit) as caught:
            main(["check", "--stations", str(file)])
        code = caught.value.code
        return (code if isinstance(code, int) else 0), capsys.readouterr().err.replace(f"{tmp_path}/", "")

    return run


def copied(tmp_path: Path, name: str) -> Path:
    return shutil.copytree(SHIPPED_ROOT / name, tmp_path / "copied")


def test_the_models_that_ship_are_whole(check: Callable[[str], Check]) -> None:
    assert check("models: {vlm: demo-vlm, detector: demo-detector}\n") == (0, "")


def test_models_that_are_not_there_are_told_with_their_lines(check: Callable[[str], Check]) -> None:
    code, err = check("models:\n  vlm: demo-vml\n  detector: ./my-yolo\n")
    assert code == 1
    lines = err.splitlines()
    assert lines[0].startswith("stations.yaml:5:3 models.detector: ")
    assert "my-yolo" in lines[0]
    assert lines[1].startswith("stations.yaml:4:3 models.vlm: ")
    assert "did you mean demo-vlm?" in lines[1]
    assert lines[2:] == ["orderacc: bad_config: 2 errors"]


def test_a_model_for_another_job_is_refused(check: Callable[[str], Check]) -> None:
    code, err = check("models: {vlm: demo-detector}\n")
    assert (code, "is a detector, not a vlm" in err) == (1, True)


def test_a_model_out_of_the_environment_is_told_with_its_variable(
    check: Callable[[str], Check], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERACC_MODELS__VLM", "nosuch")
    code, err = check("models: {vlm: demo-vlm}\n")
    assert code == 1
    assert err.startswith("ORDERACC_MODELS__VLM: there is no model or folder 'nosuch'")


@pytest.mark.parametrize(
    ("key", "name", "network"),
    [("vlm", "demo-vlm", "openvino_language_model"), ("detector", "demo-detector", "detector")],
)
def test_networks_that_were_cut_off_are_found(
    check: Callable[[str], Check], tmp_path: Path, key: str, name: str, network: str
) -> None:
    folder = copied(tmp_path, name)
    assert check(f"models: {{{key}: ./copied}}\n") == (0, "")

    weights = folder / f"{network}.bin"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    code, err = check(f"models: {{{key}: ./copied}}\n")
    assert code == 1
    assert f"stations.yaml:3:10 models.{key}: copied/{network}.bin is cut off: it has {len(whole) - 1} of" in err
    weights.write_bytes(whole)

    for wrong in ("<net><layers>", "garbage", "", "<html></html>"):
        (folder / f"{network}.xml").write_text(wrong or " ")
        code, err = check(f"models: {{{key}: ./copied}}\n")
        assert (code, f"copied/{network}.xml is no " in err) == (1, True)


def test_a_detector_that_finds_no_slips_is_refused(check: Callable[[str], Check], tmp_path: Path) -> None:
    folder = copied(tmp_path, "demo-detector")
    labels = ["receipt", "person", "handbag", *map(str, range(12))]
    manifest = json.loads((folder / "orderacc.json").read_text())
    (folder / "orderacc.json").write_text(json.dumps({**manifest, "labels": labels}))
    code, err = check("models: {detector: ./copied}\n")
    assert code == 1
    assert "models.detector: copied/orderacc.json has no class 'slip'" in err


def test_a_menu_the_model_cannot_say_is_found_at_the_menu(check: Callable[[str], Check], tmp_path: Path) -> None:
    (tmp_path / "menu.json").write_text(json.dumps({"items": [{"name": "Big Mac"}, {"name": "Burger"}]}))
    code, err = check("menu:\n  file: menu.json\n")
    assert code == 1
    assert err.startswith("stations.yaml:4:3 menu.file: model demo-vlm knows 14 items only and not: Big Mac;")


def test_a_model_on_another_machine_is_not_looked_for_here(check: Callable[[str], Check], tmp_path: Path) -> None:
    (tmp_path / "menu.json").write_text(json.dumps({"items": [{"name": "Big Mac"}]}))
    remote = "vlm: {local: false, remote: {urls: ['http://gpu-box:8000/v1'], model: m}}\n"
    assert check(remote + "models: {vlm: nosuch}\nmenu: {file: menu.json}\n") == (0, "")


@pytest.mark.parametrize("there", [True, False])
def test_a_pipeline_needs_an_opencv_with_gstreamer(
    check: Callable[..., Check], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda _: there)
    (tmp_path / "orders.json").write_text("{}")
    station = "stations: [{id: b, source: {type: device, device: 'videotestsrc ! appsink'}}]\n"
    code, err = check("orders: {file: orders.json}\n", station)
    message = "stations.yaml:2:12 stations[0]: station b: this OpenCV was built without GStreamer: "
    assert (code, err.startswith(message)) == ((0, False) if there else (1, True))


def test_every_file_of_a_folder_of_orders_is_read(check: Callable[..., Check], tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    folder.mkdir()
    (folder / "good.json").write_text('{"384": [{"name": "Burger"}]}')
    (folder / "notes.txt").write_text("no orders")
    assert check("orders: {file: orders}\n") == (0, "")
    (folder / "bad.json").write_text('{"384":\n?')
    (folder / "worse.ndjson").write_text("\n?\n")
    code, err = check("orders: {file: orders}\n")
    assert code == 1
    bad, worse, _ = err.splitlines()
    assert bad.startswith("orders/bad.json:2:1: not JSON")
    assert worse.startswith("orders/worse.ndjson:2:1: not JSON")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("results: {file: made}\n", ":3:11 results.file: made is a folder; should be a file"),
        ("results: {file: a.json/b}\n", ":3:11 results.file: a.json is no folder"),
        ("storage: {data_dir: a.json}\n", ":3:11 storage.data_dir: a.json is no folder"),
        ("storage: {data_dir: a.json/b/c}\n", ":3:11 storage.data_dir: a.json is no folder"),
        ("api: {tokens: made}\n", ":3:7 api.tokens: made is a folder; should be a file"),
        ("api: {tls: {certificate: a.json, key: a.json}}\n", ":3:7 api.tls: a.json and a.json are no PEM"),
    ],
)
def test_what_stands_where_something_else_should_is_found(
    check: Callable[[str], Check], tmp_path: Path, lines: str, told: str
) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "a.json").write_text("{}")
    code, err = check(lines)
    assert code == 1
    assert err.startswith(f"stations.yaml{told}")


def test_run_says_the_same_before_it_loads_anything(check: Callable[..., Check], tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("garbage")
    certificate = "{certificate: a.json, key: a.json}"
    _, told = check(
        f"results: {{file: .}}\nstorage: {{data_dir: a.json}}\napi: {{tokens: a.json, tls: {certificate}}}\n",
        "stations: [{id: b, source: {type: rtsp, url: 'rtsp://camera/1'}}]\n",
    )
    assert told.startswith("stations.yaml:2:12 stations[0]: station b: needs POS orders")
    assert told.endswith("orderacc: bad_config: 5 errors\n")
    command = [sys.executable, "-m", "orderacc", "run", "--stations", str(tmp_path / "stations.yaml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr.replace(f"{tmp_path}/", "")) == (1, told)


def test_what_is_not_there_yet_may_come(check: Callable[[str], Check]) -> None:
    later = "results: {file: new/verdicts.ndjson}\nstorage: {data_dir: new/data}\napi: {tokens: new/tokens.json}\n"
    assert check(later) == (0, "")


def test_tokens_that_are_none_are_found(check: Callable[[str], Check], tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text("garbage")
    code, err = check("api: {tokens: tokens.json}\n")
    assert code == 1
    assert err.startswith("tokens.json: Invalid JSON")


def test_a_key_that_does_not_belong_to_the_certificate_is_told_at_its_line(
    check: Callable[[str], Check], tmp_path: Path
) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        certificate_in(tmp_path / name)
    pair = "api: {{tls: {{certificate: ours/box.pem, key: {}}}}}\n"
    assert check(pair.format("ours/box.key")) == (0, "")
    code, err = check(pair.format("theirs/box.key"))
    assert code == 1
    assert err.startswith(
        "stations.yaml:3:7 api.tls: theirs/box.key is the key of another certificate than ours/box.pem"
    )
    code, err = check(pair.format("ours/box.pem"))
    assert (code, "stations.yaml:3:7 api.tls: ours/box.pem and ours/box.pem are no PEM" in err) == (1, True)
