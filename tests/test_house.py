"""The house: what is public, what an import costs, what lies where."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import orderacc

ROOT = Path(__file__).parent.parent
HEAVY = (
    "aiohttp",
    "av",
    "cv2",
    "numpy",
    "openvino",
    "openvino_genai",
    "pydantic",
    "rapidocr",
    "scipy",
    "torch",
    "yaml",
)


def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listing.stdout.split("\0")[:-1]


def test_public_names_are_these() -> None:
    assert orderacc.__all__ == [
        "Config",
        "ConfigError",
        "EngineError",
        "Finding",
        "Item",
        "Menu",
        "MenuItem",
        "ModelError",
        "Order",
        "OrderAccError",
        "OrdersError",
        "SourceError",
        "StationError",
        "StorageError",
        "Verdict",
        "__version__",
        "judge",
        "load_config",
        "parse_answer",
        "replay",
        "run_daemon",
    ]
    assert sorted(orderacc.__all__) == orderacc.__all__


@pytest.mark.parametrize("name", orderacc.__all__)
def test_public_names_are_there_and_documented(name: str) -> None:
    value = getattr(orderacc, name)
    assert name in dir(orderacc)
    if name != "__version__":
        assert value.__doc__
        assert value.__name__ == name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="judgement"):
        _ = orderacc.judgement  # type: ignore[attr-defined]


def test_importing_is_light() -> None:
    code = "import sys, json, orderacc; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert [name for name in HEAVY if name in loaded] == []
    assert [name for name in loaded if name.split(".")[0] == "orderacc"] == ["orderacc", "orderacc._version"]


def test_top_level_folders() -> None:
    folders = {path.split("/")[0] for path in tracked() if "/" in path}
    assert folders <= {".ci", "benchmarks", "configs", "docs", "src", "tests"}


def test_the_configurations_we_ship_load() -> None:
    paths = sorted((ROOT / "configs").glob("*.yaml"))
    kinds = {
        path.name: [
            station.source.type
            for station in orderacc.load_config(path, environment={"CAMERA_PASSWORD": "canary"}).stations
        ]
        for path in paths
    }
    assert kinds == {
        "stations.demo.yaml": ["simulator", "simulator"],
        "stations.rtsp.yaml": ["rtsp", "rtsp", "device"],
    }


def test_no_file_names_a_place_on_one_machine() -> None:
    place = re.compile(rb"/(?:root|work|opt/oa|home/\w+|tmp/[a-z])[/\w]|C:\\Users")
    text = (".py", ".md", ".toml", ".yaml", ".yml", ".json", ".xml", ".txt", ".sh", ".jinja")
    guilty = [
        path
        for path in tracked()
        if path != "tests/test_house.py"
        and (path.endswith(text) or "." not in Path(path).name)
        and place.search((ROOT / path).read_bytes())
    ]
    assert guilty == []


def test_source_files_stay_small() -> None:
    long = {
        path: lines
        for path in tracked()
        if path.startswith("src/") and path.endswith(".py")
        if (lines := len((ROOT / path).read_bytes().splitlines())) > 350
    }
    assert long == {}


def test_the_readmes_second_command_is_what_ci_runs() -> None:
    commands = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].endswith(".venv/bin/orderacc demo")
    assert "pytest" in commands[1]
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_benchmarks_are_measured_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("def test_one(benchmark):\n    benchmark(sum, [1, 2])\n")
    command = [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "--benchmark-enable", tmp_path]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=alone, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OPS" in done.stdout
