"""The load as it is measured, and what is done about it: real batchers and judges, a staged engine, a clock by hand."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import numpy as np
import pytest

from orderacc import run_daemon
from orderacc.config import Config, ScalingConfig, SimulatorSource, StationConfig, json_schema, load_config
from orderacc.domain.menus import Menu
from orderacc.domain.orders import Item
from orderacc.domain.verdicts import ModelVersions
from orderacc.errors import ConfigError
from orderacc.perception.request_pool import PoolStatistics
from orderacc.service.judging import JudgeSettings, OrderJudge
from orderacc.service.scaler import LoadMeter, Scaler, scaling_policy
from orderacc.service.scaling import ScalingPolicy, Watching
from orderacc.service.thinning import Thinner, Throttle
from orderacc.simulator.menu import DEMO_ITEMS
from orderacc.simulator.script import Action, Script, ScriptedOrder
from orderacc.simulator.script_file import save_script
from orderacc.testing import EngineFault, StagedEngine
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.engine import VlmRequest
from orderacc.vlm.seat import EngineSeat
from staged_stations import StagedBuilder, config_of, staged, station_config, until

pytestmark = pytest.mark.anyio

NOTHING_DETECTED = PoolStatistics(streams=2, inferences=0, busy_s=0.0, waiting=0)


class StagedDetector:
    """Works for the share of time a test says."""

    def __init__(self, clock):
        self._clock, self._since, self._busy, self.share = clock, clock(), 0.0, 0.0

    def statistics(self):
        now = self._clock()
        self._busy += 2 * self.share * (now - self._since)
        self._since = now
        return replace(NOTHING_DETECTED, busy_s=self._busy)


class Day:
    """A scaler whose seconds pass when the test says so."""

    def __init__(self, engine, policy):
        self.now = 0.0
        self.engine = engine
        self.batcher = VlmBatcher(engine)
        self.detector = StagedDetector(lambda: self.now)
        self.judge = OrderJudge(self.batcher, Menu(DEMO_ITEMS), JudgeSettings((56, 56)), ModelVersions())
        self.throttle = Throttle()
        self.scaler = Scaler(self.batcher, self.detector, self.judge, self.throttle, policy, clock=lambda: self.now)

    def passes(self, seconds):
        for _ in range(seconds):
            self.now += 1
            self.scaler.look()

    @property
    def setting(self):
        return self.batcher.max_batch_size, self.judge.early_looks, self.throttle.watching


@asynccontextmanager
async def a_day(fault=None, policy=None):
    day = Day(StagedEngine(lambda _: "{}", fault=fault), policy or ScalingPolicy())
    async with anyio.create_task_group() as group:
        await group.start(day.batcher.run)
        yield day
        day.engine.release()
        group.cancel_scope.cancel()


def request(name, **changes):
    return VlmRequest(name, np.zeros((28, 28, 3), np.uint8), "?", **changes)


async def test_a_model_that_is_always_at_work_gets_larger_batches_and_no_early_questions():
    async with a_day(lambda _: EngineFault.HANG) as day, anyio.create_task_group() as asking:
        assert day.setting == (4, True, Watching.ALL)
        asking.start_soon(day.batcher.ask, request("a"))
        await until(lambda: day.batcher.statistics().in_flight == 1)
        day.passes(26)
        assert day.setting == (4, True, Watching.ALL)  # smoothed over 10 s, and 10 s of patience
        day.passes(60)
        assert day.setting == (16, False, Watching.ALL)
        day.engine.release()
        await until(lambda: day.batcher.statistics().answered == 1)
        day.passes(290)
        assert day.setting == (16, False, Watching.ALL)
        day.passes(1000)
        assert day.setting == (4, True, Watching.ALL)


async def test_a_queue_that_is_too_long_counts_whatever_the_engine_says():
    async with a_day(lambda _: EngineFault.HANG) as day, anyio.create_task_group() as asking:
        day.detector.share = 0.9
        for index in range(36):
            asking.start_soon(day.batcher.ask, request(str(index), station_id=str(index % 4)))
        await until(lambda: day.batcher.statistics().waiting == 32)
        day.passes(90)
        assert day.setting == (16, False, Watching.HALF)
        day.engine.release()


async def test_detection_alone_gives_up_frames_only():
    async with a_day() as day:
        day.detector.share = 1.0
        day.passes(40)
        assert day.setting == (4, True, Watching.HALF)
        day.detector.share = 0.5
        day.passes(2000)
        assert day.setting == (4, True, Watching.HALF)
        day.detector.share = 0.2
        day.passes(640)
        assert day.setting == (4, True, Watching.ALL)


async def test_what_cannot_be_measured_ends_the_scaling_and_nothing_else():
    async with a_day() as day:
        day.detector.statistics = lambda: 1 / 0
        await day.scaler.run()
        assert day.setting == (4, True, Watching.ALL)


def answered(engine_busy, *, at_work=0, batches=0, count=0, waited=0.0, waiting=0):
    """Statistics of a batcher with one local and one remote engine."""
    batcher = VlmBatcher(StagedEngine(lambda _: "{}"))
    whole = batcher.statistics()
    local = replace(whole.engines[0], busy_s=engine_busy, in_flight=at_work, batches=batches)
    return replace(
        whole,
        answered=count,
        batch_sizes={4: batches},
        busy_s=engine_busy,
        waited_s=waited,
        waiting=waiting,
        in_flight=at_work,
        engines=(local, replace(local, name="far", role="spill_over", busy_s=1e9)),
    )


async def test_a_call_of_many_seconds_is_work_while_it_lasts():
    meter = LoadMeter()
    meter.look(0.0, answered(0.0, batches=1, at_work=1), NOTHING_DETECTED)
    for second in range(1, 61):
        load = meter.look(float(second), answered(0.0, batches=1, at_work=1), NOTHING_DETECTED)
    assert load.vlm > 0.99
    assert load.latency_s is None


@pytest.mark.parametrize(("asked", "setting"), [(1, (4, True)), (8, (4, True)), (16, (16, False))])
async def test_an_engine_that_takes_many_questions_at_a_time_is_busy_when_it_has_many(asked, setting):
    engine = StagedEngine(lambda _: "{}", fault=lambda _: EngineFault.HANG)
    day = Day([EngineSeat(engine, max_batch_size=1, parallel=16, watched=False)], ScalingPolicy())
    async with anyio.create_task_group() as group:
        await group.start(day.batcher.run)
        for index in range(asked):
            group.start_soon(day.batcher.ask, request(str(index)))
        await until(lambda: day.batcher.statistics().in_flight == asked)
        day.passes(300)
        assert day.setting == (*setting, Watching.ALL)
        engine.release()
        group.cancel_scope.cancel()


async def test_long_calls_among_many_that_end_one_by_one_are_no_more_work_than_they_are():
    meter = LoadMeter()
    for second in range(60):
        seen = answered(20.0 * second, batches=second)
        far = replace(seen.engines[0], calls=8, parallel=16)
        load = meter.look(float(second), replace(seen, engines=(far,)), NOTHING_DETECTED)
    assert load.vlm == pytest.approx(0.5, abs=0.01)


async def test_latency_is_wait_and_call_and_is_forgotten_when_nobody_asks():
    meter = LoadMeter()
    meter.look(0.0, answered(0.0), NOTHING_DETECTED)
    load = meter.look(1.0, answered(0.5, batches=2, count=4, waited=2.0), NOTHING_DETECTED)
    assert load.latency_s == pytest.approx(0.75)
    assert load.vlm == pytest.approx(0.05)
    # No news while something waits, however long.
    load = meter.look(30.0, answered(0.5, batches=2, count=4, waited=2.0, waiting=1), NOTHING_DETECTED)
    assert load.latency_s == pytest.approx(0.75)
    load = meter.look(99.0, answered(0.5, batches=2, count=4, waited=2.0), NOTHING_DETECTED)
    assert load.latency_s == 0.0


@pytest.mark.parametrize("watching", list(Watching))
async def test_frames_that_are_left_out_are_counted_and_cost_no_order(watching):
    throttle = Throttle(watching)

    class ThinnedBuilder(StagedBuilder):
        def plan(self, config):
            made = super().plan(config)

            def make(first_visit):
                station = made(first_visit)
                station.thinner = Thinner(10.0, throttle)
                return station

            return make

    async with staged(ThinnedBuilder(), config_of(station_config("a"))) as stage:
        stage.builder.camera("a").give(800)
        await until(lambda: stage.frames("a") + stage.stations.health()["a"].dropped["thinned"] >= 800)
        left_out = stage.stations.health()["a"].dropped["thinned"]
        await until(lambda: len(stage.verdicts) >= len(stage.builder.opened) - 1)
    assert (left_out > 0) == (watching is not Watching.ALL)
    assert left_out == pytest.approx({0: 0, 1: 80, 2: 400}[watching], abs=80 if watching else 0)
    assert stage.builder.opened
    assert set(stage.numbers().values()) == {1}
    assert set(stage.numbers()) == stage.builder.opened


async def test_the_section_may_be_its_mode_alone(tmp_path):
    path = tmp_path / "stations.yaml"
    station = "stations: [{id: a, source: {type: simulator}}]\n"
    path.write_text(station + "scaling: auto\n", encoding="utf-8")
    assert load_config(path).scaling == ScalingConfig(mode="auto")
    path.write_text(station + "scaling: {mode: auto, idle_after_sec: 60, first_batch_size: 64}\n", encoding="utf-8")
    policy = scaling_policy(load_config(path).scaling, most_batch=16)
    assert (policy.idle_after_s, policy.first_batch, policy.most_batch) == (60.0, 16, 16)
    assert scaling_policy(ScalingConfig(), 16) == ScalingPolicy()
    assert {"fixed", "auto"} <= set(str(json_schema()["properties"]["scaling"]).replace("'", " ").split())


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("scaling: fast", "mode"),
        ("scaling: {mod: auto}", "mode"),
        ("scaling: {high_utilisation: 0.5, low_utilisation: 0.3}", "at most half"),
        ("scaling: {high_utilisation: 0.5}", "at most half"),
        ("scaling: {idle_after_sec: 0}", "idle_after_sec"),
    ],
)
async def test_what_is_wrong_with_the_section_is_told(tmp_path, written, told):
    path = tmp_path / "stations.yaml"
    path.write_text(f"stations: [{{id: a, source: {{type: simulator}}}}]\n{written}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=told) as caught:
        load_config(path)
    assert [found.line for found in caught.value.findings] == [2]


async def test_a_daemon_that_scales_itself_judges_as_well(tmp_path, caplog):
    """A latency no model keeps: everything is given up within seconds, and the order is right all the same."""
    actions = [Action(1.0, "slip"), Action(2.5, "lay", "Burger"), Action(4.0, "lay", "Cola"), Action(10.0, "take")]
    order = ScriptedOrder("4821", (Item("Burger"), Item("Cola")), tuple(actions))
    save_script(Script(920_007, (order,), fps=10, seconds=14.0), tmp_path / "script.json")
    seen_by = SimulatorSource(type="simulator", script=str(tmp_path / "script.json"))
    scaling = ScalingConfig(mode="auto", latency_target_sec=1e-6, busy_after_sec=0.1)
    config = Config(stations=(StationConfig(id="a", source=seen_by),), scaling=scaling)
    caplog.set_level("INFO", "orderacc")
    verdicts = []

    async def keep(verdict):
        verdicts.append(verdict)

    assert await run_daemon(config, signals=False, on_verdict=keep)
    assert [(one.order_id, one.status) for one in verdicts] == [("4821", "accurate")]
    assert any("scaled" in str(record.msg) for record in caplog.records)
