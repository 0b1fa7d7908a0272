"""A station that looks after itself, with staged faults: what it passes through, and what its frames are like."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import anyio
import pytest

from orderacc.capture import CapturePolicy, Delivery, StationPhase, SupervisedCapture
from orderacc.capture.attempt import Attempt
from orderacc.capture.supervisor import MAX_ABANDONED
from orderacc.errors import SourceError
from orderacc.testing import StagedCamera, StagedClock
from staged_time import ReadClock, look_often, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from orderacc.domain.frames import Frame

pytestmark = pytest.mark.anyio

POLICY = CapturePolicy()
REFUSED = SourceError("nobody listens", code="refused")


class Watched:
    """A supervised staged camera, the frames that came, and its clock."""

    def __init__(self, capture: SupervisedCapture, camera: StagedCamera, clock: StagedClock) -> None:
        self.capture, self.camera, self.clock = capture, camera, clock
        self.frames: list[Frame] = []
        self.over = False

    async def take(self) -> None:
        async for frame in self.capture:
            self.frames.append(frame)
        self.over = True

    @property
    def phase(self) -> StationPhase:
        return self.capture.health().phase

    @property
    def path(self) -> list[str]:
        return [move.after.value for move in self.capture.health().moves]

    async def give(self, frames: int = 1) -> None:
        """One at a time, so that none is replaced by the next."""
        for _ in range(frames):
            count = len(self.frames)
            self.camera.give()
            await until(lambda count=count: len(self.frames) > count)

    async def pass_time(self, seconds: float, step: float = 1.0) -> None:
        """Let the clock run; the station looks at it after every step."""
        end = self.clock() + seconds
        while self.clock() < end:
            self.clock.advance(min(step, end - self.clock()))
            await self.looked()

    async def looked(self) -> None:
        """Wait until the station has looked at the clock, and acted on it, since now."""
        reads = self.clock.reads
        await until(lambda: self.clock.reads > reads + 3)

    async def comes_to(self, phase: StationPhase) -> None:
        await until(lambda: self.phase is phase)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    look_often(monkeypatch)


@asynccontextmanager
async def watched(policy: CapturePolicy = POLICY, **options: object) -> AsyncIterator[Watched]:
    camera, clock = StagedCamera("drive-1"), ReadClock()
    capture = SupervisedCapture(
        "drive-1", camera.make, policy, clock=clock, rng=random.Random(7), delivery=Delivery.LOSSLESS, **options
    )
    async with capture:
        station = Watched(capture, camera, clock)
        async with anyio.create_task_group() as group:
            group.start_soon(station.take)
            await until(lambda: camera.open == 1)
            yield station
            camera.mend()
            capture.stop()
    assert capture.health().phase is StationPhase.STOPPED


async def test_frames_come_and_the_station_runs() -> None:
    async with watched() as station:
        await station.comes_to(StationPhase.STARTING)
        await station.give(3)
        await station.comes_to(StationPhase.RUNNING)
        assert [frame.at for frame in station.frames] == pytest.approx([0, 0.1, 0.2])
        health = station.capture.health()
    assert (health.frames_in, health.kept, health.restarts, health.stalls) == (3, 3, 0, 0)
    assert health.failures == {}
    assert station.over
    assert station.path == ["starting", "running", "shutting_down", "stopped"]
    assert station.camera.open == 0


async def test_the_first_frame_makes_the_station_run_however_slow_its_thread_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop may act on what a thread told it before that thread goes on."""
    monkeypatch.setattr("orderacc.capture.supervisor.TICK", 3600.0)
    loop = asyncio.get_running_loop()
    tell = loop.call_soon_threadsafe

    def tell_and_be_held_up(callback: Callable[..., object], *args: object, **options: object) -> asyncio.Handle:
        handle = tell(callback, *args, **options)
        if threading.current_thread().name.startswith("frames-"):
            acted = threading.Event()
            # Two rounds of the loop later whoever was woken has looked.
            tell(lambda: loop.call_soon(lambda: loop.call_soon(acted.set)))
            acted.wait(10)
        return handle

    monkeypatch.setattr(loop, "call_soon_threadsafe", tell_and_be_held_up)
    async with watched() as station:
        await station.give()
        assert station.phase is StationPhase.RUNNING


