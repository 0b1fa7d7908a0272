"""The section `api.videos`: recordings that are handed in and judged beside the stations."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orderacc.config.section import Section


class VideosConfig(Section):
    """Recordings handed in: `/v1/videos`."""

    max_mb: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Megabytes of one recording."""
    waiting: Annotated[int, Field(ge=1, le=1000)] = 4
    """Recordings that may wait; one is judged at a time, and deleted when it has been."""
    keep: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Recordings whose verdicts are kept; the oldest are forgotten."""
