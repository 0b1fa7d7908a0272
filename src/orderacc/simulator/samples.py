"""Single pictures with everything that is in them: what the demo models learn from and are measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from orderacc.simulator.random_script import random_script
from orderacc.simulator.render import CounterCamera

if TYPE_CHECKING:
    from orderacc.domain.frames import Image
    from orderacc.simulator.render import Sighting

CLEAR_SHARE: Final = 0.75
"""Share of pictures without a hand in them: evidence is chosen among those."""

ANY_MOMENT_SHARE: Final = 0.1
"""Share of pictures from any moment, an empty counter included; the others show at least one piece."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A picture and its truth.

    Attributes:
        image: BGR uint8 [720, 1280, 3].
        objects: Everything in it, hidden or not.
    """

    image: Image
    objects: tuple[Sighting, ...]


def sample(seed: int, *, clear_share: float = CLEAR_SHARE) -> Sample:
    """A random moment of a random order.

    Args:
        seed: Decides everything.
        clear_share: Probability of a moment without a hand, where the order has one.
    """
    rng = np.random.default_rng([seed, 6])
    camera = CounterCamera(random_script(seed, 1))
    things, hands = camera.timeline.things, camera.timeline.hands
    start, end = camera.timeline.span(0)
    moments = [float(at) for at in rng.uniform(start - 0.4, end + 0.4, 24)]
    if rng.random() >= ANY_MOMENT_SHARE:
        moments = [at for at in moments if any(thing.name and thing.pose(at) for thing in things)] or moments
    if rng.random() < clear_share:
        moments = [at for at in moments if not any(hand.pose(at) for hand in hands)] or moments
    image, objects = camera.picture_and_sightings(round(moments[0], 3))
    return Sample(image, objects)
