"""A session: frames that wait, one that is looked at, results that wait to be sent, and how all that goes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from orderacc.api.limits import RateLimit
from orderacc.api.streaming.degrading import Degradation
from orderacc.api.streaming.messages import (
    DetectionTold,
    QualityTold,
    ResultTold,
    StreamConfig,
    StreamError,
    StreamErrorCode,
    StreamSettings,
    error_message,
)
from orderacc.api.streaming.tracks import Tracks
from orderacc.errors import RequestError
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderacc.api.streaming.looking import Lookout, Seen
    from orderacc.domain.detections import Detection

_log = get_logger(__name__)

REMEMBERED: Final = 256
"""Results of late whose times are told."""

RECENT: Final = 10.0
"""Seconds over which the frames a second are counted."""


@dataclass(frozen=True, slots=True)
class WaitingFrame:
    """A frame that was taken.

    Attributes:
        frame_id: The client's name for it, or its number.
        timestamp: When it was taken by the client's clock, or else when it came, seconds since 1970.
        metadata: The client's own.
        content: The picture; as text it is base64.
        came: When it came, by the monotonic clock.
    """

    frame_id: str
    timestamp: float
    metadata: dict[str, Any] | None
    content: bytes | str
    came: float


@dataclass(slots=True)
class Waiting:
    """Bytes of pictures that wait in all sessions together.

    Attributes:
        most: As many as may.
        now: As many as do.
    """

    most: int
    now: int = 0


class StreamSession:
    """One client's stream.

    Every frame gets exactly one answer: a result, or an error with its id. Results come in the order of the frames.

    Args:
        client_id: Its name.
        owner: Whose token made it; None where there are no tokens.
        kind: How the client is connected.
        config: How it is set.
        lookout: Looks at its frames.
        queue_size: Frames, and answers, that may wait.
        waiting: Counts the bytes of all sessions.
    """

    def __init__(
        self,
        client_id: str,
        owner: str | None,
        kind: Literal["websocket", "sse"],
        config: StreamConfig,
        lookout: Lookout,
        *,
        queue_size: int,
        waiting: Waiting,
    ) -> None:
        self.client_id = client_id
        self.owner = owner
        self.kind = kind
        self.config = config
        self.created = time.time()
        self.active = time.monotonic()
        self.ended = False
        self.counts: Counter[str] = Counter()
        self._lookout = lookout
        self._queue: deque[WaitingFrame] = deque()
        self._queue_size = queue_size
        self._waiting = waiting
        self._arrival = asyncio.Event()
        self._outbox: deque[dict[str, Any]] = deque()
        self._news = asyncio.Event()
        self._tracks = Tracks()
        self._degradation = Degradation(config.quality_mode)
        self._rate = RateLimit(config.fps_limit)
        self._set_rate()
        self._took: deque[float] = deque(maxlen=REMEMBERED)
        self._recent: deque[float] = deque(maxlen=int(30 * RECENT))

    def __repr__(self) -> str:
        return f"StreamSession({self.client_id!r}, {self.kind!r})"

    # Frames in.

    def touch(self) -> None:
        """Take note that the client is there."""
        self.active = time.monotonic()

    def take(
        self,
        content: bytes | str,
        *,
        frame_id: str | None = None,
        timestamp: float | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Let a frame wait; the oldest makes room where there is none.

        Returns:
            Its id.

        Raises:
            StreamError: `RATE_LIMITED`, or `FRAME_DROPPED` where pictures of others take all the room there is.
        """
        self.counts["received"] += 1
        name = frame_id if frame_id is not None else str(self.counts["received"])
        try:
            self._rate.take("")
        except RequestError:
            self.counts["rate_limited"] += 1
            message = f"more than {self.fps_limit:g} frames a second"
            raise StreamError(StreamErrorCode.RATE_LIMITED, message, name) from None
        size = len(content)
        while self._queue and (len(self._queue) >= self._queue_size or self._waiting.now + size > self._waiting.most):
            self._drop(self._forget_oldest())
        if self._waiting.now + size > self._waiting.most:
            self.counts["dropped"] += 1
            raise StreamError(StreamErrorCode.FRAME_DROPPED, "too many pictures wait", name)
        when = time.time() if timestamp is None else timestamp
        self._queue.append(WaitingFrame(name, when, metadata, content, time.monotonic()))
        self._waiting.now += size
        self._arrival.set()
        return name

    def _forget_oldest(self) -> WaitingFrame:
        frame = self._queue.popleft()
        self._waiting.now -= len(frame.content)
        return frame

    def _drop(self, frame: WaitingFrame) -> None:
        self.counts["dropped"] += 1
        self._note(frame, dropped=True)
        message = "newer frames took its place in the queue"
        self.tell(error_message(StreamError(StreamErrorCode.FRAME_DROPPED, message, frame.frame_id)))

    # Settings.

    @property
    def fps_limit(self) -> float:
        """Most frames a second for now."""
        return self.config.fps_limit * self._degradation.quality.share

    @property
    def quality(self) -> QualityTold:
        """What is given up now."""
        left = self._degradation.quality
        return QualityTold(level=self._degradation.level, scale=left.scale, fps_limit=self.fps_limit)

    def change(self, settings: StreamSettings) -> None:
        """Take other settings; what they leave out stays."""
        given = settings.model_dump(exclude_none=True)
        self.config = self.config.model_copy(update=given)
        if "quality_mode" in given:
            self._degradation.change(self.config.quality_mode)
        if not self.config.enable_tracking:
            self._tracks = Tracks()
        self._set_rate()

    def _set_rate(self) -> None:
        # A second's worth may come at once: networks deliver in bursts what was sent evenly.
        self._rate.change(self.fps_limit, burst=max(2.0, self.fps_limit))

    # Looking.

    async def run(self) -> None:
        """Look at the frames, one after the other or as many together as there is room for, until cancelled."""
        while True:
            while not self._queue:
                self._arrival.clear()
                await self._arrival.wait()
            together = self._lookout.at_once if self.config.batch_processing else 1
            frames = [self._forget_oldest() for _ in range(min(together, len(self._queue)))]
            for frame, seen in zip(frames, await asyncio.gather(*map(self._look, frames)), strict=True):
                if isinstance(seen, StreamError):
                    self._failed(frame, seen)
                else:
                    self._told(frame, seen)

    async def _look(self, frame: WaitingFrame) -> Seen | StreamError:
        try:
            return await self._lookout.look(frame.content, self._degradation.quality.scale)
        except StreamError as error:
            return error

    def _failed(self, frame: WaitingFrame, error: StreamError) -> None:
        self.counts["failed"] += 1
        if error.code == StreamErrorCode.INFERENCE_ERROR:
            _log.error("stream_frame_failed", client_id=self.client_id, exc_info=error)
        error.frame_id = frame.frame_id
        self.tell(error_message(error))

    def _told(self, frame: WaitingFrame, seen: Seen) -> None:
        kept = self._kept(seen.detections)
        tracked: Sequence[int | None] = [None] * len(kept)
        if self.config.enable_tracking:
            tracked = self._tracks.number(kept, frame.came)
        took = self._note(frame)
        ids = self._lookout.class_ids
        result = ResultTold(
            frame_id=frame.frame_id,
            detections=[
                DetectionTold(
                    bbox=_rounded(one),
                    confidence=round(one.score, 4),
                    class_id=ids.get(one.label, -1),
                    class_name=one.label,
                    track_id=number,
                )
                for one, number in zip(kept, tracked, strict=True)
            ],
            processing_time_ms=round(took * 1000, 2),
            inference_time_ms=round(seen.seconds * 1000, 2),
            timestamp=frame.timestamp,
            image_size=seen.size,
            quality=self.quality,
            metadata=frame.metadata,
        )
        self.counts["processed"] += 1
        self.counts["detections"] += len(kept)
        self._recent.append(time.monotonic())
        self.tell({"type": "detection_result", "data": result.model_dump(mode="json")})

    def _kept(self, detections: Sequence[Detection]) -> list[Detection]:
        """Those sure enough, each one once, and not too many."""
        kept: list[Detection] = []
        for one in detections:
            if len(kept) == self.config.max_detections:
                break
            if one.score < self.config.confidence_threshold:
                continue
            twins = (other for other in kept if other.label == one.label)
            if all(one.box.iou(other.box) <= self.config.iou_threshold for other in twins):
                kept.append(one)
        return kept

    def _note(self, frame: WaitingFrame, *, dropped: bool = False) -> float:
        now = time.monotonic()
        took = now - frame.came
        before = self.fps_limit
        self._degradation.note(took, 1 / self.config.fps_limit, now, dropped=dropped)
        if self.fps_limit != before:
            self._set_rate()
        if not dropped:
            self._took.append(took)
        return took

    # Answers out.

    def tell(self, message: dict[str, Any]) -> None:
        """Let an answer wait to be sent; the oldest makes room where there is none."""
        if len(self._outbox) >= 2 * self._queue_size:
            self._outbox.popleft()
            self.counts["untold"] += 1
        self._outbox.append(message)
        self._news.set()

    async def next(self, seconds: float) -> dict[str, Any] | None:
        """The next answer; None when there is none for so long, or the session has ended and all was told."""
        if not self._outbox and not self.ended:
            self._news.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                return None
        return self._outbox.popleft() if self._outbox else None

    @property
    def told_later(self) -> int:
        """Answers that wait to be sent."""
        return len(self._outbox)

    def end(self) -> None:
        """Forget what waits to be looked at; what waits to be told still can be."""
        while self._queue:
            self._forget_oldest()
        self.ended = True
        self._news.set()

    # Figures.

    @property
    def queued(self) -> int:
        """Frames that wait."""
        return len(self._queue)

    def fps(self) -> float:
        """Results a second of late."""
        now = time.monotonic()
        recent = [at for at in self._recent if now - at <= RECENT]
        return len(recent) / (now - recent[0]) if len(recent) > 1 else 0.0

    def took_ms(self) -> list[float]:
        """Times of late, from a frame's arrival to its result, sorted."""
        return sorted(seconds * 1000 for seconds in self._took)


def _rounded(one: Detection) -> tuple[float, float, float, float]:
    box = one.box
    return round(box.x1, 1), round(box.y1, 1), round(box.x2, 1), round(box.y2, 1)
