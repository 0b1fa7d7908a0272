"""The demo model through openvino-genai: answers, refusals, failure and the way back, closing."""

from __future__ import annotations

import asyncio
import math
import shutil
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest

from orderacc.errors import EngineError, ModelError
from orderacc.models import runtime
from orderacc.models.store import ModelStore
from orderacc.vlm.answer import read_answer
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.engine import VlmRequest
from orderacc.vlm.genai import GenaiEngine
from orderacc.vlm.genai_pipeline import MOST_EXCUSED, PROBE_TEXT, _confidence
from orderacc.vlm.pictures import MAX_ASPECT, PictureRules, check_picture
from orderacc.vlm.prompt import answer_grammar, build_prompt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from orderacc.models.manifest import ModelInfo

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def model() -> ModelInfo:
    return ModelStore().resolve("demo-vlm", kind="vlm")


@pytest.fixture(scope="module")
async def engine(model: ModelInfo) -> AsyncIterator[GenaiEngine]:
    engine = GenaiEngine.load(model.path, device="CPU", threads=1)
    yield engine
    await engine.aclose()


def request_for(model: ModelInfo, name: str = "r", *, seed: int = 0, **changes: object) -> VlmRequest:
    assert model.vocabulary is not None
    assert model.view is not None
    names = model.vocabulary
    width, height = model.view
    fields = {
        "image": np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8),
        "prompt": build_prompt(names),
        "grammar": answer_grammar(names),
        "max_new_tokens": 80,
    }
    return VlmRequest(name, **{**fields, **changes})  # type: ignore[arg-type]


async def test_a_batch_is_answered_in_order_as_its_members_alone_would_be(
    engine: GenaiEngine, model: ModelInfo
) -> None:
    requests = [request_for(model, f"r{seed}", seed=seed) for seed in range(4)]
    answers = await engine.generate(requests)
    assert [answer.request_id for answer in answers] == ["r0", "r1", "r2", "r3"]
    alone = [(await engine.generate([request]))[0] for request in requests]
    assert [answer.text for answer in answers] == [answer.text for answer in alone]
    assert [answer.new_tokens for answer in answers] == [answer.new_tokens for answer in alone]


async def test_answers_follow_the_grammar_and_name_the_menu_only(engine: GenaiEngine, model: ModelInfo) -> None:
    assert model.vocabulary is not None
    for answer in await engine.generate([request_for(model, f"r{seed}", seed=seed) for seed in range(6)]):
        assert answer.complete
        parsed = read_answer(answer.text)
        assert parsed.understood
        assert {item.name for item in parsed.items} <= set(model.vocabulary)


async def test_token_counts_are_the_models_own(engine: GenaiEngine, model: ModelInfo) -> None:
    assert model.view is not None
    rules = PictureRules.read(model.path / "preprocessor_config.json")
    text_tokens = set()
    for width, height in (model.view, (84, 84), (28, 28), (70, 140), (300, 2), (1000, 700)):
        picture = np.zeros((height, width, 3), np.uint8)
        (answer,) = await engine.generate([request_for(model, image=picture)])
        assert answer.visual_tokens == rules.visual_tokens(width, height)
        text_tokens.add(answer.prompt_tokens - answer.visual_tokens)
        assert answer.new_tokens > 1
        assert answer.engine_ms > 0
    assert len(text_tokens) == 1


async def test_times_and_confidence_are_told(engine: GenaiEngine, model: ModelInfo) -> None:
    requests = [request_for(model, f"r{seed}", seed=seed) for seed in range(4)]
    for answer in await engine.generate(requests):
        assert answer.ttft_ms is not None
        assert answer.tpot_ms is not None
        assert answer.token_confidence is not None
        assert 0 < answer.ttft_ms < answer.engine_ms
        assert answer.tpot_ms < answer.engine_ms - answer.ttft_ms
        assert 0 < answer.token_confidence <= 1
    blank = np.full((168, 252, 3), 128, np.uint8)
    (sure,) = await engine.generate([request_for(model, image=blank, max_new_tokens=1)])
    assert sure.tpot_ms is None


