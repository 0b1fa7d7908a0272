"""All sessions: made, found by whoever made them, and ended when nothing was said for too long."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from orderacc.api.streaming.looking import Lookout
from orderacc.api.streaming.messages import StreamConfig, StreamError, StreamErrorCode, StreamSettings, error_message
from orderacc.api.streaming.session import StreamSession, Waiting
from orderacc.errors import RequestError
from orderacc.perception.detector import MAX_OVERLAP, MIN_SCORE
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from orderacc.config.streaming import StreamingConfig
    from orderacc.service.detecting import Detecting

_log = get_logger(__name__)

DETECTIONS: Final = 50
"""Most things of a frame where a session does not say."""

SWEEP: Final = 1.0
"""Seconds between looks for sessions that have timed out."""

LONGEST_WAIT: Final = 1.0
"""Seconds a frame took, of late and in the median, from which streaming is said to be overloaded."""


@dataclass(frozen=True, slots=True)
class StreamTotals:
    """How streaming goes.

    Attributes:
        active: Sessions there are.
        by_kind: Of these, by how they are connected.
        sessions: Sessions there were.
        timed_out: Of these, ended because nothing was said.
        frames: Frames by what became of them.
        queued: Frames that wait.
        queued_bytes: Their bytes.
        fps: Results a second of late.
        degraded: Sessions that have given something up.
        p50_ms: Median time of late from a frame's arrival to its result; None where there is none.
        p99_ms: Likewise, of the slowest in a hundred.
    """

    active: int
    by_kind: dict[str, int]
    sessions: int
    timed_out: int
    frames: dict[str, int]
    queued: int
    queued_bytes: int
    fps: float
    degraded: int
    p50_ms: float | None
    p99_ms: float | None

    @property
    def overloaded(self) -> bool:
        """Whether results come late."""
        return self.p50_ms is not None and self.p50_ms > LONGEST_WAIT * 1000


class StreamSessions:
    """Made once; `run` looks after them.

    Args:
        config: The section `api.streaming`.
        detector: Looks at all their frames; None where there is none, and then nobody gets a session.
    """

    def __init__(self, config: StreamingConfig, detector: Detecting | None) -> None:
        self.config = config
        self.lookout = None if detector is None else Lookout(detector)
        self._sessions: dict[str, StreamSession] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waiting = Waiting(config.queue_mb * 1024 * 1024)
        self._begun = 0
        self._timed_out = 0
        self._over: Counter[str] = Counter()

    async def run(self) -> None:
        """End sessions that have timed out, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP)
            now = time.monotonic()
            for session in list(self._sessions.values()):
                if now - session.active > self.config.session_timeout:
                    self._timed_out += 1
                    message = f"nothing was said for {self.config.session_timeout:g} seconds"
                    session.tell(error_message(StreamError(StreamErrorCode.SESSION_TIMEOUT, message)))
                    self.end(session)

    def begin(self, kind: Literal["websocket", "sse"], settings: StreamSettings, owner: str | None) -> StreamSession:
        """Make a session.

        Args:
            kind: How its client is connected.
            settings: What the client asks for.
            owner: Whose token makes it; None where there are no tokens.

        Raises:
            RequestError: `unavailable` when there is no detector or no room; `invalid` where a setting is too much.
        """
        if self.lookout is None:
            raise RequestError("there is no detector here", code="unavailable")
        if len(self._sessions) >= self.config.max_sessions:
            message = f"there are {len(self._sessions)} sessions already; api.streaming.max_sessions allows no more"
            raise RequestError(message, code="unavailable", headers={"Retry-After": "5"})
        self.check(settings)
        default = StreamConfig(
            fps_limit=min(self.config.default_fps, self.config.max_fps),
            confidence_threshold=MIN_SCORE,
            iou_threshold=MAX_OVERLAP,
            enable_tracking=self.config.enable_tracking,
            batch_processing=False,
            quality_mode="balanced",
            max_detections=DETECTIONS,
        )
        session = StreamSession(
            str(uuid.uuid4()),
            owner,
            kind,
            default.model_copy(update=settings.model_dump(exclude_none=True)),
            self.lookout,
            queue_size=self.config.queue_size,
            waiting=self._waiting,
        )
        self._sessions[session.client_id] = session
        self._tasks[session.client_id] = asyncio.create_task(session.run(), name=f"stream-{session.client_id}")
        self._begun += 1
        _log.info("stream_begun", client_id=session.client_id, kind=kind, fps_limit=session.config.fps_limit)
        return session

    def check(self, settings: StreamSettings) -> None:
        """Make sure that settings are within what the configuration allows.

        Raises:
            RequestError: `invalid`.
        """
        if settings.fps_limit is not None and settings.fps_limit > self.config.max_fps:
            wrong = ("fps_limit", f"should be at most {self.config.max_fps}")
            raise RequestError("more than api.streaming.max_fps allows", code="invalid", details=[wrong])

    def find(self, client_id: str, owner: str | None) -> StreamSession:
        """The session of that name, for whoever made it, who thereby is there.

        Raises:
            RequestError: `not_found`.
        """
        session = self._sessions.get(client_id)
        if session is None or session.owner != owner:
            raise RequestError("there is no such session of yours", code="not_found")
        session.touch()
        return session

    def end(self, session: StreamSession) -> None:
        """End a session; one that has ended already stays so."""
        if self._sessions.pop(session.client_id, None) is None:
            return
        self._tasks.pop(session.client_id).cancel()
        session.end()
        self._over.update(session.counts)
        _log.info("stream_ended", client_id=session.client_id, frames=dict(session.counts))

    async def close(self) -> None:
        """End them all."""
        tasks = list(self._tasks.values())
        for session in list(self._sessions.values()):
            self.end(session)
        if tasks:
            await asyncio.wait(tasks)
        if self.lookout is not None:
            self.lookout.close()

    def totals(self) -> StreamTotals:
        """How streaming goes."""
        sessions = list(self._sessions.values())
        frames = sum((session.counts for session in sessions), Counter(self._over))
        took = [each for session in sessions for each in session.took_ms()]
        p50, p99 = (float(np.percentile(took, share)) if took else None for share in (50, 99))
        return StreamTotals(
            active=len(sessions),
            by_kind=dict(Counter[str](session.kind for session in sessions)),
            sessions=self._begun,
            timed_out=self._timed_out,
            frames=dict(frames),
            queued=sum(session.queued for session in sessions),
            queued_bytes=self._waiting.now,
            fps=sum(session.fps() for session in sessions),
            degraded=sum(session.quality.level > 0 for session in sessions),
            p50_ms=p50,
            p99_ms=p99,
        )
