"""The top of the command line: help, version, and what becomes of mistakes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer

from orderacc import __version__
from orderacc.cli import commands, main
from orderacc.errors import ConfigError, Finding, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    code = caught.value.code
    return code if isinstance(code, int) else 0


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Put a command of our own behind the name `demo`."""

    def install(body: Callable[[], None]) -> None:
        module = type(sys)("staged_command")
        module.app = typer.Typer()
        module.app.command()(body)
        monkeypatch.setitem(sys.modules, "staged_command", module)
        monkeypatch.setitem(commands.COMMAND_MODULES, "demo", "staged_command")

    return install


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"orderacc {__version__}\n"


@pytest.mark.parametrize(("argv", "code"), [(["--version"], 0), (["bogus"], 2)])
def test_the_package_is_the_command(argv: list[str], code: int) -> None:
    done = subprocess.run([sys.executable, "-m", "orderacc", *argv], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, f"orderacc {__version__}\n" if code == 0 else "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("argv", [["--help"], ["-h"]])
def test_help_lists_every_command_and_shows_examples(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert run(*argv) == 0
    out = capsys.readouterr().out
    listed = out[out.index("Commands:") :]
    assert all(f"\n  {name} " in listed for name in commands.COMMAND_MODULES)
    assert "orderacc try counter/station.mp4 --orders counter/orders.json" in out


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in commands.COMMAND_MODULES:
        assert run(name, "--help") == 0
        assert f"Usage: orderacc {name}" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["try"], ["eval"], ["menu", "check"]])
def test_every_example_stands_on_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(*argv, "--help") == 0
    out = capsys.readouterr().out
    examples = [line.split() for line in out[out.index("Examples:") :].splitlines()[1:3]]
    assert [words[0] for words in examples] == ["orderacc", "orderacc"]
    assert examples[1][-1] in {"stations.yaml", "eval.svg"}


def test_no_command_shows_the_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["dmo"], ["--fast"], ["demo", "--no-such-option"]])
def test_usage_errors(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert run(*argv) == 2
    captured = capsys.readouterr()
    assert "Error" in captured.err
    assert captured.out == ""


def test_a_misspelt_command_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulat") == 2
    assert "Did you mean 'simulate'?" in capsys.readouterr().err


def test_an_error_is_a_line_with_its_code(
    command: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise SourceError("x.mp4: no such file", code="not_found")

    command(fail)
    assert run("demo") == 1
    captured = capsys.readouterr()
    assert captured.err == "orderacc: not_found: x.mp4: no such file\n"
    assert captured.out == ""


def test_every_finding_has_a_line(
    command: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ConfigError([Finding("a.yaml", 3, 5, "stations[0].id", "too long"), Finding("a.yaml", 0, 0, "", "empty")])

    command(fail)
    assert run("demo") == 1
    assert capsys.readouterr().err.splitlines() == [
        "a.yaml:3:5 stations[0].id: too long",
        "a.yaml: empty",
        "orderacc: bad_config: 2 errors",
    ]


def test_the_operating_systems_no_is_a_line(
    command: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "out")

    command(fail)
    assert run("demo") == 1
    assert capsys.readouterr().err == "orderacc: Permission denied: out\n"


def test_errors_of_tasks_come_out_of_their_groups_once(
    command: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        refused = [SourceError("no camera", code="refused"), SourceError("no camera", code="refused")]
        raise ExceptionGroup("tasks", [*refused, ExceptionGroup("more", [ConnectionRefusedError(111, "Refused")])])

    command(fail)
    assert run("demo") == 1
    assert capsys.readouterr().err == "orderacc: refused: no camera\norderacc: [Errno 111] Refused\n"


def test_a_fault_beside_a_mistake_keeps_its_traceback(command: Callable[[Callable[[], None]], None]) -> None:
    def fail() -> None:
        raise ExceptionGroup("tasks", [SourceError("no camera"), AssertionError("a bug")])

    command(fail)
    with pytest.raises(ExceptionGroup) as caught:
        main(["demo"])
    assert caught.group_contains(AssertionError, match="a bug")


def test_an_interrupt(command: Callable[[Callable[[], None]], None]) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    command(stop)
    assert run("demo") == 130


def test_our_own_faults_keep_their_traceback(command: Callable[[Callable[[], None]], None]) -> None:
    def fail() -> None:
        raise AssertionError("a bug")

    command(fail)
    with pytest.raises(AssertionError, match="a bug"):
        main(["demo"])


@pytest.mark.parametrize("argv", [["--version"], ["--help"]])
def test_the_command_line_is_light(argv: list[str]) -> None:
    code = (
        "import sys\n"
        "from orderacc.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "heavy = {'av', 'cv2', 'numpy', 'openvino', 'openvino_genai', 'rapidocr', 'scipy', 'torch'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
