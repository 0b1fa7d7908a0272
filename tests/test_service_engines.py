"""Engines as the configuration names them: real ones on several devices, a remote one behind; lost ones loaded anew."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest
from pydantic import ValidationError

from chat_servers import good, saying, staged
from orderacc.config import JudgingConfig, RemoteVlmConfig, SecretText, VlmConfig
from orderacc.domain.menus import Menu
from orderacc.errors import ModelError
from orderacc.service.engines import VlmSetup
from orderacc.simulator.menu import DEMO_ITEMS, NAMES
from orderacc.vlm.answer import read_answer
from orderacc.vlm.engine import VlmRequest
from orderacc.vlm.genai import GenaiEngine
from orderacc.vlm.prompt import answer_grammar, build_prompt

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import web

pytestmark = pytest.mark.anyio

MENU = Menu(DEMO_ITEMS)
REMOTE = RemoteVlmConfig(urls=(SecretText("http://127.0.0.1:9/v1"),), model="far@2", view=(280, 196))


def judging(**vlm: object) -> JudgingConfig:
    return JudgingConfig(vlm=VlmConfig(device="CPU", threads=1, **vlm))  # type: ignore[arg-type]


def question(name: str) -> VlmRequest:
    picture = np.random.default_rng(0).integers(0, 255, (168, 252, 3), np.uint8)
    return VlmRequest(name, picture, build_prompt(NAMES), answer_grammar(NAMES), 80)


async def test_one_engine_per_device_each_with_a_name_of_its_own() -> None:
    setup = VlmSetup.load(judging(devices=("CPU", "CPU"), max_batch_size=2, warm_up=False), MENU)
    assert setup.label.startswith("demo-vlm@")
    assert setup.view == (126, 84)
    answers = []
    try:
        with anyio.fail_after(120):
            async with anyio.create_task_group() as server:
                await server.start(lambda *, task_status: setup.batcher.run(task_status=task_status))

                async def ask(name: str) -> None:
                    answers.append(await setup.batcher.ask(question(name)))

                async with anyio.create_task_group() as askers:
                    for number in range(8):
                        askers.start_soon(ask, f"r{number}")
                server.cancel_scope.cancel()
    finally:
        await setup.batcher.aclose()
    assert {answer.engine for answer in answers} == {"cpu-1", "cpu-2"}
    assert len({read_answer(answer.text).items for answer in answers}) == 1


@pytest.mark.parametrize(
    ("settings", "threads"),
    [
        ({"devices": ("CPU", "CPU")}, [2, 2]),
        ({"devices": ("CPU", "CPU", "CPU")}, [1, 1, 1]),
        ({"devices": ("CPU", "CPU"), "threads": 4}, [4, 4]),
        ({"device": "CPU"}, [5]),
    ],
)
async def test_engines_on_the_cpu_share_its_cores(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], threads: list[int]
) -> None:
    given: list[int] = []
    load = GenaiEngine.load

    def loaded(folder: Path, *, threads: int, **others: Any) -> GenaiEngine:
        given.append(threads)
        return load(folder, threads=threads, **others)

    monkeypatch.setattr(GenaiEngine, "load", loaded)
    config = JudgingConfig(vlm=VlmConfig(warm_up=False, **settings))
    setup = VlmSetup.load(config, MENU, threads=5)
    await setup.batcher.aclose()
    assert given == threads


async def test_a_local_engine_that_is_lost_is_loaded_anew() -> None:
    setup = VlmSetup.load(judging(kv_precision="u8", kv_tokens=4096, cache_dir=None), MENU)
    try:
        with anyio.fail_after(120):
            async with anyio.create_task_group() as server:
                await server.start(lambda *, task_status: setup.batcher.run(task_status=task_status))
                before = await setup.batcher.ask(question("before"))
                await setup.engine.aclose()
                after = await setup.batcher.ask(question("after"))
                server.cancel_scope.cancel()
    finally:
        await setup.batcher.aclose()
    assert before.text == after.text
    (engine,) = setup.batcher.statistics().engines
    assert (engine.name, engine.role, engine.state, engine.replaced) == ("cpu", "local", "gone", 1)


async def test_a_model_to_be_served_has_answered_a_first_question_about_what_it_can_say() -> None:
    setup = VlmSetup.load_to_serve(judging(kv_tokens=512, hang_after_sec=7.0))
    try:
        assert isinstance(setup.engine, GenaiEngine)
        assert list(setup.engine._pipeline._grammars) == [answer_grammar(NAMES)]
        assert (setup.label.partition("@")[0], setup.view) == ("demo-vlm", (126, 84))
    finally:
        await setup.batcher.aclose()


async def roles(**vlm: object) -> list[tuple[str, str]]:
    setup = VlmSetup.load(judging(warm_up=False, **vlm), MENU)
    await setup.batcher.aclose()
    return [(engine.name, engine.role) for engine in setup.batcher.statistics().engines]


async def test_the_remote_engine_helps_takes_over_or_is_the_only_one() -> None:
    assert await roles(remote=REMOTE) == [("cpu", "local"), ("remote", "fail_over")]
    assert await roles(remote=REMOTE, spill_over_after=4) == [("cpu", "local"), ("remote", "spill_over")]
    assert await roles(remote=REMOTE, local=False) == [("remote", "local")]


async def test_what_finds_no_room_on_the_helping_server_is_answered_here() -> None:
    async with staged(saying(429)) as server:
        far = REMOTE.model_copy(update={"urls": (SecretText(server.url),), "retries": 0})
        setup = VlmSetup.load(judging(remote=far, spill_over_after=0, warm_up=False, max_batch_size=1), MENU)
        engines: list[str] = []
        try:
            with anyio.fail_after(60):
                async with anyio.create_task_group() as group:
                    await group.start(lambda *, task_status: setup.batcher.run(task_status=task_status))

                    async def ask(name: str) -> None:
                        asked = replace(question(name), deadline=time.monotonic() + 600)
                        engines.append((await setup.batcher.ask(asked)).engine)

                    async with anyio.create_task_group() as askers:
                        for number in range(3):
                            askers.start_soon(ask, f"r{number}")
                    group.cancel_scope.cancel()
        finally:
            await setup.batcher.aclose()
    assert (engines, len(server.questions) > 0) == (["cpu"] * 3, True)


async def test_a_server_that_takes_few_questions_at_a_time_answers_all_of_them_in_time() -> None:
    async def small(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if server.held > 2:
            return await saying(429)(request, body)
        await asyncio.sleep(0.02)
        return await good(request, body)

    async with staged(small) as server:
        far = REMOTE.model_copy(update={"urls": (SecretText(server.url),)})
        setup = VlmSetup.load(judging(remote=far, local=False), MENU)
        try:
            with anyio.fail_after(120):
                async with anyio.create_task_group() as group:
                    await group.start(lambda *, task_status: setup.batcher.run(task_status=task_status))
                    async with anyio.create_task_group() as askers:
                        for number in range(16):
                            asked = replace(question(f"r{number}"), deadline=time.monotonic() + 110)
                            askers.start_soon(setup.batcher.ask, asked)
                    group.cancel_scope.cancel()
        finally:
            await setup.batcher.aclose()
    (engine,) = setup.batcher.statistics().engines
    assert (engine.answered, engine.trips, len(server.questions) > 16) == (16, 0, True)


async def test_a_remote_model_alone_says_who_it_is_and_what_it_wants_to_see() -> None:
    setup = VlmSetup.load(judging(remote=REMOTE, local=False), MENU)
    await setup.batcher.aclose()
    assert (setup.label, setup.view, setup.engine.device) == ("far@2", (280, 196), "remote")


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError) as caught:
        VlmSetup.load(judging(devices=("GPU.7",)), MENU)
    assert caught.value.code == "device_missing"


@pytest.mark.parametrize(
    "wrong",
    [
        {"devices": ()},
        {"devices": ("TPU",)},
        {"kv_precision": "i3"},
        {"kv_tokens": 1},
        {"batch_window_ms": -1.0},
        {"visual_token_budget": 0},
        {"hang_after_sec": 0.0},
        {"deadline_sec": 0.0},
        {"circuit_breaker_threshold": 0},
        {"max_num_seqs": 0},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        VlmConfig(**wrong)  # type: ignore[arg-type]


def test_compiled_models_are_kept_where_the_configuration_says(tmp_path: Path) -> None:
    anyio.run(VlmSetup.load(judging(cache_dir=str(tmp_path / "cache")), MENU).batcher.aclose)
    assert any((tmp_path / "cache").iterdir())
