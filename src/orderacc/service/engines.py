"""The engines of one process and the batcher in front of them, out of the configuration."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from orderacc.models.manifest import DEFAULT_VLM_VIEW
from orderacc.models.runtime import default_threads
from orderacc.models.store import ModelStore, check_menu
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.engine import VlmRequest
from orderacc.vlm.genai import GenaiEngine
from orderacc.vlm.prompt import answer_grammar, answer_schema, build_prompt
from orderacc.vlm.seat import EnginePolicy, EngineSeat, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from orderacc.config import JudgingConfig, RemoteVlmConfig, VlmConfig
    from orderacc.domain.menus import Menu
    from orderacc.vlm.openai import OpenAiEngine

WARM_UP_TOKENS = 16
"""Enough that the grammar and every network have been at work."""

SOME_MENU = ("Burger", "Fries", "Cola")
"""For a first question to a model that knows words in general, from somebody who knows no menu."""


@dataclass(frozen=True, slots=True)
class VlmSetup:
    """The model as everybody else needs to know it.

    Attributes:
        engine: The one that is asked first; `batcher` may replace it.
        batcher: The way to all of them.
        label: Names the model in verdicts.
        view: Width and height of the picture it wants, or None when it has no wish.
    """

    engine: GenaiEngine | OpenAiEngine
    batcher: VlmBatcher
    label: str
    view: tuple[int, int] | None

    @classmethod
    def load(
        cls, config: JudgingConfig, menu: Menu, store: ModelStore | None = None, *, threads: int | None = None
    ) -> VlmSetup:
        """Load whatever the configuration names. Takes seconds to minutes: call it from a worker thread.

        Args:
            config: Names it.
            menu: What the model is asked about.
            store: Where models are.
            threads: CPU threads for all engines together when the configuration does not say; all but one of the cores
                when None.

        Raises:
            ModelError: If a model or device is missing or broken, or does not know the menu.
        """
        vlm = config.vlm
        seats: list[EngineSeat] = []
        label, view = "", None
        if vlm.local:
            info = (store or ModelStore()).resolve(config.models.vlm, kind="vlm")
            check_menu(info, menu.visible_names)
            label, view = info.label, info.view
            first = _first_question(menu.visible_names, view or DEFAULT_VLM_VIEW)
            seats += _local_seats(vlm, info.path, first, threads)
        if vlm.remote is not None:
            label, view = label or vlm.remote.model, view or vlm.remote.view
            seats.append(_remote_seat(vlm, vlm.remote, menu))
        return cls(seats[0].engine, make_batcher(vlm, seats), label, view)  # type: ignore[arg-type]  # as made above

    @classmethod
    def load_to_serve(cls, config: JudgingConfig, store: ModelStore | None = None) -> VlmSetup:
        """Load the local model for others, who bring menus of their own. Takes as long.

        Args:
            config: Names it.
            store: Where models are.

        Raises:
            ModelError: If the model or device is missing or broken.
        """
        info = (store or ModelStore()).resolve(config.models.vlm, kind="vlm")
        first = _first_question(info.vocabulary or SOME_MENU, info.view or DEFAULT_VLM_VIEW)
        seats = _local_seats(config.vlm, info.path, first)
        return cls(seats[0].engine, make_batcher(config.vlm, seats), info.label, info.view)  # type: ignore[arg-type]


def make_batcher(config: VlmConfig, seats: list[EngineSeat]) -> VlmBatcher:
    """A batcher in front of these engines."""
    return VlmBatcher(
        seats,
        max_batch_size=config.max_batch_size,
        queue_size=config.queue_size,
        batch_window_ms=config.batch_window_ms,
        visual_token_budget=config.visual_token_budget,
        spill_over_after=config.spill_over_after,
        policy=EnginePolicy(
            hang_after_sec=config.hang_after_sec,
            breaker_threshold=config.circuit_breaker_threshold,
            breaker_window_sec=config.circuit_breaker_window_sec,
            breaker_cooldown_sec=config.circuit_breaker_cooldown_sec,
        ),
    )


def _local_seats(config: VlmConfig, folder: Path, first: VlmRequest, threads: int | None = None) -> list[EngineSeat]:
    loaders = list(_loaders(config, folder, first, threads or default_threads()))
    return [EngineSeat(load(), make_engine=partial(asyncio.to_thread, load)) for load in loaders]


def _loaders(config: VlmConfig, folder: Path, first: VlmRequest, threads: int) -> Iterator[Callable[[], GenaiEngine]]:
    """What loads each of the local engines, any number of times; those on the CPU share the threads."""
    devices = config.devices or (config.device,)
    share = max(1, threads // max(1, devices.count("CPU")))
    for number, device in enumerate(devices):
        earlier = devices[:number].count(device)
        yield partial(
            GenaiEngine.load,
            folder,
            device=device,
            threads=config.threads or share,
            max_batch_size=config.max_batch_size,
            max_num_seqs=config.max_num_seqs,
            kv_tokens=config.kv_tokens,
            kv_precision=config.kv_precision,
            prefix_caching=config.prefix_caching,
            max_num_batched_tokens=config.max_num_batched_tokens,
            cache_dir=config.cache_dir,
            warm_up=first if config.warm_up else None,
            name=f"{device.lower()}-{earlier + 1}" if devices.count(device) > 1 else "",
        )


def _first_question(names: Sequence[str], view: tuple[int, int]) -> VlmRequest:
    """A question like those to come, about nothing."""
    grey = np.full((view[1], view[0], 3), 128, np.uint8)
    return VlmRequest("warm-up", grey, build_prompt(names), answer_grammar(names), WARM_UP_TOKENS)


def _remote_seat(config: VlmConfig, remote: RemoteVlmConfig, menu: Menu) -> EngineSeat:
    from orderacc.vlm.openai import OpenAiEngine, RemoteSettings

    settings = RemoteSettings(**{one.name: getattr(remote, one.name) for one in fields(RemoteSettings)})

    help_role = Role.FAIL_OVER if config.spill_over_after is None else Role.SPILL_OVER
    role = help_role if config.local else Role.LOCAL

    # What spilled over and finds no room there comes back to the engines here instead of waiting.
    patient = role is not Role.SPILL_OVER
    new_engine = partial(OpenAiEngine, settings, schema=answer_schema(menu.visible_names), patient=patient)

    async def make_engine() -> OpenAiEngine:
        return new_engine()

    # Every question by itself: the server batches, and a slow answer holds up no other.
    return EngineSeat(
        new_engine(),
        role=role,
        make_engine=make_engine,
        max_batch_size=1,
        parallel=remote.max_in_flight,
        watched=False,
    )
