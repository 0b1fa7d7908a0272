"""The shapes of what is said of the box's health."""

from __future__ import annotations

from typing import Literal

from orderacc.api.shapes import Told


class Alive(Told):
    """That there is somebody."""

    status: Literal["ok"]
    """Always."""


class Ready(Told):
    """Whether orders are judged."""

    ready: bool
    """True with status 200, false with 503."""


class ComponentHealth(Told):
    """How one part is."""

    status: Literal["ok", "degraded", "failed"]
    """`degraded`: it does its work, or others do it; `failed`: it does not."""
    reason: str | None
    """What is wrong, for a person."""


class Health(Told):
    """How the box is."""

    status: Literal["ok", "degraded", "failed"]
    """The worst there is; `failed` when no order can be judged, and then the HTTP status is 503."""
    version: str
    """Of the program."""
    uptime_s: float
    """Seconds since the start."""
    components: dict[str, ComponentHealth]
    """Part by part: `model`, `loop`, `station:<id>` and those of storage and the outside."""
