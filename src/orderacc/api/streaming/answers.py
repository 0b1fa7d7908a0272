"""What clients of streaming are answered, and how their sessions go in figures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from orderacc.api.shapes import Told
from orderacc.api.streaming.messages import QualityTold, StreamConfig

if TYPE_CHECKING:
    from orderacc.api.streaming.session import StreamSession
    from orderacc.api.streaming.sessions import StreamSessions


class StreamSessionTold(Told):
    """A session that was made."""

    session_id: str
    """Its name."""
    client_id: str
    """The same."""
    sse_endpoint: str
    """Where its results are followed."""
    upload_endpoint: str
    """Where pictures are posted to."""
    config: StreamConfig
    """How it is set."""
    created_at: float
    """When, seconds since 1970."""
    status: Literal["active"]
    """Always."""


class StreamQueued(Told):
    """A picture that was taken."""

    status: Literal["queued"]
    """Always."""
    frame_id: str
    """Its id: the client's, or its number."""
    client_id: str
    """The session."""
    timestamp: float
    """Now, seconds since 1970."""


class StreamChanged(Told):
    """A session that was changed."""

    status: Literal["updated"]
    """Always."""
    client_id: str
    """The session."""
    config: StreamConfig
    """How it is set now."""
    timestamp: float
    """Now, seconds since 1970."""


class StreamClosed(Told):
    """A session that was ended."""

    status: Literal["closed"]
    """Always."""
    client_id: str
    """The session."""
    timestamp: float
    """Now, seconds since 1970."""


class StreamStatsTold(Told):
    """How a session goes."""

    session_id: str
    """Its name."""
    client_id: str
    """The same."""
    connection_type: Literal["websocket", "sse"]
    """How its client is connected."""
    created_at: float
    """When it was made, seconds since 1970."""
    uptime_seconds: float
    """Seconds since."""
    idle_seconds: float
    """Seconds since its client last said something."""
    frames_received: int
    """Frames that came."""
    frames_processed: int
    """Frames that were looked at."""
    frames_dropped: int
    """Frames whose place newer ones took."""
    frames_rate_limited: int
    """Frames that came too fast."""
    frames_failed: int
    """Frames that could not be looked at."""
    queue_size: int
    """Frames that wait."""
    results_untold: int
    """Results that nobody took in time."""
    detections_count: int
    """Things seen in all frames together."""
    avg_fps: float
    """Results a second of late."""
    avg_processing_time_ms: float | None
    """Time from a frame's arrival to its result, of late; null before the first."""
    p50_processing_time_ms: float | None
    """Likewise, the median."""
    p99_processing_time_ms: float | None
    """Likewise, the slowest in a hundred."""
    success_rate: float | None
    """Share of the frames that have a result among those that have an answer; null before the first."""
    quality: QualityTold
    """What is given up under load."""
    config: StreamConfig
    """How it is set."""


class ServiceTold(Told):
    """How streaming is."""

    status: Literal["healthy", "degraded"]
    """`degraded`: results come late."""
    active_sessions: int
    """Sessions there are."""
    max_sessions: int
    """As many as there may be."""
    queued_frames: int
    """Frames that wait in all of them."""
    degraded_sessions: int
    """Sessions that have given something up."""


class ModelTold(Told):
    """How the detector is."""

    status: Literal["healthy", "unhealthy"]
    """`unhealthy`: there is none."""
    model_loaded: bool
    """Whether there is one."""
    model: str | None
    """Id and version."""
    classes: list[str]
    """Names of what it knows, in the order of their numbers."""


class StreamHealthTold(Told):
    """How streaming and the detector are."""

    status: Literal["healthy", "degraded", "unhealthy"]
    """The worse of the two."""
    streaming_service: ServiceTold
    """Sessions."""
    model_service: ModelTold
    """The detector."""
    timestamp: float
    """Now, seconds since 1970."""


class StreamingFigures(Told):
    """All sessions in figures."""

    active_sessions: int
    """Sessions there are."""
    connections: dict[str, int]
    """Of these, by how they are connected."""
    total_sessions: int
    """Sessions there were."""
    sessions_timed_out: int
    """Of these, ended because nothing was said."""
    frames_received: int
    """Frames that came."""
    frames_processed: int
    """Frames that were looked at."""
    frames_dropped: int
    """Frames whose place newer ones took."""
    frames_rate_limited: int
    """Frames that came too fast."""
    frames_failed: int
    """Frames that could not be looked at."""
    queued_frames: int
    """Frames that wait."""
    queued_bytes: int
    """Their bytes."""
    avg_fps: float
    """Results a second of late, all sessions together."""
    p50_processing_time_ms: float | None
    """Median time of late from a frame's arrival to its result."""
    p99_processing_time_ms: float | None
    """Likewise, the slowest in a hundred."""


class StreamTotalsTold(Told):
    """How all sessions go."""

    streaming_stats: StreamingFigures
    """In figures."""
    model_info: ModelTold
    """The detector."""
    timestamp: float
    """Now, seconds since 1970."""

    @classmethod
    def of(cls, sessions: StreamSessions) -> Self:
        """As it is now."""
        totals = sessions.totals()
        return cls(
            streaming_stats=StreamingFigures(
                active_sessions=totals.active,
                connections=totals.by_kind,
                total_sessions=totals.sessions,
                sessions_timed_out=totals.timed_out,
                frames_received=totals.frames.get("received", 0),
                frames_processed=totals.frames.get("processed", 0),
                frames_dropped=totals.frames.get("dropped", 0),
                frames_rate_limited=totals.frames.get("rate_limited", 0),
                frames_failed=totals.frames.get("failed", 0),
                queued_frames=totals.queued,
                queued_bytes=totals.queued_bytes,
                avg_fps=round(totals.fps, 2),
                p50_processing_time_ms=totals.p50_ms,
                p99_processing_time_ms=totals.p99_ms,
            ),
            model_info=model_told(sessions),
            timestamp=time.time(),
        )


def model_told(sessions: StreamSessions) -> ModelTold:
    """How the detector is."""
    lookout = sessions.lookout
    if lookout is None:
        return ModelTold(status="unhealthy", model_loaded=False, model=None, classes=[])
    detector = lookout.detector
    return ModelTold(status="healthy", model_loaded=True, model=detector.model_id, classes=list(detector.labels))


def session_stats(session: StreamSession) -> StreamStatsTold:
    """How a session goes."""
    counts, took = session.counts, session.took_ms()
    answered = sum(counts[name] for name in ("processed", "dropped", "rate_limited", "failed"))
    p50, p99 = (round(float(np.percentile(took, share)), 2) if took else None for share in (50, 99))
    return StreamStatsTold(
        session_id=session.client_id,
        client_id=session.client_id,
        connection_type=session.kind,
        created_at=session.created,
        uptime_seconds=round(time.time() - session.created, 3),
        idle_seconds=round(max(0.0, time.monotonic() - session.active), 3),
        frames_received=counts["received"],
        frames_processed=counts["processed"],
        frames_dropped=counts["dropped"],
        frames_rate_limited=counts["rate_limited"],
        frames_failed=counts["failed"],
        queue_size=session.queued,
        results_untold=counts["untold"],
        detections_count=counts["detections"],
        avg_fps=round(session.fps(), 2),
        avg_processing_time_ms=round(sum(took) / len(took), 2) if took else None,
        p50_processing_time_ms=p50,
        p99_processing_time_ms=p99,
        success_rate=round(counts["processed"] / answered, 4) if answered else None,
        quality=session.quality,
        config=session.config,
    )
