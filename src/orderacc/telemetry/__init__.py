"""What the program says about itself: logs without secrets, and how well its event loop keeps up."""

from __future__ import annotations

from orderacc.telemetry.lag import LagSnapshot, LoopLag, loaded_things_spared, prefer_event_loop
from orderacc.telemetry.logs import LogFormat, configure_logs, get_logger
from orderacc.telemetry.redaction import redact, redact_text

__all__ = [
    "LagSnapshot",
    "LogFormat",
    "LoopLag",
    "configure_logs",
    "get_logger",
    "loaded_things_spared",
    "prefer_event_loop",
    "redact",
    "redact_text",
]