async def test_the_steps_of_a_batch_take_the_time_behind_its_first_token(engine: GenaiEngine, model: ModelInfo) -> None:
    shares = []
    for _ in range(3):  # what else runs on the machine may come between the last step and the answer
        requests = [
            request_for(model, f"r{seed}", seed=seed, grammar='root ::= "a"{40}\n', max_new_tokens=24 + 2 * seed)
            for seed in range(8)
        ]
        answers = await engine.generate(requests)
        steps = max(answer.new_tokens for answer in answers) - 1
        for answer in answers:
            assert answer.tpot_ms is not None
            assert answer.ttft_ms is not None
            shares.append(answer.tpot_ms * steps / (answer.engine_ms - answer.ttft_ms))
        if max(shares) > 0.5:
            break
    assert 0.5 < max(shares) < 1.1


def test_the_longer_the_answer_the_less_a_doubt_weighs() -> None:
    assert _confidence([-1.0], 4) == pytest.approx(0.7788, abs=1e-4)
    assert _confidence([-1.0], 1) == pytest.approx(0.3679, abs=1e-4)
    assert _confidence([0.0], 9) == 1.0
    assert _confidence([math.nan], 9) is None
    assert _confidence([], 9) is None


async def test_a_cut_answer_says_so(engine: GenaiEngine, model: ModelInfo) -> None:
    (answer,) = await engine.generate([request_for(model, max_new_tokens=1)])
    assert (answer.finish_reason, answer.complete, answer.new_tokens) == ("length", False, 1)
    assert not read_answer(answer.text).understood


BAD_PICTURES = {
    "no pixels": np.zeros((0, 28, 3), np.uint8),
    "float32": np.zeros((28, 28, 3), np.float32),
    "must be": np.zeros((28, 28), np.uint8),
    r"\[H, W, 3\]": np.zeros((3, 28, 28), np.uint8),
    "too long and thin": np.zeros((1, MAX_ASPECT + 1, 3), np.uint8),
    "more than 1003520 pixels": np.zeros((1080, 1920, 3), np.uint8),
}


@pytest.mark.parametrize("message", BAD_PICTURES)
async def test_a_bad_picture_never_reaches_the_model(engine: GenaiEngine, model: ModelInfo, message: str) -> None:
    bad = request_for(model, "bad", image=BAD_PICTURES[message])
    with pytest.raises(EngineError, match=message) as caught:
        await engine.generate([request_for(model), bad])
    assert caught.value.code == "bad_image"


def test_something_that_is_no_array_is_refused() -> None:
    with pytest.raises(EngineError, match="not list"):
        check_picture([[0]], max_pixels=9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"grammar": "root ::= ("}, "bad_grammar"),
        ({"grammar": "root ::= nowhere"}, "bad_grammar"),
        ({"prompt": "<ov_genai_image_1> what?"}, "bad_request"),
        ({"prompt": "<ov_genai_image_0> and <ov_genai_image_0>?"}, "bad_request"),
        ({"prompt": "<ov_genai_video_0> what?"}, "bad_request"),
        ({"prompt": "<ov_genai_image_0>What is <|image_pad|>?"}, "bad_request"),
        ({"prompt": "half a character, \ud800"}, "bad_request"),
        ({"prompt": "word " * 20_000}, "bad_request"),
        ({"grammar": 'root ::= "\ud800"\n'}, "bad_grammar"),
        ({"max_new_tokens": 0}, "bad_request"),
    ],
)
async def test_a_bad_request_fails_alone_in_the_batcher(
    engine: GenaiEngine, model: ModelInfo, changes: dict[str, object], code: str
) -> None:
    batcher = VlmBatcher(engine)
    outcomes: dict[str, str] = {}

    async def ask(request: VlmRequest) -> None:
        try:
            outcomes[request.request_id] = (await batcher.ask(request)).finish_reason
        except EngineError as error:
            outcomes[request.request_id] = error.code

    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as askers:
            askers.start_soon(ask, request_for(model, "a"))
            askers.start_soon(ask, request_for(model, "bad", **changes))
            askers.start_soon(ask, request_for(model, "c"))
            await anyio.wait_all_tasks_blocked()
            await group.start(lambda *, task_status: batcher.run(task_status=task_status))
        group.cancel_scope.cancel()
    assert outcomes == {"a": "stop", "bad": code, "c": "stop"}


