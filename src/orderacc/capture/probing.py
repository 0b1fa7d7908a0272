"""Opening a camera once, to see what comes."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orderacc.capture.policy import CapturePolicy
from orderacc.errors import SourceError
from orderacc.telemetry import redact_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderacc.capture.source import FrameSource, StreamInfo
    from orderacc.domain.frames import Image

SHORTEST: Final = 1.0
"""Seconds watched at least, so that the rate can be told."""

OPENING: Final = CapturePolicy().opening_sec
"""Seconds a source has for its first picture, unless told otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """What came of opening a source.

    Attributes:
        info: What is known of its stream; None when it was never open, or knows nothing of itself.
        frames: Frames that came.
        fps: Frames a second that came by their own times; None with fewer than two.
        picture: The last frame, BGR uint8 [H, W, 3].
        error: Why it could not be opened, or broke.
    """

    info: StreamInfo | None = None
    frames: int = 0
    fps: float | None = None
    picture: Image | None = None
    error: SourceError | None = None


def probe_each(sources: Sequence[FrameSource], seconds: float, opening: float = OPENING) -> list[Probe]:
    """Watch several sources at once.

    Args:
        sources: Not opened yet; they are used up.
        seconds: Longest to watch each. It is less when all is known before.
        opening: Seconds beyond that after which a source that does nothing is given up: more than its own timeouts.

    Returns:
        One for each, in their order. A source that never comes back is one that failed with `timeout`.
    """
    found: dict[int, Probe] = {}
    threads = []
    for index, source in enumerate(sources):

        def watch(index: int = index, source: FrameSource = source) -> None:
            found[index] = probe(source, seconds)

        # A thread that hangs in a driver must not keep the process from ending.
        threads.append(threading.Thread(target=watch, name=f"probe-{source.station_id}", daemon=True))
        threads[-1].start()
    deadline = time.monotonic() + seconds + opening
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    silent = Probe(error=SourceError("it neither answers nor fails", code="timeout"))
    return [found.get(index, silent) for index in range(len(sources))]


def probe(source: FrameSource, seconds: float) -> Probe:
    """Open a source and watch until its rate and its keyframes are known, or the time is over.

    Args:
        source: Not opened yet; it is used up.
        seconds: Longest to watch, by the frames' own times.
    """
    frames, picture = 0, None
    first = last = (0.0, 0)  # frame time, and pictures decoded by then
    error: SourceError | None = None
    try:
        with closing(source.frames()) as pictures:
            for frame in pictures:
                last = (frame.at, source.stats().decoded)
                first = last if picture is None else first
                frames, picture = frames + 1, frame.image
                if last[0] - first[0] >= (SHORTEST if _known(source) else seconds):
                    source.close()
                    break
    except SourceError as failure:
        error = failure
    except Exception as crash:  # noqa: BLE001  one bad driver must not hide what the others show
        error = SourceError(redact_text(f"{type(crash).__name__}: {crash}"), code="source_crashed")
    fps = (last[1] - first[1]) / (last[0] - first[0]) if last[0] > first[0] else None
    return Probe(_info(source), frames, fps, picture, error)


def _known(source: FrameSource) -> bool:
    info = _info(source)
    return info is None or info.keyframe_interval_s is not None or info.transport in {"v4l2", "gstreamer"}


def _info(source: FrameSource) -> StreamInfo | None:
    info: StreamInfo | None = getattr(source, "info", None)
    return info
