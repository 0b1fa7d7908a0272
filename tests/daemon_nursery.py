"""Forks one daemon after the other on one data directory; run as a program by `crashing_daemon`.

Everything is imported once, so that a life costs milliseconds. In the daemon everything is real but what looks and
answers: perception and the model are never wrong and take no time, and the counter is not paced.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from functools import partial
from pathlib import Path

import anyio
import cv2

from orderacc.capture import Delivery, SupervisedCapture
from orderacc.config import Config, ResultsConfig, SimulatorSource, StationConfig, StorageConfig
from orderacc.domain.menus import Menu
from orderacc.domain.orders import Order
from orderacc.domain.verdicts import ModelVersions
from orderacc.selection.visits import StationTracker
from orderacc.service import daemon, keeping
from orderacc.service.judging import JudgeSettings, OrderJudge
from orderacc.service.runtime import Runtime
from orderacc.service.station import Eyes, Station
from orderacc.service.till import PosOrders
from orderacc.simulator.menu import DEMO_ITEMS
from orderacc.simulator.random_script import random_script
from orderacc.storage.journal import Journal
from orderacc.telemetry import configure_logs
from orderacc.testing import BlankSource, PerfectObserver, StagedEngine
from orderacc.vlm.batcher import VlmBatcher
from staged_stations import HASTY

ORDERS = 2
"""Shown at each of the two stations in a life."""


class Teller:
    """Writes down what was acknowledged; what is written survives the writer."""

    def __init__(self, path: Path) -> None:
        self._pipe = os.open(path, os.O_WRONLY | os.O_APPEND)

    def __call__(self, *words: object) -> None:
        os.write(self._pipe, (json.dumps(words) + "\n").encode())


class ToldJournal(Journal):
    """Tells what it has acknowledged, the moment it has."""

    tell: Teller

    async def put_order(self, order):
        fresh = await super().put_order(order)
        self.tell("order", order.source, order.order_id, order.version)
        return fresh

    async def opened(self, visit):
        await super().opened(visit)
        self.tell("opened", visit.visit_id)

    async def record(self, verdict, messages=()):
        fresh = await super().record(verdict, messages)
        self.tell("verdict", verdict.verdict_id, verdict.revision, verdict.status, fresh)
        return fresh


class ScriptedBook:
    """The box's orders, into which an order, and an amendment of it, are pushed when its slip is read."""

    def __init__(self, source: str, script, pos: PosOrders) -> None:
        self._pos = pos
        self._orders = {
            order.order_id: [Order(order.order_id, tuple(order.paid), version, source=source) for version in (1, 2)]
            for order in script.orders
        }

    async def find(self, station_id, slip_text, at=None):
        for order in self._orders.get(slip_text, ()):
            await self._pos.store.put(order)
        return await self._pos.store.find(station_id, slip_text, at)


class ScriptedBuilder:
    """Makes stations on scripts of their own."""

    def __init__(self, _runtime, config, _throttle, **_) -> None:
        self.orders = PosOrders(config.orders)

    def follow(self, config) -> None:
        """There is nothing to follow."""

    def plan(self, station):
        seed = station.source.seed
        script = random_script(seed, ORDERS, fps=5.0)
        book = ScriptedBook(f"{station.id}-{seed}", script, self.orders)
        source = partial(BlankSource, script, station.id)

        def make(first_visit):
            eyes = Eyes(PerfectObserver(script), StationTracker(station.id, start=first_visit))
            reader = SupervisedCapture(station.id, source, HASTY, delivery=Delivery.LOSSLESS, live=False)
            return Station(reader, eyes, book, None, paced=True)

        return make


class ScriptedRuntime(Runtime):
    """Models that take no time."""

    @classmethod
    def load(cls, config, menu=None):
        engine = StagedEngine(lambda _: '{"items":[{"name":"Burger","quantity":1}]}')
        engine.device = "none"
        batcher = VlmBatcher(engine)
        judge = OrderJudge(batcher, menu or Menu(DEMO_ITEMS), JudgeSettings((56, 56)), ModelVersions())
        return cls(None, None, engine, batcher, judge, config)


def life(folder: Path, seed: int) -> int:
    """One daemon; its exit status."""
    configure_logs("json", level="error")
    config = Config(
        stations=tuple(
            StationConfig(id=name, source=SimulatorSource(type="simulator", seed=10 * seed + number))
            for number, name in enumerate(("left", "right"))
        ),
        storage=StorageConfig(data_dir=str(folder / "data")),
        results=ResultsConfig(file=str(folder / "verdicts.ndjson")),
    )
    return 0 if anyio.run(partial(daemon.run_daemon, config, signals=False)) else 3


def main(folder: Path) -> None:
    cv2.setNumThreads(1)
    ToldJournal.tell = Teller(folder / "told")
    keeping.Journal = ToldJournal
    daemon.Runtime = ScriptedRuntime
    daemon.StationBuilder = ScriptedBuilder
    print("ready", flush=True)
    for line in sys.stdin:
        seed, kill_after = json.loads(line)
        child = os.fork()
        if child == 0:
            status = 4
            try:
                status = life(folder, seed)
            except BaseException:  # noqa: BLE001  whatever it is, the nursery's own code must not go on in here
                traceback.print_exc()
            finally:
                os._exit(status)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)  # one that has ended stays until it is waited for
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
