"""`orderacc notify`: the delivery log, replays, and a word to every receiver."""

from __future__ import annotations

import json
from threading import Thread
from typing import TYPE_CHECKING

import anyio
import pytest

import ports
from orderacc.cli import main
from orderacc.config import load_config
from orderacc.notify.mqtt import MqttSink
from orderacc.notify.sink import DELIVERED, Delivery
from orderacc.storage.journal import FILE_NAME, Journal
from orderacc.storage.records import OutboxMessage
from receivers import SECRET, answers, broker, eventually, receiver, subscriber, takes

if TYPE_CHECKING:
    from pathlib import Path


def notify(*argv: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["notify", *argv])
    return caught.value.code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory: of pos one message delivered, one dead, one pending; of screen one dead."""

    async def fill() -> None:
        async with Journal.open(tmp_path / FILE_NAME) as journal:
            outbox = journal.outbox
            for sink, number in (("pos", 1), ("pos", 2), ("pos", 3), ("screen", 1)):
                await outbox.add([OutboxMessage(sink, "left", f"store/left-{number}/1", {"number": number})])
            entries = {(one.sink, one.key): one.id for one in await outbox.log()}
            await outbox.delivered(entries["pos", "store/left-1/1"])
            await outbox.dead(entries["pos", "store/left-2/1"], "answered 422: [bold]no[/]")
            await outbox.dead(entries["screen", "store/left-1/1"], "answered 422")

    anyio.run(fill)
    return tmp_path


def states(folder: Path) -> dict[tuple[str, str], int]:
    async def read() -> dict[tuple[str, str], int]:
        async with Journal.open(folder / FILE_NAME) as journal:
            return await journal.outbox.counts()

    return anyio.run(read)


def test_how_many_of_whom(folder, capsys):
    assert notify("list", "--data-dir", str(folder)) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["Receiver", "pending", "delivered", "dead"],
        ["pos", "1", "1", "1"],
        ["screen", "0", "0", "1"],
    ]


def test_the_log(folder, capsys):
    assert notify("log", "--data-dir", str(folder)) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 5
    assert "answered 422: [bold]no[/]" in out
    assert notify("log", "--data-dir", str(folder), "--sink", "pos", "--state", "dead", "--json") == 0
    (entry,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (entry["key"], entry["attempts"], entry["body"]) == ("store/left-2/1", 1, {"number": 2})
    assert notify("log", "--data-dir", str(folder), "--since", "2999-01-01") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_dead_messages_of_one_receiver_are_told_again(folder, capsys):
    assert notify("replay", "--data-dir", str(folder), "--sink", "pos") == 0
    assert capsys.readouterr().out == "pos: 1 message to be told again\n"
    assert states(folder) == {("pos", "pending"): 2, ("pos", "delivered"): 1, ("screen", "dead"): 1}


def test_what_was_delivered_is_told_again_only_where_it_is_named(folder, capsys):
    assert notify("replay", "--data-dir", str(folder), "--sink", "pos", "--delivered") == 2
    assert "this tells all of them again" in capsys.readouterr().err
    assert notify("replay", "--data-dir", str(folder), "--sink", "pos", "--delivered", "--since", "2020-01-01") == 0
    assert states(folder)["pos", "pending"] == 2


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["log"], "name one of --stations and --data-dir"),
        (["log", "--data-dir", ".", "--state", "lost"], "'lost' is not one of"),
        (["log", "--data-dir", ".", "--since", "noon"], "'noon' is no time"),
        (["replay", "--data-dir", "."], "--sink"),
        (["list", "--data-dir", ".", "--sink", "x"], "--sink"),
    ],
)
def test_a_wrong_command_line(argv, said, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert notify(*argv) == 2
    assert said in capsys.readouterr().err


def test_a_journal_that_is_not_there_is_not_made(tmp_path, capsys):
    assert notify("log", "--data-dir", str(tmp_path)) == 1
    assert "there is no journal yet" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def stations(folder: Path, url: str) -> str:
    path = folder / "stations.yaml"
    path.write_text(
        "stations: [{id: a, source: {type: simulator}}]\nstorage: {data_dir: data}\n"
        "notify:\n  store: store-17\n"
        f"  webhooks: [{{name: pos, url: '{url}', secrets: [{SECRET}], timeout_sec: 0.5}}]\n"
    )
    return str(path)


@pytest.mark.parametrize("status", [204, 500])
@pytest.mark.anyio
async def test_a_word_to_every_receiver(tmp_path, status, capsys):
    async with receiver(takes if status == 204 else answers(status)) as there:
        codes: list[int] = []
        # A command has an event loop of its own.
        command = Thread(target=lambda: codes.append(notify("test", "--stations", stations(tmp_path, there.url))))
        command.start()
        await eventually(lambda: not command.is_alive())
        assert there.forged == 0
        assert [body["type"] for body in there.received] == ["test"] * (status == 204)
    assert codes == [0 if status == 204 else 1]
    said = "delivered" if status == 204 else "failed: answered 500"
    assert capsys.readouterr().out == f"pos: {said}\n"


@pytest.mark.anyio
async def test_a_word_to_a_broker_disturbs_no_daemon(tmp_path, capsys):
    path, port = tmp_path / "stations.yaml", ports.free_port()
    path.write_text(
        "stations: [{id: a, source: {type: simulator}}]\nstorage: {data_dir: data}\n"
        f"notify: {{store: store-17, mqtt: {{host: 127.0.0.1, port: {port}, client_id: box-1}}}}\n"
    )
    said = load_config(path).notify
    assert said is not None
    assert said.mqtt is not None
    daemon = MqttSink(said.mqtt, said.store)
    with broker(tmp_path, port):
        async with subscriber(port) as hearer, anyio.create_task_group() as group:
            await group.start(daemon.run)
            assert await daemon.deliver(Delivery("1", "before", b"{}")) is DELIVERED
            codes: list[int] = []
            command = Thread(target=lambda: codes.append(notify("test", "--stations", str(path))))
            command.start()
            await eventually(lambda: not command.is_alive())
            assert await daemon.deliver(Delivery("2", "behind", b"{}")) is DELIVERED
            await eventually(lambda: hearer.last("orderacc/behind/verdict"))
            availability = [payload for topic, payload, _ in hearer.heard if topic == "orderacc/availability"]
            group.cancel_scope.cancel()
    assert codes == [0]
    assert capsys.readouterr().out == "mqtt: delivered\n"
    assert [topic.split("/")[1] for topic, _, _ in hearer.heard if topic.endswith("/verdict")] == [
        "before",
        "test",
        "behind",
    ]
    assert availability == [b"online"]


def test_a_word_to_nobody(tmp_path, capsys):
    with ports.silent() as port:
        path = stations(tmp_path, f"http://127.0.0.1:{port}/")
        assert notify("test", "--stations", path) == 1
        assert capsys.readouterr().out == "pos: failed: no answer within 0.5 s\n"


@pytest.mark.parametrize("command", ["test", "replay"])
def test_a_receiver_that_the_configuration_does_not_know(tmp_path, command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert notify(command, "--stations", stations(tmp_path, "http://127.0.0.1:9/"), "--sink", "post") == 2
    assert "Invalid value for --sink: there is no receiver 'post'; there are: pos" in capsys.readouterr().err
