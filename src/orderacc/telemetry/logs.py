"""Logs: one line an event, JSON for machines or coloured text for people.

The package logs through the standard library under `orderacc.*` and says nothing until somebody listens, as a library
should; `configure_logs` is what the command line calls.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TextIO, cast

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter

from orderacc.telemetry.redaction import redact

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

logging.getLogger("orderacc").addHandler(logging.NullHandler())


class LogFormat(StrEnum):
    """How log lines look."""

    JSON = "json"
    CONSOLE = "console"


LEVELS: Final = ("debug", "info", "warning", "error")


def get_logger(name: str) -> BoundLogger:
    """A logger that takes an event and named values: `log.info("order_closed", station_id="drive-1")`.

    Args:
        name: Module name.
    """
    logger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=BoundLogger,
        cache_logger_on_first_use=True,
    )
    return cast("BoundLogger", logger)


def configure_logs(form: LogFormat | str, *, level: str = "info", stream: TextIO | None = None) -> None:
    """Send this package's and every other library's log records to one stream, in one form, without secrets.

    Replaces what was configured before.

    Args:
        form: `json` or `console`.
        level: Least severe level shown: `debug`, `info`, `warning` or `error`. Other libraries speak from `warning` on.
        stream: Where to; stderr when None, because stdout belongs to results.

    Raises:
        ValueError: If the form or the level is unknown.
    """
    if level not in LEVELS:
        raise ValueError(f"log level must be one of {', '.join(LEVELS)}, not {level!r}")
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[structlog.contextvars.merge_contextvars, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                ProcessorFormatter.remove_processors_meta,
                _timestamp,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                _redact,
                _renderer(LogFormat(form), colors=target.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("orderacc").setLevel(level.upper())


def _renderer(form: LogFormat, *, colors: bool) -> Processor:
    if form is LogFormat.JSON:
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _timestamp(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    del logger, method
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"timestamp": now.replace("+00:00", "Z"), **event}


def _redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    del logger, method
    return cast("EventDict", redact(event))
