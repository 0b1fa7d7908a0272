"""Finding models, reading what they say about themselves, refusing menus they do not know."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from orderacc.cli import main
from orderacc.errors import ModelError
from orderacc.models.manifest import DEFAULT_VLM_VIEW, ModelInfo
from orderacc.models.runtime import available_devices, choose_device
from orderacc.models.store import SHIPPED_ROOT, ModelStore, check_menu, user_root
from orderacc.models.vlm_files import REQUIRED

if TYPE_CHECKING:
    from pathlib import Path


def write_vlm(folder: Path, manifest: dict[str, Any] | None = None) -> Path:
    folder.mkdir(parents=True)
    for name in REQUIRED:
        (folder / name).write_text("x")
    if manifest is not None:
        (folder / "orderacc.json").write_text(json.dumps({"schema": 1, "kind": "vlm", **manifest}))
    return folder


def test_a_manifest_says_what_the_model_knows(tmp_path: Path) -> None:
    manifest = {"id": "tiny", "version": "3", "vocabulary": ["Burger"], "view": {"width": 252, "height": 168}}
    info = ModelStore([tmp_path]).resolve(write_vlm(tmp_path / "tiny", manifest))
    assert info == ModelInfo("tiny", "vlm", "3", tmp_path / "tiny", vocabulary=("Burger",), view=(252, 168))
    assert info.label == "tiny@3"


def test_an_export_without_manifest_is_a_general_model(tmp_path: Path) -> None:
    folder = write_vlm(tmp_path / "Qwen2.5-VL-7B-Instruct-int8")
    info = ModelStore([tmp_path]).resolve("Qwen2.5-VL-7B-Instruct-int8", kind="vlm")
    assert (info.path, info.vocabulary, info.view) == (folder, None, DEFAULT_VLM_VIEW)
    assert info.label == "Qwen2.5-VL-7B-Instruct-int8"


def test_a_detector_of_the_users_own_lies_beside_ours(tmp_path: Path) -> None:
    folder = tmp_path / "yolo11n_openvino_model"
    folder.mkdir()
    for name in ("yolo11n.xml", "yolo11n.bin", "metadata.yaml"):
        (folder / name).write_text("x")
    assert ModelStore([tmp_path]).resolve("yolo11n_openvino_model").kind == "detector"
    with pytest.raises(ModelError, match="is a detector, not a vlm"):
        ModelStore([tmp_path]).resolve("yolo11n_openvino_model", kind="vlm")


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_vlm(tmp_path / "tiny", {})
    (folder / name).write_text("")
    with pytest.raises(ModelError, match=name.replace(".", r"\.")) as caught:
        ModelStore([tmp_path]).resolve("tiny")
    assert caught.value.code == "model_broken"
    listed = ModelStore([tmp_path]).list_models()[0]
    assert (listed.state, listed.detail) == ("broken", f"lacks {name}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "must hold an object"),
        ('{"kind": "vlm"}', "schema must be 1, not None"),
        ('{"schema": 1, "kind": "oven"}', "kind must be one of vlm, detector, slip_reader, not 'oven'"),
        ('{"schema": 1, "kind": "vlm", "vocabulary": "Burger"}', "vocabulary must be a list of names"),
        ('{"schema": 1, "kind": "vlm", "view": {"width": 0, "height": 9}}', "view must be"),
    ],
)
def test_a_wrong_manifest_is_explained(tmp_path: Path, text: str, message: str) -> None:
    folder = write_vlm(tmp_path / "tiny")
    (folder / "orderacc.json").write_text(text)
    with pytest.raises(ModelError, match=message) as caught:
        ModelStore([tmp_path]).resolve("tiny")
    assert caught.value.code == "model_broken"
    assert ModelStore([tmp_path]).list_models()[0].state == "broken"


def test_the_users_folder_comes_before_what_ships(tmp_path: Path) -> None:
    write_vlm(tmp_path / "mine" / "demo-vlm", {"id": "demo-vlm", "version": "mine"})
    write_vlm(tmp_path / "ships" / "demo-vlm", {"id": "demo-vlm", "version": "ships"})
    store = ModelStore([tmp_path / "mine", tmp_path / "ships"])
    assert store.resolve("demo-vlm").version == "mine"
    assert [model.version for model in store.list_models() if model.model_id == "demo-vlm"] == ["mine"]


def test_where_the_users_models_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("ORDERACC_MODELS_DIR", raising=False)
    assert user_root() == tmp_path / "data" / "orderacc" / "models"
    monkeypatch.setenv("ORDERACC_MODELS_DIR", str(tmp_path / "here"))
    assert ModelStore().roots == (tmp_path / "here", SHIPPED_ROOT)


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom the system does not know, as in a container that runs under any number."""

    def unknown(number: int) -> None:
        raise KeyError(number)

    for name in ("HOME", "XDG_DATA_HOME", "ORDERACC_MODELS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_directory_the_variable_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for attempt in (ModelStore, user_root, lambda: ModelStore([tmp_path]).resolve("~/mine")):
        with pytest.raises(ModelError, match=r"no home directory; .* ORDERACC_MODELS_DIR") as caught:
            attempt()
        assert caught.value.code == "model_missing"
    monkeypatch.setenv("ORDERACC_MODELS_DIR", str(tmp_path))
    assert ModelStore().resolve("demo-vlm").path == SHIPPED_ROOT / "demo-vlm"


@pytest.mark.usefixtures("homeless")
def test_a_daemon_needs_no_home_directory_to_be_imported() -> None:
    module = "orderacc.service.runtime"
    code = f"import pwd\npwd.getpwuid = dict().__getitem__\nimport {module}\nprint({module}.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"{module}\n"), done.stderr


@pytest.mark.parametrize("width", ["60", "80", None])
def test_every_command_of_the_list_is_one_line_that_leads_to_the_models_folder(
    width: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORDERACC_MODELS_DIR", str(tmp_path / "my models"))
    if width:
        monkeypatch.setenv("COLUMNS", width)
    with pytest.raises(SystemExit) as caught:
        main(["models", "list"])
    assert not caught.value.code
    lines = capsys.readouterr().out.splitlines()
    shown = {lines[at - 1]: line for at, line in enumerate(lines) if line.startswith(("orderacc ", "optimum-cli "))}
    assert shown == {
        "qwen2.5-vl-7b-int8 (needs `pip install 'orderacc[fetch]'`):": "orderacc models fetch qwen2.5-vl-7b-int8",
        "qwen2.5-vl-7b-int4 (needs `pip install 'orderacc[fetch]'`):": "orderacc models fetch qwen2.5-vl-7b-int4",
        "qwen2.5-vl-3b-int8 (needs `pip install 'orderacc[train]'`):": (
            "optimum-cli export openvino --model Qwen/Qwen2.5-VL-3B-Instruct --task image-text-to-text "
            f"--weight-format int8 '{tmp_path / 'my models' / 'qwen2.5-vl-3b-int8'}'"
        ),
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("qwen2.5-vl-7b-int8", "get it with `orderacc models fetch qwen2.5-vl-7b-int8`"),
        ("qwen2.5-vl-3b-int8", "get it with `optimum-cli export openvino --model Qwen/Qwen2.5-VL-3B-Instruct"),
        ("qwen2.5-vl-3b-int8", r"qwen2\.5-vl-3b-int8` \(needs `pip install 'orderacc\[train\]'`\)"),
        ("qwen2.5-vl-7b-in8", r"did you mean qwen2\.5-vl-7b-int8\?"),
        ("zzz", "known are qwen"),
        ("./nowhere", "does not exist"),
    ],
)
def test_what_is_not_there_comes_with_the_way_to_get_it(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        ModelStore([tmp_path]).resolve(name)
    assert caught.value.code == "model_missing"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        ModelStore([]).resolve(tmp_path)


def test_a_closed_vocabulary_refuses_other_menus(tmp_path: Path) -> None:
    closed = ModelInfo("demo-vlm", "vlm", "1", tmp_path, vocabulary=("Burger", "Cola"))
    check_menu(closed, ["Cola", "Burger"])
    with pytest.raises(ModelError, match=r"not: Sushi, Ramen; .*`orderacc models fetch qwen2\.5-vl-7b-int8`") as caught:
        check_menu(closed, ["Burger", "Sushi", "Ramen"])
    assert caught.value.code == "menu_unknown"
    with pytest.raises(ModelError, match="and 4 more"):
        check_menu(closed, [f"Dish {number}" for number in range(12)])
    check_menu(ModelInfo("qwen", "vlm", "", tmp_path), ["Sushi"])


def test_devices() -> None:
    assert "CPU" in available_devices()
    assert choose_device(" cpu ") == "CPU"
    assert choose_device("AUTO") in {"CPU", *available_devices()}
    with pytest.raises(ModelError, match=r"there is no device 'TPU' on this machine; there is .*CPU") as caught:
        choose_device("TPU")
    assert caught.value.code == "device_missing"


def test_auto_takes_a_graphics_card_when_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderacc.models.runtime.available_devices", lambda: ["CPU", "GPU.0", "GPU.1", "NPU"])
    assert [choose_device(name) for name in ("AUTO", "GPU", "GPU.1", "NPU")] == ["GPU.0", "GPU", "GPU.1", "NPU"]


def test_openvino_comes_without_its_usage_statistics() -> None:
    code = (
        "import sys\n"
        "from orderacc.models.runtime import import_openvino\n"
        "import_openvino('openvino_genai')\n"
        "assert not any(name.split('.')[0] == 'openvino_telemetry' for name in sys.modules)\n"
        "from openvino.tools.ovc import convert_impl\n"
        "assert convert_impl.tm.__name__ == 'openvino.tools.ovc.telemetry_stub'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
