"""Small real videos for the tests, made by FFmpeg's own encoders."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIZE = (320, 180)
TICK = Fraction(1, 1000)


def write_video(
    path: Path,
    *,
    frames: int = 30,
    fps: int = 30,
    size: tuple[int, int] = SIZE,
    codec: str = "libx264",
    times_ms: Sequence[int] | None = None,
    gop: int = 10,
    noise: bool = False,
    pixels: str = "yuv420p",
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a video whose frame number can be read back off its brightness (`number_of`).

    Args:
        path: Where; the suffix chooses the container.
        frames: How many.
        fps: Nominal rate.
        size: Width and height in pixels.
        codec: FFmpeg encoder.
        times_ms: Presentation time of each frame in milliseconds; a constant rate when None.
        gop: Frames from one keyframe to the next.
        noise: Add noise, so that packets are large enough to be cut in the middle.
        pixels: FFmpeg pixel format.
        container_options: For the muxer.
    """
    count = frames if times_ms is None else len(times_ms)
    rng = np.random.default_rng(1)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        stream.bit_rate = 4_000_000
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "x264-params": "sliced-threads=0"}
        if codec == "libx265":
            stream.options = {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"}
        if times_ms is not None:
            stream.codec_context.time_base = TICK
        for number in range(count):
            image = np.full((size[1], size[0], 3), brightness(number), np.uint8)
            image[: size[1] // 2, : size[0] // 2, 2] = 255  # red in the top left quarter
            if noise:
                image[size[1] // 2 :] += rng.integers(0, 4, (size[1] - size[1] // 2, size[0], 3), np.uint8)
            picture = av.VideoFrame.from_ndarray(image, format="bgr24")
            picture.pts = number if times_ms is None else times_ms[number]
            picture.time_base = Fraction(1, fps) if times_ms is None else TICK
            container.mux(stream.encode(picture))
        if count:
            container.mux(stream.encode())
        else:
            container.start_encoding()
    return path


def brightness(number: int) -> int:
    """Grey of frame `number`; 32 numbers can be told apart, and neighbours differ much."""
    return 4 + number * 13 % 32 * 7


def number_of(image: np.ndarray) -> int:
    """The frame's number (mod 32), read off its bottom right quarter."""
    grey = float(image[image.shape[0] * 5 // 8 :, image.shape[1] * 5 // 8 :].mean())
    return round((grey - 4) / 7) * 5 % 32


def cut(path: Path, share: float) -> Path:
    """Keep only the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def turn(path: Path, quarter_turns: int) -> Path:
    """Give an MP4 a display matrix, as a phone held sideways writes it; quarter turns are counterclockwise."""
    cos, sin = [(1, 0), (0, -1), (-1, 0), (0, 1)][quarter_turns % 4]
    matrix = [cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30]
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(data)
    return path
