"""Where everything on the counter is at every moment."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orderacc.domain.detections import BAG

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Pose:
    """A place at a time: middle in pixels of a 1280x720 picture, angle in degrees counter-clockwise, scale."""

    at: float
    x: float
    y: float
    angle: float = 0.0
    scale: float = 1.0


@dataclass(slots=True)
class Thing:
    """Something on the counter from its first pose until `until`.

    Attributes:
        order: Index of its order in the script.
        key: `Burger#1`, `slip` or `bag`.
        label: The detector's label.
        name: Menu name, empty for slip and bag.
        look: Which look or variant.
        poses: Keyframes in time order; between them it moves smoothly.
        until: When it is gone.
        rested: When it was last laid down; later lies on top.
    """

    order: int
    key: str
    label: str
    name: str
    look: int
    poses: list[Pose]
    until: float = float("inf")
    rested: float = 0.0

    def pose(self, at: float) -> Pose | None:
        """Where it is, or None when it is not there."""
        return pose_between(self.poses, at) if self.poses[0].at <= at < self.until else None


@dataclass(frozen=True, slots=True)
class Hand:
    """A hand in the picture; the poses place its finger tips, angle 0 reaches upwards from the lower edge."""

    variant: int
    poses: tuple[Pose, ...]

    def pose(self, at: float) -> Pose | None:
        """Where it is, or None when it is not there."""
        return pose_between(self.poses, at) if self.poses[0].at <= at < self.poses[-1].at else None


@dataclass(slots=True)
class Timeline:
    """All things and hands of a video."""

    things: list[Thing] = field(default_factory=list)
    hands: list[Hand] = field(default_factory=list)

    def span(self, order: int) -> tuple[float, float]:
        """When the order's first thing (bag aside) comes and its last one goes, in seconds."""
        own = [thing for thing in self.things if thing.order == order and thing.label != BAG]
        return min(thing.poses[0].at for thing in own), max(thing.until for thing in own)


def pose_between(poses: Sequence[Pose], at: float) -> Pose:
    """Where keyframes put a thing at a time; before the first and after the last it stays."""
    index = bisect.bisect_right(poses, at, key=lambda pose: pose.at)
    if index == len(poses):
        return poses[-1]
    before, after = poses[index - 1], poses[index]
    share = (at - before.at) / (after.at - before.at)
    share = share * share * (3 - 2 * share)

    def mix(start: float, end: float) -> float:
        return start + (end - start) * share

    return Pose(
        at,
        mix(before.x, after.x),
        mix(before.y, after.y),
        mix(before.angle, after.angle),
        mix(before.scale, after.scale),
    )
