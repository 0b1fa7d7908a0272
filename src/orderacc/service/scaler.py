"""Measuring the load of a running process, and working its models accordingly."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import anyio

from orderacc.service.scaling import Load, ScalingController, ScalingPolicy
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.config import ScalingConfig
    from orderacc.perception.detector import Detector
    from orderacc.perception.request_pool import PoolStatistics
    from orderacc.service.judging import OrderJudge
    from orderacc.service.scaling import Setting
    from orderacc.service.thinning import Throttle
    from orderacc.vlm.batcher import VlmBatcher
    from orderacc.vlm.statistics import BatcherStatistics, EngineStatistics

_log = get_logger(__name__)

EVERY: Final = 1.0
"""Seconds from one look at the load to the next."""

SMOOTHED_OVER: Final = 10.0
"""Seconds the load is smoothed over: a burst of a second is no load, a call that takes ten is one."""


class LoadMeter:
    """Turns what the models have done since the last look into their load."""

    def __init__(self) -> None:
        self._before: tuple[float, BatcherStatistics, PoolStatistics] | None = None
        self._load = Load(0.0, 0.0, 0.0, None, 0.0)
        self._told = 0.0

    def look(self, at: float, vlm: BatcherStatistics, detector: PoolStatistics) -> Load:
        """The load over the last `SMOOTHED_OVER` seconds, about.

        Args:
            at: Now, seconds by a monotonic clock.
            vlm: What the VLM has done.
            detector: What the detector has done.
        """
        before, self._before = self._before, (at, vlm, detector)
        if before is None or at <= before[0]:
            return self._load
        since, vlm_before, detector_before = before
        load, passed = self._load, at - since
        share = min(1.0, passed / SMOOTHED_OVER)
        detecting = min(1.0, (detector.busy_s - detector_before.busy_s) / passed / detector.streams)
        self._load = Load(
            at=at,
            vlm=_between(load.vlm, _utilisation(vlm_before, vlm, passed), share),
            detector=_between(load.detector, detecting, share),
            latency_s=self._latency(at, vlm_before, vlm),
            queued=_between(load.queued, vlm.waiting + vlm.at_door, share),
        )
        return self._load

    def _latency(self, at: float, before: BatcherStatistics, now: BatcherStatistics) -> float | None:
        """Seconds from question to answer; without news what it was, and less and less of it when nobody asks."""
        known, answered = self._load.latency_s, now.answered - before.answered
        if not answered and (known is None or now.waiting or now.in_flight):
            return known
        told = 0.0
        if answered:
            calls = max(1, now.batches - before.batches)
            told = (now.waited_s - before.waited_s) / answered + (now.busy_s - before.busy_s) / calls
        share, self._told = min(1.0, (at - self._told) / SMOOTHED_OVER), at
        return told if known is None else _between(known, told, share)


class Scaler:
    """Looks at the load again and again and lets the models be worked by it.

    Args:
        batcher: The VLM's; its batches grow and shrink.
        detector: Its requests are measured.
        judge: Asks ahead of time, or does not.
        throttle: What the stations are held to.
        policy: What counts as too much.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        batcher: VlmBatcher,
        detector: Detector,
        judge: OrderJudge,
        throttle: Throttle,
        policy: ScalingPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._batcher = batcher
        self._detector = detector
        self._judge = judge
        self._throttle = throttle
        self._meter = LoadMeter()
        self._controller = ScalingController(policy)
        self._clock = clock
        self._work(self._controller.setting)

    async def run(self) -> None:
        """Go on until cancelled."""
        try:
            while True:
                self.look()
                await anyio.sleep(EVERY)
        except Exception as error:  # noqa: BLE001  orders are judged as well with what holds now
            _log.error("scaling_failed", exc_info=error)

    def look(self) -> None:
        """Look at the load once and take up what it calls for."""
        before = self._controller.setting
        load = self._meter.look(self._clock(), self._batcher.statistics(), self._detector.statistics())
        now = self._controller.follow(load)
        if now != before:
            self._work(now)
            figures = {name: value and round(value, 2) for name, value in asdict(load).items() if name != "at"}
            _log.info("scaled", **asdict(now), load=figures)

    def _work(self, setting: Setting) -> None:
        self._batcher.max_batch_size = setting.batch_size
        self._judge.early_looks = setting.early_looks
        self._throttle.watching = setting.watching


def scaling_policy(config: ScalingConfig, most_batch: int) -> ScalingPolicy:
    """What counts as too much, out of the configuration's section.

    Args:
        config: The section.
        most_batch: Most requests the engine takes in one call.
    """
    return ScalingPolicy(
        high=config.high_utilisation,
        low=config.low_utilisation,
        latency_target_s=config.latency_target_sec,
        queue_target=config.queue_target,
        busy_after_s=config.busy_after_sec,
        idle_after_s=config.idle_after_sec,
        first_batch=min(config.first_batch_size, most_batch),
        most_batch=most_batch,
    )


def _utilisation(before: BatcherStatistics, now: BatcherStatistics, passed: float) -> float:
    """Share of the time the engines of this machine were at work; those elsewhere count when there are no others."""
    ours = [one for one in now.engines if one.role == "local"] or now.engines
    known = {one.name: one for one in before.engines}
    return max((_busy(known.get(one.name), one, passed) for one in ours), default=0.0)


def _busy(before: EngineStatistics | None, now: EngineStatistics, passed: float) -> float:
    if before is None:
        return 0.0
    if now.parallel > 1:
        # Of many calls at a time those that are on now tell: what ends now was on at looks before, and counted there.
        return now.calls / now.parallel
    # A call counts when it ends: one that is on all the while has not ended yet.
    if now.in_flight and now.batches == before.batches:
        return 1.0
    return min(1.0, (now.busy_s - before.busy_s) / passed)


def _between(then: float, now: float, share: float) -> float:
    return then + (now - then) * share
