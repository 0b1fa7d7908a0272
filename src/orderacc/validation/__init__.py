"""Is what was seen what was paid for: names made comparable, frames fused, lines matched, the verdict."""

from __future__ import annotations

from orderacc.validation.fuse import FrameAnswer, fuse
from orderacc.validation.judge import judge
from orderacc.validation.matching import Strategy

__all__ = ["FrameAnswer", "Strategy", "fuse", "judge"]