async def test_a_camera_without_orders_or_movement_is_left_alone() -> None:
    async with watched() as station:
        for _ in range(120):
            await station.give()
            await station.pass_time(4.9, step=4.9)
        assert station.phase is StationPhase.RUNNING
        assert station.capture.health().restarts == 0


async def test_silence_is_a_stall_after_exactly_the_time_set() -> None:
    async with watched() as station:
        await station.give()
        await station.comes_to(StationPhase.RUNNING)
        await station.pass_time(4.9)
        assert station.phase is StationPhase.RUNNING
        await station.pass_time(0.1)
        await station.comes_to(StationPhase.RESTARTING)
        await station.pass_time(1)
        await station.give(2)
        await station.comes_to(StationPhase.RUNNING)
        health = station.capture.health()
    assert [move.after for move in health.moves] == [
        "starting",
        "running",
        "stalled",
        "restarting",
        "starting",
        "running",
    ]
    assert (health.stalls, health.failures, health.restarts) == (1, {"stalled": 1}, 1)
    assert health.last_error is not None
    assert health.last_error.message == "no frame for 5 s though nothing failed"


async def test_opening_may_take_longer_than_a_frame_but_not_for_ever() -> None:
    async with watched() as station:
        await station.pass_time(19.9)
        assert station.phase is StationPhase.STARTING
        await station.pass_time(0.2)
        await until(lambda: station.camera.opened == 2)  # at once: it has been waited long enough
        assert station.path == ["starting", "stalled", "restarting", "starting"]
        assert station.capture.health().failures == {"stalled": 1}


async def test_a_failure_is_followed_by_another_attempt_after_a_wait() -> None:
    async with watched() as station:
        station.camera.fail(REFUSED)
        await station.comes_to(StationPhase.RESTARTING)
        station.camera.mend()
        await station.pass_time(0.4, step=0.1)
        assert station.camera.opened == 1
        await station.pass_time(0.6)
        await until(lambda: station.camera.opened == 2)
        await station.give()
        await station.comes_to(StationPhase.RUNNING)
    assert station.capture.health().failures == {"refused": 1}


async def test_ten_minutes_without_a_camera_and_it_is_back_within_the_cooldown() -> None:
    async with watched() as station:
        await station.give(3)
        station.camera.fail(SourceError("no route to rtsp://admin:geheim@camera/1", code="unreachable"))
        await station.pass_time(600)
        health = station.capture.health()
        assert health.phase is StationPhase.CIRCUIT_OPEN
        assert 60 <= health.failures["unreachable"] <= 100
        assert health.breaker_trips == 1
        assert health.last_error is not None
        assert health.last_error.message == "no route to rtsp://***@camera/1"
        station.camera.mend()
        back = station.clock()
        station.camera.give()
        while station.phase is not StationPhase.RUNNING:
            await station.pass_time(0.5)
        assert station.clock() - back <= POLICY.circuit_breaker_cooldown_sec
        assert station.path[-3:] == ["circuit_open", "half_open", "running"]
        await until(lambda: len(station.frames) == 4)
    assert station.frames[-1].at == pytest.approx(station.clock() - 1000, abs=1)


