"""The vision language model in this process, through openvino-genai."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from orderacc.errors import EngineError, ModelError
from orderacc.models.runtime import choose_device, default_threads
from orderacc.vlm.engine_thread import EngineThread
from orderacc.vlm.genai_pipeline import GenaiPipeline
from orderacc.vlm.genai_settings import (
    DEFAULT_BATCHED_TOKENS,
    DEFAULT_KV_TOKENS,
    DEFAULT_MAX_PIXELS,
    PipelineSettings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from orderacc.vlm.engine import VlmAnswer, VlmRequest


class GenaiEngine:
    """A model and the one thread that runs it; made by `load`.

    The thread calls batched `generate()`, which leaves the interpreter to the event loop; the pipeline's stepwise calls
    do not. A batch that has started cannot be stopped: `max_new_tokens` bounds it.
    """

    def __init__(self, pipeline: GenaiPipeline, thread: EngineThread, *, device: str, name: str = "") -> None:
        self.name = name or device.lower()
        self.device = device
        self._pipeline = pipeline
        self._thread = thread
        self._end: Future[None] | None = None

    @classmethod
    def load(
        cls,
        model_dir: Path,
        *,
        device: str = "AUTO",
        threads: int | None = None,
        max_batch_size: int = 16,
        max_num_seqs: int | None = None,
        kv_tokens: int = DEFAULT_KV_TOKENS,
        kv_precision: str | None = None,
        prefix_caching: bool = True,
        max_num_batched_tokens: int = DEFAULT_BATCHED_TOKENS,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        cache_dir: Path | None = None,
        warm_up: VlmRequest | None = None,
        name: str = "",
    ) -> GenaiEngine:
        """Load a model and let it write a first token. Blocks for a second to minutes: call it from a worker thread.

        Args:
            model_dir: Folder written by `optimum-cli export openvino`, or one of ours.
            device: `AUTO`, `CPU`, `GPU` or `NPU`. An NPU answers the members of a batch in turn.
            threads: CPU threads for this model; all but one of the cores when None.
            max_batch_size: Most requests in one call.
            max_num_seqs: Most requests worked on at once; `max_batch_size` when None.
            kv_tokens: Tokens the key-value cache holds; about 28 KB each for a 7B model in 8 bits. A longer request
                is refused.
            kv_precision: Number format of that cache: `u8`, `u4`, `f16`, `bf16` or `f32`; the runtime's choice when
                None.
            prefix_caching: Compute the part that prompts have in common, up to the picture, only once.
            max_num_batched_tokens: Most tokens in one step of the model.
            max_pixels: Pictures with more are refused as `bad_image`.
            cache_dir: Keep compiled networks here, so that the next start is quicker.
            warm_up: Answered once, alone and in company, so that the first real request does not wait for what is
                done only once: compiling its grammar, shapes and kernels, computing the common part of the prompts.
            name: What logs, metrics and answers call it; the device's name by default.

        Returns:
            An engine ready to answer.

        Raises:
            ModelError: `model_missing` or `model_broken`, or `device_missing` with the devices there are.
        """
        settings = PipelineSettings(
            device=choose_device(device),
            threads=default_threads() if threads is None else max(1, threads),
            max_batch_size=max_batch_size,
            max_num_seqs=max_num_seqs,
            kv_tokens=kv_tokens,
            kv_precision=kv_precision,
            prefix_caching=prefix_caching,
            max_num_batched_tokens=max_num_batched_tokens,
            max_pixels=max_pixels,
            cache_dir=cache_dir,
        )
        thread = EngineThread("orderacc-vlm")
        loading = thread.submit(partial(_load, model_dir, settings, warm_up))
        try:
            return cls(loading.result(), thread, device=settings.device, name=name)
        except BaseException:
            thread.stop()
            raise

    async def generate(self, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
        """See `VlmEngine.generate`. Batches asked for while one is running wait their turn.

        A caller that is cancelled takes its batch out of the line if it has not started; one that has started runs to
        its end and its answers are dropped.
        """
        if self._end is not None:
            raise _closed()
        if not requests:
            return []
        return await asyncio.wrap_future(self._thread.submit(partial(self._answer, tuple(requests))))

    async def aclose(self) -> None:
        """Finish the running batch, refuse those that wait, free the model and end the thread."""
        if self._end is None:
            self._end = self._thread.submit(self._pipeline.close)
            self._thread.stop()
        await asyncio.shield(asyncio.wrap_future(self._end))

    def _answer(self, requests: tuple[VlmRequest, ...]) -> list[VlmAnswer]:
        if self._end is not None:
            raise _closed()
        return self._pipeline.answer(requests)


def _load(model_dir: Path, settings: PipelineSettings, warm_up: VlmRequest | None) -> GenaiPipeline:
    pipeline = GenaiPipeline(model_dir, settings)
    if warm_up is not None:
        for members in (1, 2):
            try:
                pipeline.answer([warm_up] * members)
            except EngineError as error:
                raise ModelError(f"model {model_dir} fails on a first question: {error.message}") from error
    return pipeline


def _closed() -> EngineError:
    return EngineError("the engine is closed", code="engine_closed")
