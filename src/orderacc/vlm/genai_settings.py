"""How an in-process model is run, and what its runtime's errors mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_MAX_PIXELS: Final = 1280 * 28 * 28
DEFAULT_KV_TOKENS: Final = 16_384
DEFAULT_BATCHED_TOKENS: Final = 2_048

KV_BLOCK_TOKENS: Final = {"CPU": 32, "GPU": 16}
"""Tokens in one block of the key-value cache, by kind of device."""

_NATIVE_PLACE = re.compile(r"^.*\.(?:cc|cpp|hpp):\d+:\s*")
_OUT_OF_MEMORY = re.compile(
    r"out of memory|bad[_ ]alloc|(?:cannot|can't|failed to) allocate|out_of_(?:host_|device_)?(?:memory|resources)"
    r"|mem_object_allocation_failure|exceed(?:s|ed) max size of memory",
    re.IGNORECASE,
)
_DEVICE_LOST = re.compile(
    r"device[ _](?:was )?(?:lost|removed|hung|not[ _]available)|context was not initialized|invalid_command_queue"
    r"|failed to find (?:a )?device|no available devices?|device with .* name is not registered",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """How a model is run.

    Attributes:
        device: OpenVINO device, already chosen.
        threads: CPU threads for inference; other devices ignore it.
        max_batch_size: Most requests in one call.
        max_num_seqs: Most requests worked on at once; further ones of a call wait inside; None for all of them.
        max_num_batched_tokens: Most tokens in one step.
        kv_tokens: Size of the key-value cache in tokens; prompts of earlier requests stay in it for reuse.
        kv_precision: Number format of that cache, e.g. `u8`; None for the runtime's choice.
        prefix_caching: Whether prompts that begin alike are computed once.
        max_pixels: Larger pictures are refused.
        cache_dir: Where compiled networks are kept between starts, or None.
    """

    device: str
    threads: int
    max_batch_size: int = 16
    max_num_seqs: int | None = None
    max_num_batched_tokens: int = DEFAULT_BATCHED_TOKENS
    kv_tokens: int = DEFAULT_KV_TOKENS
    kv_precision: str | None = None
    prefix_caching: bool = True
    max_pixels: int = DEFAULT_MAX_PIXELS
    cache_dir: Path | None = None

    @property
    def device_kind(self) -> str:
        """`CPU`, `GPU` or `NPU`."""
        return self.device.split(".")[0]

    @property
    def batches(self) -> bool:
        """Whether the device can work on several requests at once."""
        return self.device_kind in KV_BLOCK_TOKENS

    @property
    def kv_blocks(self) -> int:
        """Blocks the key-value cache has."""
        return -(-self.kv_tokens // KV_BLOCK_TOKENS[self.device_kind])

    @property
    def most_tokens(self) -> int | None:
        """Most tokens one request may have, read and written; None where the device decides."""
        return self.kv_blocks * KV_BLOCK_TOKENS[self.device_kind] if self.batches else None

    def vision_properties(self) -> dict[str, Any]:
        """OpenVINO's properties for the networks that look at the picture."""
        properties: dict[str, Any] = {}
        if self.device_kind == "CPU":
            # Pinning would put this model and the detector on the same cores.
            properties |= {"INFERENCE_NUM_THREADS": self.threads, "ENABLE_CPU_PINNING": False}
        if self.cache_dir is not None:
            properties["CACHE_DIR"] = str(self.cache_dir)
        return properties

    def language_properties(self) -> dict[str, Any]:
        """OpenVINO's properties for the network that writes."""
        properties = self.vision_properties()
        if self.kv_precision is not None:
            properties["KV_CACHE_PRECISION"] = self.kv_precision
        return properties


def failure_code(error: BaseException) -> str:
    """What kind of failure the runtime reports: `out_of_memory`, `device_lost` or `engine_failed`.

    The runtime knows one type of exception; which of these it is stands in the text alone.
    """
    text = str(error)
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text):
        return "out_of_memory"
    return "device_lost" if _DEVICE_LOST.search(text) else "engine_failed"


def last_line(error: BaseException) -> str:
    """The end of the runtime's message, which is what went wrong; before it stand places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _NATIVE_PLACE.sub("", lines[-1]) if lines else type(error).__name__
