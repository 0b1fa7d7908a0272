"""The runtime's own pipeline with nothing of ours around it, as its documentation starts it."""

from __future__ import annotations

import numpy as np
import openvino
import openvino_genai

from orderacc.models.store import ModelStore
from orderacc.vlm.genai_settings import PipelineSettings


class BareModel:
    """The demo model; as many threads, as much key-value cache and the same reuse of common prompts as the engine has.

    Args:
        threads: For inference.
    """

    def __init__(self, threads):
        settings = PipelineSettings(device="CPU", threads=threads)
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = settings.prefix_caching
        scheduler.max_num_seqs = settings.max_batch_size
        scheduler.max_num_batched_tokens = settings.max_num_batched_tokens
        scheduler.num_kv_blocks = settings.kv_blocks
        properties = {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
        folder = ModelStore().resolve("demo-vlm", kind="vlm").path
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(folder, scheduler, "CPU", properties, {}, properties)
        self._structures = {}

    def generate(self, requests):
        """One batch; the texts."""
        pictures = [[openvino.Tensor(np.ascontiguousarray(one.image)[np.newaxis])] for one in requests]
        configs = [self._config(one) for one in requests]
        results = self._pipeline.generate([one.prompt for one in requests], pictures, configs)
        return [result.texts[0] for result in results]

    def _config(self, request):
        config = openvino_genai.GenerationConfig()
        config.do_sample = False
        config.max_new_tokens = request.max_new_tokens
        if request.grammar not in self._structures:
            structure = self._structures[request.grammar] = openvino_genai.StructuredOutputConfig()
            structure.grammar = request.grammar
        config.structured_output_config = self._structures[request.grammar]
        return config
