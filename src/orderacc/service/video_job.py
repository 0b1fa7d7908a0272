"""A recording that was handed in, or a camera's run, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

VideoState: TypeAlias = Literal["waiting", "running", "done", "failed", "cancelled"]

OVER: Final = frozenset({"done", "failed", "cancelled"})
"""States that last."""


@dataclass(slots=True)
class VideoJob:
    """A recording, or a camera's run, and what came of it.

    Attributes:
        video_id: Its name.
        kind: What it is.
        name: What the client called it.
        fps: Frames looked at per second of video.
        created_at: When it was handed in, ISO 8601 UTC.
        duration_s: How long it is, seconds of video; None when that is not known.
        size: Bytes; 0 of a run.
        state: Where it is.
        at_s: Frame time reached, seconds.
        started_at: When judging began.
        ended_at: When it ended.
        code: Why it failed, a stable code; None when it did not.
        message: Likewise, for a person.
        verdicts: As they came, JSON values.
    """

    video_id: str
    kind: Literal["upload", "run"]
    name: str
    fps: float
    created_at: str
    duration_s: float | None = None
    size: int = 0
    state: VideoState = "waiting"
    at_s: float = 0.0
    started_at: str | None = None
    ended_at: str | None = None
    code: str | None = None
    message: str | None = None
    verdicts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def progress(self) -> float | None:
        """Share that has been judged, 0 to 1; None when that is not known."""
        if self.state == "done":
            return 1.0
        return min(1.0, self.at_s / self.duration_s) if self.duration_s else None


def read_job(path: Path) -> VideoJob | None:
    """What was written down of one; None when that cannot be read. Blocks shortly."""
    known = {one.name for one in fields(VideoJob)}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return VideoJob(**data) if isinstance(data, dict) and data.keys() <= known else None
    except (OSError, ValueError, TypeError):
        return None
