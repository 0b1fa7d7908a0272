"""Where verdicts go: the log, and a file of one JSON object a line."""

from __future__ import annotations

import asyncio
import json
import os
from typing import IO, TYPE_CHECKING, Self

from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from orderacc.domain.verdicts import Verdict

_log = get_logger(__name__)


class VerdictLog:
    """Writes every verdict to the log and, if asked, to the end of a file.

    A file that cannot be written to (a full disk) loses no verdict from the log, and is tried again with the next one.
    What comes while the disk is busy goes to it together.

    Args:
        path: The file, or None.

    Attributes:
        written: Verdicts so far.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._waiting: list[dict[str, object]] = []
        self._writing = asyncio.Lock()
        self.written = 0

    def __enter__(self) -> Self:
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file:
            try:
                self._file.close()
            except OSError as error:
                _log.error("results_file_failed", file=str(self._path), reason=str(error))

    async def write(self, verdict: Verdict) -> None:
        """Take one verdict."""
        content = verdict.to_dict()
        self.written += 1
        _log.info("verdict", **{key: content[key] for key in _LOGGED})
        if self._file:
            self._waiting.append(content)
            async with self._writing:
                await self._write_waiting()

    async def _write_waiting(self) -> None:
        contents, self._waiting = self._waiting, []
        lines = "".join(json.dumps(content, ensure_ascii=False) + "\n" for content in contents)
        try:
            if lines:
                await asyncio.to_thread(self._append, lines)
        except OSError as error:
            for content in contents:
                _log.error("results_file_failed", file=str(self._path), reason=str(error), verdict=content)

    def _append(self, lines: str) -> None:
        assert self._file is not None  # noqa: S101  only called with a file open
        self._file.write(lines)
        self._file.flush()
        os.fsync(self._file.fileno())


_LOGGED = (
    "verdict_id",
    "station_id",
    "order_id",
    "slip_text",
    "status",
    "reason",
    "sentence",
    "confidence",
    "timings_ms",
)
