"""`orderacc serve-vlm`: the vision language model for daemons on other machines."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orderacc.config import SecretText
    from orderacc.vlm.batcher import VlmBatcher
    from orderacc.vlm.serve import ServeSettings

TOKEN_VARIABLE = "ORDERACC_SERVE_TOKEN"  # noqa: S105  the name of the place, not what is there

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

app = typer.Typer()


@app.command("serve-vlm")
def serve_vlm(
    model: Annotated[str, typer.Option(help="An id that `orderacc models list` knows, or a folder.")] = "demo-vlm",
    device: Annotated[str, typer.Option(help="AUTO, CPU, GPU or NPU.")] = "AUTO",
    threads: Annotated[int | None, typer.Option(help="CPU threads; all cores but one by default.", min=1)] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes one that is free.", min=0, max=65535)] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help=f"File with the bearer token clients must show; or set {TOKEN_VARIABLE}.", exists=True, dir_okay=False
        ),
    ] = None,
    max_batch_size: Annotated[int, typer.Option(help="Most pictures in one call.", min=1, max=256)] = 16,
    queue_size: Annotated[int, typer.Option(help="Most pictures that wait.", min=1, max=10000)] = 64,
) -> None:
    """Serve the model over the OpenAI chat API, for `vlm: {remote: ...}` of other machines.

    SIGINT or SIGTERM lets the questions in flight finish. The address is printed when it listens.

    Example: orderacc serve-vlm --model qwen2.5-vl-7b-int8 --device GPU --host 0.0.0.0 --token-file token
    """
    from anyio import run, to_thread

    from orderacc.models.store import ModelStore
    from orderacc.telemetry import configure_logs, loaded_things_spared, prefer_event_loop
    from orderacc.vlm.batcher import VlmBatcher
    from orderacc.vlm.genai import GenaiEngine
    from orderacc.vlm.genai_settings import DEFAULT_MAX_PIXELS
    from orderacc.vlm.seat import EngineSeat
    from orderacc.vlm.serve import ServeSettings

    prefer_event_loop()
    configure_logs("console")
    token = _token(token_file)
    info = ModelStore().resolve(model, kind="vlm")
    load = partial(GenaiEngine.load, info.path, device=device, threads=threads, max_batch_size=max_batch_size)
    seat = EngineSeat(load(), make_engine=partial(to_thread.run_sync, load))
    batcher = VlmBatcher((seat,), max_batch_size=max_batch_size, queue_size=queue_size)
    settings = ServeSettings(model=info.label, host=host, port=port, token=token, max_pixels=DEFAULT_MAX_PIXELS)
    with loaded_things_spared():
        run(_serve, batcher, settings)


async def _serve(batcher: VlmBatcher, settings: ServeSettings) -> None:
    import signal

    import anyio

    from orderacc.telemetry import get_logger
    from orderacc.vlm.serve import serve_vlm

    stop = anyio.Event()
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            async with anyio.create_task_group() as group:
                address = await group.start(serve_vlm, batcher, settings, stop)
                print(f"{settings.model}: {address}", flush=True)
                if settings.token is None and settings.host not in LOOPBACK:
                    get_logger(__name__).warning("no_token", meaning="whoever reaches this address may ask")
                await anext(aiter(received))
                stop.set()
    finally:
        with anyio.CancelScope(shield=True):
            await batcher.aclose()


def _token(file: Path | None) -> SecretText | None:
    import os

    from orderacc.config import SecretText

    text = file.read_text(encoding="utf-8").strip() if file else os.environ.get(TOKEN_VARIABLE, "")
    if file and not text:
        raise typer.BadParameter("the file is empty", param_hint="--token-file")
    return SecretText(text) if text else None
