"""`orderacc recall`: an order's verdict, frames and video, from wherever they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orderacc.config import StorageConfig
    from orderacc.errors import StorageError
    from orderacc.service.recall import Recalled

app = typer.Typer()

LONGEST_LINK: Final = 7 * 24 * 3600
"""Seconds; S3's own limit."""


@app.command()
def recall(
    verdict_id: Annotated[str, typer.Argument(metavar="VERDICT_ID", help="A verdict's id, e.g. drive-1-1795260583.")],
    stations: Annotated[
        Path, typer.Option("--stations", help="The configuration, e.g. stations.yaml.", exists=True, dir_okay=False)
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for the files; VERDICT_ID here by default.")] = None,
    links: Annotated[
        int | None,
        typer.Option(
            "--links", help="No files: links to what is stored, good for so many seconds.", min=1, max=LONGEST_LINK
        ),
    ] = None,
) -> None:
    """Bring back what is stored of an order: verdict.json, its frames, and replay.mp4.

    The video is the order's clip, or is made of its frames. What still waits for the object store is found too. A
    verdict whose evidence was not stored, or is not kept any more, comes from the journal.

    Example: orderacc recall drive-1-1795260583 --stations stations.yaml
    """
    import json

    import anyio

    from orderacc.config import load_config
    from orderacc.errors import ConfigError
    from orderacc.service.recall import video

    config = load_config(stations)
    if config.storage is None:
        raise ConfigError(f"{stations}: there is no section storage, so nothing is stored")
    if links is not None:
        for link in anyio.run(_links, config.storage, verdict_id, links):
            print(link)
        return
    recalled = anyio.run(_recall, config.storage, verdict_id)
    folder = out or Path(Path(verdict_id).name)
    folder.mkdir(parents=True, exist_ok=True)
    files = {"verdict.json": json.dumps(recalled.verdict, ensure_ascii=False, indent=1).encode() + b"\n"}
    files |= {f"frame-{key.rpartition('/')[2]}": data for key, data in recalled.frames.items()}
    if recalled.clip is not None or recalled.frames:
        files["replay.mp4"] = anyio.run(video, recalled)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    verdict = recalled.verdict
    print(f"{verdict['station_id']} {verdict['slip_text'] or '?'} {verdict['status'].upper()} {verdict['sentence']}")
    print(f"{folder}: {', '.join(files)}")


async def _recall(config: StorageConfig, verdict_id: str) -> Recalled:
    from orderacc.errors import StorageError
    from orderacc.service.recall import Recalled
    from orderacc.service.recall import recall as bring_back
    from orderacc.storage.opening import open_store, spool_folder
    from orderacc.storage.spooled import SpooledStore

    store = await open_store(config)
    try:
        return await bring_back(SpooledStore(store, spool_folder(config)), verdict_id)
    except StorageError as error:
        if error.code != "no_such_object":
            raise
        return Recalled(_kept_verdict(config, verdict_id, error), {}, None)
    finally:
        await store.aclose()


def _kept_verdict(config: StorageConfig, verdict_id: str, missing: StorageError) -> Mapping[str, Any]:
    """The verdict as the journal has it.

    Raises:
        StorageError: `missing`, if it has none; with the verdicts that may be meant.
    """
    from contextlib import closing

    from orderacc.errors import StorageError
    from orderacc.storage import journal_reads as reads
    from orderacc.storage.backup import open_for_reading
    from orderacc.storage.journal import FILE_NAME

    path = config.data_dir / FILE_NAME
    if not path.is_file():
        raise missing
    with closing(open_for_reading(path)) as connection:
        found = reads.verdict(connection, verdict_id)
        if found is not None:
            return found.body
        meant = reads.verdicts_about(connection, verdict_id)
    if not meant:
        raise missing
    raise StorageError(
        f"{verdict_id!r} is an order's number, which comes again; its verdicts, the newest first: {', '.join(meant)}",
        code="no_such_object",
    ) from missing


async def _links(config: StorageConfig, verdict_id: str, seconds: int) -> list[str]:
    from orderacc.errors import StorageError
    from orderacc.storage.objects import KINDS, visit_key
    from orderacc.storage.opening import open_store

    store = await open_store(config)
    try:
        prefixes = [visit_key(kind, verdict_id) for kind in reversed(KINDS)]
        keys = [one.key for prefix in prefixes async for one in store.list(prefix)]
        if not keys:
            raise StorageError(f"the object store has nothing of {verdict_id!r}", code="no_such_object")
        return [await store.link(key, seconds) for key in keys]
    finally:
        await store.aclose()
