"""`orderacc models`: what is on this machine, and bringing the rest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orderacc.models.store import ListedModel

app = typer.Typer(help="The models on this machine, and those to fetch.", no_args_is_help=True)

_STATE_STYLES = {"ready": "green", "broken": "red", "absent": "yellow"}


@app.command("list")
def list_() -> None:
    """Show what is here, what is broken, and the command that brings what is missing.

    Example: orderacc models list
    """
    from rich.console import Console
    from rich.table import Table

    from orderacc.models.store import ModelStore

    store = ModelStore()
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("Model", "Kind", "State", "Size"):
        table.add_column(heading, no_wrap=True)
    table.add_column("What it knows, or lacks", overflow="fold")
    models = store.list_models()
    for model in models:
        style = _STATE_STYLES[model.state]
        table.add_row(
            _name(model), model.kind or "?", f"[{style}]{model.state}[/]", _size(model.size_bytes), model.detail
        )
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=200)  # a pipe has no width
    console.print(table)
    for model in models:
        if model.command:
            # Unfolded, however narrow the window: a folded command could not be pasted.
            console.print(f"\n{model.model_id} (needs `{model.needs}`):", markup=False, highlight=False, soft_wrap=True)
            console.print(model.command, markup=False, highlight=False, soft_wrap=True)
    console.print()
    console.print(f"Folders: {', '.join(str(root) for root in store.roots)}", highlight=False, soft_wrap=True)


@app.command()
def fetch(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="A model of the list, or OWNER/NAME on Hugging Face.")],
    into: Annotated[Path | None, typer.Option(help="Folder to make; the user's model folder by default.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Address of another hub.", envvar="HF_ENDPOINT")] = None,
    revision: Annotated[str, typer.Option(help="Branch, tag or commit.")] = "main",
) -> None:
    """Fetch a model; a transfer that was cut off goes on where it stopped.

    Example: orderacc models fetch qwen2.5-vl-7b-int8
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from orderacc.models.fetch import fetch as fetch_model

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(model_id, total=None)
        info = fetch_model(
            model_id,
            into,
            endpoint=endpoint,
            revision=revision,
            progress=lambda name, here, total: bar.update(task, description=name, completed=here, total=total),
        )
    print(f"{info.label}: {info.path}")


def _name(model: ListedModel) -> str:
    return f"{model.model_id}@{model.version}" if model.version else model.model_id


def _size(size_bytes: int) -> str:
    if not size_bytes:
        return ""
    megabytes = size_bytes / 1e6
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.1f} MB"
