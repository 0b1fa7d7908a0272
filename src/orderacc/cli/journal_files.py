"""Where a command finds the journal, and moments on the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

Stations = Annotated[
    Path | None, typer.Option("--stations", help="The configuration, whose storage.data_dir is meant.", metavar="FILE")
]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The data directory itself.", metavar="FOLDER")]
Since = Annotated[
    str | None, typer.Option("--since", help="From this time on: 2026-11-21, or 2026-11-21T08:30:00Z.", metavar="TIME")
]
Until = Annotated[str | None, typer.Option("--until", help="Before this time; likewise.", metavar="TIME")]


def data_dir(stations: Path | None, folder: Path | None) -> Path:
    """The data directory the options name.

    Raises:
        typer.BadParameter: If they name none, or two.
        ConfigError: If the configuration is wrong.
    """
    if (stations is None) == (folder is None):
        raise typer.BadParameter("name one of --stations and --data-dir")
    if folder is not None:
        return folder
    from orderacc.config import load_config

    assert stations is not None  # noqa: S101  it is one of the two
    config = load_config(stations)
    if config.storage is None:
        raise typer.BadParameter(f"{stations} has no section storage: nothing is kept", param_hint="--stations")
    return config.storage.data_dir


def span(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """The time from `--since` to `--until`; without an end where an option is left out.

    Raises:
        typer.BadParameter: If one is no time, or nothing can be between them.
    """
    first, last = moment(since, "--since"), moment(until, "--until")
    if first is not None and last is not None and first >= last:
        raise typer.BadParameter(f"{until} is not after --since {since}: nothing is between", param_hint="--until")
    return first, last


def moment(text: str | None, option: str) -> datetime | None:
    """A moment as an option names it; without a time zone it is UTC.

    Raises:
        typer.BadParameter: If it is none.
    """
    if text is None:
        return None
    try:
        named = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no time: write 2026-11-21 or 2026-11-21T08:30:00Z"
        raise typer.BadParameter(message, param_hint=option) from None
    return named if named.tzinfo else named.replace(tzinfo=UTC)
