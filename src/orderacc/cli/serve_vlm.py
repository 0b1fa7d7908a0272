"""`orderacc serve-vlm`: the vision language model for daemons on other machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.config import JudgingConfig, SecretText
    from orderacc.service.engines import VlmSetup

TOKEN_VARIABLE = "ORDERACC_SERVE_TOKEN"  # noqa: S105  the name of the place, not what is there

QUEUE_SIZE = 64

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

app = typer.Typer()


@app.command("serve-vlm")
def serve_vlm(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="A file with the sections `vlm` and `models` of a stations.yaml; what is said here goes before it.",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="An id that `orderacc models list` knows, or a folder; demo-vlm by default.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="AUTO, CPU, GPU or NPU; AUTO by default.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; all cores but one by default.", min=1)] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes one that is free.", min=0, max=65535)] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help=f"File with the bearer token clients must show; or set {TOKEN_VARIABLE}.", exists=True, dir_okay=False
        ),
    ] = None,
    max_batch_size: Annotated[
        int | None, typer.Option(help="Most pictures in one call; 16 by default.", min=1, max=256)
    ] = None,
    queue_size: Annotated[
        int | None, typer.Option(help=f"Most pictures that wait; {QUEUE_SIZE} by default.", min=1, max=10000)
    ] = None,
) -> None:
    """Serve the model over the OpenAI chat API, for `vlm: {remote: ...}` of other machines.

    SIGINT or SIGTERM lets the questions in flight finish; one that comes while the model loads is followed once it is
    loaded. The address is printed when it listens.

    Example: orderacc serve-vlm --model qwen2.5-vl-7b-int8 --device GPU --host 0.0.0.0 --token-file token
    """
    from orderacc.cli.leaving import leave_on_signals

    leave_on_signals()

    from functools import partial

    import anyio

    from orderacc.service.engines import VlmSetup
    from orderacc.telemetry import configure_logs, prefer_event_loop

    prefer_event_loop()
    configure_logs("console")
    token = _token(token_file)
    sizes = {"threads": threads, "max_batch_size": max_batch_size, "queue_size": queue_size}
    load = partial(VlmSetup.load_to_serve, _settings(config, model, device, sizes))
    anyio.run(_serve, load, host, port, token)


def _settings(file: Path | None, model: str | None, device: str | None, sizes: dict[str, int | None]) -> JudgingConfig:
    """The file's settings with those of the command line over them."""
    from orderacc.config import finding_in, load_judging
    from orderacc.errors import ConfigError

    config = load_judging(file)
    if config.vlm.remote is not None or not config.vlm.local:
        place = ("vlm", "remote" if config.vlm.local else "local")
        raise ConfigError([finding_in(file or "", place, "what is served is the model of this machine")])
    given: dict[str, object] = {name: size for name, size in sizes.items() if size is not None}
    if "queue_size" not in config.vlm.model_fields_set:
        # Those of several daemons wait here.
        given.setdefault("queue_size", QUEUE_SIZE)
    if device is not None:
        given |= {"device": device, "devices": None}
    models = config.models.model_copy(update={"vlm": model} if model is not None else {})
    return config.model_copy(update={"models": models, "vlm": config.vlm.model_copy(update=given)})


async def _serve(load: Callable[[], VlmSetup], host: str, port: int, token: SecretText | None) -> None:
    import asyncio
    import signal

    import anyio

    from orderacc.telemetry import get_logger, loaded_things_spared
    from orderacc.vlm.genai_settings import DEFAULT_MAX_PIXELS
    from orderacc.vlm.serve import ServeSettings, serve_vlm

    stop = anyio.Event()
    # From the first moment on: unheard, these signals would crash the process while the model loads.
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        setup = await asyncio.to_thread(load)
        settings = ServeSettings(model=setup.label, host=host, port=port, token=token, max_pixels=DEFAULT_MAX_PIXELS)
        try:
            with loaded_things_spared():
                async with anyio.create_task_group() as group:
                    address = await group.start(serve_vlm, setup.batcher, settings, stop)
                    print(f"{settings.model}: {address}", flush=True)
                    if settings.token is None and settings.host not in LOOPBACK:
                        get_logger(__name__).warning("no_token", meaning="whoever reaches this address may ask")
                    await anext(aiter(received))
                    stop.set()
        finally:
            with anyio.CancelScope(shield=True):
                await setup.batcher.aclose()


def _token(file: Path | None) -> SecretText | None:
    import os

    from orderacc.config import SecretText

    try:
        text = file.read_text(encoding="utf-8").strip() if file else os.environ.get(TOKEN_VARIABLE, "")
    except UnicodeDecodeError:
        raise typer.BadParameter("the file is not UTF-8 text", param_hint="--token-file") from None
    if file and not text:
        raise typer.BadParameter("the file is empty", param_hint="--token-file")
    return SecretText(text) if text else None