async def test_a_camera_that_flaps_is_not_hammered_and_not_given_up() -> None:
    async with watched() as station:
        up = False
        for _ in range(60):
            up = not up
            if up:
                station.camera.mend()
            else:
                station.camera.fail(REFUSED)
            for _ in range(2):
                if up and station.phase not in {StationPhase.RESTARTING, StationPhase.CIRCUIT_OPEN}:
                    station.camera.give()
                await station.pass_time(1)
        assert station.capture.health().breaker_trips >= 1
        assert station.camera.opened < 40
        station.camera.mend()
        station.camera.give()
        back = station.clock()
        while station.phase is not StationPhase.RUNNING:
            await station.pass_time(0.5)
        assert station.clock() - back <= 10.5
    assert all(a.at < b.at and a.index < b.index for a, b in pairwise(station.frames))


async def test_failures_are_forgotten_only_after_sustained_health() -> None:
    async with watched() as station:
        station.camera.fail(REFUSED)
        await station.pass_time(60)
        assert station.phase is StationPhase.CIRCUIT_OPEN
        station.camera.mend()
        await station.pass_time(11)
        await station.give()
        await station.pass_time(3)
        await station.give()
        station.camera.fail(REFUSED)
        await station.comes_to(StationPhase.CIRCUIT_OPEN)  # one failure is enough: it was not healthy for long enough
        station.camera.mend()
        await station.pass_time(10)
        for _ in range(5):
            await station.give()
            await station.pass_time(3)
        station.camera.fail(REFUSED)
        await station.comes_to(StationPhase.RESTARTING)


async def test_time_and_index_only_grow_whatever_happens() -> None:
    async with watched() as station:
        for gap in (0.2, 7.0, 0.0, 30.0):
            await station.give(4)
            station.camera.fail(REFUSED)
            await until(lambda: station.camera.open == 0)
            station.camera.mend()
            await station.pass_time(gap)
            station.capture.restart("again")
            await until(lambda: station.camera.open == 1)
        await station.give(4)
    assert [frame.index for frame in station.frames] == list(range(20))
    assert all(a.at < b.at for a, b in pairwise(station.frames))
    assert station.frames[-4].at == pytest.approx(station.clock() - 1000, abs=0.5)


async def test_a_restart_is_at_once_and_forgets_the_failures() -> None:
    async with watched() as station:
        station.camera.fail(REFUSED)
        await station.pass_time(100)
        assert station.phase is StationPhase.CIRCUIT_OPEN
        station.camera.mend()
        station.capture.restart("asked for")
        await station.comes_to(StationPhase.STARTING)
        await station.give()
        await station.comes_to(StationPhase.RUNNING)
        assert [move.reason for move in station.capture.health().moves][-3:] == [
            "asked for",
            "wait_over",
            "first_frame",
        ]


async def test_a_repointed_station_goes_on_with_the_other_camera() -> None:
    async with watched() as station:
        await station.give(2)
        other = StagedCamera("drive-1")
        station.capture.repoint(other.make)
        await until(lambda: other.open == 1 and station.camera.open == 0)
        other.give()
        await until(lambda: len(station.frames) == 3)
    assert [frame.index for frame in station.frames] == [0, 1, 2]


async def test_a_failure_of_the_consumer_counts_like_the_cameras() -> None:
    async with watched() as station:
        for _ in range(5):
            await until(lambda: station.camera.open == 1)
            await station.give()
            station.capture.fail("observer_failed", "division by zero")
            await until(lambda: station.phase in {StationPhase.RESTARTING, StationPhase.CIRCUIT_OPEN})
            await station.pass_time(9)
        health = station.capture.health()
        assert health.failures == {"observer_failed": 5}
        assert health.breaker_trips == 1


async def test_a_bug_in_a_source_is_a_failure_like_others(caplog: pytest.LogCaptureFixture) -> None:
    async with watched() as station:
        station.camera.fail(ZeroDivisionError("a bug"))
        await station.comes_to(StationPhase.RESTARTING)
        station.camera.mend()
        await station.pass_time(1)
        await station.give()
        assert station.capture.health().failures == {"source_crashed": 1}
    assert "source_crashed" in caplog.text


