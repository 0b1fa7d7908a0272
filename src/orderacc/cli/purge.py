"""`orderacc purge`: all there is of an order, or of a time, gone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orderacc.cli.journal_files import Since, Until, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderacc.config import StorageConfig
    from orderacc.storage.retention import Removal

app = typer.Typer()


@app.command()
def purge(
    stations: Annotated[
        Path, typer.Option("--stations", help="The configuration.", metavar="FILE", exists=True, dir_okay=False)
    ],
    order: Annotated[
        str | None, typer.Option("--order", help="Verdict id, number on the slip or POS order id.", metavar="ID")
    ] = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove verdicts, reviews, frames, clips, POS orders, events and messages of an order or a time, for good.

    Numbers on slips repeat: narrow them down with a time. What a review is open on stays; close the review first. What
    waits for its verdict goes too. The daemon must be stopped; a dry run may be made while it goes on. What holds
    verdicts too and is not touched (the file of `results`, recordings that were handed in) is named; think of backups.

    Example: orderacc purge --stations stations.yaml --order 384 --since 2026-11-21 --dry-run
    """
    import anyio

    from orderacc.config import load_config

    if order is None and since is None and until is None:
        raise typer.BadParameter("name an --order, or a time with --since and --until")
    first, last = span(since, until)
    whole = load_config(stations)
    config = whole.storage
    if config is None:
        raise typer.BadParameter(f"{stations} has no section storage: nothing is kept", param_hint="--stations")
    ids = [station.id for station in whole.stations]
    removal = anyio.run(_purge, config, ids, order, first, last, dry_run)
    stored = ", ".join(f"{count} of {kind}" for kind, count in sorted(removal.objects.items())) or "none"
    print(
        f"{'would go' if dry_run else 'gone'}: verdicts: {removal.verdicts}; POS orders: {removal.orders};"
        f" orders without a verdict: {removal.unfinished}; objects: {stored} ({removal.size / 1e6:.1f} MB)"
    )
    if removal.kept:
        print(f"kept: {removal.kept} that a review is open on")
    if removal.kept_orders:
        print(f"kept: {removal.kept_orders} POS orders that are needed by what stays")
    results = [whole.results.file] if whole.results is not None else []
    for path in (*results, *_others(config.data_dir)):
        if path.exists():
            print(f"not touched: {path}")


def _others(data_dir: Path) -> list[Path]:
    """What holds verdicts there and is not purged."""
    from orderacc.service.videos import FOLDER, RECORD

    videos = data_dir / FOLDER
    return [*([videos] if any(videos.glob(f"*/{RECORD}")) else []), *sorted(data_dir.glob("*.damaged-*"))]


async def _purge(
    config: StorageConfig,
    stations: Sequence[str],
    order: str | None,
    since: datetime | None,
    until: datetime | None,
    dry_run: bool,
) -> Removal:
    from contextlib import nullcontext

    from orderacc.errors import StorageError
    from orderacc.service.unknown_objects import UnknownObjects
    from orderacc.storage.database import Database
    from orderacc.storage.journal import FILE_NAME
    from orderacc.storage.lock import DataLock
    from orderacc.storage.opening import is_shared, open_store, spool_folder
    from orderacc.storage.retention import Retention
    from orderacc.storage.spool import Spool
    from orderacc.storage.spooled import SpooledStore

    path = config.data_dir / FILE_NAME
    if not path.is_file():
        raise StorageError(f"{path}: there is no journal here", code="storage_failed")
    with nullcontext() if dry_run else DataLock(config.data_dir):
        async with await Database.open(path, mend=False) as database:
            store = await open_store(config)
            try:
                folder = spool_folder(config)
                spool = Spool(folder, store)
                if not dry_run:
                    await spool.open()
                objects = SpooledStore(store, folder, spool)
                retention = Retention(database, objects.delete, folder)
                removal = await retention.purge(order=order, since=since, until=until, dry_run=dry_run)
                unknown = UnknownObjects(database, store, shared=is_shared(config))
                if order is None:
                    await unknown.remove_time(since, until, stations, objects, removal, dry_run=dry_run)
                elif not (removal.verdicts or removal.unfinished or removal.kept):
                    await unknown.remove_visit(order, objects, removal, dry_run=dry_run)
                return removal
            finally:
                await store.aclose()
