"""A disk that is full when the daemon starts: it waits for space instead of going away."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Final, TypeVar

from orderacc.errors import StorageError
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_log = get_logger(__name__)

LOOK_EVERY: Final = 0.5
"""Seconds between attempts."""

TELL_EVERY: Final = 30.0
"""Seconds between complaints."""


async def once_there_is_space(attempt: Callable[[], Awaitable[T]]) -> T:
    """Attempt something until the disk has space for it, and complain meanwhile.

    Raises:
        StorageError: If it fails for any other reason.
    """
    told = -math.inf
    while True:
        try:
            return await attempt()
        except StorageError as error:
            if error.code != "storage_full":
                raise
            if time.monotonic() - told >= TELL_EVERY:
                told = time.monotonic()
                _log.critical("waiting_for_space", reason=error.message)
        await asyncio.sleep(LOOK_EVERY)
