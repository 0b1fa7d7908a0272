"""Pictures of a timeline, as a camera above the counter takes them, and what can be seen in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from orderacc.domain.detections import BAG, HAND, SLIP, Box
from orderacc.simulator.choreography import build_timeline
from orderacc.simulator.counter import bag_sprite, hand_sprite, worktop
from orderacc.simulator.slip import slip_sprite
from orderacc.simulator.sprites import item_sprite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orderacc.domain.frames import Image
    from orderacc.simulator.script import Script
    from orderacc.simulator.sprites import Sprite
    from orderacc.simulator.timeline import Pose, Thing

WIDTH: Final = 1280
HEIGHT: Final = 720
_PAD: Final = 8
"""Rendered around the picture so that the camera may shake."""

_OWNER_SCALE: Final = 4
"""Visibility is counted on a map this many times smaller than the picture."""

_HAND_TIP: Final = (150.0, 44.0)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing in one picture.

    Attributes:
        key: `Burger#1`, `slip`, `bag` or `hand`.
        order: Index of its order, -1 for hands.
        label: The detector's label.
        name: Menu name, empty for slip, bag and hands.
        box: Around its visible part, in pixels.
        visible: Unoccluded share of it, 0 to 1; what lies outside the picture counts as hidden.
    """

    key: str
    order: int
    label: str
    name: str
    box: Box
    visible: float


@dataclass(frozen=True, slots=True)
class _Layer:
    key: str
    order: int
    label: str
    name: str
    sprite: Sprite
    x: int
    y: int
    shadow: bool


@lru_cache(maxsize=128)
def _turned(kind: str, variant: int, angle: int, scale: int) -> tuple[Sprite, float, float]:
    """An item or bag turned and scaled (in percent), with its anchor: the point a pose places."""
    sprite = bag_sprite(variant) if kind == BAG else item_sprite(kind, variant)
    return turn(sprite, (sprite.shape[1] / 2, sprite.shape[0] / 2), angle, scale / 100)


@lru_cache(maxsize=24)
def _turned_hand(variant: int, angle: int) -> tuple[Sprite, float, float]:
    """Likewise a hand; few are kept, for they are large."""
    return turn(hand_sprite(variant), _HAND_TIP, angle, 1.0)


def turn(sprite: Sprite, anchor: tuple[float, float], angle: float, scale: float) -> tuple[Sprite, float, float]:
    """Turn a sprite about its anchor; returns the new picture and where the anchor lies in it."""
    height, width = sprite.shape[:2]
    matrix = cv2.getRotationMatrix2D(anchor, angle, scale)
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]) @ matrix.T
    low = np.floor(corners.min(0)) - 1
    size = np.ceil(corners.max(0)) + 1 - low
    matrix[:, 2] -= low
    turned = cv2.warpAffine(sprite, matrix, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR)
    return np.asarray(turned, np.uint8), float(anchor[0] - low[0]), float(anchor[1] - low[1])


