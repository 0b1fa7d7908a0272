"""Cameras on the network, read by FFmpeg (PyAV)."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar, cast

import av
from av.video.reformatter import VideoReformatter

from orderacc.capture.decoder import Decoder
from orderacc.capture.failures import Place, opening_failed, reading_failed
from orderacc.capture.pixels import upright_bgr
from orderacc.capture.policy import FIRST_FRAME
from orderacc.capture.source import SourceStats, StreamInfo
from orderacc.capture.timing import Decimator, LiveClock
from orderacc.domain.frames import Frame
from orderacc.errors import SourceError
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from orderacc.capture.decoder import Acceleration

_log = get_logger(__name__)
_T = TypeVar("_T")

Transport: TypeAlias = Literal["tcp", "udp"]

FORMATS: Final = {
    "rtsp": "rtsp",
    "http": "mpegts,flv,mpjpeg,mjpeg,h264,hevc",
}
"""What may come over the network. Anything else is refused before it is parsed; files and playlists are, for they come
as fast as the network, or by many seconds at once."""

PROTOCOLS: Final = {
    "rtsp": "rtsp,rtsps,tcp,udp,rtp,tls",
    "http": "http,https,tcp,tls",
}
"""What FFmpeg may use for it. No `file`: wherever a stream leads, this machine's files stay closed."""

UNTIMED: Final = frozenset({"mpjpeg", "mjpeg", "h264", "hevc"})
"""Formats that say nothing of time: FFmpeg makes up 25 frames a second, and the arrivals tell better."""

ANALYSE: Final = 200_000
"""Microseconds of stream that FFmpeg looks at before it hands it over."""

RATE_FRAMES: Final = 2
"""Frames it looks at to guess the rate; with its own 20 a camera of 5 frames a second shows nothing for 5 s."""

EARLY: Final = 0.9
"""Share of the timeout from which on a failure is put down to it: FFmpeg gives up a little before or after."""


