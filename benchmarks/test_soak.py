"""Fault after fault at real cameras: `pytest benchmarks/test_soak.py --benchmark-enable -s`.

Prints what 200 faults over four stations leave behind: nothing should. ORDERACC_SOAK_CYCLES sets another number.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from orderacc.capture import CapturePolicy, StationPhase, SupervisedCapture
from orderacc.capture.stream import StreamSource
from rtsp_server import RtspServer, encode_clip, need_rtsp
from video_files import number_of

if TYPE_CHECKING:
    from collections.abc import Callable

CYCLES = int(os.environ.get("ORDERACC_SOAK_CYCLES", "200"))
STATIONS = 4
QUIET = 1
"""Further stations that no fault comes to."""

BACK_WITHIN = 10.0
FLOOR = 15.0
"""Milliseconds that frames of a station without faults may be older than a tenth more, for the machine's own sake."""

POLICY = CapturePolicy(
    stall_detection_sec=1.5,
    circuit_breaker_cooldown_sec=3.0,
    reconnect_interval=0.2,
    reconnect_interval_max=2.0,
    healthy_after_sec=2.0,
    rtsp_timeout=1.5,
)
"""About three times faster than by default."""


class Camera:
    """A station at a camera that can be broken in every way, and what came of it."""

    def __init__(self, name, clip, larger):
        self.clips = [clip, larger]
        self.server = server = RtspServer({"front": [clip, larger]}, auth=("admin", "sesame"))
        url = server.url("front")
        self.capture = SupervisedCapture(name, lambda: StreamSource(url, name, timeout=POLICY.rtsp_timeout), POLICY)
        self.frames = 0
        self.last = (-1.0, -1)
        self.ages: list[tuple[float, float]] = []

    async def watch(self):
        async for frame in self.capture:
            assert (frame.at, frame.index) > self.last
            self.last = (frame.at, frame.index)
            self.frames += 1
            now = time.monotonic()
            with suppress(OSError, ValueError):
                self.ages.append((now, now - self.server.sent_at("front", number_of(frame.image))))

    async def back(self):
        """Wait for a frame of a connection that lasts; gives the seconds it took."""
        began, seen = time.monotonic(), self.frames
        await until(lambda: self.frames > seen)
        took = time.monotonic() - began
        await until(lambda: self.capture.health().phase is StationPhase.RUNNING)
        return took


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110  the condition is another thread's, which sets no event of this loop
            await anyio.sleep(0.02)


def killed(camera):
    camera.server.kill()
    return camera.server.restart


def frozen(camera):
    camera.server.pause()
    return camera.server.resume


def stalled(camera):
    camera.server.stall()
    return camera.server.unstall


def locked(camera):
    camera.server.restart(auth=("admin", "changed"))
    return lambda: camera.server.restart(auth=("admin", "sesame"))


def renamed(camera):
    camera.server.restart({"back": camera.clips})
    return lambda: camera.server.restart({"front": camera.clips})


def silent(camera):
    return impostor(camera, None)


def garbage(camera):
    return impostor(camera, bytes(range(1, 256)) * 40)