class CounterCamera:
    """Takes pictures of a script.

    Args:
        script: What happens.

    The light drifts slowly, the camera shakes by a pixel, and every frame has its own noise; all follow from the seed
    and the frame's time, so frames can be taken in any order.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.timeline = build_timeline(script)
        rng = np.random.default_rng([script.seed, 3])
        self._gain = float(rng.uniform(0.78, 1.12))
        self._white = rng.uniform(0.94, 1.06, 3)
        self._drift = rng.uniform(0, 2 * np.pi, 4)
        self._blur = float(rng.uniform(0.0, 0.9))
        self._noise = _noise_tiles(float(rng.choice(_NOISE_LEVELS)))
        self._worktop = worktop(script.seed % 1009, WIDTH + 2 * _PAD, HEIGHT + 2 * _PAD)

    def picture(self, at: float) -> Image:
        """The picture at a time: BGR uint8 [720, 1280, 3]."""
        return self._finish(self._paint(self._layers(at)), at)

    def picture_and_sightings(self, at: float) -> tuple[Image, tuple[Sighting, ...]]:
        """The picture and everything that is in it, hidden or not."""
        layers = self._layers(at)
        return self._finish(self._paint(layers), at), tuple(self._sightings(layers))

    def sightings(self, at: float) -> tuple[Sighting, ...]:
        """What is in the picture, without painting it."""
        return tuple(self._sightings(self._layers(at)))

    def _layers(self, at: float) -> list[_Layer]:
        layers = []
        things = [(thing, pose) for thing in self.timeline.things if (pose := thing.pose(at)) is not None]
        for thing, pose in sorted(things, key=lambda pair: pair[0].rested):
            layers.append(self._layer(thing, pose))
        for hand in self.timeline.hands:
            if (pose := hand.pose(at)) is not None:
                sprite, ax, ay = _turned_hand(hand.variant, 2 * round(pose.angle / 2))
                x, y = round(pose.x - ax) + _PAD, round(pose.y - ay) + _PAD
                layers.append(_Layer(HAND, -1, HAND, "", sprite, x, y, shadow=False))
        return layers

    def _layer(self, thing: Thing, pose: Pose) -> _Layer:
        if thing.label == SLIP:
            order = self.script.orders[thing.order]
            paper = slip_sprite(order.order_id, order.paid, self.script.seed * 31 + thing.order)
            anchor = (paper.shape[1] / 2, paper.shape[0] / 2)
            sprite, ax, ay = turn(paper, anchor, pose.angle, pose.scale)
        else:
            sprite, ax, ay = _turned(thing.name or thing.label, thing.look, round(pose.angle), round(pose.scale * 100))
        x, y = round(pose.x - ax) + _PAD, round(pose.y - ay) + _PAD
        return _Layer(thing.key, thing.order, thing.label, thing.name, sprite, x, y, shadow=True)

    def _paint(self, layers: list[_Layer]) -> Image:
        canvas = self._worktop.copy()
        for layer in layers:
            if layer.shadow:
                _cast_shadow(canvas, layer)
            clipped = _clip(layer, canvas.shape[1], canvas.shape[0])
            if clipped is None:
                continue
            (y1, y2, x1, x2), sprite = clipped
            region = canvas[y1:y2, x1:x2]
            through = cv2.merge([cv2.bitwise_not(sprite[..., 3])] * 3)
            cv2.add(cv2.multiply(region, through, scale=1 / 255), sprite[..., :3], dst=region)
        return canvas

    def _finish(self, canvas: Image, at: float) -> Image:
        """Camera and light: shake, blur, exposure, white balance, noise."""
        tick = round(at * 1000)
        rng = np.random.default_rng([self.script.seed, 4, tick])
        dx, dy = (int(v) for v in rng.integers(-1, 2, 2)) if rng.random() < 0.3 else (0, 0)
        view = canvas[_PAD + dy : _PAD + dy + HEIGHT, _PAD + dx : _PAD + dx + WIDTH]
        if self._blur > 0.25:
            view = cv2.GaussianBlur(view, (5, 5), self._blur)
        slow = 1 + 0.05 * np.sin(at / 11 + self._drift[0])
        white = self._white * (1 + 0.02 * np.sin(at / 17 + self._drift[1:4]))
        levels = np.arange(256, dtype=np.float32)[:, None] * (self._gain * slow * white)[None].astype(np.float32)
        table = np.clip(levels, 0, 255).astype(np.uint8).reshape(256, 1, 3)
        exposed = cv2.LUT(np.ascontiguousarray(view), table)
        up, down = self._noise
        y, x = (int(v) for v in rng.integers(0, _NOISE_MARGIN, 2))
        cv2.add(exposed, up[y : y + HEIGHT, x : x + WIDTH], dst=exposed)
        cv2.subtract(exposed, down[y : y + HEIGHT, x : x + WIDTH], dst=exposed)
        return np.asarray(exposed, np.uint8)

    def _sightings(self, layers: list[_Layer]) -> list[Sighting]:
        width, height = WIDTH // _OWNER_SCALE, HEIGHT // _OWNER_SCALE
        owner = np.zeros((height, width), np.uint8)
        sizes: list[int] = []
        for number, layer in enumerate(layers, 1):
            mask = layer.sprite[::_OWNER_SCALE, ::_OWNER_SCALE, 3] > 127
            sizes.append(int(mask.sum()))
            x, y = (layer.x - _PAD) // _OWNER_SCALE, (layer.y - _PAD) // _OWNER_SCALE
            x1, y1, x2, y2 = max(0, x), max(0, y), min(width, x + mask.shape[1]), min(height, y + mask.shape[0])
            if x1 < x2 and y1 < y2:
                owner[y1:y2, x1:x2][mask[y1 - y : y2 - y, x1 - x : x2 - x]] = number
        sightings = []
        for number, (layer, size) in enumerate(zip(layers, sizes, strict=True), 1):
            seen = owner == number
            count = int(seen.sum())
            if not count:
                sightings.append(Sighting(layer.key, layer.order, layer.label, layer.name, Box(0, 0, 0, 0), 0.0))
                continue
            rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
            box = Box(
                float(columns[0] * _OWNER_SCALE),
                float(rows[0] * _OWNER_SCALE),
                float((columns[-1] + 1) * _OWNER_SCALE),
                float((rows[-1] + 1) * _OWNER_SCALE),
            )
            sightings.append(Sighting(layer.key, layer.order, layer.label, layer.name, box, count / max(1, size)))
        return sightings


_NOISE_MARGIN: Final = 64
_NOISE_LEVELS: Final = (1.0, 1.8, 2.6, 3.4, 4.2)
_SHADOW: Final = (255 - np.arange(256) * 0.38).astype(np.uint8)
"""How much light is left under a thing of that opacity."""


@lru_cache(maxsize=8)
def _noise_tiles(sigma: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Noise to add and noise to take away, a little larger than the picture; frames cut at random offsets."""
    shape = (HEIGHT + _NOISE_MARGIN, WIDTH + _NOISE_MARGIN, 3)
    noise = np.random.default_rng(9).normal(0, sigma, shape).astype(np.float32)
    return np.clip(noise, 0, 255).astype(np.uint8), np.clip(-noise, 0, 255).astype(np.uint8)


