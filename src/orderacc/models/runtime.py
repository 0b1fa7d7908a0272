"""Importing OpenVINO with its usage statistics off, and choosing a device."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from orderacc.errors import ModelError

TELEMETRY_PACKAGE = "openvino_telemetry"

PROCESSORS = Path("/proc/cpuinfo")
"""Where Linux tells what the processors of this machine can do."""


def import_openvino(module: str = "openvino") -> Any:  # noqa: ANN401  the module has no types of its own
    """Import a module of the OpenVINO family without its usage statistics.

    OpenVINO falls back to a stub of its own when the statistics package cannot be imported, so that package is hidden
    while OpenVINO is imported for the first time. Nothing is written to the user's home.

    Args:
        module: `openvino` or `openvino_genai`.

    Returns:
        The module.
    """
    if "openvino" not in sys.modules and TELEMETRY_PACKAGE not in sys.modules:
        sys.modules[TELEMETRY_PACKAGE] = None  # type: ignore[assignment]  # the documented way to block an import
        try:
            import_module("openvino")
        finally:
            del sys.modules[TELEMETRY_PACKAGE]
    return import_module(module)


def available_devices() -> list[str]:
    """OpenVINO's names of the devices of this machine, e.g. `["CPU", "GPU.0"]`."""
    return list(import_openvino().Core().available_devices)


def choose_device(wanted: str) -> str:
    """Turn a setting into a device that is there.

    Args:
        wanted: `AUTO` (a GPU when there is one, else the CPU), `CPU`, `GPU`, `NPU`, or one of several by its number,
            e.g. `GPU.1`.

    Returns:
        The name to give to OpenVINO.

    Raises:
        ModelError: `device_missing` with the devices there are.
    """
    devices = available_devices()
    name = wanted.strip().upper()
    if name == "AUTO":
        return next((device for device in devices if device.split(".")[0] == "GPU"), "CPU")
    if name in devices or name in {device.split(".")[0] for device in devices}:
        return name
    raise ModelError(
        f"there is no device {wanted!r} on this machine; there is {', '.join(devices)} (or AUTO)", code="device_missing"
    )


def usable_cores() -> int:
    """CPU cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads() -> int:
    """Threads for a model that nobody gave a number: one for each core but one, which is left to the event loop."""
    return max(1, usable_cores() - 1)


def lacks_avx2() -> bool:
    """Whether the processor is known to lack AVX2, as small Intel ones before the N100 do.

    OpenVINO itself runs there; a language model of openvino-genai 2026.4 does not, and says nothing of the reason (seen
    under emulation: it answers on `Haswell`, and fails on `Nehalem` with an error about a missing pointer).
    """
    try:
        lines = PROCESSORS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), None)
    return flags is not None and "avx2" not in flags
