"""Recorded video, decoded by FFmpeg (PyAV)."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import av
from av.video.reformatter import VideoReformatter

from orderacc.capture.pixels import upright_bgr
from orderacc.capture.source import SourceStats, StreamInfo
from orderacc.capture.timing import Decimator, FrameClock
from orderacc.domain.frames import Frame
from orderacc.errors import SourceError
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_log = get_logger(__name__)

FORMATS: Final = "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,m4v,mjpeg,flv,asf,ogg,mxf,ivf,obu"
"""Containers that are read. Anything else is refused before it is parsed: FFmpeg takes a text file for a terminal
recording, and would follow a playlist to whatever files it names."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video says of itself, unchecked.

    Attributes:
        width: Pixels, before any rotation.
        height: Pixels, before any rotation.
        fps: Nominal frames a second; None when unknown.
        duration: Seconds; None when unknown.
        codec: E.g. `h264`.
    """

    width: int
    height: int
    fps: float | None
    duration: float | None
    codec: str


class VideoFileSource:
    """A video file as a camera.

    A file that is cut short or damaged delivers every frame that is whole and then ends; what was thrown away is
    counted in `stats().damaged` and logged once as `video_damaged`. Only a file without a single frame is an error;
    an MP4 that has lost the index at its end is one.
    """

    def __init__(self, path: Path | str, station_id: str, fps: float | None = None) -> None:
        """Name the file; nothing is opened yet.

        Args:
            path: The video.
            station_id: The station its frames are for.
            fps: Frames a second to deliver, at most what the video has; None delivers all.

        Raises:
            ValueError: If `fps` is not positive.
        """
        self._path = Path(path)
        self._station_id = station_id
        self._decimator = Decimator(fps)
        self._closing = threading.Event()
        self._info: StreamInfo | None = None
        self._keyframe: int | None = None
        self._decoded = 0
        self._kept = 0
        self._damaged = 0

    @property
    def station_id(self) -> str:
        """The station the frames belong to."""
        return self._station_id

    @property
    def info(self) -> StreamInfo | None:
        """What is known of the video; None until its first frame. May be taken from any thread."""
        return self._info

    def close(self) -> None:
        """Make `frames()` end at the next packet."""
        self._closing.set()

    def stats(self) -> SourceStats:
        """Frames and losses so far."""
        return SourceStats(decoded=self._decoded, kept=self._kept, damaged=self._damaged)

    def frames(self) -> Generator[Frame, None, None]:
        """Decode the file.

        Yields:
            Frames as BGR uint8 [H, W, 3], upright; `at` is 0 for the first.

        Raises:
            SourceError: `not_found`, `bad_stream` (no video, or nothing in it can be decoded), `unsupported_codec`,
                `end_of_stream` (a video without a single frame).
        """
        began = time.monotonic()
        with _opened(self._path) as (container, stream):
            opened_s = time.monotonic() - began
            clock = FrameClock(stream.time_base, stream.guessed_rate or stream.average_rate)
            reformatter = VideoReformatter()
            with closing(self._decode(container, stream)) as pictures:
                for picture in pictures:
                    if self._info is None:
                        self._info = _info(stream, picture, opened_s, time.monotonic() - began)
                    at = clock.at(picture.pts)
                    if self._decimator.keeps(at):
                        image = upright_bgr(picture, reformatter)
                        frame = Frame(self._station_id, self._kept, float(at), image, picture.pts)
                        self._kept += 1
                        yield frame
        if self._damaged:
            _log.warning("video_damaged", path=str(self._path), damaged=self._damaged, decoded=self._decoded)
        if not self._decoded and not self._closing.is_set():
            if self._damaged:
                raise SourceError(f"{self._path}: none of its frames can be decoded", code="bad_stream")
            raise SourceError(f"{self._path}: the video has no frames", code="end_of_stream")

    def _decode(self, container: InputContainer, stream: VideoStream) -> Generator[VideoFrame, None, None]:
        """Whole pictures in presentation order; counts what is damaged and goes on behind it."""
        packets = container.demux(stream)
        while not self._closing.is_set():
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                # The container itself is broken from here on; what the decoder still holds is lost with it.
                self._damaged += 1
                return
            if packet is None:
                return
            if packet.is_corrupt:
                self._damaged += 1
                continue
            if packet.is_keyframe:
                self._note_keyframe(packet)
            try:
                pictures = packet.decode()
            except av.error.FFmpegError:
                self._damaged += 1
                continue
            for picture in pictures:
                if picture.is_corrupt:
                    self._damaged += 1
                else:
                    self._decoded += 1
                    yield picture

    def _note_keyframe(self, packet: Packet[VideoStream]) -> None:
        if self._info is not None and self._keyframe is not None and packet.pts is not None and packet.time_base:
            between = float((packet.pts - self._keyframe) * packet.time_base)
            self._info = replace(self._info, keyframe_interval_s=between)
        self._keyframe = packet.pts


def _info(stream: VideoStream, picture: VideoFrame, opened_s: float, first_frame_s: float) -> StreamInfo:
    rate = stream.guessed_rate or stream.average_rate
    return StreamInfo(
        codec=stream.codec_context.name,
        width=picture.width,
        height=picture.height,
        fps=float(rate) if rate else None,
        hwaccel="none",
        transport="file",
        opened_s=opened_s,
        first_frame_s=first_frame_s,
    )


def probe_video(path: Path | str) -> VideoInfo:
    """Read a video's headers.

    Raises:
        SourceError: `not_found`, `bad_stream` or `unsupported_codec`, as `VideoFileSource.frames` does.
    """
    with _opened(Path(path)) as (container, stream):
        rate = stream.guessed_rate or stream.average_rate
        if stream.duration is not None and stream.time_base:
            duration: float | None = float(stream.duration * stream.time_base)
        else:
            duration = None if container.duration is None else container.duration / av.time_base
        context = stream.codec_context
        return VideoInfo(context.width, context.height, float(rate) if rate else None, duration, context.name)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    if not path.is_file():
        raise SourceError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}", code="not_found")
    try:
        # An absolute path cannot be read as one of FFmpeg's protocols.
        container = av.open(
            str(path.resolve()),
            options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            metadata_errors="ignore",
        )
    except PermissionError as error:
        raise SourceError(f"{path}: may not be read", code="not_found") from error
    except av.error.EOFError as error:
        raise SourceError(f"{path}: the video has no frames", code="end_of_stream") from error
    except av.error.FFmpegError as error:
        raise SourceError(f"{path}: not a video, or damaged beyond reading", code="bad_stream") from error
    with container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise SourceError(f"{path}: holds no video", code="bad_stream")
        if stream.codec_context is None:
            raise SourceError(f"{path}: its video codec is not supported", code="unsupported_codec")
        stream.codec_context.thread_count = 1
        yield container, stream