async def test_a_question_is_refused_from_the_length_on_at_which_it_would_fail(model: ModelInfo) -> None:
    engine = GenaiEngine.load(model.path, device="CPU", threads=1, kv_tokens=256)

    async def prompt_tokens(text: str) -> int:
        (answer,) = await engine.generate([request_for(model, prompt=text, grammar=None, max_new_tokens=2)])
        return answer.prompt_tokens

    try:
        for text in ("a", "한"):  # the second is several tokens, one for each byte
            one = await prompt_tokens(text)
            each = await prompt_tokens(text * 2) - one
            longest = 1 + (255 - one) // each
            assert await prompt_tokens(text * longest) > 255 - each
            with pytest.raises(EngineError, match="longer than the 256 tokens") as caught:
                await prompt_tokens(text * (longest + 1))
            assert caught.value.code == "bad_request"
    finally:
        await engine.aclose()


async def test_a_question_of_marks_piled_up_is_refused_in_no_time(engine: GenaiEngine, model: ModelInfo) -> None:
    piled = request_for(model, prompt="a" + "\u0301\u0327" * 40_000)
    started = time.process_time()
    with pytest.raises(EngineError, match="longer than the 16384 tokens"):
        await engine.generate([piled])
    assert time.process_time() - started < 0.5


async def test_a_question_in_characters_that_grow_when_composed_is_measured_composed(model: ModelInfo) -> None:
    engine = GenaiEngine.load(model.path, device="CPU", threads=1, kv_tokens=256)
    try:
        with pytest.raises(EngineError, match="longer than the 256 tokens"):
            await engine.generate([request_for(model, prompt="\U0001d160" * 50, grammar=None, max_new_tokens=2)])
    finally:
        await engine.aclose()


async def test_an_answer_ends_where_the_cache_does_and_those_beside_it_are_whole(model: ModelInfo) -> None:
    engine = GenaiEngine.load(model.path, device="CPU", threads=1, kv_tokens=128)
    endless = request_for(model, prompt="Write", grammar='root ::= "a"{200}\n', max_new_tokens=200)
    short = replace(endless, request_id="short", prompt="What?", max_new_tokens=5)
    try:
        (alone,) = await engine.generate([endless])
        beside = await engine.generate([short, endless, replace(endless, prompt="a" * 40)])
    finally:
        await engine.aclose()
    assert alone.prompt_tokens + alone.new_tokens == 128
    assert [one.prompt_tokens + one.new_tokens for one in beside[1:]] == [128, 128]
    assert (beside[0].text, beside[1].text) == ("a" * 5, alone.text)
    assert {one.finish_reason for one in (alone, *beside)} == {"length"}


class Probed:
    """A pipeline that answers probes and nothing else."""

    def __init__(self, native: Any) -> None:
        self.native = native

    def generate(self, prompts: list[str], *others: Any) -> Any:
        if prompts != [PROBE_TEXT]:
            raise RuntimeError("out of memory")
        return self.native.generate(prompts, *others)


async def test_a_question_the_model_fails_on_is_refused_and_the_model_stays(
    engine: GenaiEngine, model: ModelInfo
) -> None:
    await engine.generate([request_for(model)])
    loaded = engine._pipeline._native
    engine._pipeline._native = failing = Probed(loaded)
    with pytest.raises(EngineError, match="failed on 1 requests") as caught:
        await engine.generate([request_for(model)])
    assert caught.value.code == "refused"
    assert engine._pipeline._native is failing
    engine._pipeline._native = loaded
    assert (await engine.generate([request_for(model)]))[0].complete


