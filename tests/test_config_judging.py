"""What a recording needs out of the environment alone, and paths in the home directory of nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orderacc.config import JudgingConfig, load_config, load_judging
from orderacc.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_an_empty_environment_is_the_defaults() -> None:
    assert load_judging(environment={"HOME": "/root", "ORDERACC_MODELS_DIR": "/models"}) == JudgingConfig()


def test_variables_of_judging_count_and_those_of_anything_else_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {
        "ORDERACC_MODELS__VLM": "./mine",
        "ORDERACC_VALIDATION__THRESHOLD": "0.9",
        "ORDERACC_STORAGE__DATA_DIR": "data",
        "ORDERACC_SHUTDOWN_GRACE": "long",
    }
    config = load_judging(environment=environment)
    assert config.models.vlm == str(tmp_path / "mine")
    assert config.validation.threshold == 0.9


def test_a_file_may_hold_what_judging_needs_alone_or_beside_stations(tmp_path: Path) -> None:
    file = tmp_path / "vlm.yaml"
    for others in (
        "",
        "schema: 1\nstations: [{id: a, source: {type: file, path: gone.mp4}}]\nmenu: {file: gone.yaml}\n",
    ):
        file.write_text(f"{others}vlm: {{cache_dir: compiled, kv_tokens: 512}}\n")
        config = load_judging(file, environment={"ORDERACC_VLM__KV_TOKENS": "1024"})
        assert (config.vlm.cache_dir, config.vlm.kv_tokens) == (tmp_path / "compiled", 1024)
    for wrong, told in (("\nvlms: {}\n", "did you mean 'vlm'?"), ("- vlm\n", "a table")):
        file.write_text(wrong)
        with pytest.raises(ConfigError, match="vlm") as caught:
            load_judging(file, environment={})
        assert told in caught.value.findings[0].message


def test_the_home_directory_of_nobody_is_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "stations.yaml"
    file.write_text(
        "stations:\n  - {id: a, source: {type: http, url: 'file:~nobody-here/url'}}\nmodels: {vlm: ~nobody-here/vlm}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(file, environment={})
    assert [found.line for found in caught.value.findings] == [2, 3]
    assert all("home directory" in found.message for found in caught.value.findings)


def test_mistakes_name_their_variables() -> None:
    wrong = {
        "ORDERACC_VLM__LOCAL": "false",
        "ORDERACC_VALIDATION__THRESHOLD": "high",
        "ORDERACC_VALIDATION__TRESHOLD": "0.9",
        "ORDERACC_MODEL__VLM": "mine",
    }
    with pytest.raises(ConfigError) as caught:
        load_judging(environment=wrong)
    told = sorted(str(found).split(": ")[0] for found in caught.value.findings)
    assert told == [
        "ORDERACC_MODEL__VLM",
        "ORDERACC_VALIDATION__THRESHOLD",
        "ORDERACC_VALIDATION__TRESHOLD",
        "environment vlm.remote",
    ]