async def test_a_factory_that_fails_is_a_failure_like_others() -> None:
    def make() -> StagedCamera:
        raise SourceError("no such device", code="not_found")

    clock = ReadClock()
    async with SupervisedCapture("drive-1", make, POLICY, clock=clock) as capture:
        await until(lambda: capture.health().failures == {"not_found": 1})


async def test_threads_that_do_not_end_are_left_behind_counted_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async with watched() as station:
        station.camera.deaf = True
        for _ in range(60):
            await station.pass_time(5)
        health = station.capture.health()
        assert station.camera.opened == station.camera.open == MAX_ABANDONED
        assert health.abandoned_threads == MAX_ABANDONED
        assert health.phase is StationPhase.CIRCUIT_OPEN
        assert health.last_error is not None
        assert health.last_error.code == "threads_stuck"
        assert caplog.text.count("threads_stuck") <= 2
        station.camera.mend()
        await until(lambda: station.camera.opened == MAX_ABANDONED + 1)
        await station.give()
        await station.comes_to(StationPhase.RUNNING)
        await until(lambda: station.capture.health().abandoned_threads == 0)
    assert station.camera.open == 0


async def test_a_stuck_thread_keeps_nobody_from_leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderacc.capture.supervisor.CLOSE_TIMEOUT", 0.05)
    camera = StagedCamera()
    camera.deaf = True
    started = time.monotonic()
    async with SupervisedCapture("drive-1", camera.make, POLICY) as capture:
        await until(lambda: camera.open == 1)
    assert time.monotonic() - started < 10
    assert capture.health().abandoned_threads == 1
    camera.mend()
    await until(lambda: camera.open == 0)


async def test_attempts_leave_nothing_to_the_garbage_collector() -> None:
    def attempts() -> int:
        return sum(isinstance(one, Attempt) for one in gc.get_objects())

    gc.collect()
    gc.disable()
    before = attempts()
    try:
        async with watched() as station:
            for _ in range(9):
                await until(lambda: station.camera.open == 1)
                await station.give()
                station.camera.fail(SourceError("gone", code="end_of_stream"))
                await until(lambda: station.camera.open == 0)
                station.camera.mend()
                station.capture.restart("again")
            await until(lambda: station.camera.opened == 10)
            # The one that runs, the one whose frame was placed last, and one on its way out.
            await until(lambda: attempts() - before <= 3)
    finally:
        gc.enable()


async def test_what_an_old_source_says_is_not_heard() -> None:
    async with watched() as station:
        await station.give()
        station.camera.deaf = True
        station.capture.restart("asked for")
        await until(lambda: station.camera.open == 2)
        station.camera.give(2)  # one each, or both to one of them
        await until(lambda: station.camera.open <= 2 and len(station.frames) >= 1)
        station.camera.mend()
        await until(lambda: station.camera.open == 1)
        await station.give()
    assert all(a.at < b.at and a.index < b.index for a, b in pairwise(station.frames))


async def test_a_process_that_was_held_up_does_not_blame_its_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderacc.capture.supervisor.HELD_UP", 1.0)
    camera = StagedCamera()
    policy = CapturePolicy(stall_detection_sec=1.2)
    async with SupervisedCapture("drive-1", camera.make, policy) as capture:
        camera.give()
        await anext(capture)
        await until(lambda: capture.health().phase is StationPhase.RUNNING)
        time.sleep(2.5)  # noqa: ASYNC251  holding up the event loop is what is tested
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert capture.health().stalls == 0
        await until(lambda: capture.health().stalls == 1)


async def test_a_consumer_that_is_slow_is_not_a_camera_that_stalls() -> None:
    camera, clock = StagedCamera(), ReadClock()
    async with SupervisedCapture(
        "drive-1", camera.make, POLICY, clock=clock, delivery=Delivery.LOSSLESS, queue_size=1
    ) as capture:
        camera.give(3)
        await until(lambda: capture.health().frames_in == 2)
        for _ in range(10):
            clock.advance(4)
            reads = clock.reads
            await until(lambda reads=reads: clock.reads > reads + 3)
        assert capture.health().phase is StationPhase.RUNNING


