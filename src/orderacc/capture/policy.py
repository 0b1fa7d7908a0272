"""How patient a station is with its camera."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

FIRST_FRAME: Final = 15.0
"""Seconds to the first picture that are enough unless the camera is told to save keyframes."""


@dataclass(frozen=True, slots=True)
class CapturePolicy:
    """Intervals of a station's life. All `_sec` are seconds by the monotonic clock.

    Attributes:
        stall_detection_sec: Without a new picture for this long, also one left out to come down to the rate, the
            camera has stalled and is opened anew.
        circuit_breaker_threshold: Failures within the window after which attempts are spaced by the cooldown.
        circuit_breaker_window_sec: The window.
        circuit_breaker_cooldown_sec: While the circuit is open, a camera that is back gives frames again within this.
        reconnect_interval: Longest wait before the first attempt after a failure, seconds; doubles with each further
            one. The time that an attempt without a frame took counts as waited.
        reconnect_interval_max: What it doubles up to, seconds.
        healthy_after_sec: Frames must have come for this long before the failures behind are forgotten.
        rtsp_timeout: Seconds a network source may take to connect, and to answer when read.
        first_frame_timeout: Seconds a network source may take to its first picture, while data come: until a keyframe
            is among them.

    Raises:
        ValueError: If an interval is not positive and finite, the threshold is below 1, or the longest wait is shorter
            than the first.
    """

    stall_detection_sec: float = 5.0
    circuit_breaker_threshold: int = 5
    circuit_breaker_window_sec: float = 120.0
    circuit_breaker_cooldown_sec: float = 10.0
    reconnect_interval: float = 1.0
    reconnect_interval_max: float = 15.0
    healthy_after_sec: float = 10.0
    rtsp_timeout: float = 5.0
    first_frame_timeout: float = FIRST_FRAME

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{field.name} must be greater than 0, not {value!r}")
        if self.reconnect_interval_max < self.reconnect_interval:
            raise ValueError("reconnect_interval_max must not be less than reconnect_interval")

    @property
    def opening_sec(self) -> float:
        """Seconds from the start of an attempt in which its first frame must come; a source says what lacks before."""
        return max(2 * self.rtsp_timeout, self.first_frame_timeout) + self.stall_detection_sec
