"""The section `vlm.remote`: what it takes, what it refuses, and that nobody sees its secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from orderacc import ConfigError, load_config
from orderacc.cli import main
from orderacc.config import JudgingConfig, SecretText, VlmConfig
from orderacc.errors import ModelError
from orderacc.service.engines import VlmSetup
from orderacc.vlm.openai import RemoteSettings

if TYPE_CHECKING:
    from pathlib import Path

    from orderacc import Config

SECRET = "hunter2-sesame"
URL = "http://box:8000/v1"


def written(folder: Path, **vlm: Any) -> Path:
    path = folder / "stations.yaml"
    path.write_text(json.dumps({"stations": [{"id": "a", "source": {"type": "simulator"}}], "vlm": vlm}))
    return path


def load(folder: Path, environment: dict[str, str] | None = None, **remote: Any) -> Config:
    settings = {"urls": [URL], "model": "m", **remote}
    return load_config(written(folder, remote=settings), environment=environment or {})


def messages(folder: Path, **vlm: Any) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        load_config(written(folder, **vlm), environment={})
    return [(found.path, found.message) for found in caught.value.findings]


def test_defaults_are_the_engines_own(tmp_path: Path) -> None:
    remote = load(tmp_path).vlm.remote
    assert remote is not None
    engine = RemoteSettings((SecretText(URL),), "m")
    for name in RemoteSettings.__dataclass_fields__:
        assert getattr(remote, name) == getattr(engine, name), name


def test_secrets_stand_elsewhere_and_are_shown_by_nothing(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    config = load(tmp_path, {"PW": SECRET}, urls=["https://crew:${PW}@box/v3"], token="file:token")
    remote = config.vlm.remote
    assert remote is not None
    assert remote.token is not None
    assert (remote.token.reveal(), remote.urls[0].reveal()) == (SECRET, f"https://crew:{SECRET}@box/v3")
    settings = RemoteSettings(remote.urls, remote.model, remote.token)
    for shown in (repr(config), str(config), config.model_dump_json(), repr(settings)):
        assert SECRET not in shown


@pytest.mark.parametrize(
    ("remote", "path", "message"),
    [
        ({"urls": []}, "urls", "should not be empty"),
        ({"urls": ["box:8000"]}, "urls[0]", "should begin with http:// or https://"),
        ({"urls": ["rtsp://box/1"]}, "urls[0]", "should begin with http:// or https://"),
        ({"urls": [URL, URL]}, "urls", "should not hold one address twice"),
        ({"model": ""}, "model", "should not be empty"),
        ({"token": f"{SECRET}\nX-Other: 1"}, "token", "should be plain ASCII on one line"),
        ({"token": f"{SECRET}é"}, "token", "should be plain ASCII on one line"),
        ({"timeout_sec": 0}, "timeout_sec", "should be greater than 0"),
        ({"view": [250, 168]}, "view", "should be two multiples of 28, up to 2240"),
        ({"url": URL}, "url", "there is no such key, did you mean 'urls'?"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, remote: dict[str, Any], path: str, message: str) -> None:
    found = messages(tmp_path, remote={"urls": [URL], "model": "m", **remote})
    assert found == [(f"vlm.remote.{path}", message)]
    assert SECRET not in str(found)


def test_some_model_there_must_be(tmp_path: Path) -> None:
    assert messages(tmp_path, local=False) == [("vlm.remote", "is required when local is false")]


def test_there_is_no_spilling_over_without_two_models(tmp_path: Path) -> None:
    remote = {"urls": [URL], "model": "m"}
    place = "vlm.spill_over_after"
    assert messages(tmp_path, spill_over_after=4) == [(place, "does nothing without a remote model")]
    wrong = messages(tmp_path, spill_over_after=0, local=False, remote=remote)
    assert wrong == [(place, "does nothing without a local model")]
    # One mistake is not told twice.
    assert [place for place, _ in messages(tmp_path, spill_over_after=4, remote={"model": "m"})] == ["vlm.remote.urls"]
    assert load_config(written(tmp_path, spill_over_after=4, remote=remote), environment={}).vlm.spill_over_after == 4


@pytest.mark.parametrize("vlm", [{"deadline_sec": 45}, {"deadline_sec": 60, "hang_after_sec": 60.5}])
def test_a_watchdog_that_comes_too_late_is_a_mistake(tmp_path: Path, vlm: dict[str, float]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, **vlm), environment={})
    (found,) = caught.value.findings
    assert (found.path, found.line) == ("vlm.hang_after_sec", 1)
    assert "should be less than deadline_sec" in found.message


def test_a_watchdog_nobody_waits_for_is_none(tmp_path: Path) -> None:
    load_config(written(tmp_path, deadline_sec=None, hang_after_sec=600), environment={})
    load_config(written(tmp_path, deadline_sec=20, local=False, remote={"urls": [URL], "model": "m"}), environment={})


class TestServe:
    def run(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            main(["serve-vlm", *map(str, arguments)])
        return int(caught.value.code or 0), capsys.readouterr().err

    def test_a_model_that_is_not_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, err = self.run(capsys, "--model", "nobody-vlm")
        assert (code, "model_missing" in err) == (1, True)

    def test_mistakes_in_its_file_have_a_line_and_what_it_cannot_do_is_one(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        file = tmp_path / "vlm.yaml"
        remote = f"remote: {{urls: ['{URL}'], model: m}}"
        for text, told in (
            ("vlm:\n  kv_token: 4\n", "did you mean 'kv_tokens'?"),
            (f"vlm:\n  {remote}\n", "the model of this machine"),
            (f"vlm: {{\n  local: false, {remote}}}\n", "the model of this machine"),
        ):
            file.write_text(text)
            code, err = self.run(capsys, "--config", file)
            assert (code, "vlm.yaml:2:" in err, told in err) == (1, True, True), err
        assert self.run(capsys, "--config", tmp_path / "gone")[0] == 2

    def test_options_go_before_the_file(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[JudgingConfig] = []

        def load(config: JudgingConfig) -> None:
            asked.append(config)
            raise ModelError("enough")

        monkeypatch.setattr(VlmSetup, "load_to_serve", load)
        file = tmp_path / "vlm.yaml"
        file.write_text("models: {vlm: mine}\nvlm: {devices: [GPU.0, GPU.1], kv_tokens: 512, max_batch_size: 2}\n")
        self.run(capsys)
        self.run(capsys, "--config", file)
        self.run(capsys, "--config", file, "--model", "other", "--device", "CPU", "--max-batch-size", 3)
        plain, written, over = [(one.models.vlm, one.vlm) for one in asked]
        assert plain == ("demo-vlm", VlmConfig(queue_size=64))
        own = VlmConfig(devices=("GPU.0", "GPU.1"), kv_tokens=512, max_batch_size=2, queue_size=64)
        assert written == ("mine", own)
        assert over == ("other", VlmConfig(device="CPU", kv_tokens=512, max_batch_size=3, queue_size=64))

    @pytest.mark.parametrize(
        ("content", "told"),
        [(b"\n", "the file is empty"), ("schlüssel".encode("latin-1"), "the file is not UTF-8 text")],
    )
    def test_a_token_that_is_none_is_a_mistake_and_not_an_open_door(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes, told: str
    ) -> None:
        (tmp_path / "token").write_bytes(content)
        code, err = self.run(capsys, "--token-file", tmp_path / "token")
        assert (code, told in err) == (2, True), err
