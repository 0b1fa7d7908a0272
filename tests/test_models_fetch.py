"""Fetching a model from a hub of our own: whole, cut off, damaged, refused."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import constants

from model_hub import COMMIT, Hub, serve
from orderacc import __version__
from orderacc.cli import main
from orderacc.errors import ModelError
from orderacc.models.fetch import fetch
from orderacc.models.store import ModelStore
from orderacc.models.vlm_files import REQUIRED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPOSITORY = "somebody/tiny-vlm-ov"
BIG = "openvino_language_model.bin"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    # What the client holds back before it writes; ten megabytes would swallow a whole test file.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 16_384)
    monkeypatch.setenv("ORDERACC_MODELS_DIR", str(tmp_path / "models"))
    files = {name: name.encode() * 3 for name in REQUIRED} | {".gitattributes": b"*.bin filter=lfs\n"}
    files[BIG] = bytes(index * 7 % 251 for index in range(300_000))
    yield from serve(Hub(REPOSITORY, files, large={name for name in files if name.endswith(".bin")}))


def partial_folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / ".tiny-vlm-ov.partial"


def test_a_fetched_model_is_whole_and_found_by_name(hub: Hub, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    info = fetch(REPOSITORY, endpoint=hub.url, progress=lambda *call: calls.append(call))
    assert (info.model_id, info.kind, info.version, info.vocabulary) == ("tiny-vlm-ov", "vlm", COMMIT[:12], None)
    assert info.path == tmp_path / "models" / "tiny-vlm-ov"
    assert {path.name for path in info.path.iterdir()} == {*REQUIRED, "orderacc.json"}
    assert all((info.path / name).read_bytes() == hub.files[name] for name in REQUIRED)
    assert json.loads((info.path / "orderacc.json").read_text())["origin"] == f"{REPOSITORY}@{COMMIT}"
    assert ModelStore().resolve("tiny-vlm-ov") == info
    total = sum(len(hub.files[name]) for name in REQUIRED)
    assert calls[-1][1:] == (total, total)
    here = [call[1] for call in calls]
    assert here == sorted(here)
    assert all(agent.startswith(f"orderacc/{__version__};") and "telemetry" not in agent for agent in hub.agents)
    assert not partial_folder(tmp_path).exists()


def test_a_model_that_is_here_is_not_fetched_again(hub: Hub) -> None:
    first = fetch(REPOSITORY, endpoint=hub.url)
    asked = len(hub.ranges)
    assert fetch(REPOSITORY, endpoint=hub.url) == first
    assert len(hub.ranges) == asked


def test_a_transfer_that_breaks_off_goes_on_in_the_same_call(hub: Hub) -> None:
    hub.cut_at[BIG] = 100_000
    info = fetch(REPOSITORY, endpoint=hub.url)
    assert (info.path / BIG).read_bytes() == hub.files[BIG]
    ranges = [wanted for name, wanted in hub.ranges if name == BIG]
    assert ranges[0] is None
    assert ranges[1] is not None
    assert 0 < int(ranges[1].removeprefix("bytes=").split("-")[0]) <= 100_000


def test_a_transfer_that_failed_goes_on_in_the_next_call(hub: Hub, tmp_path: Path) -> None:
    hub.cut_at[BIG] = 100_000
    hub.down.add(BIG)
    with pytest.raises(ModelError, match="goes on where it stopped") as caught:
        fetch(REPOSITORY, endpoint=hub.url)
    assert caught.value.code == "fetch_failed"
    assert not (tmp_path / "models" / "tiny-vlm-ov").exists()
    assert partial_folder(tmp_path).is_dir()
    before = len(hub.ranges)
    hub.down.clear()
    info = fetch(REPOSITORY, endpoint=hub.url)
    assert (info.path / BIG).read_bytes() == hub.files[BIG]
    again = hub.ranges[before:]
    assert again[0][0] == BIG
    assert again[0][1] is not None
    assert not partial_folder(tmp_path).exists()


@pytest.mark.parametrize("name", [BIG, "config.json"])
def test_a_damaged_file_is_refused_and_fetched_afresh_next_time(hub: Hub, tmp_path: Path, name: str) -> None:
    hub.damaged.add(name)
    with pytest.raises(ModelError, match="arrived damaged") as caught:
        fetch(REPOSITORY, endpoint=hub.url)
    assert (caught.value.code, caught.value.message.split()[0]) == ("fetch_failed", name)
    assert not (tmp_path / "models" / "tiny-vlm-ov").exists()
    assert not (partial_folder(tmp_path) / name).exists()
    hub.damaged.clear()
    assert (fetch(REPOSITORY, endpoint=hub.url).path / name).read_bytes() == hub.files[name]


def test_a_repository_that_is_no_model_is_refused(hub: Hub, tmp_path: Path) -> None:
    del hub.files["openvino_tokenizer.bin"]
    with pytest.raises(ModelError, match=r"lacks openvino_tokenizer\.bin"):
        fetch(REPOSITORY, endpoint=hub.url)
    assert not (tmp_path / "models" / "tiny-vlm-ov").exists()


def test_a_repository_cannot_name_files_outside_its_folder(hub: Hub, tmp_path: Path) -> None:
    hub.files["../../escaped"] = b"x"
    with pytest.raises(ModelError, match="outside its folder"):
        fetch(REPOSITORY, endpoint=hub.url)
    assert not (tmp_path / "escaped").exists()


def test_an_unknown_repository_names_the_other_way(hub: Hub) -> None:
    with pytest.raises(
        ModelError, match=r"no repository .*7B-Instruct-int8-ov.*HTTP 404.*optimum-cli export"
    ) as caught:
        fetch("qwen2.5-vl-7b-int8", endpoint=hub.url)
    assert caught.value.code == "fetch_failed"


@pytest.mark.parametrize("model_id", ["nope", "../x", "a/..", "/etc/x", "a/b/c"])
def test_what_is_no_id_is_refused_before_any_request(hub: Hub, model_id: str) -> None:
    with pytest.raises(ModelError, match="neither in the catalog") as caught:
        fetch(model_id, endpoint=hub.url)
    assert caught.value.code == "model_missing"
    assert not hub.agents


def test_a_model_nobody_publishes_names_the_export(hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"optimum-cli export openvino --model Qwen/Qwen2\.5-VL-3B-Instruct"):
        fetch("qwen2.5-vl-3b-int8", endpoint=hub.url)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"pip install 'orderacc\[fetch\]'"):
        fetch(REPOSITORY, tmp_path / "m", endpoint="http://127.0.0.1:9")


def test_nobody_at_home_is_a_clear_error(hub: Hub, tmp_path: Path) -> None:
    del hub
    with pytest.raises(ModelError, match="broke off") as caught:
        fetch(REPOSITORY, tmp_path / "m", endpoint="http://127.0.0.1:9")
    assert caught.value.code == "fetch_failed"


def test_the_command_fetches_and_lists(
    hub: Hub, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # a pipe has no width; whoever runs the tests may have set one
    with pytest.raises(SystemExit) as caught:
        main(["models", "fetch", REPOSITORY, "--endpoint", hub.url])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"tiny-vlm-ov@{COMMIT[:12]}: {tmp_path / 'models' / 'tiny-vlm-ov'}\n"
    with pytest.raises(SystemExit) as caught:
        main(["models", "list"])
    assert caught.value.code == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert any(line.split()[:3] == [f"tiny-vlm-ov@{COMMIT[:12]}", "vlm", "ready"] for line in lines)
    assert any(line.endswith("orderacc models fetch qwen2.5-vl-7b-int8") for line in lines)


def test_the_command_fails_without_a_traceback(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    for argv, code in ((["models", "fetch", "x/y", "--endpoint", hub.url], 1), (["models", "fetch"], 2)):
        with pytest.raises(SystemExit) as caught:
            main(argv)
        assert caught.value.code == code
        assert "Traceback" not in capsys.readouterr().err
