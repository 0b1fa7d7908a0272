"""The section `scaling`: what happens when there is too much to do."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from orderacc.config.section import Interval, Section, Share


class ScalingConfig(Section):
    """How hard the models are worked. Just `fixed` or `auto` does for the whole section."""

    mode: Literal["fixed", "auto"] = "fixed"
    """`auto` asks in small batches and ahead of time while there is little to do, and gives up the one, then the other,
    then frames, when there is too much; every order gets its verdict either way. `fixed` changes nothing."""
    high_utilisation: Share = 0.8
    """Share of its time above which a device has too much to do."""
    low_utilisation: Annotated[float, Field(gt=0, le=0.5, validate_default=True)] = 0.3
    """Share below which it has nothing to do; at most half of `high_utilisation`."""
    latency_target_sec: Interval = 2.0
    """Answers of the model that take longer on average, the wait included, are too late."""
    queue_target: Annotated[int, Field(ge=1, le=10000)] = 16
    """Pictures waiting above which there are too many."""
    busy_after_sec: Interval = 10.0
    """There must be too much to do for this long before something is given up."""
    idle_after_sec: Interval = 300.0
    """There must be nothing to do for this long before it is taken up again."""
    first_batch_size: Annotated[int, Field(ge=1, le=256)] = 4
    """Most pictures in one call while there is little to do; `vlm.max_batch_size` when there is much."""

    @field_validator("low_utilisation")
    @classmethod
    def _far_apart(cls, low: float, info: ValidationInfo) -> float:
        if low > info.data.get("high_utilisation", 1.0) / 2:
            raise PydanticCustomError("too_close", "should be at most half of high_utilisation")
        return low


def _mode_alone(value: object) -> object:
    return {"mode": value} if isinstance(value, str) else value


Scaling: TypeAlias = Annotated[
    ScalingConfig,
    BeforeValidator(_mode_alone, json_schema_input_type=ScalingConfig | Literal["fixed", "auto"]),
]
"""The section, or its mode alone."""
