"""The part of a frame the model looks at: the items and a margin around them, aspect kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderacc.domain.detections import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderacc.domain.frames import Image

MIN_WIDTH = 0.675
"""Narrowest window as a share of the frame's width: items keep one scale whether the order is small or large."""

MARGIN = 0.03
"""Kept free around the outermost boxes, as a share of the frame's width."""

BARELY = 1.25
"""Shrinking by this factor or less is no more than a change of grid."""


def view_window(frame_size: tuple[int, int], boxes: Sequence[Box], view_size: tuple[int, int]) -> Box:
    """Choose the window of a frame that holds all boxes.

    Args:
        frame_size: Width and height of the frame in pixels.
        boxes: Item boxes; when empty, the widest window about the middle is taken.
        view_size: Width and height of the picture the model gets; only its aspect matters here.

    Returns:
        A window inside the frame with the aspect of `view_size`, as large as the boxes need and never narrower than
        `MIN_WIDTH`. Boxes that need more than the frame has at that aspect get the largest window there is.
    """
    width, height = frame_size
    aspect = view_size[0] / view_size[1]
    widest = min(float(width), height * aspect)
    if boxes:
        left, top = min(box.x1 for box in boxes), min(box.y1 for box in boxes)
        right, bottom = max(box.x2 for box in boxes), max(box.y2 for box in boxes)
        need = max(right - left, (bottom - top) * aspect) + 2 * MARGIN * width
        centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
    else:
        need, centre_x, centre_y = widest, width / 2, height / 2
    window_width = min(widest, max(need, MIN_WIDTH * width))
    window_height = window_width / aspect
    x1 = min(max(0.0, centre_x - window_width / 2), width - window_width)
    y1 = min(max(0.0, centre_y - window_height / 2), height - window_height)
    return Box(x1, y1, x1 + window_width, y1 + window_height)


def render_view(image: Image, window: Box, view_size: tuple[int, int]) -> Image:
    """Cut the window out and shrink it.

    Exact halvings come first, they are vectorised in OpenCV, and where little is left to shrink (`BARELY`) four pixels
    make one as well as all: 0.9 ms instead of 2.7 for a 720p frame. Of 480 pictures none was answered differently for
    the first, and 1 of 477 for the second.

    Args:
        image: BGR uint8 [H, W, 3].
        window: From `view_window`.
        view_size: Width and height of the result in pixels; both multiples of 28 for Qwen2.5-VL.

    Returns:
        RGB uint8 [height, width, 3], contiguous.
    """
    import cv2

    crop = image[round(window.y1) : round(window.y2), round(window.x1) : round(window.x2)]
    enlarged = crop.shape[1] < view_size[0]
    while crop.shape[1] >= 2 * view_size[0] and crop.shape[0] >= 2 * view_size[1]:
        width, height = crop.shape[1] // 2, crop.shape[0] // 2
        crop = cv2.resize(crop[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    left = max(crop.shape[1] / view_size[0], crop.shape[0] / view_size[1])
    method = cv2.INTER_CUBIC if enlarged else cv2.INTER_LINEAR if left <= BARELY else cv2.INTER_AREA
    scaled = cv2.resize(crop, view_size, interpolation=method)
    result: Image = cv2.cvtColor(scaled, cv2.COLOR_BGR2RGB)
    return result
