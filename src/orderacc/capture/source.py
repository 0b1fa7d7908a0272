"""What a camera is to the rest of the program."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator

    from orderacc.domain.frames import Frame


@dataclass(frozen=True, slots=True)
class SourceStats:
    """What a source has met so far.

    Attributes:
        decoded: Whole frames taken out of the stream.
        kept: Frames delivered, at most the rate asked for.
        damaged: Packets and frames that were thrown away because they could not be decoded whole.
        decode_s: Seconds spent decoding; 0 where it is not measured.
        resolution_changes: How often the picture's size changed on the way.
    """

    decoded: int = 0
    kept: int = 0
    damaged: int = 0
    decode_s: float = 0.0
    resolution_changes: int = 0

    def __add__(self, other: SourceStats) -> SourceStats:
        """Two passes together."""
        sums = (getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        return SourceStats(*sums)

    @property
    def dropped(self) -> int:
        """Frames left out to come down to the rate asked for."""
        return self.decoded - self.kept


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What is known of a stream that has been opened.

    Attributes:
        codec: E.g. `h264`.
        width: Pixels of the newest picture; 0 before the first.
        height: Likewise.
        fps: Frames a second as the stream declares them; None when it does not.
        hwaccel: What decodes: `none` (software), `vaapi`, `qsv`.
        transport: `tcp`, `udp`, `http`, `file`, or `v4l2` and `gstreamer` of local devices.
        opened_s: Seconds until the stream was open.
        first_frame_s: Seconds until the first picture, opening included; None before it.
        keyframe_interval_s: Seconds between the last two keyframes; None before the second.
    """

    codec: str
    width: int
    height: int
    fps: float | None
    hwaccel: str
    transport: str
    opened_s: float
    first_frame_s: float | None = None
    keyframe_interval_s: float | None = None


class FrameSource(Protocol):
    """A camera, or what passes for one: a video file, the simulator.

    Sources block and know nothing of the event loop; `FrameReader` runs one in a thread of its own. A source makes one
    pass: when it has ended or failed, whoever wants more builds a new one.
    """

    @property
    def station_id(self) -> str:
        """The station the frames belong to."""
        ...

    def frames(self) -> Generator[Frame, None, None]:
        """Open the stream and deliver its frames in order of time.

        What was opened is released when the generator ends, fails or is closed. Frames come as
        fast as the stream gives them: a file is not paced here.

        Yields:
            Frames with growing `at` and `index` from 0.

        Raises:
            SourceError: The stream cannot be opened, or broke while it was read.
        """
        ...

    def close(self) -> None:
        """Make `frames()` end soon, from any thread and at any time, also before it has begun. Returns at once."""
        ...

    def stats(self) -> SourceStats:
        """A snapshot; may be taken from any thread."""
        ...
