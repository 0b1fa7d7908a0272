"""What went wrong with a camera, told apart by codes that say who has to do what about it."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import av

from orderacc.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

REMEDIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unauthorized": "Check user and password, and that this user may see the stream; for a device under /dev, "
        "that this process may read it (group `video`).",
        "not_found": "The camera has no such stream, or there is no such device: check the path behind the address. "
        "The camera's own page usually shows it.",
        "refused": "What is at this address will not serve: check the port, and that RTSP is switched on in the "
        "camera. Too many viewers at once and the wrong transport (tcp, udp) are refused too.",
        "unreachable": "Nothing answers at this address: check the name or address, that the camera has power and "
        "its network cable, and that no firewall is between.",
        "timeout": "The camera takes connections but says nothing: it is starting, or it hangs. If this goes on, "
        "restart the camera.",
        "stalled": "The camera was connected and then sent no more pictures: look at its power and its network. It "
        "is opened again by itself.",
        "end_of_stream": "The camera ended the stream: it restarts, or another viewer took its place. It is opened "
        "again by itself.",
        "bad_stream": "What answers at this address is no video, or damaged beyond decoding: check port and path, "
        "and choose H.264 or H.265 in the camera.",
        "no_keyframe": "The camera sends video, but keyframes (also called I-frames) are too far apart to begin with: "
        "choose one every 1 or 2 s in the camera, without H.264+, H.265+ or a smart codec; or raise "
        "`capture.first_frame_timeout` beyond their distance.",
        "bad_pipeline": "Try the GStreamer pipeline with gst-launch-1.0, `fakesink` in place of `appsink`: it says "
        "which element is missing, misspelt or cannot have the camera. Here it must end in `appsink`.",
        "unsupported_codec": "This build cannot decode what the camera sends: choose H.264 or H.265 in the camera. "
        "GStreamer pipelines need an OpenCV built with GStreamer.",
        "source_crashed": "A driver or library failed in a way nobody foresaw: look whether it is up to date, and "
        "report the message.",
    }
)
"""What a person can do, for every code of `SourceError`."""

_OTHERWISE: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "file": {
            "not_found": "Check the path: it must name a file that this process may read.",
            "bad_stream": "Look whether a player shows it: this file is no video, or it was not copied to its end.",
            "unsupported_codec": "This build cannot decode the file: convert it to H.264 or H.265.",
            "end_of_stream": "The file was begun and holds no picture: record or copy it again.",
        },
        "http": {
            "not_found": "The camera has no such stream: check the path behind the address. The camera's manual names "
            "the address of its stream over HTTP.",
            "refused": "What is at this address will not serve: check the port, and that the stream over HTTP is "
            "switched on in the camera. Too many viewers at once are refused too.",
            "bad_stream": "What answers at this address is no video of a camera: check port and path, and name the "
            "stream, not the camera's page. Where it has none over HTTP, name its RTSP address.",
            "unsupported_codec": "This build cannot decode what the camera sends: choose H.264, H.265 or motion JPEG "
            "in the camera.",
        },
        "device": {
            "not_found": "Plug the camera in and look under which name it is there: `ls /dev/video*`.",
            "refused": "End the other program that shows this camera. Many cameras have two devices and show pictures "
            "on the first one only.",
            "bad_stream": "Name a camera: what has this name shows no pictures. `ls /dev/video*` tells what is there.",
            "stalled": "The camera sends no more pictures: plug it in directly, not through a hub. It is opened again "
            "by itself.",
            "end_of_stream": "Look at the camera's plug and its power. It is opened again by itself.",
        },
    }
)
"""The same by the type of the source, where that does not come over RTSP."""

UNKNOWN: Final = "Look at the message, and at the log around it."
"""What a person can do about any other code."""


def remedy(code: str, source: str) -> str:
    """What a person can do.

    Args:
        code: Of a `SourceError`.
        source: Type of the source, as in a configuration: `rtsp`, `http`, `file`, `device` or `simulator`.
    """
    return _OTHERWISE.get(source, REMEDIES).get(code) or REMEDIES.get(code, UNKNOWN)


PORTS: Final = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
"""Schemes of streams and the ports they mean when the address names none."""

NO_CAMERA: Final = (
    "a file, a picture or a playlist over HTTP is no camera; its stream is MPEG-TS, FLV, motion JPEG or raw H.264 or "
    "H.265, or comes over RTSP"
)
"""What is said of an address at which FFmpeg knows what comes, and may not take it."""

LOOK: Final = 1.0
"""Seconds to find out whether anything at all answers at an address, after a failure that does not say."""

_AWAY: Final = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL}

_ANSWERS: Final = (
    (av.error.HTTPUnauthorizedError, "unauthorized", "user or password is wrong or missing"),
    (av.error.HTTPForbiddenError, "unauthorized", "this user may not see the stream"),
    (av.error.HTTPNotFoundError, "not_found", "there is no such stream"),
    (av.error.HTTPError, "refused", "the camera says that it has a fault of its own"),
    (av.error.HTTPClientError, "refused", "the camera does not serve this stream like this"),
    (av.error.ConnectionRefusedError, "refused", "nothing listens on this port"),
    (ConnectionError, "refused", "the connection was dropped"),
    (av.error.DecoderNotFoundError, "unsupported_codec", "its video codec is not supported"),
    (av.error.EOFError, "bad_stream", "the connection ended before any video came"),
)
"""What FFmpeg's errors mean where they are clear, special ones first."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream comes from, without its path or anything else that may be secret.

    Attributes:
        scheme: `rtsp`, `rtsps`, `http` or `https`.
        host: Name or address.
        port: TCP port.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Place:
        """The place a URL names.

        Raises:
            ValueError: If it is not the URL of a stream. The message does not repeat it.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.scheme not in PORTS:
            raise ValueError(
                f"a stream's address begins with {', '.join(f'{one}://' for one in PORTS)} and names a host"
            )
        return cls(parts.scheme, host, port or PORTS[parts.scheme])

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def answers(self) -> OSError | None:
        """Whether anything takes a connection there; the reason when not. Takes `LOOK` seconds at most, names aside."""
        try:
            socket.create_connection((self.host, self.port), LOOK).close()
        except OSError as error:
            return error
        return None


def opening_failed(error: av.error.FFmpegError, place: Place, *, in_time: bool) -> SourceError:
    """Why a stream could not be opened.

    The result neither repeats FFmpeg's text nor refers to its error: both hold the address with its password.

    Args:
        error: What FFmpeg says.
        place: Where the stream was looked for.
        in_time: False when FFmpeg gave up because its time was over.
    """
    code, what = _answered(error)
    if code is None and isinstance(error, av.error.ArgumentError) and place.scheme.startswith("http"):
        code, what = "bad_stream", NO_CAMERA
    if code is None:
        code, what = _not_answered(place, in_time=in_time)
    return SourceError(f"{place}: {what}", code=code)


def reading_failed(error: av.error.FFmpegError, place: Place, *, in_time: bool) -> SourceError:
    """Why a stream that had been opened broke; otherwise as `opening_failed`."""
    if not in_time or isinstance(error, av.error.ExitError | av.error.TimeoutError):
        return SourceError(f"{place}: no more data came", code="stalled")
    if isinstance(error, ConnectionError | av.error.EOFError) or error.errno == errno.EIO:
        return SourceError(f"{place}: the connection broke", code="end_of_stream")
    return SourceError(f"{place}: what came cannot be read as video", code="bad_stream")


def _answered(error: av.error.FFmpegError) -> tuple[str | None, str]:
    """Code and words for what the other end said; no code when it is not clear that it said anything."""
    for kind, code, what in _ANSWERS:
        if isinstance(error, kind):
            return code, what
    if error.errno in _AWAY:
        return "unreachable", "there is no way to this address"
    return None, ""


def _not_answered(place: Place, *, in_time: bool) -> tuple[str, str]:
    """Code and words where FFmpeg's error may mean anything: it says the same of garbage as of silence."""
    reason = place.answers()
    if isinstance(reason, socket.gaierror):
        return "unreachable", "there is no host of this name"
    if isinstance(reason, ConnectionRefusedError):
        return "refused", "nothing listens on this port"
    if reason is not None:
        return "unreachable", "nothing answers at this address"
    if not in_time:
        return "timeout", "it takes connections but does not answer"
    return "bad_stream", "what answers there is no video stream"
