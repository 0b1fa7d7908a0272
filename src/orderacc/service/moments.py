"""From frame time to the time of day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

RECORDING_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Wall-clock time of frame time 0 of a recording whose start nobody stated."""


def wall_time(epoch: datetime | None, at: float) -> datetime | None:
    """The time of day of a frame.

    Args:
        epoch: Wall-clock time of frame time 0.
        at: Frame time, seconds.

    Returns:
        None when nobody knows it.
    """
    return None if epoch is None or epoch == RECORDING_EPOCH else epoch + timedelta(seconds=at)
