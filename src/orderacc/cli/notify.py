"""`orderacc notify`: what was told to whom, telling it again, and whether a receiver hears."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, TypeVar, get_args

import typer

from orderacc.cli.journal_files import DataDir, Since, Stations, data_dir, moment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orderacc.config import NotifyConfig
    from orderacc.notify import Outcome
    from orderacc.storage.outbox import Outbox, OutboxEntry

T = TypeVar("T")

app = typer.Typer(help="Webhooks and brokers: what was told, and telling it again.", no_args_is_help=True)

SinkName = Annotated[str | None, typer.Option("--sink", help="Of this receiver only.", metavar="NAME")]

State: TypeAlias = Literal["pending", "delivered", "dead"]

_STYLES: Final = {"delivered": "green", "pending": "yellow", "dead": "red"}


@app.command("list")
def list_(stations: Stations = None, folder: DataDir = None) -> None:
    """Show how many messages every receiver has been told, is still to be told, and was not told.

    Example: orderacc notify list --stations stations.yaml
    """
    from rich.console import Console
    from rich.table import Table

    counts = _with_outbox(data_dir(stations, folder), lambda outbox: outbox.counts())
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("Receiver", *get_args(State)):
        table.add_column(heading)
    for sink in sorted({sink for sink, _ in counts}):
        table.add_row(sink, *(str(counts.get((sink, state), 0)) for state in get_args(State)))
    Console().print(table)


@app.command()
def log(
    stations: Stations = None,
    folder: DataDir = None,
    sink: SinkName = None,
    state: Annotated[State | None, typer.Option(help="In this state only.")] = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(help="Most messages.", min=1, max=100_000)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with what was said.")] = False,
) -> None:
    """Show messages and what became of them, newest first.

    Example: orderacc notify log --stations stations.yaml --state dead
    """
    written_from = _seconds(since)

    async def read(outbox: Outbox) -> list[OutboxEntry]:
        return await outbox.log(sink, state=state, since=written_from, limit=limit)

    entries = _with_outbox(data_dir(stations, folder), read)
    if as_json:
        for entry in entries:
            print(json.dumps(_as_json(entry), ensure_ascii=False, separators=(",", ":")))
    else:
        _print_table(entries)


@app.command()
def replay(
    sink: Annotated[str, typer.Option("--sink", help="The receiver.", metavar="NAME")],
    stations: Stations = None,
    folder: DataDir = None,
    ids: Annotated[list[int] | None, typer.Argument(help="Numbers of messages, from `notify log`.")] = None,
    since: Since = None,
    delivered: Annotated[
        bool, typer.Option("--delivered", help="Those that were delivered, for a receiver that has lost them.")
    ] = False,
) -> None:
    """Tell a receiver again what was given up; the daemon does so within a second, or when it starts.

    What waits for a receiver that failed, or asked to be left alone, goes out then too. Messages keep their keys, so
    that a receiver knows what it has got already.

    Example: orderacc notify replay --stations stations.yaml --sink pos
    """
    written_from = _seconds(since)
    if delivered and not ids and written_from is None:
        raise typer.BadParameter("name messages, or a time with --since: this tells all of them again")

    async def again(outbox: Outbox) -> int:
        state: State = "delivered" if delivered else "dead"
        return await outbox.replay(sink, ids=tuple(ids or ()), state=state, since=written_from)

    outbox_in = data_dir(stations, folder)
    if stations is not None:
        _receivers(stations, sink)
    count = _with_outbox(outbox_in, again)
    print(f"{sink}: {count} message{'' if count == 1 else 's'} to be told again")


@app.command("test")
def send_test(
    stations: Annotated[
        Path, typer.Option("--stations", help="The configuration.", metavar="FILE", exists=True, dir_okay=False)
    ],
    sink: SinkName = None,
) -> None:
    """Send every receiver a message of the type `test`, past the outbox; exit 1 if one does not take it.

    The daemon goes on meanwhile: to a broker this comes as another client, named like it with `-test` behind.

    Example: orderacc notify test --stations stations.yaml
    """
    import anyio

    outcomes = anyio.run(_send_tests, _receivers(stations, sink), sink)
    for name, outcome in outcomes.items():
        print(f"{name}: {outcome.result}{outcome.error and f': {outcome.error}'}")
    if any(outcome.result != "delivered" for outcome in outcomes.values()):
        raise typer.Exit(1)


def _receivers(stations: Path, only: str | None) -> NotifyConfig:
    """Those of a configuration, the named one among them.

    Raises:
        typer.BadParameter: If there are none, or none of this name.
        ConfigError: If the configuration is wrong.
    """
    from orderacc.config import load_config

    config = load_config(stations).notify
    if config is None:
        raise typer.BadParameter(f"{stations} has no section notify: nobody is told", param_hint="--stations")
    if only is not None and only not in config.names:
        there = ", ".join(config.names) or "none"
        raise typer.BadParameter(f"there is no receiver {only!r}; there are: {there}", param_hint="--sink")
    return config


async def _send_tests(config: NotifyConfig, only: str | None) -> dict[str, Outcome]:
    from datetime import UTC, datetime
    from uuid import uuid4

    import anyio

    from orderacc.notify import Delivery
    from orderacc.notify.pump import json_bytes
    from orderacc.service.notifying import make_sinks

    sinks = {one.name: one for one in make_sinks(config, guest=True)[0]}
    key = f"{config.store}/test/{uuid4().hex}"
    body = {"type": "test", "timestamp": datetime.now(UTC).isoformat(), "key": key, "store": config.store, "data": {}}
    outcomes: dict[str, Outcome] = {}
    async with anyio.create_task_group() as group:
        for name, one in sinks.items():
            if only in (None, name):
                await group.start(one.run)
                outcomes[name] = await one.deliver(Delivery(key, "test", json_bytes(body)))
        group.cancel_scope.cancel()
    return outcomes


def _with_outbox(folder: Path, work: Callable[[Outbox], Awaitable[T]]) -> T:
    """Do something with the outbox of a data directory, beside the daemon or without it."""
    import anyio

    from orderacc.errors import StorageError
    from orderacc.storage.database import Database
    from orderacc.storage.journal import FILE_NAME
    from orderacc.storage.outbox import Outbox

    path = folder / FILE_NAME
    if not path.is_file():
        raise StorageError(f"{path}: there is no journal yet: the daemon makes it", code="storage_failed")

    async def opened() -> T:
        async with await Database.open(path, mend=False) as database:
            return await work(Outbox(database))

    return anyio.run(opened)


def _seconds(since: str | None) -> float | None:
    named = moment(since, "--since")
    return None if named is None else named.timestamp()


def _as_json(entry: OutboxEntry) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(entry)


def _print_table(entries: list[OutboxEntry]) -> None:
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("Number", "Written", "Receiver", "Key", "State", "Tries"):
        table.add_column(heading, no_wrap=True)
    table.add_column("Last error", overflow="fold")
    for entry in entries:
        written = datetime.fromtimestamp(entry.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        state = Text(entry.state, style=_STYLES[entry.state])
        # Receivers' words are shown as they are, not as markup.
        table.add_row(
            str(entry.id),
            written,
            entry.sink,
            Text(entry.key),
            state,
            str(entry.attempts),
            Text(entry.last_error or ""),
        )
    console = Console()
    # A pipe has no width; folded keys could not be searched for.
    (console if console.is_terminal else Console(width=200)).print(table)