async def test_a_model_that_fails_on_everything_but_probes_is_loaded_anew(
    engine: GenaiEngine, model: ModelInfo
) -> None:
    await engine.generate([request_for(model)])
    engine._pipeline._native = Probed(engine._pipeline._native)
    codes = []
    for _ in range(MOST_EXCUSED + 1):
        with pytest.raises(EngineError) as caught:
            await engine.generate([request_for(model)])
        codes.append(caught.value.code)
    assert codes == ["refused"] * MOST_EXCUSED + ["out_of_memory"]
    assert (await engine.generate([request_for(model)]))[0].complete


async def test_a_batch_that_is_too_much_for_the_memory_is_told_so(engine: GenaiEngine, model: ModelInfo) -> None:
    await engine.generate([request_for(model)])
    loaded = engine._pipeline._native
    engine._pipeline._native = Probed(loaded)
    with pytest.raises(EngineError) as caught:
        await engine.generate([request_for(model, "a"), request_for(model, "b")])
    assert caught.value.code == "out_of_memory"
    engine._pipeline._native = loaded
    assert len(await engine.generate([request_for(model)])) == 1


class Native:
    """A pipeline in which nothing works, as the runtime tells it."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def generate(self, *_: object) -> list[object]:
        raise self.error


NATIVE_FAILURES = [
    (MemoryError("std::bad_alloc"), "out_of_memory"),
    (RuntimeError("Exception from src/core.cpp:1:\n[GPU] CL_OUT_OF_RESOURCES"), "out_of_memory"),
    (RuntimeError("[CL_EXT] clEnqueueNDRangeKernel failed, error code: -5 CL_OUT_OF_RESOURCES"), "out_of_memory"),
    (RuntimeError("[GPU] Exceeded max size of memory object allocation"), "out_of_memory"),
    (RuntimeError("Check failed at x.cpp:9:\n[GPU] Context was not initialized for 0 device"), "device_lost"),
    (RuntimeError("ZE_RESULT_ERROR_DEVICE_LOST, code 0x70000001"), "device_lost"),
    (RuntimeError("CL_DEVICE_NOT_AVAILABLE"), "device_lost"),
    (RuntimeError("Exception from src/x.cpp:7:\nsomething else"), "engine_failed"),
    (ValueError("shapes differ"), "engine_failed"),
]


@pytest.mark.parametrize("grammar", ["known", "new"])
@pytest.mark.parametrize(("native", "code"), NATIVE_FAILURES)
async def test_what_the_runtime_reports_has_a_code_and_is_not_the_end(
    engine: GenaiEngine, model: ModelInfo, native: Exception, code: str, grammar: str
) -> None:
    await engine.generate([request_for(model)])
    changes = {} if grammar == "known" else {"grammar": f'root ::= "{code} {id(native)}"\n'}
    engine._pipeline._native = Native(native)
    with pytest.raises(EngineError, match="the model failed") as caught:
        await engine.generate([request_for(model, **changes)])
    assert caught.value.code == code
    assert ".cpp" not in caught.value.message
    (answer,) = await engine.generate([request_for(model)])
    assert answer.complete


async def test_a_device_that_stays_away_is_named_each_time(
    engine: GenaiEngine, model: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_pipeline: object) -> None:
        raise RuntimeError("[GPU] Context was not initialized for 0 device")

    engine._pipeline._native = None
    with monkeypatch.context() as patch:
        patch.setattr("orderacc.vlm.genai_pipeline.GenaiPipeline._load", away)
        for _ in range(2):
            with pytest.raises(EngineError, match="could not be started again") as caught:
                await engine.generate([request_for(model)])
            assert caught.value.code == "device_lost"
    assert len(await engine.generate([request_for(model)])) == 1


async def test_every_setting_of_the_cache_answers_alike(engine: GenaiEngine, model: ModelInfo) -> None:
    request = request_for(model, seed=5)  # the model is sure of it
    (expected,) = await engine.generate([request])
    for settings in ({"kv_precision": "f16"}, {"prefix_caching": False, "max_num_seqs": 1}):
        other = GenaiEngine.load(model.path, device="CPU", threads=1, **settings)  # type: ignore[arg-type]
        try:
            answers = await other.generate([request, request])
        finally:
            await other.aclose()
        assert [read_answer(answer.text).items for answer in answers] == [read_answer(expected.text).items] * 2


async def test_a_warm_engine_does_not_let_the_first_order_wait(model: ModelInfo) -> None:
    request = request_for(model)
    engine = GenaiEngine.load(model.path, device="CPU", threads=1, warm_up=replace(request, request_id="warm-up"))
    try:
        (first,) = await engine.generate([request])
        (second,) = await engine.generate([replace(request, request_id="second")])
        assert (first.text, first.prompt_tokens) == (second.text, second.prompt_tokens)
    finally:
        await engine.aclose()


def test_a_model_that_cannot_answer_a_first_question_is_broken(model: ModelInfo) -> None:
    with pytest.raises(ModelError, match="first question") as caught:
        GenaiEngine.load(model.path, device="CPU", threads=1, warm_up=request_for(model, grammar="root ::= ("))
    assert caught.value.code == "model_broken"


def test_a_cache_format_the_device_cannot_have_is_a_clear_error(model: ModelInfo) -> None:
    with pytest.raises(ModelError, match="does not run on CPU") as caught:
        GenaiEngine.load(model.path, device="CPU", threads=1, kv_precision="i3")
    assert caught.value.code == "model_broken"


@pytest.mark.parametrize(
    ("processor", "told"),
    [
        ("model name\t: an old one\nflags\t\t: fpu sse4_1 sse4_2\n", True),
        ("flags\t\t: fpu sse4_2 avx avx2 fma\n", False),
        ("Features\t: fp asimd\n", False),
        (None, False),
    ],
)
def test_a_model_that_fails_on_a_processor_without_avx2_tells_of_that(
    model: ModelInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, processor: str | None, told: bool
) -> None:
    # Another failure than the one such a processor gives: whatever keeps the model from starting may come of it.
    processors = tmp_path / "cpuinfo"
    if processor is not None:
        processors.write_text(processor)
    monkeypatch.setattr(runtime, "PROCESSORS", processors)
    with pytest.raises(ModelError, match="does not run on CPU") as caught:
        GenaiEngine.load(model.path, device="CPU", threads=1, kv_precision="i3")
    assert ("lacks AVX2" in caught.value.message) is told


async def test_closing_finishes_the_running_batch_refuses_the_rest_and_ends_the_thread(model: ModelInfo) -> None:
    before = set(threading.enumerate())
    engine = GenaiEngine.load(model.path, device="CPU", threads=1)
    (thread,) = {thread for thread in threading.enumerate() if thread.name.startswith("orderacc-vlm")} - before
    running = asyncio.ensure_future(engine.generate([request_for(model, f"r{seed}", seed=seed) for seed in range(8)]))
    await anyio.wait_all_tasks_blocked()
    waiting = asyncio.ensure_future(engine.generate([request_for(model, "late")]))
    await anyio.wait_all_tasks_blocked()
    await engine.aclose()
    await engine.aclose()
    outcomes = await asyncio.gather(running, waiting, return_exceptions=True)
    assert isinstance(outcomes[1], EngineError)
    assert outcomes[1].code == "engine_closed"
    assert isinstance(outcomes[0], list) or outcomes[0].code == "engine_closed"  # type: ignore[union-attr]
    with pytest.raises(EngineError, match="closed"):
        await engine.generate([request_for(model)])
    thread.join(10)
    assert not thread.is_alive()


async def test_a_caller_that_goes_away_leaves_the_engine_usable(engine: GenaiEngine, model: ModelInfo) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(engine.generate, [request_for(model, "gone")])
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert len(await engine.generate([request_for(model)])) == 1
    assert await engine.generate([]) == []


async def test_the_event_loop_stays_responsive_while_the_model_works(engine: GenaiEngine, model: ModelInfo) -> None:
    requests = [request_for(model, f"r{seed}", seed=seed) for seed in range(16)]
    running = asyncio.ensure_future(engine.generate(requests))
    longest, turns = 0.0, 0
    clock = asyncio.get_running_loop().time
    started = last = clock()
    while not running.done():
        await asyncio.sleep(0)
        now = clock()
        longest, last, turns = max(longest, now - last), now, turns + 1
    assert len(await running) == 16
    # A share of the batch and no absolute time, because other processes may share the machine: holding the interpreter
    # would make the longest pause as long as the batch.
    assert turns > 50
    assert longest < (last - started) / 2


def _copy(model: ModelInfo, folder: Path) -> Path:
    return shutil.copytree(model.path, folder)


@pytest.mark.parametrize("name", ["preprocessor_config.json", "openvino_tokenizer.xml", "openvino_language_model.bin"])
def test_a_missing_file_is_named(model: ModelInfo, tmp_path: Path, name: str) -> None:
    folder = _copy(model, tmp_path / "m")
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name.replace(".", r"\.")) as caught:
        GenaiEngine.load(folder, device="CPU", threads=1)
    assert caught.value.code == "model_missing"


@pytest.mark.parametrize(
    ("name", "keep"),
    [
        ("openvino_language_model.bin", 0.5),
        ("openvino_language_model.xml", 0.5),
        ("openvino_vision_embeddings_merger_model.bin", 0.5),
        ("preprocessor_config.json", 0.5),
        ("config.json", 0.5),
    ],
)
def test_a_damaged_file_is_a_clear_error(model: ModelInfo, tmp_path: Path, name: str, keep: float) -> None:
    folder = _copy(model, tmp_path / "m")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ModelError) as caught:
        GenaiEngine.load(folder, device="CPU", threads=1)
    assert caught.value.code == "model_broken"


def test_no_folder_and_no_device_are_clear_errors(model: ModelInfo, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist") as caught:
        GenaiEngine.load(tmp_path / "nowhere", device="CPU")
    assert caught.value.code == "model_missing"
    with pytest.raises(ModelError, match=r"there is .*CPU") as caught:
        GenaiEngine.load(model.path, device="TPU")
    assert caught.value.code == "device_missing"


async def test_compiled_networks_can_be_kept(model: ModelInfo, tmp_path: Path) -> None:
    engine = GenaiEngine.load(model.path, device="AUTO", threads=1, cache_dir=tmp_path / "cache")
    (answer,) = await engine.generate([request_for(model)])
    await engine.aclose()
    assert answer.complete
    assert any((tmp_path / "cache").iterdir())


async def test_devices_without_continuous_batching_answer_in_turn(
    monkeypatch: pytest.MonkeyPatch, engine: GenaiEngine, model: ModelInfo
) -> None:
    monkeypatch.setattr("orderacc.vlm.genai_settings.PipelineSettings.batches", property(lambda _settings: False))
    in_turn = GenaiEngine.load(model.path, device="CPU", threads=1)
    requests = [request_for(model, f"r{seed}", seed=seed) for seed in range(3)]
    try:
        answers = await in_turn.generate(requests)
    finally:
        await in_turn.aclose()
    expected = await engine.generate(requests)
    assert [(a.text, a.prompt_tokens, a.new_tokens) for a in answers] == [
        (a.text, a.prompt_tokens, a.new_tokens) for a in expected
    ]
    assert all(answer.tpot_ms for answer in answers)