def _clip(layer: _Layer, width: int, height: int) -> tuple[tuple[int, int, int, int], Sprite] | None:
    """The part of a layer inside the canvas: its place as (top, bottom, left, right) and its pixels."""
    rows, columns = layer.sprite.shape[:2]
    x1, y1 = max(0, layer.x), max(0, layer.y)
    x2, y2 = min(width, layer.x + columns), min(height, layer.y + rows)
    if x1 >= x2 or y1 >= y2:
        return None
    return (y1, y2, x1, x2), layer.sprite[y1 - layer.y : y2 - layer.y, x1 - layer.x : x2 - layer.x]


def _cast_shadow(canvas: Image, layer: _Layer) -> None:
    """Darken the worktop a little to the lower right of a thing."""
    alpha = cv2.blur(layer.sprite[..., 3], (13, 13))
    soft = _Layer("", -1, "", "", alpha[..., None], layer.x + 5, layer.y + 7, shadow=False)
    clipped = _clip(soft, canvas.shape[1], canvas.shape[0])
    if clipped is None:
        return
    (y1, y2, x1, x2), shade = clipped
    keep = cv2.LUT(np.ascontiguousarray(shade[..., 0]), _SHADOW)
    region = canvas[y1:y2, x1:x2]
    cv2.multiply(region, cv2.merge([keep] * 3), dst=region, scale=1 / 255)
