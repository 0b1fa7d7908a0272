"""The section `api.streaming`: detection for other clients, who send pictures and get boxes."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from orderacc.config.section import Interval, Section

ENVIRONMENT: Final = {
    "STREAMING_SESSION_TIMEOUT": "session_timeout",
    "STREAMING_MAX_FPS": "max_fps",
    "STREAMING_DEFAULT_FPS": "default_fps",
    "STREAMING_QUEUE_SIZE": "queue_size",
    "STREAMING_ENABLE_TRACKING": "enable_tracking",
}
"""Variables that set keys of this section where there is a section `api`."""


class StreamingConfig(Section):
    """Streaming detection: `/stream/...`."""

    session_timeout: Interval = 300.0
    """Seconds without a message after which a session ends; also `STREAMING_SESSION_TIMEOUT`."""
    max_fps: Annotated[int, Field(ge=1, le=30)] = 30
    """Most frames a second a session may ask for; also `STREAMING_MAX_FPS`."""
    default_fps: Annotated[int, Field(ge=1, le=30)] = 10
    """Frames a second of a session that does not say, `max_fps` at most; also `STREAMING_DEFAULT_FPS`."""
    queue_size: Annotated[int, Field(ge=1, le=1000)] = 50
    """Frames of a session that may wait; then the oldest is dropped. Also `STREAMING_QUEUE_SIZE`."""
    enable_tracking: bool = True
    """Whether things keep their number from frame to frame where a session does not say; also
    `STREAMING_ENABLE_TRACKING`."""
    max_sessions: Annotated[int, Field(ge=1, le=10_000)] = 128
    """Sessions at a time."""
    queue_mb: Annotated[int, Field(ge=1, le=100_000)] = 48
    """Megabytes of pictures that wait, all sessions together; then the oldest are dropped."""
