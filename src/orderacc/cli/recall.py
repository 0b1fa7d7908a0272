"""`orderacc recall`: an order's verdict, frames and video, from wherever they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orderacc.config import StorageConfig
    from orderacc.service.recall import Recalled

app = typer.Typer()


@app.command()
def recall(
    verdict_id: Annotated[str, typer.Argument(metavar="VERDICT_ID", help="A verdict's id, e.g. drive-1-000042.")],
    stations: Annotated[
        Path, typer.Option("--stations", help="The configuration, e.g. stations.yaml.", exists=True, dir_okay=False)
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for the files; VERDICT_ID here by default.")] = None,
) -> None:
    """Bring back what is stored of an order: verdict.json, its frames, and replay.mp4.

    The video is the order's clip, or is made of its frames. What still waits for the object store is found too.

    Example: orderacc recall drive-1-000042 --stations stations.yaml
    """
    import json

    import anyio

    from orderacc.config import load_config
    from orderacc.errors import ConfigError
    from orderacc.service.recall import video

    config = load_config(stations)
    if config.storage is None:
        raise ConfigError(f"{stations}: there is no section storage, so nothing is stored")
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
    from orderacc.service.recall import recall as bring_back
    from orderacc.storage.opening import open_store, spool_folder
    from orderacc.storage.spooled import SpooledStore

    store = await open_store(config)
    try:
        return await bring_back(SpooledStore(store, spool_folder(config)), verdict_id)
    finally:
        await store.aclose()
