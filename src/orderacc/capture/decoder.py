"""Decoding on the graphics processor where there is one, and in software everywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Acceleration: TypeAlias = Literal["auto", "none", "vaapi", "qsv"]

KINDS: Final = ("qsv", "vaapi")
"""Kinds of hardware decoding, in the order in which `auto` tries them."""

PATIENCE: Final = 30
"""Packets from a keyframe on that hardware may swallow without giving a first picture; after so many it is taken to be
useless."""


class Decoder:
    """Decodes one stream.

    Hardware that is not there, does not know the codec, or fails before its first picture is replaced by software; the
    pictures up to the next keyframe are lost then. Hardware that fails later fails like any decoder.

    Attributes:
        hwaccel: What decodes: `qsv`, `vaapi`, or `none` for software.
        fallback: Why it is software although hardware was wished for by name or has been tried; None otherwise.
    """

    def __init__(self, stream: VideoStream, wanted: Acceleration) -> None:
        """Choose.

        Args:
            stream: What is to be decoded; its container must stay open.
            wanted: A kind of hardware, `auto` for whatever is there, or `none`.
        """
        self._software = stream.codec_context
        self._software.thread_count = 1
        self._hardware: VideoCodecContext | None = None
        self._proven = False
        self._swallowed = 0
        self.hwaccel = "none"
        self.fallback: str | None = None
        for kind in KINDS if wanted == "auto" else (wanted,):
            if wanted != "none" and self._hardware is None:
                self._hardware = hardware_decoder(self._software, kind)
                self.hwaccel = kind if self._hardware else "none"
        if wanted not in {"none", "auto"} and self._hardware is None:
            self.fallback = f"no {wanted} for {self._software.name} here"

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """Pictures that are complete with this packet, in main memory.

        Raises:
            av.error.FFmpegError: It cannot be decoded.
        """
        if self._hardware is None:
            return self._software.decode(packet)
        try:
            pictures = self._hardware.decode(packet)
        except av.error.FFmpegError as error:
            if self._proven:
                raise
            self._give_up(f"{self.hwaccel} failed: {error.strerror}")
            return self._software.decode(packet)
        self._proven = self._proven or bool(pictures)
        if not self._proven:
            self._swallowed += bool(self._swallowed or packet.is_keyframe)
            if self._swallowed >= PATIENCE:
                self._give_up(f"{self.hwaccel} gave no picture")
        return pictures

    def _give_up(self, reason: str) -> None:
        self._hardware = None
        self.hwaccel, self.fallback = "none", reason


def hardware_decoder(software: VideoCodecContext, kind: str) -> VideoCodecContext | None:
    """A decoder of the same codec on hardware, or None where there is none."""
    if kind not in hwdevices_available():
        return None
    # Quick Sync has decoders of its own; the other kinds are helpers of the software's.
    name = f"{software.name}_qsv" if kind == "qsv" else software.name
    try:
        # A fallback inside FFmpeg tells nobody: what this hardware cannot do (10 bit, 4:2:2) must fail to be replaced.
        hardware = HWAccel(kind, allow_software_fallback=False)
        context = cast("VideoCodecContext", av.CodecContext.create(name, "r", hwaccel=hardware))
    except (av.error.FFmpegError, ValueError):
        return None
    if not context.is_hwaccel:
        return None
    context.extradata = software.extradata
    context.thread_count = 1
    if kind == "qsv":
        # By default it holds four pictures back to be busy, which is four too late.
        context.options = {"async_depth": "1"}
    return context
