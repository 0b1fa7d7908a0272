"""Is what was seen what was paid for: names made comparable, frames fused, lines matched, the verdict."""

from __future__ import annotations

from orderacc.domain.findings import Strategy
from orderacc.validation.findings import with_sightings
from orderacc.validation.fuse import FrameAnswer, fuse
from orderacc.validation.judge import judge
from orderacc.validation.semantics import Semantics, pairs_in_doubt

__all__ = ["FrameAnswer", "Semantics", "Strategy", "fuse", "judge", "pairs_in_doubt", "with_sightings"]
