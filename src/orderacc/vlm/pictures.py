"""Checks and arithmetic on the picture of a request, before native code sees it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orderacc.errors import EngineError, ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from orderacc.domain.frames import Image

MAX_ASPECT = 200
"""Longer side over shorter side; Qwen2.5-VL refuses more."""


def check_picture(image: Image, *, max_pixels: int) -> None:
    """Refuse a picture the engine must never see: one without pixels ends the whole process.

    Args:
        image: Should be RGB uint8 [H, W, 3].
        max_pixels: Most pixels accepted; larger pictures should have been shrunk by the view.

    Raises:
        EngineError: `bad_image` with what is wrong.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        found = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise EngineError(f"the picture must be a uint8 array, not {found}", code="bad_image")
    if image.ndim != 3 or image.shape[2] != 3:
        raise EngineError(f"the picture must be [H, W, 3], not {list(image.shape)}", code="bad_image")
    height, width = image.shape[:2]
    if not height or not width:
        raise EngineError(f"the picture has no pixels ({width}x{height})", code="bad_image")
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise EngineError(f"the picture is too long and thin ({width}x{height})", code="bad_image")
    if height * width > max_pixels:
        raise EngineError(
            f"the picture is {width}x{height}, more than {max_pixels} pixels; cut a view out of the frame first",
            code="bad_image",
        )


@dataclass(frozen=True, slots=True)
class PictureRules:
    """How a Qwen2.5-VL model cuts a picture into visual tokens.

    Attributes:
        side: Side of one visual token in pixels.
        min_pixels: Smaller pictures are enlarged to this.
        max_pixels: Larger pictures are shrunk to this.
    """

    side: int
    min_pixels: int
    max_pixels: int

    @classmethod
    def read(cls, preprocessor_config: Path) -> PictureRules:
        """Read a model's `preprocessor_config.json`.

        Raises:
            ModelError: `model_broken` when it is not what a Qwen2.5-VL export holds.
        """
        try:
            config = json.loads(preprocessor_config.read_text(encoding="utf-8"))
            size = config.get("size") or {}
            least = config.get("min_pixels") or size["shortest_edge"]
            most = config.get("max_pixels") or size["longest_edge"]
            return cls(int(config["patch_size"]) * int(config["merge_size"]), int(least), int(most))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"{preprocessor_config} does not describe a Qwen2.5-VL picture ({type(error).__name__}: {error})",
                code="model_broken",
            ) from error

    def visual_tokens(self, width: int, height: int) -> int:
        """Tokens a picture of that size takes: it is resized to whole tokens within the pixel limits."""
        rows, columns = math.floor(height / self.side + 0.5), math.floor(width / self.side + 0.5)
        area = self.side * self.side
        if rows * columns * area > self.max_pixels:
            shrink = math.sqrt(height * width / self.max_pixels)
            rows = max(1, math.floor(height / shrink / self.side))
            columns = max(1, math.floor(width / shrink / self.side))
        elif rows * columns * area < self.min_pixels:
            enlarge = math.sqrt(self.min_pixels / (height * width))
            rows, columns = math.ceil(height * enlarge / self.side), math.ceil(width * enlarge / self.side)
        return rows * columns
