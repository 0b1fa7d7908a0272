"""From FFmpeg's pictures to ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

    from orderacc.domain.frames import Image


def upright_bgr(picture: VideoFrame, reformatter: VideoReformatter) -> Image:
    """Pixels as BGR uint8 [H, W, 3], turned as the stream says they are to be shown.

    Args:
        picture: In any pixel format and size; both may differ from call to call.
        reformatter: Of the stream; keeps what converting needs between calls.
    """
    image = cast("Image", reformatter.reformat(picture, format="bgr24", threads=1).to_ndarray())
    quarter_turns = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
