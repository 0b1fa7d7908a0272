"""A daemon with many counters that nothing has to look at: `python benchmarks/soaked_daemon.py stations.yaml`.

All of it is real but what looks and answers. Every counter shows one of a few scripts over and over; what is to be seen
in them is worked out once, and every order has a number of its own. Frames are of usual size and as fresh in memory as
a decoder's.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import cv2

from orderacc.capture import SupervisedCapture
from orderacc.capture.source import SourceStats
from orderacc.config import load_config
from orderacc.domain.detections import HAND, SLIP, Detection, SlipReading
from orderacc.domain.evidence import Candidate
from orderacc.domain.frames import Frame
from orderacc.domain.menus import Menu
from orderacc.domain.verdicts import ModelVersions
from orderacc.selection.visits import StationTracker
from orderacc.service import daemon
from orderacc.service.building import StationBuilder, capture_policy
from orderacc.service.film import Film
from orderacc.service.judging import JudgeSettings, OrderJudge
from orderacc.service.runtime import Runtime
from orderacc.service.station import Eyes, Station
from orderacc.simulator.menu import DEMO_ITEMS
from orderacc.simulator.random_script import random_script
from orderacc.simulator.render import CounterCamera
from orderacc.telemetry import configure_logs, prefer_event_loop
from orderacc.testing import ITEM_SHOWN, LEGIBLE, SHOWN, StagedEngine
from orderacc.tracking.observation import Observation
from orderacc.vlm.batcher import VlmBatcher

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

FPS = 10.0
ORDERS = 6
"""In a script, before it begins anew."""

SCRIPTS = 4
SEED = 910_100
WIDTH, HEIGHT = 640, 360

FIRST_NUMBER = 10_000
NUMBERS = 2_000
"""So many order numbers belong to a counter."""


def order_number(counter: int, serial: int) -> str:
    """The number on the slip of a counter's order, both counted from 0."""
    return str(FIRST_NUMBER + counter * NUMBERS + serial % NUMBERS)


@dataclass(frozen=True)
class Sight:
    """What one frame of a script shows."""

    detections: tuple[Detection, ...]
    slip: int | None
    """Whose slip is in view: the order's place in the script."""
    legible: bool
    change: float
    score: float


EMPTY = Sight((), slip=None, legible=False, change=0.0, score=0.0)


@dataclass(frozen=True)
class Scene:
    """A script, worked out."""

    sights: tuple[Sight, ...]
    picture: NDArray


@cache
def scene(seed: int) -> Scene:
    script = random_script(seed, ORDERS, fps=FPS)
    camera, sights, layout, slip_box = CounterCamera(script), [], None, None
    for index in range(int(script.seconds * FPS)):
        things = camera.sightings(index / FPS)
        shown = [thing for thing in things if thing.visible > SHOWN.get(thing.label, ITEM_SHOWN)]
        detections = tuple(Detection(thing.label, 0.9, thing.box) for thing in shown)
        slip = next((thing for thing in shown if thing.label == SLIP), None)
        box = slip.box if slip else None
        legible = slip is not None and box == slip_box and slip.visible >= LEGIBLE
        before, layout = layout, tuple((thing.key, round(thing.box.x1), round(thing.box.y1)) for thing in things)
        items = sum(thing.label not in SHOWN for thing in shown)
        score = items * (0.6 if any(thing.label == HAND for thing in shown) else 1.0)
        change = 0.0 if layout == before else 0.1
        sights.append(Sight(detections, slip.order if slip else None, legible, change, score))
        slip_box = box
    picture = cv2.resize(camera.picture(script.seconds / 2), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return Scene(tuple(sights), picture)


class EndlessSource:
    """A picture of the counter, again and again."""

    def __init__(self, counter: int, station_id: str) -> None:
        self.station_id = station_id
        self._picture = scene(SEED + counter % SCRIPTS).picture
        self._closed = False

    def frames(self) -> Generator[Frame, None, None]:
        index = 0
        while not self._closed:
            yield Frame(self.station_id, index, index / FPS, self._picture.copy())
            index += 1

    def close(self) -> None:
        self._closed = True

    def stats(self) -> SourceStats:
        return SourceStats()


class Onlooker:
    """Knows what a counter shows at any time. Counters that share a script are not at the same place in it."""

    def __init__(self, counter: int) -> None:
        self._counter = counter
        self._sights = scene(SEED + counter % SCRIPTS).sights
        self._read: str | None = None

    async def observe(self, frame: Frame) -> tuple[Observation, Candidate]:
        # Shifted backwards, so that the first serial is always 0; until then the counter is empty.
        index = round(frame.at * FPS) - 37 * self._counter
        lap, place = divmod(index, len(self._sights))
        sight = self._sights[place] if index >= 0 else EMPTY
        number = None if sight.slip is None else order_number(self._counter, lap * ORDERS + sight.slip)
        changed = number is not None and number != self._read
        reading = None
        if changed and sight.legible:
            self._read = number
            reading = SlipReading(number, 0.95)
        observation = Observation(
            frame.at, frame.index, sight.detections, number is not None, changed, reading, sight.change
        )
        return observation, Candidate(frame, sight.detections, sight.score)

    def close(self) -> None:
        """There is nothing to let go."""


class ForgetfulEngine(StagedEngine):
    """Keeps nothing of what it was asked."""

    device = "none"

    async def generate(self, requests):
        answers = await super().generate(requests)
        self.batches.clear()
        return answers


class SoakBuilder(StationBuilder):
    """Makes stations at counters; their POS orders are the box's."""

    def __init__(self, runtime, config, throttle=None, *, fast=False) -> None:
        super().__init__(runtime, config, throttle, fast=fast)
        self._capture = capture_policy(config.capture)
        self._clips = config.storage.clips

    def plan(self, station):
        counter = station.source.seed

        def eyes(first_visit: int) -> Eyes:
            return Eyes(Onlooker(counter), StationTracker(station.id, start=first_visit))

        def make(first_visit: int) -> Station:
            source = partial(EndlessSource, counter, station.id)
            return Station(
                SupervisedCapture(station.id, source, self._capture, paced=True),
                eyes(first_visit),
                self.orders,
                None,
                paced=True,
                new_eyes=eyes,
                live=True,
                film=Film(self._clips.fps, self._clips.width, self._clips.max_sec),
            )

        return make


class SoakRuntime(Runtime):
    """A model that always sees one burger and takes no time."""

    @classmethod
    def load(cls, config, menu=None):
        for seed in range(SEED, SEED + SCRIPTS):
            scene(seed)
        engine = ForgetfulEngine(lambda _: '{"items":[{"name":"Burger","quantity":1}]}')
        batcher = VlmBatcher(engine)
        judge = OrderJudge(batcher, menu or Menu(DEMO_ITEMS), JudgeSettings((56, 56)), ModelVersions())
        return cls(None, None, engine, batcher, judge, config)


def main(stations: Path) -> int:
    """`orderacc run`, its models and cameras replaced."""
    cv2.setNumThreads(1)
    daemon.Runtime, daemon.StationBuilder = SoakRuntime, SoakBuilder
    config = load_config(stations)
    prefer_event_loop()
    configure_logs("json", level="info")
    return 0 if anyio.run(daemon.run_daemon, config) else 1


if __name__ == "__main__":
    started = time.monotonic()
    status = main(Path(sys.argv[1]))
    print(f"ended with {status} after {time.monotonic() - started:.0f} s", flush=True)
    sys.exit(status)
