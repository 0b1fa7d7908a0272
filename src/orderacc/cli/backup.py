"""`orderacc backup`: a copy of the journal, and whether it is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orderacc.cli.journal_files import DataDir, Stations, data_dir

app = typer.Typer()


@app.command()
def backup(
    target: Annotated[Path | None, typer.Argument(help="The copy to make, e.g. backup/journal.db.")] = None,
    stations: Stations = None,
    folder: DataDir = None,
    only_check: Annotated[bool, typer.Option("--check", help="Only see whether the journal is sound.")] = False,
) -> None:
    """Copy the journal while the daemon goes on, or check it; exit 1 if it is not sound.

    The copy is checked too. To go back to one: stop the daemon, put it in the place of journal.db in the data
    directory, and remove journal.db-wal and journal.db-shm. Objects are copied with the means of their store.

    Example: orderacc backup --stations stations.yaml /mnt/backup/journal.db
    """
    from orderacc.errors import StorageError
    from orderacc.storage.backup import back_up, check
    from orderacc.storage.journal import FILE_NAME

    if only_check == (target is not None):
        raise typer.BadParameter("name the copy to make, or --check")
    path = data_dir(stations, folder) / FILE_NAME
    if target is not None:
        report = back_up(path, target)
        print(f"{target}: {report.verdicts} verdicts, {report.orders} orders, {report.size / 1e6:.1f} MB, sound")
    elif found := check(path):
        raise StorageError("\n".join(f"{path}: {line}" for line in found), code="storage_corrupt")
    else:
        print(f"{path}: sound")