def web_page(camera):
    return impostor(camera, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def black_hole(camera):
    """Its port's queue is full and nobody accepts: a connection request gets no answer."""
    camera.server.kill()
    sockets = [socket.create_server(("127.0.0.1", camera.server.port), backlog=0)]
    for _ in range(8):
        sockets.append(socket.socket())
        sockets[-1].setblocking(False)  # noqa: FBT003  the standard library's signature
        sockets[-1].connect_ex(("127.0.0.1", camera.server.port))

    def mend():
        for each in reversed(sockets):
            each.close()
        camera.server.restart()

    return mend


def flapping(camera):
    for _ in range(3):
        camera.server.kill()
        time.sleep(0.5)
        camera.server.restart()
        time.sleep(0.5)
    return killed(camera)


def resized(camera):
    camera.server.switch("front")
    return lambda: camera.server.switch("front")


FAULTS = (killed, frozen, stalled, locked, renamed, silent, garbage, web_page, black_hole, flapping, resized)


def impostor(camera, answer: bytes | None) -> Callable[[], None]:
    """Something else listens on the camera's port."""
    camera.server.kill()
    listener = socket.create_server(("127.0.0.1", camera.server.port))
    taken = []

    def serve():
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                taken.append(connection)
                if answer is not None:
                    connection.recv(4096)
                    connection.sendall(answer)
                    connection.close()

    thread = threading.Thread(target=serve)
    thread.start()

    def mend():
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in taken:
            connection.close()
        camera.server.restart()

    return mend


async def soak(cameras, quiet, cycles):
    """Break and mend the cameras, all of them at a time, until so many faults have been; gives figures."""
    taken: dict[str, list[float]] = {fault.__name__: [] for fault in FAULTS}
    samples: list[tuple[int, int, int, float]] = []
    done = itertools.count(1)
    finished = 0
    rng = random.Random(5)  # noqa: S311  a plan of faults is no secret

    async def torment(camera):
        nonlocal finished
        order: list[Callable] = []
        while next(done) <= cycles:
            order = order or rng.sample(FAULTS, len(FAULTS))
            fault = order.pop()
            mend = await anyio.to_thread.run_sync(fault, camera)
            await anyio.sleep(rng.uniform(0.5, 5.0))
            await anyio.to_thread.run_sync(mend)
            taken[fault.__name__].append(await camera.back())
            finished += 1
            await anyio.sleep(rng.uniform(0.5, 3.0))

    async def measure():
        while True:
            samples.append((finished, *footprint()))
            await anyio.sleep(2)

    async with anyio.create_task_group() as watching:
        for camera in (*cameras, *quiet):
            await watching_in(watching, camera)
        for camera in (*cameras, *quiet):
            await camera.back()
        await anyio.sleep(2)
        for camera in (*cameras, *quiet):
            camera.ages.clear()  # the first frames are older: a stream begins with its last keyframe
        await anyio.sleep(10)
        calm_until = time.monotonic()
        samples.append((finished, *footprint()))
        watching.start_soon(measure)
        async with anyio.create_task_group() as tormenting:
            for camera in cameras:
                tormenting.start_soon(torment, camera)
        stormy_until = time.monotonic()
        for camera in cameras:
            await camera.back()
        await anyio.sleep(3 * POLICY.rtsp_timeout)
        samples.append((finished, *footprint()))
        healths = [camera.capture.health() for camera in (*cameras, *quiet)]
        watching.cancel_scope.cancel()
    return taken, samples, healths, (calm_until, stormy_until)


async def watching_in(group, camera):
    """Watch a camera in a group until the group is cancelled."""

    async def watch(*, task_status):
        async with camera.capture:
            task_status.started()
            await camera.watch()

    await group.start(watch)


def footprint() -> tuple[int, int, float]:
    """Threads (without those that break and mend), file descriptors and resident MB of this process."""
    threads = sum("AnyIO worker" not in thread.name for thread in threading.enumerate())
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return threads, len(list(Path("/proc/self/fd").iterdir())), pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def p99(ages):
    ordered = sorted(ages)
    return ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))] * 1000 if ordered else float("nan")


@pytest.mark.timeout(3600)
def test_faults_leave_nothing_behind(benchmark, tmp_path):
    need_rtsp()
    clips = [encode_clip(tmp_path / name, size=size) for name, size in (("front", (640, 360)), ("large", (800, 448)))]
    cameras = [Camera(f"drive-{number}", *clips) for number in range(1, STATIONS + QUIET + 1)]
    tormented, quiet = cameras[:STATIONS], cameras[STATIONS:]
    try:
        result = benchmark.pedantic(lambda: anyio.run(soak, tormented, quiet, CYCLES), rounds=1, iterations=1)
    finally:
        for camera in cameras:
            camera.server.close()
    taken, samples, healths, (calm_until, stormy_until) = result
    report(taken, samples, healths)
    for camera in quiet:
        calm = p99(age for at, age in camera.ages if at <= calm_until)
        stormy = p99(age for at, age in camera.ages if calm_until < at <= stormy_until)
        print(f"frame age of the station without faults, p99: {calm:.0f} ms before, {stormy:.0f} ms meanwhile")
        assert stormy < calm * 1.10 + FLOOR
    assert sum(map(len, taken.values())) == CYCLES
    assert max(itertools.chain(*taken.values())) < BACK_WITHIN
    assert all(health.phase is StationPhase.RUNNING and not health.abandoned_threads for health in healths)
    assert all(health.restarts == 0 for health in healths[STATIONS:])
    (_, threads, files, _), (_, threads_left, files_left, memory_left) = samples[0], samples[-1]
    assert (threads_left, files_left) == (threads, files)
    # Allocators settle: memory is compared with what it was after a quarter of the faults.
    memory = max(sample[3] for sample in samples if CYCLES / 4 <= sample[0] <= CYCLES / 2)
    assert memory_left < memory * 1.05 + 5


def report(taken, samples, healths):
    print(f"\n{'fault':10}{'times':>7}{'back in s: median':>19}{'worst':>8}")
    for name, times in taken.items():
        if times:
            print(f"{name:10}{len(times):7}{sorted(times)[len(times) // 2]:19.1f}{max(times):8.1f}")
    print("faults: threads, file descriptors, MB resident")
    step = max(1, len(samples) // 8)
    for done, threads, files, memory in [*samples[:-1:step], samples[-1]]:
        print(f"{done:6}: {threads:3} {files:4} {memory:6.0f}")
    for health in healths:
        print(
            f"{health.station_id}: {health.phase}, {health.frames_in} frames, {health.restarts} restarts, "
            f"{health.stalls} stalls, {health.breaker_trips} trips, {health.abandoned_threads} threads left behind, "
            f"{dict(health.failures)}"
        )
