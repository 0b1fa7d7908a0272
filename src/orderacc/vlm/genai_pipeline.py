"""openvino-genai's pipelines behind one blocking call, for one thread at a time."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from orderacc.errors import EngineError, ModelError
from orderacc.models.runtime import import_openvino, lacks_avx2
from orderacc.models.vlm_files import missing_vlm_files
from orderacc.vlm.engine import VlmAnswer
from orderacc.vlm.genai_settings import failure_code, last_line
from orderacc.vlm.pictures import PictureRules, check_picture
from orderacc.vlm.prompt import IMAGE_TAG
from orderacc.vlm.prompt_rules import check_grammar, check_prompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orderacc.vlm.engine import FinishReason, VlmRequest
    from orderacc.vlm.genai_settings import PipelineSettings

NATIVE_ERRORS = (RuntimeError, ValueError, MemoryError)
"""What native code raises."""

GRAMMARS_KEPT = 32
PROBE_SIDE = 56
PROBE_TEXT = "?"

MOST_EXCUSED = 5
"""Failures in a row that are laid to the questions for as long as the model answers a probe."""

LONGEST_TOKEN = 16
"""Bytes of text that a token stands for at most, on average over a question of words."""

MOST_COMPOSED = 3
"""Bytes that a byte of text may become when the tokenizer composes its characters; ASCII stays as it is."""


class GenaiPipeline:
    """A loaded model that answers batches; rebuilt after a failure.

    Args:
        folder: An export by optimum-intel, complete.
        settings: How to run it.

    Raises:
        ModelError: `model_missing` when the folder or files of it are absent, `model_broken` when it does not load or
            cannot write a first token.
    """

    def __init__(self, folder: Path, settings: PipelineSettings) -> None:
        if not folder.is_dir():
            raise ModelError(f"model folder {folder} does not exist", code="model_missing")
        if missing := missing_vlm_files(folder):
            raise ModelError(f"model folder {folder} lacks {', '.join(missing)}", code="model_missing")
        self._folder = folder
        self._settings = settings
        self._rules = PictureRules.read(folder / "preprocessor_config.json")
        self._openvino = import_openvino()
        self._genai = import_openvino("openvino_genai")
        self._grammars: OrderedDict[str, Any] = OrderedDict()
        self._native: Any = None
        self._frame_tokens = 0
        self._excused = 0
        self._build()

    def answer(self, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
        """Answer one batch; the interpreter is free while the model works.

        Raises:
            EngineError: See `VlmEngine.generate`.
        """
        self._check(requests)
        if self._native is None:
            self._rebuild()
        longest = [self._longest_answer(request) for request in requests]
        configs = [self._generation_config(*one) for one in zip(requests, longest, strict=True)]
        pictures = [[self._openvino.Tensor(np.ascontiguousarray(request.image)[np.newaxis])] for request in requests]
        started = time.perf_counter()
        try:
            results = self._native.generate([request.prompt for request in requests], pictures, configs)
        except NATIVE_ERRORS as error:
            message = f"the model failed on {len(requests)} requests: {last_line(error)}"
            raise EngineError(message, code=self._blame(error, len(requests))) from error
        self._excused = 0
        elapsed_ms = (time.perf_counter() - started) * 1000
        if len(results) != len(requests):
            self._native = None
            raise EngineError(f"the model gave {len(results)} answers to {len(requests)} requests")
        answers = zip(requests, results, self._lengths([result.texts[0] for result in results]), strict=True)
        return [self._read(*one, elapsed_ms) for one in answers]

    def close(self) -> None:
        """Free the model's memory."""
        self._native = None
        self._grammars.clear()

    def _check(self, requests: Sequence[VlmRequest]) -> None:
        for request in requests:
            check_picture(request.image, max_pixels=self._settings.max_pixels)
            check_prompt(request.prompt)
            if request.grammar is not None:
                check_grammar(request.grammar)
            if request.max_new_tokens < 1:
                raise EngineError(f"{request.request_id} allows no token to be written", code="bad_request")

    def _longest_answer(self, request: VlmRequest) -> int:
        """Tokens the answer may have: fewer than asked for where the question leaves fewer in the cache.

        One answer that outgrows the cache would end all answers of its batch.

        Raises:
            EngineError: `bad_request` for a question that leaves no room at all.
        """
        most = self._settings.most_tokens
        if most is None:
            return request.max_new_tokens
        height, width = request.image.shape[:2]
        room = most - 1 - self._frame_tokens - self._rules.visual_tokens(width, height)
        texts = request.prompt.split(IMAGE_TAG)
        size = sum(len(text.encode()) for text in texts)
        # No token stands for less than a byte. Composing the text to count them takes the square of its marks in a row.
        most_read = size if request.prompt.isascii() else MOST_COMPOSED * size
        if most_read + request.max_new_tokens <= room:
            return request.max_new_tokens
        if size > LONGEST_TOKEN * room or (read := sum(self._lengths(texts))) > room:
            raise EngineError(
                f"the question of {request.request_id} is longer than the {most} tokens of the cache",
                code="bad_request",
            )
        return min(request.max_new_tokens, room + 1 - read)

    def _build(self) -> None:
        try:
            self._native = self._load()
            probe = self._probe(self._plain_config(1))
        except NATIVE_ERRORS as error:
            self._native = None
            reason = last_line(error)
            if self._settings.device == "CPU" and lacks_avx2():
                reason += "; this processor lacks AVX2, which a model on the CPU needs: name a server that has it"
            raise ModelError(
                f"model {self._folder} does not run on {self._settings.device}: {reason}", code="model_broken"
            ) from error
        pictured = self._rules.visual_tokens(PROBE_SIDE, PROBE_SIDE)
        self._frame_tokens = probe.perf_metrics.get_num_input_tokens() - pictured - len(PROBE_TEXT)

    def _load(self) -> Any:  # noqa: ANN401  the pipeline has no types of its own
        settings = self._settings
        vision, language = settings.vision_properties(), settings.language_properties()
        if not settings.batches:
            return _OneByOne(self._genai.VLMPipeline(self._folder, settings.device, **vision))
        scheduler = self._genai.SchedulerConfig()
        scheduler.enable_prefix_caching = settings.prefix_caching
        scheduler.max_num_seqs = settings.max_num_seqs or settings.max_batch_size
        scheduler.max_num_batched_tokens = settings.max_num_batched_tokens
        scheduler.num_kv_blocks = settings.kv_blocks
        # Words are few: a second thread finds no work there and takes half as much time again looking for it.
        words = {"INFERENCE_NUM_THREADS": 1}
        return self._genai.ContinuousBatchingPipeline(self._folder, scheduler, settings.device, language, words, vision)

    def _rebuild(self) -> None:
        try:
            self._build()
        except ModelError as error:
            cause = error.__cause__ or error
            raise EngineError(
                f"the model could not be started again: {error.message}", code=failure_code(cause)
            ) from error

    def _probe(self, config: Any) -> Any:  # noqa: ANN401  likewise
        picture = np.zeros((1, PROBE_SIDE, PROBE_SIDE, 3), np.uint8)
        return self._native.generate([PROBE_TEXT], [[self._openvino.Tensor(picture)]], [config])[0]

    def _blame(self, error: BaseException, members: int) -> str:
        """Find out whether questions failed for what they hold: the engine is at fault if it fails on any other too.

        Returns:
            The code of the failure.
        """
        code = failure_code(error)
        self._excused += 1
        if self._excused > MOST_EXCUSED or not self._answers_probe():
            self._native, self._excused = None, 0
            return code
        # Several may have been too many, which who puts them together wants to know.
        return code if code == "out_of_memory" and members > 1 else "refused"

    def _answers_probe(self) -> bool:
        try:
            self._probe(self._plain_config(1))
        except NATIVE_ERRORS:
            return False
        return True

    def _plain_config(self, max_new_tokens: int) -> Any:  # noqa: ANN401  likewise
        config = self._genai.GenerationConfig()
        config.do_sample = False
        config.max_new_tokens = max_new_tokens
        return config

    def _generation_config(self, request: VlmRequest, longest: int) -> Any:  # noqa: ANN401  likewise
        config = self._plain_config(longest)
        if self._settings.batches:
            config.logprobs = 1
        if request.grammar is not None:
            config.structured_output_config = self._structure(request.grammar)
        return config

    def _structure(self, grammar: str) -> Any:  # noqa: ANN401  likewise
        if grammar in self._grammars:
            self._grammars.move_to_end(grammar)
            return self._grammars[grammar]
        structure = self._genai.StructuredOutputConfig()
        structure.grammar = grammar
        config = self._plain_config(1)
        config.structured_output_config = structure
        try:
            # Alone, so that a grammar which does not compile takes no other request with it.
            self._probe(config)
        except NATIVE_ERRORS as error:
            if not self._answers_probe():
                self._native = None
                raise EngineError(f"the model failed: {last_line(error)}", code=failure_code(error)) from error
            raise EngineError(f"the answer's grammar is wrong: {last_line(error)}", code="bad_grammar") from error
        self._grammars[grammar] = structure
        if len(self._grammars) > GRAMMARS_KEPT:
            self._grammars.popitem(last=False)
        return structure

    def _lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text. Batch metrics count the new tokens of all members together."""
        encoded = self._native.get_tokenizer().encode(texts, add_special_tokens=False)
        return [int(written) for written in encoded.attention_mask.data.sum(axis=1)]

    def _read(self, request: VlmRequest, result: Any, written: int, elapsed_ms: float) -> VlmAnswer:  # noqa: ANN401
        reason = _finish_reason(result.finish_reasons[0].name, request)
        text = result.texts[0]
        new_tokens = written + (reason == "stop")
        height, width = request.image.shape[:2]
        return VlmAnswer(
            request_id=request.request_id,
            text=text,
            finish_reason=reason,
            prompt_tokens=result.perf_metrics.get_num_input_tokens(),
            new_tokens=new_tokens,
            visual_tokens=self._rules.visual_tokens(width, height),
            engine_ms=elapsed_ms,
            ttft_ms=_positive(result.perf_metrics.get_ttft().mean),
            tpot_ms=_step_ms(result.perf_metrics.raw_metrics),
            token_confidence=_confidence(result.scores, new_tokens) if self._settings.batches else None,
        )


class _OneByOne:
    """The pipeline for devices without continuous batching, with the same call: members are answered in turn."""

    def __init__(self, pipeline: Any) -> None:  # noqa: ANN401  likewise
        self._pipeline = pipeline

    def generate(self, prompts: list[str], pictures: list[list[Any]], configs: list[Any]) -> list[Any]:
        return [
            self._pipeline.generate(prompt, images=images, generation_config=config)
            for prompt, images, config in zip(prompts, pictures, configs, strict=True)
        ]

    def get_tokenizer(self) -> Any:  # noqa: ANN401  likewise
        return self._pipeline.get_tokenizer()


_FINISH_REASONS: Mapping[str, FinishReason] = {"STOP": "stop", "LENGTH": "length"}


def _finish_reason(name: str, request: VlmRequest) -> FinishReason:
    if name not in _FINISH_REASONS:
        raise EngineError(f"the model stopped on {request.request_id} without finishing ({name})")
    return _FINISH_REASONS[name]


def _positive(figure: float) -> float | None:
    return float(figure) if math.isfinite(figure) and figure > 0 else None


def _step_ms(figures: Any) -> float | None:  # noqa: ANN401  the runtime's figures have no type of their own
    """Milliseconds between two tokens of one answer, which is what a step of the batch takes.

    The runtime divides each step's duration, in microseconds, among its members and tells the share once for each:
    together they are the time of all steps. A step's end is told once, the first token's included.
    """
    steps = len(figures.m_new_token_times) - 1
    return _positive(sum(figures.m_durations) / steps / 1000) if steps > 0 else None


def _confidence(scores: Sequence[float], tokens: int) -> float | None:
    """Geometric mean of the tokens' probabilities; the runtime gives the sum of their logarithms."""
    if not scores or not tokens or not math.isfinite(scores[0]):
        return None
    return math.exp(min(0.0, float(scores[0])) / tokens)
