"""A whole daemon that tells the outside: what arrives is what it said."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon_nursery import ORDERS, ScriptedBuilder, ScriptedRuntime
from orderacc.config import Config, load_config
from orderacc.errors import ConfigError
from orderacc.service import daemon
from orderacc.storage.journal import FILE_NAME, Journal
from receivers import SECRET, answers, broker, eventually, hangs, receiver, subscriber, takes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orderacc.domain.verdicts import Verdict

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _models_that_take_no_time(monkeypatch):
    monkeypatch.setattr(daemon, "Runtime", ScriptedRuntime)
    monkeypatch.setattr(daemon, "StationBuilder", ScriptedBuilder)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def config(folder: Path, *, seed: int = 7, stations: Sequence[str] = ("left", "right"), **notify: Any) -> Config:
    return Config.model_validate(
        {
            "schema": 1,
            "stations": [
                {"id": name, "source": {"type": "simulator", "seed": seed + number}}
                for number, name in enumerate(stations)
            ],
            "storage": {"data_dir": str(folder / "data")},
            "notify": {"store": "store-17", **notify},
            "shutdown_grace": 5.0,
        }
    )


def webhook(url: str, **changes: Any) -> dict[str, Any]:
    return {"name": "pos", "url": url, "secrets": [SECRET], "retry_max_sec": 0.05, **changes}


async def watched(settings: Config) -> list[Verdict]:
    """What a daemon said until its recordings ended."""
    said: list[Verdict] = []

    async def on_verdict(verdict: Verdict) -> None:
        said.append(verdict)

    with anyio.fail_after(60):
        await daemon.run_daemon(settings, signals=False, on_verdict=on_verdict)
    return said


def as_said(verdicts: Sequence[Verdict]) -> dict[str, dict[str, Any]]:
    return {f"store-17/{one.verdict_id}/{one.revision}": json.loads(json.dumps(one.to_dict())) for one in verdicts}


async def test_what_the_receivers_heard_is_what_was_said(tmp_path, free_port):
    async with receiver() as there:
        with broker(tmp_path, free_port):
            async with subscriber(free_port) as hearer:
                mqtt = {"host": "127.0.0.1", "port": free_port, "retry_max_sec": 0.1}
                said = await watched(config(tmp_path, webhooks=[webhook(there.url)], mqtt=mqtt))
                await eventually(lambda: hearer.last("orderacc/availability") == b"offline")
    assert len({one.verdict_id for one in said}) == 2 * ORDERS
    expected = as_said(said)
    assert {body["key"]: body["data"] for body in there.received} == expected
    assert {body["key"]: body["data"] for body in hearer.verdicts()} == expected
    assert len(there.received) == len(expected)
    assert there.forged == 0
    for station in ("left", "right"):
        order = [one.verdict_id for one in said if one.station_id == station]
        assert [body["data"]["verdict_id"] for body in there.received if body["data"]["station_id"] == station] == order
        state = hearer.last(f"orderacc/{station}/state")
        assert state is not None
        assert json.loads(state)["station_id"] == station


async def test_what_could_not_be_told_is_told_by_the_next_daemon(tmp_path):
    async with receiver(answers(503)) as there:
        settings = config(tmp_path, webhooks=[webhook(there.url)])
        said = await watched(settings)
        assert there.received == []
        there.answer = takes
        said += await watched(config(tmp_path, seed=40, webhooks=[webhook(there.url)]))
    assert {body["key"]: body["data"] for body in there.received} == as_said(said)


async def test_a_receiver_that_hangs_holds_up_nobody(tmp_path):
    async with receiver(hangs) as stuck, receiver() as there:
        hooks = [webhook(stuck.url, name="stuck", timeout_sec=60.0), webhook(there.url)]
        settings = config(tmp_path, webhooks=hooks).model_copy(update={"shutdown_grace": 0.5})
        said = await watched(settings)
    assert set(there.keys) == set(as_said(said))
    async with Journal.open(tmp_path / "data" / FILE_NAME) as journal:
        pending, _ = await journal.outbox.backlog("stuck")
        assert pending == len(said)
        events = [one for one in await journal.events(0, 1000) if one.kind == "station"]
        assert {(one.station_id, one.body["phase"]) for one in events} >= {("left", "running"), ("right", "running")}


def test_notify_needs_storage(tmp_path):
    path = tmp_path / "stations.yaml"
    path.write_text(
        "stations: [{id: a, source: {type: simulator}}]\n"
        f"notify: {{webhooks: [{{name: pos, url: 'http://a/', secrets: [{SECRET}]}}]}}\n"
    )
    with pytest.raises(ConfigError, match=r"stations.yaml:2:.* notify: messages wait in the journal"):
        load_config(path)