class StreamSource:
    """A camera's stream over RTSP or HTTP.

    Everything that comes is decoded at once, so that nothing grows old in a buffer; what is left out to come down to
    the rate is not converted. The picture's size may change on the way. FFmpeg hands a picture over when the next one
    begins to arrive: frames are one frame's time old when they get here.

    With `rtsps` and `https` the connection is encrypted, but the certificate is not checked: cameras sign their own.

    Opening takes at most twice the timeout and reading ends at most one timeout after the last data, closed or not.
    Looking up a host's name is not bounded by it.
    """

    def __init__(
        self,
        url: str,
        station_id: str,
        fps: float | None = None,
        *,
        timeout: float = 5.0,
        first_frame_timeout: float = FIRST_FRAME,
        transport: Transport = "tcp",
        hwaccel: Acceleration = "auto",
    ) -> None:
        """Name the camera; nothing is opened yet.

        Args:
            url: `rtsp://`, `rtsps://`, `http://` or `https://`, with user and password where they are needed. It
                appears in no message, log or error beyond scheme, host and port.
            station_id: The station its frames are for.
            fps: Frames a second to deliver, at most what the camera has; None delivers all.
            timeout: Seconds without any data after which the camera is taken to be gone.
            first_frame_timeout: Seconds from the start in which a picture must come: more than the camera's distance
                from one keyframe to the next.
            transport: How RTSP brings the pictures.
            hwaccel: What decodes: a kind of hardware, whatever is there, or software. What is not there is replaced.

        Raises:
            ValueError: If the URL is not a stream's, or `fps` or `timeout` is not positive.
        """
        if not timeout > 0:
            raise ValueError(f"timeout must be greater than 0, not {timeout!r}")
        self._place = Place.of(url)
        # FFmpeg knows its protocols in small letters only.
        self._url = f"{self._place.scheme}://{url.partition('://')[2]}"
        self._family = "rtsp" if self._place.scheme.startswith("rtsp") else "http"
        self._station_id = station_id
        self._decimator = Decimator(fps, live=True)
        self._timeout = timeout
        self._first_frame_timeout = first_frame_timeout
        self._transport = transport
        self._hwaccel: Acceleration = hwaccel
        self._closing = threading.Event()
        self._info: StreamInfo | None = None
        self._decoded = 0
        self._kept = 0
        self._damaged = 0
        self._decode_s = 0.0
        self._resolution_changes = 0

    @property
    def station_id(self) -> str:
        """The station the frames belong to."""
        return self._station_id

    @property
    def info(self) -> StreamInfo | None:
        """What is known of the stream; None until it has been opened. May be taken from any thread."""
        return self._info

    def close(self) -> None:
        """Make `frames()` end at the next packet, or when the timeout for it is over."""
        self._closing.set()

    def stats(self) -> SourceStats:
        """Frames and losses so far; `decode_s` is processor time."""
        return SourceStats(self._decoded, self._kept, self._damaged, self._decode_s, self._resolution_changes)

    def frames(self) -> Generator[Frame, None, None]:
        """Open the stream and deliver its frames as they come.

        Yields:
            Frames as BGR uint8 [H, W, 3]; `at` is 0 for the first.

        Raises:
            SourceError: `unauthorized`, `not_found`, `refused`, `unreachable`, `timeout`, `bad_stream`, `no_keyframe`
                or `unsupported_codec` when it cannot be opened; `stalled`, `end_of_stream` or `bad_stream` when it
                breaks. A stream that ends of itself is `end_of_stream`.
        """
        began = time.monotonic()
        if self._closing.is_set():
            return
        with self._guarded(self._open, opening_failed) as container:
            stream = self._video(container)
            opened = time.monotonic()
            decoder = Decoder(stream, self._hwaccel)
            timed = container.format.name not in UNTIMED
            rate = (stream.guessed_rate or stream.average_rate) if timed else None
            self._info = StreamInfo(
                codec=stream.codec_context.name,
                width=0,
                height=0,
                fps=float(rate) if rate and 0 < rate <= 240 else None,
                hwaccel=decoder.hwaccel,
                transport=self._transport if self._family == "rtsp" else "http",
                opened_s=opened - began,
            )
            clock = LiveClock(stream.time_base, rate)
            reformatter = VideoReformatter()
            with closing(self._pictures(container, stream, decoder, began)) as pictures:
                for picture, arrived in pictures:
                    at = clock.at(picture.pts if timed else None, arrived)
                    if self._decimator.keeps(at):
                        image = upright_bgr(picture, reformatter)
                        frame = Frame(self._station_id, self._kept, float(at), image, picture.pts, time.time())
                        self._kept += 1
                        yield frame
        if not self._closing.is_set():
            raise SourceError(f"{self._place}: the stream ended", code="end_of_stream")

    def _open(self) -> InputContainer:
        microseconds = str(round(self._timeout * 1_000_000))
        options = {
            "timeout": microseconds,
            "analyzeduration": str(ANALYSE),
            "fpsprobesize": str(RATE_FRAMES),
            "format_whitelist": FORMATS[self._family],
            "protocol_whitelist": PROTOCOLS[self._family],
        }
        if self._family == "rtsp":
            options |= {"rtsp_transport": self._transport, "allowed_media_types": "video"}
        else:
            options["rw_timeout"] = microseconds
        return cast(
            "InputContainer", av.open(self._url, options=options, metadata_errors="ignore", timeout=self._timeout)
        )

    def _video(self, container: InputContainer) -> VideoStream:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise SourceError(f"{self._place}: the stream holds no video", code="bad_stream")
        if stream.codec_context is None:
            raise SourceError(f"{self._place}: its video codec is not supported", code="unsupported_codec")
        return stream

    def _pictures(
        self, container: InputContainer, stream: VideoStream, decoder: Decoder, began: float
    ) -> Generator[tuple[VideoFrame, float], None, None]:
        """Whole pictures with the time they came at; counts what is damaged and goes on behind it."""
        packets = container.demux(stream)
        keyframe: int | None = None
        sharp = False
        while True:
            asked = time.monotonic()
            packet = self._guarded(lambda: next(packets, None), reading_failed)
            now = time.monotonic()
            if self._closing.is_set() or packet is None:
                return
            # Out of time, FFmpeg hands over what it still holds, and would wait as long again before it says so.
            if now - asked >= self._timeout * EARLY:
                raise SourceError(f"{self._place}: no more data came", code="stalled")
            sharp = sharp or packet.is_keyframe
            if not self._decoded and now - began > self._first_frame_timeout:
                raise self._blind(sharp=sharp)
            if packet.is_keyframe and self._info is not None:
                self._note_keyframe(self._info, keyframe, packet)
                keyframe = packet.pts
            for picture in self._decode(decoder, packet):
                info = self._info
                if info is not None and (picture.width, picture.height) != (info.width, info.height):
                    self._note_size(info, picture, decoder, began)
                yield picture, now

    def _blind(self, *, sharp: bool) -> SourceError:
        """Why there is no picture yet although data come; `sharp` is whether a keyframe was among them."""
        if sharp:
            return SourceError(f"{self._place}: nothing that came could be decoded", code="bad_stream")
        what = f"video comes, but no keyframe for {self._first_frame_timeout:g} s"
        return SourceError(f"{self._place}: {what}", code="no_keyframe")

    def _decode(self, decoder: Decoder, packet: Packet[VideoStream]) -> list[VideoFrame]:
        started = time.thread_time()
        try:
            pictures = [] if packet.is_corrupt else decoder.decode(packet)
            self._damaged += packet.is_corrupt
        except av.error.FFmpegError:
            self._damaged += 1
            pictures = []
        whole = [picture for picture in pictures if not picture.is_corrupt]
        self._damaged += len(pictures) - len(whole)
        self._decoded += len(whole)
        self._decode_s += time.thread_time() - started
        return whole

    def _note_keyframe(self, info: StreamInfo, before: int | None, packet: Packet[VideoStream]) -> None:
        if before is not None and packet.pts is not None and packet.pts > before and packet.time_base:
            self._info = replace(info, keyframe_interval_s=float((packet.pts - before) * packet.time_base))

    def _note_size(self, info: StreamInfo, picture: VideoFrame, decoder: Decoder, began: float) -> None:
        size, before = (picture.width, picture.height), (info.width, info.height)
        if info.first_frame_s is not None:
            self._resolution_changes += 1
            self._info = replace(info, width=size[0], height=size[1])
            _log.info("resolution_changed", station_id=self._station_id, size=size, before=before)
            return
        took = time.monotonic() - began
        self._info = replace(info, width=size[0], height=size[1], first_frame_s=took, hwaccel=decoder.hwaccel)
        _log.info(
            "stream_opened",
            station_id=self._station_id,
            place=str(self._place),
            codec=info.codec,
            size=size,
            fps=info.fps,
            hwaccel=decoder.hwaccel,
            fallback=decoder.fallback,
            transport=info.transport,
            first_frame_s=round(took, 3),
        )

    def _guarded(self, step: Callable[[], _T], explain: Callable[..., SourceError]) -> _T:
        """Take a step into FFmpeg and turn its errors into ours.

        Ours are raised outside the handler: an error that is the context of another is shown with it, and FFmpeg's hold
        the address with its password.
        """
        began = time.monotonic()
        try:
            return step()
        except av.error.FFmpegError as error:
            failure = error
        raise explain(failure, self._place, in_time=time.monotonic() - began < self._timeout * EARLY)
