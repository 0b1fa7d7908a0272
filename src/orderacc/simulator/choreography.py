"""A script worked out in full: every hand, path and place it leaves open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from orderacc.domain.detections import BAG, SLIP
from orderacc.simulator.counter import HANDS
from orderacc.simulator.menu import GROUP_OF
from orderacc.simulator.sprites import LOOKS, SIZES
from orderacc.simulator.timeline import Hand, Pose, Thing, Timeline, pose_between

if TYPE_CHECKING:
    from orderacc.simulator.script import Action, Script, ScriptedOrder

CARRY: Final = 0.6
"""Seconds a hand takes from the counter's edge to the place where it lays something down, or back."""

ZONE: Final = (345.0, 130.0, 935.0, 590.0)
"""Where the middles of items lie: left, top, right, bottom in a 1280x720 picture."""


def build_timeline(script: Script) -> Timeline:
    """Work a script out; places, angles and looks it leaves open follow from its seed."""
    builder = _Builder(script)
    for index, order in enumerate(script.orders):
        builder.play(index, order)
    return builder.timeline


class _Builder:
    def __init__(self, script: Script) -> None:
        self.rng = np.random.default_rng([script.seed, 2])
        self.timeline = Timeline()
        self.left_handed = bool(self.rng.random() < 0.5)

    def play(self, index: int, order: ScriptedOrder) -> None:
        """Add one order's things and hands."""
        own: dict[str, Thing] = {}
        variant = int(self.rng.integers(0, HANDS))
        for action in sorted(order.actions, key=lambda action: action.at):
            match action.do:
                case "slip":
                    own["slip"] = self._lay_slip(index, action, variant)
                case "lay":
                    number = sum(thing.name == action.what for thing in own.values()) + 1
                    own[f"{action.what}#{number}"] = self._lay_item(index, action, number, variant)
                case "stand_bag":
                    own["bag"] = self._stand_bag(index, action)
                case "bag":
                    self._into_bag(own[action.what], own.get("bag"), action.at, variant)
                case "move":
                    self._move(own[action.what], action, variant)
                case "cover":
                    self._cover(own[action.what], action, variant)
                case "cross":
                    self._cross(action, variant)
                case "take":
                    self._take(own, action, variant)

    def _side(self, *, slip: bool) -> float:
        """Slips lie at one side and bags at the other, as the crew has settled."""
        return 1.0 if slip == self.left_handed else -1.0

    def _edge(self, x: float) -> tuple[float, float, float]:
        """Where a hand comes from: x, y off the picture, and its angle."""
        if self.rng.random() < 0.75:
            return x + float(self.rng.uniform(-90, 90)), 860.0, 0.0
        return x + float(self.rng.uniform(-90, 90)), -140.0, 180.0

    def _reach(self, variant: int, x: float, y: float, at: float, hold: float = 0.12) -> Pose:
        """A hand comes, is there from `at` for `hold` seconds, and goes. Returns its pose at the edge."""
        edge_x, edge_y, angle = self._edge(x)
        tilt = float(np.degrees(np.arctan2(x - edge_x, abs(edge_y - y)))) * (-1 if angle == 0 else 1)
        direction = 1 if angle == 0 else -1
        tip_y = y + 34 * direction
        there = angle + tilt * 0.8
        away = Pose(at - CARRY, edge_x, edge_y, there)
        poses = (
            away,
            Pose(at, x, tip_y, there),
            Pose(at + hold, x, tip_y, there),
            Pose(at + hold + CARRY * 0.8, edge_x, edge_y, there),
        )
        self.timeline.hands.append(Hand(variant, poses))
        return away

    def _lay_slip(self, index: int, action: Action, variant: int) -> Thing:
        x = action.x if action.x is not None else 640 + self._side(slip=True) * float(self.rng.uniform(455, 500))
        y = action.y if action.y is not None else float(self.rng.uniform(300, 440))
        angle = action.angle if action.angle is not None else float(self.rng.normal(0, 7))
        edge = self._reach(variant, x, y + 60, action.at)
        poses = [Pose(action.at - CARRY, edge.x, edge.y, angle + 20), Pose(action.at, x, y, angle)]
        thing = Thing(index, "slip", SLIP, "", 0, poses, rested=0.0)
        self.timeline.things.append(thing)
        return thing

    def _lay_item(self, index: int, action: Action, number: int, variant: int) -> Thing:
        x, y = (action.x, action.y) if action.x is not None and action.y is not None else self._free_place(action)
        angle = action.angle if action.angle is not None else float(self.rng.normal(0, 16))
        look = action.look if action.look is not None else int(self.rng.integers(0, LOOKS))
        scale = float(self.rng.uniform(0.93, 1.07))
        edge = self._reach(variant, x, y, action.at)
        poses = [Pose(action.at - CARRY, edge.x, edge.y, angle - 12, scale), Pose(action.at, x, y, angle, scale)]
        key = f"{action.what}#{number}"
        thing = Thing(index, key, GROUP_OF[action.what], action.what, look, poses, rested=action.at)
        self.timeline.things.append(thing)
        return thing

    def _free_place(self, action: Action, *, moving: Thing | None = None) -> tuple[float, float]:
        """A place in the zone clear of what lies there; seldom with a slight overlap."""
        name = moving.name if moving else action.what
        others = [
            (pose.x, pose.y, SIZES[thing.name])
            for thing in self.timeline.things
            if thing.name and thing is not moving and (pose := thing.pose(action.at)) is not None
        ]
        share = 0.84 if self.rng.random() < 0.25 else 1.04
        best, best_gap = (640.0, 360.0), -float("inf")
        for _ in range(80):
            x, y = float(self.rng.uniform(ZONE[0], ZONE[2])), float(self.rng.uniform(ZONE[1], ZONE[3]))
            gap = min(
                (np.hypot(x - ox, y - oy) - share * (SIZES[name] + size) / 2 for ox, oy, size in others), default=1.0
            )
            if gap > best_gap:
                best, best_gap = (x, y), float(gap)
            if gap >= 0:
                break
        return best

    def _stand_bag(self, index: int, action: Action) -> Thing:
        side = self._side(slip=False)
        x = 640 + side * float(self.rng.uniform(500, 530))
        y = float(self.rng.uniform(300, 430))
        poses = [Pose(action.at - 0.5, 640 + side * 830, y, 0), Pose(action.at, x, y, float(self.rng.normal(0, 4)))]
        thing = Thing(index, "bag", BAG, "", int(self.rng.integers(0, 8)), poses, rested=0.5)
        self.timeline.things.append(thing)
        return thing

    def _into_bag(self, thing: Thing, bag: Thing | None, at: float, variant: int) -> None:
        start = pose_between(thing.poses, at)
        target = bag.poses[-1] if bag else Pose(at, 640 + self._side(slip=False) * 820, 360)
        top = Pose(at + 0.55, target.x, target.y - 70, start.angle + 25, start.scale * 0.8)
        thing.poses += [Pose(at, start.x, start.y, start.angle, start.scale), top]
        thing.until = at + 0.55
        thing.rested = at
        edge_x, edge_y, angle = start.x, 860.0, 0.0
        hand = (
            Pose(at - CARRY * 0.7, edge_x, edge_y, angle),
            Pose(at, start.x, start.y + 34, angle),
            Pose(at + 0.55, target.x, target.y - 36, angle - 14 * np.sign(target.x - 640)),
            Pose(at + 1.0, target.x, edge_y, angle),
        )
        self.timeline.hands.append(Hand(variant, hand))

    def _move(self, thing: Thing, action: Action, variant: int) -> None:
        start = pose_between(thing.poses, action.at)
        if thing.name:
            x, y = self._free_place(action, moving=thing)
            turn = float(self.rng.uniform(-50, 50))
        else:
            x, y = start.x + float(self.rng.uniform(-25, 25)), start.y + float(self.rng.uniform(-70, 70))
            turn = float(self.rng.uniform(-8, 8))
        x, y = (x if action.x is None else action.x), (y if action.y is None else action.y)
        angle = start.angle + turn if action.angle is None else action.angle
        thing.poses += [
            Pose(action.at, start.x, start.y, start.angle, start.scale),
            Pose(action.at + 0.5, x, y, angle, start.scale),
        ]
        self.timeline.hands.append(
            Hand(
                variant,
                (
                    Pose(action.at - CARRY * 0.7, start.x, 860.0),
                    Pose(action.at, start.x, start.y + 34),
                    Pose(action.at + 0.5, x, y + 34),
                    Pose(action.at + 1.0, x, 860.0),
                ),
            )
        )

    def _cover(self, thing: Thing, action: Action, variant: int) -> None:
        pose = pose_between(thing.poses, action.at)
        self._reach(variant, pose.x + float(self.rng.uniform(-20, 20)), pose.y - 20, action.at, action.seconds)

    def _cross(self, action: Action, variant: int) -> None:
        y = float(self.rng.uniform(200, 520))
        start, end = (-60.0, 1340.0) if self.rng.random() < 0.5 else (1340.0, -60.0)
        tilt = 28.0 if start < end else -28.0
        poses = (Pose(action.at, start, y + 120, -tilt), Pose(action.at + action.seconds, end, y, tilt * 0.4))
        self.timeline.hands.append(Hand(variant, poses))

    def _take(self, own: dict[str, Thing], action: Action, variant: int) -> None:
        """Pieces go two at a time, the slip with the first; a bag goes last."""
        there = [thing for thing in own.values() if thing.until == float("inf")]
        if action.what:
            there = [own[action.what]]
        slips = [thing for thing in there if thing.label == SLIP]
        pieces = [thing for thing in there if thing.name]
        at = action.at
        for first in range(0, len(pieces), 2):
            pair = pieces[first : first + 2]
            edge = self._reach(variant, pair[0].poses[-1].x, pair[0].poses[-1].y, at, 0.05)
            for thing in pair:
                self._leave(thing, at, edge)
            at += 0.45
        for slip in slips:
            edge = self._reach(variant, slip.poses[-1].x, slip.poses[-1].y, action.at + 0.2, 0.05)
            self._leave(slip, action.at + 0.2, edge)
        for bag in [thing for thing in there if thing.label == BAG]:
            edge = self._reach(variant, bag.poses[-1].x, bag.poses[-1].y, at, 0.05)
            self._leave(bag, at, edge)

    def _leave(self, thing: Thing, at: float, edge: Pose) -> None:
        start = pose_between(thing.poses, at)
        gone = at + 0.05 + CARRY * 0.8
        thing.poses += [
            Pose(at, start.x, start.y, start.angle, start.scale),
            Pose(gone, edge.x, edge.y + (60 if edge.y > 0 else -60), start.angle + 15, start.scale),
        ]
        thing.until = gone
