"""What stations saw of a recorded video, handed to the pipeline as if they saw it now, at no cost of looking."""

from __future__ import annotations

import asyncio
import time
import zlib
from dataclasses import dataclass, field, replace
from functools import partial

import anyio
import numpy as np

from orderacc.capture import Delivery, VideoFileSource
from orderacc.orders import FileOrders
from orderacc.perception.observer import Observer
from orderacc.selection.visits import StationTracker
from orderacc.service.early import Moments
from orderacc.service.pipeline import Pipeline
from orderacc.service.station import RECORDING_EPOCH


@dataclass
class Playback:
    """What a tracker said of a video's first orders: `(frame time, ended, evidence or outlook)`, in order."""

    folder: object
    happenings: list = field(default_factory=list)

    @classmethod
    def watch(cls, folder, runtime, orders):
        """Look at a video until so many orders have ended."""
        playback = cls(folder)
        observer, tracker, moments = (
            Observer(runtime.detector, runtime.slip_reader),
            StationTracker("counter"),
            Moments(),
        )
        source, ended = VideoFileSource(folder / "station.mp4", "counter", 10.0).frames(), 0
        while ended < orders:
            observation, candidate = observer.observe_now(next(source))
            for evidence in tracker.observe(observation, candidate if candidate.score > 0 else None):
                ended += 1
                playback.happenings.append((observation.at, True, moments.settled(evidence)))
            outlook = moments.see(observation, tracker)
            if outlook is not None:
                playback.happenings.append((observation.at, False, outlook))
        source.close()
        observer.close()
        return playback

    @property
    def evidence(self):
        """The orders alone."""
        return [what for _, ended, what in self.happenings if ended]

    def station(self, runtime, name, policy):
        """A station that saw this; its source is never opened."""
        source = VideoFileSource(self.folder / "station.mp4", name)
        book = FileOrders(self.folder / "orders.json")
        station = runtime.station(source, book, delivery=Delivery.LOSSLESS, speed=None)
        station.epoch, station.policy = RECORDING_EPOCH, policy
        return station


class Own:
    """Makes what was seen a station's own: its name, and noise in the lowest bit of its pictures.

    The model remembers pictures it has been asked about; in life no two are the same.
    """

    def __init__(self, name, seed):
        self._name = name
        self._seed = seed
        self._noise = {}
        self._frames = {}

    def evidence(self, evidence):
        frames = tuple(self._candidate(one) for one in evidence.frames)
        visit_id = evidence.visit_id.replace("counter", self._name)
        return replace(evidence, station_id=self._name, visit_id=visit_id, frames=frames)

    def outlook(self, outlook):
        return replace(outlook, evidence=self.evidence(outlook.evidence))

    def forget(self):
        self._frames.clear()

    def _candidate(self, candidate):
        frame = candidate.frame
        if frame not in self._frames:
            own = replace(frame, station_id=self._name, image=self._noisy(frame.image))
            self._frames[frame] = own, self._noisy(candidate.half)
        own, half = self._frames[frame]
        return replace(candidate, frame=own, half=half)

    def _noisy(self, image):
        if image.shape not in self._noise:
            self._noise[image.shape] = np.random.default_rng(self._seed).integers(0, 2, image.shape, np.uint8)
        return image ^ self._noise[image.shape]


def everything_seen(evidence, names, first):
    """By station, the evidence of every order, with pictures of its own.

    Args:
        evidence: What all stations saw.
        names: The stations.
        first: Seed of the first station's noise; the next one's is one more.
    """
    seen = {}
    for place, name in enumerate(names):
        own = Own(name, first + place)
        seen[name] = [own.evidence(one) for one in evidence]
    return seen


async def judge_all_at_once(runtime, stations, seen, sink):
    """Every order at every station, as soon as there is room for it.

    Args:
        runtime: The models.
        stations: By name.
        seen: From `everything_seen`.
        sink: Takes the verdicts.
    """
    pipeline = Pipeline(runtime.judge, runtime.batcher, sink)

    async def hand_over(name):
        station = stations[name]
        for evidence in seen[name]:
            pipeline.take(station, [evidence])
            await pipeline.room()

    async def watching():
        async with anyio.create_task_group() as group:
            for name in seen:
                group.start_soon(hand_over, name)

    await pipeline.serve(watching)


async def judge_in_time(runtime, playback, policies, speed):
    """Every order at every station when it ended in the video, one station a little after the other.

    Returns:
        By station, milliseconds from the moment an order was known to have ended to its verdict.
    """
    known, waits = {}, {name: [] for name in policies}

    async def sink(verdict):
        waits[verdict.station_id].append((time.monotonic() - known[verdict.verdict_id]) * 1000)

    pipeline = Pipeline(runtime.judge, runtime.batcher, sink)
    began = time.monotonic() + 0.5

    async def play(name, policy, place):
        station, own = playback.station(runtime, name, policy), Own(name, zlib.crc32(name.encode()))
        for at, ended, what in playback.happenings:
            due = began + at / speed + 1.7 * place
            # A little before: whatever is measured must not wait for pictures being made.
            await anyio.sleep(max(0.0, due - 0.3 - time.monotonic()))
            mine = await asyncio.to_thread(own.evidence if ended else own.outlook, what)
            await anyio.sleep(max(0.0, due - time.monotonic()))
            if ended:
                known[mine.visit_id] = time.monotonic()
                pipeline.take(station, [mine])
                own.forget()
            else:
                pipeline.foresee(station, mine)

    async def watching():
        async with anyio.create_task_group() as group:
            for place, (name, policy) in enumerate(policies.items()):
                group.start_soon(partial(play, name, policy, place))

    await pipeline.serve(watching)
    return waits
