"""Pictures with times, as an MP4 that browsers play."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from orderacc.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.container import OutputContainer

    from orderacc.domain.frames import Image

TICKS: Final = 90_000
"""Time base, ticks a second."""

LAST: Final = 1.0
"""Seconds the last picture stays."""

CODEC: Final = "libx264"
OPTIONS: Final = {"preset": "veryfast", "crf": "26", "bf": "0", "x264-params": "sliced-threads=0"}


def movie(pictures: Sequence[tuple[float, bytes]], *, width: int = 960) -> bytes:
    """Make an MP4 (H.264). Takes milliseconds a picture: call it from a worker thread.

    Args:
        pictures: Time in seconds, growing, and JPEG of each; what cannot be decoded is left out.
        width: Most pixels across; all pictures get the shape of the first.

    Raises:
        StorageError: `no_such_object` if there is no picture to show.
    """
    import av

    decoded = [(at, image) for at, data in pictures if (image := _decoded(data)) is not None]
    if not decoded:
        raise StorageError("there are no pictures to make a video of", code="no_such_object")
    size = _even_size(decoded[0][1], width)
    # A file, because an index at the front, with which browsers can begin at once, is written in a second pass.
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        with av.open(file.name, "w", format="mp4", options={"movflags": "+faststart"}) as container:
            _encode(container, decoded, size)
        return file.read()


def _encode(container: OutputContainer, decoded: Sequence[tuple[float, Image]], size: tuple[int, int]) -> None:
    import av

    began, last = decoded[0][0], -1
    stream = container.add_stream(CODEC, rate=10, options=dict(OPTIONS))
    stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
    stream.codec_context.time_base = Fraction(1, TICKS)
    stream.codec_context.thread_count = 1
    for at, image in [*decoded, (decoded[-1][0] + LAST, decoded[-1][1])]:
        picture = av.VideoFrame.from_ndarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), format="bgr24")
        last = picture.pts = max(last + 1, round((at - began) * TICKS))
        picture.time_base = Fraction(1, TICKS)
        container.mux(stream.encode(picture))
    container.mux(stream.encode(None))


def _decoded(data: bytes) -> Image | None:
    if not data:
        return None
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image, np.uint8)


def _even_size(image: Image, width: int) -> tuple[int, int]:
    """H.264 of this kind has a colour sample for two pixels each way."""
    height, across = image.shape[:2]
    scale = min(1.0, width / across)
    return max(2, round(across * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)
