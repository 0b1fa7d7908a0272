"""Stations whose frames, pictures and failures a test decides, on the real capture, trackers, pipeline and set."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from counter_scenes import EMPTY, Moment
from counter_scenes import Eyes as SceneEyes
from orderacc.capture import CapturePolicy, Delivery, SupervisedCapture
from orderacc.config import Config, SimulatorSource, StationConfig
from orderacc.domain.evidence import Candidate
from orderacc.domain.menus import Menu
from orderacc.domain.verdicts import ModelVersions
from orderacc.orders import FixedOrders
from orderacc.selection.visits import StationTracker
from orderacc.service.judging import JudgeSettings, OrderJudge
from orderacc.service.pipeline import Pipeline
from orderacc.service.station import Eyes, Station
from orderacc.service.stations import StationSet
from orderacc.simulator.menu import DEMO_ITEMS
from orderacc.testing import StagedCamera, StagedEngine
from orderacc.vlm.batcher import VlmBatcher

ORDER_FRAMES = 40
"""Frames from one order to the next; of these the first 25 show it. Frames are 0.1 s apart."""

HASTY = CapturePolicy(
    stall_detection_sec=60,
    circuit_breaker_cooldown_sec=0.05,
    reconnect_interval=0.01,
    reconnect_interval_max=0.02,
    healthy_after_sec=0.01,
)
DEADLINE = 60.0


class BugError(Exception):
    """Nobody's error."""


@dataclass
class Bugs:
    """What breaks at the next frame; each once."""

    observing: int = 0
    tracking: int = 0
    after_tracking: int = 0
    ending: int = 0
    waking: int = 0
    finishing: int = 0

    def strike(self, where: str) -> None:
        left = getattr(self, where)
        if left:
            setattr(self, where, left - 1)
            raise BugError(where)


class CountingObserver:
    """Sees one order after the other, each with a number no other observer sees."""

    made = 0

    def __init__(self, bugs: Bugs) -> None:
        type(self).made += 1
        self._who, self._bugs, self._seen = type(self).made, bugs, 0
        self._eyes = SceneEyes()

    async def observe(self, frame):
        await anyio.lowlevel.checkpoint()
        self._bugs.strike("observing")
        order, frames = divmod(self._seen, ORDER_FRAMES)
        self._seen += 1
        number = f"{self._who:04d}{order:03d}"
        moment = Moment(items=("burger",), slip=number) if frames < 25 else EMPTY
        observation = self._eyes.see(frame.at, frame.index, moment)
        return observation, Candidate(frame, observation.detections, 1.0 if frames < 25 else 0.0)

    def close(self) -> None:
        """Nothing to let go."""


class WitnessedTracker(StationTracker):
    """Remembers every order that was opened; a test's own record, beside the verdicts."""

    def __init__(self, station_id, bugs, opened, start):
        super().__init__(station_id, start=start)
        self._bugs, self._opened = bugs, opened

    def observe(self, observation, candidate):
        self._bugs.strike("tracking")
        ended = super().observe(observation, candidate)
        if self.open_number is not None:
            self._opened.add(self.open_number)
        self._bugs.strike("after_tracking")
        if ended:
            self._bugs.strike("ending")  # orders that ended by this frame are lost with the answer
        return ended

    def finish(self, at):
        self._bugs.strike("finishing")
        return super().finish(at)


def station_config(name: str, seed: int = 0) -> StationConfig:
    return StationConfig(id=name, source=source(seed))


def source(seed: int) -> SimulatorSource:
    return SimulatorSource(type="simulator", seed=seed)


def config_of(*stations: StationConfig, **sections) -> Config:
    return Config(stations=stations, **sections)


@dataclass
class StagedBuilder:
    """Makes stations on staged cameras: one camera for each station id and seed."""

    policy: CapturePolicy = HASTY
    live: bool = True
    cameras: dict[tuple[str, int], StagedCamera] = field(default_factory=dict)
    bugs: dict[str, Bugs] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    followed: list[Config] = field(default_factory=list)
    refuse: Exception | None = None
    picture: object = None

    def camera(self, name: str, seed: int = 0) -> StagedCamera:
        return self.cameras.setdefault((name, seed), StagedCamera(name))

    def follow(self, config) -> None:
        self.followed.append(config)

    def plan(self, config):
        if self.refuse is not None:
            raise self.refuse
        camera = self.camera(config.id, config.source.seed)
        bugs = self.bugs.setdefault(config.id, Bugs())

        def eyes(first_visit: int) -> Eyes:
            bugs.strike("waking")
            tracker = WitnessedTracker(config.id, bugs, self.opened, first_visit)
            return Eyes(CountingObserver(bugs), tracker, self.picture)

        def make(first_visit: int) -> Station:
            capture = SupervisedCapture(config.id, camera.make, self.policy, delivery=Delivery.LOSSLESS, live=self.live)
            book = FixedOrders({})
            return Station(capture, eyes(first_visit), book, None, paced=True, new_eyes=eyes, live=self.live)

        return make


@dataclass
class Stage:
    """A running set of staged stations and what came of it."""

    builder: StagedBuilder
    stations: StationSet
    verdicts: list = field(default_factory=list)
    ended: bool = False

    def numbers(self) -> Counter[str]:
        return Counter(verdict.slip_text for verdict in self.verdicts)

    def frames(self, name: str) -> int:
        return self.stations.health()[name].kept

    async def show(self, name: str, frames: int, seed: int = 0) -> None:
        """Let frames come and wait until they have been looked at."""
        before = self.frames(name)
        self.builder.camera(name, seed).give(frames)
        await until(lambda: self.frames(name) >= before + frames)
        # The last of them is being looked at: behind the next it has been.
        await anyio.wait_all_tasks_blocked()


async def until(condition) -> None:
    """Wait for something; a test whose deadline passes fails."""
    with anyio.fail_after(DEADLINE):
        while not condition():  # noqa: ASYNC110  what is waited for happens in threads and in other rooms
            await anyio.sleep(0.005)


@asynccontextmanager
async def staged(builder, config, *, answer=lambda _: '{"items":[]}', grace=10.0, deadline=2 * DEADLINE):
    """A set that runs until the block is left; then it has been stopped and every order has its verdict."""
    verdicts: list = []

    async def sink(verdict):
        verdicts.append(verdict)

    batcher = VlmBatcher(StagedEngine(answer))
    judge = OrderJudge(batcher, Menu(DEMO_ITEMS), JudgeSettings((56, 56)), ModelVersions())
    stations = StationSet(Pipeline(judge, batcher, sink, grace=grace), builder, config)
    with anyio.fail_after(deadline):
        stage = Stage(builder, stations, verdicts)

        async def run(*, task_status):
            await stations.run(task_status=task_status)
            stage.ended = True

        async with anyio.create_task_group() as group:
            await group.start(run)
            yield stage
            stations.stop()