async def test_latest_gives_the_newest_and_counts_the_rest() -> None:
    camera = StagedCamera()
    async with SupervisedCapture("drive-1", camera.make, POLICY) as capture:
        camera.give(5)
        await until(lambda: capture.health().dropped["late"] == 4)
        assert (await anext(capture)).index == 4
        health = capture.health()
        assert (health.frames_in, health.kept, dict(health.dropped)) == (5, 1, {"rate": 0, "late": 4, "damaged": 0})
        stats = capture.stats()
        assert (stats.delivered, stats.dropped, stats.waiting) == (1, 4, 0)


async def test_counts_go_on_through_restarts() -> None:
    async with watched() as station:
        for attempts in range(1, 4):
            await station.give(3)
            station.capture.restart("again")
            await until(lambda attempts=attempts: station.camera.opened == attempts + 1)
        health = station.capture.health()
        assert (health.frames_in, health.kept, health.restarts) == (9, 9, 3)


async def test_age_rate_and_uptime_follow_the_clock() -> None:
    async with watched() as station:
        assert station.capture.health().frame_age_s is None
        for _ in range(20):
            await station.give()
            station.clock.advance(0.5)
        await station.comes_to(StationPhase.RUNNING)
        health = station.capture.health()
        assert health.fps == pytest.approx(2, abs=0.3)
        assert health.frame_age_s == pytest.approx(0.5)
        assert health.jitter_s == pytest.approx(0.4, abs=0.15)
        ran = health.uptime_s
        station.camera.fail(REFUSED)
        await until(lambda: station.phase is not StationPhase.RUNNING)
        await station.pass_time(20)
        health = station.capture.health()
        assert health.fps == 0
        assert health.frame_age_s == pytest.approx(20.5)
        assert health.uptime_s == pytest.approx(ran, abs=0.6)


async def test_a_recording_ends_where_it_ends() -> None:
    camera = StagedCamera()
    async with SupervisedCapture("drive-1", camera.make, POLICY, live=False, delivery=Delivery.LOSSLESS) as capture:
        camera.give(5)
        await until(lambda: capture.health().frames_in == 5)
        camera.end()
        assert [frame.index async for frame in capture] == list(range(5))
    assert camera.opened == 1
    assert [move.after for move in capture.health().moves] == ["starting", "running", "shutting_down", "stopped"]


async def test_an_error_of_a_recording_is_raised_behind_its_frames() -> None:
    camera = StagedCamera()
    async with SupervisedCapture("drive-1", camera.make, POLICY, live=False, delivery=Delivery.LOSSLESS) as capture:
        camera.give(2)
        await until(lambda: capture.health().frames_in == 2)
        camera.fail(SourceError("torn", code="bad_stream"))
        assert [(await anext(capture)).index for _ in range(2)] == [0, 1]
        with pytest.raises(SourceError, match="torn"):
            await anext(capture)


async def test_paced_frames_come_at_their_times() -> None:
    camera = StagedCamera()
    camera.give(4)
    started = time.monotonic()
    async with SupervisedCapture("drive-1", camera.make, POLICY, paced=True, delivery=Delivery.LOSSLESS) as capture:
        for _ in range(4):
            await anext(capture)
    assert time.monotonic() - started >= 0.29


async def test_cancelling_lets_the_source_go() -> None:
    camera = StagedCamera()
    with anyio.CancelScope() as scope:
        async with SupervisedCapture("drive-1", camera.make, POLICY) as capture:
            camera.give()
            await anext(capture)
            scope.cancel()
            await anext(capture)
    assert scope.cancelled_caught
    assert camera.open == 0


@pytest.mark.parametrize("options", [{"queue_size": 0}, {"speed": 0}])
def test_settings_that_make_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SupervisedCapture("drive-1", StagedCamera().make, POLICY, **options)
