"""What a camera costs: `pytest benchmarks/test_capture.py --benchmark-enable -s`.

Real RTSP cameras in another process, whose cost is not counted, watched as the service watches them. Figures are
processor time of this process, so that other work on the machine does not show in them much.
"""

from __future__ import annotations

import statistics
import time
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import av
import pytest

from orderacc.capture import CapturePolicy, StreamSource, SupervisedCapture
from rtsp_server import RtspServer, encode_clip, need_rtsp
from video_files import number_of

ROUNDS = 4
SECONDS = 8.0
MOST = 32


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    """Mounts `hd` (720p, 10 frames a second) and 32 times `small` (360p, 5), with noise, as real pictures have."""
    need_rtsp()
    folder = tmp_path_factory.mktemp("clips")
    large = encode_clip(folder / "hd", size=(1280, 720), fps=10, gop=20, noise=12, frames=64)
    small = encode_clip(folder / "small", size=(640, 360), fps=5, gop=10, noise=12, frames=64)
    with RtspServer({"hd": large} | {f"small-{number}": small for number in range(MOST)}) as server:
        yield server


def test_cpu_and_age_of_a_frame_against_bare_pyav(camera, benchmark):
    """The same 720p stream, by turns: a supervised station, and the shortest loop that grabs and converts."""
    url = camera.url("hd")
    cost = {"station": [], "bare": []}
    ages = {"station": [], "bare": []}

    def by_turns():
        for _ in range(ROUNDS):
            cost["bare"].append(_bare(url, camera, ages["bare"]))
            cost["station"].append(anyio.run(_station, url, camera, ages["station"]))

    benchmark.pedantic(by_turns, rounds=1, iterations=1)
    ratio = statistics.median(cost["station"]) / statistics.median(cost["bare"])
    print("\n720p at 10 fps           CPU-ms a frame (each round)          age p50 / p99, ms")
    for name, values in cost.items():
        spread = " ".join(f"{value * 1000:.2f}" for value in values)
        print(f"{name:10} {statistics.median(values) * 1000:14.2f}   ({spread})   {_percentiles(ages[name])}")
    print(f"station / bare: {ratio:.3f}")
    assert ratio < 1.10


def test_memory_of_a_station(camera, benchmark):
    """Stations at 720p, one more at a time."""
    more = 4
    figures = []

    async def watch():
        async with AsyncExitStack() as stations:
            for _ in range(1 + more):
                await _watch([camera.url("hd")], stations, seconds=0)
                await anyio.sleep(3)
                figures.append(_resident_mb())

    benchmark.pedantic(lambda: anyio.run(watch), rounds=1, iterations=1)
    each = (figures[-1] - figures[0]) / more
    print(f"\nMB resident with 1 to {1 + more} stations at 720p: {' '.join(f'{mb:.0f}' for mb in figures)}")
    print(f"a further station: {each:.1f} MB")
    assert each <= 40


def test_cost_of_many_stations(camera, benchmark):
    """CPU a station needs for a second of 360p at 5 frames a second, among 1 to 32.

    Cameras have clocks of their own; what it costs when all of them send at the same instant is told beside.
    """
    own, same = {}, {}

    async def watch(urls, apart):
        async with AsyncExitStack() as stations:
            counts = await _watch(urls, stations, seconds=2, apart=apart)
            before, started, frames = time.process_time(), time.monotonic(), sum(counts)
            await anyio.sleep(SECONDS)
            took = (time.monotonic() - started) * len(urls)
            return (time.process_time() - before) / took, (sum(counts) - frames) / took

    def all_of_them():
        for count in (1, 4, 16, MOST):
            own[count] = anyio.run(watch, [camera.url(f"small-{number}") for number in range(count)], 0.23)
            same[count] = anyio.run(watch, [camera.url("small-0")] * count, 0.0)

    benchmark.pedantic(all_of_them, rounds=1, iterations=1)
    print("\nstations   CPU-ms per station-second   frames a second each   CPU-ms when all send at once")
    for count, (cpu, fps) in own.items():
        print(f"{count:8} {cpu * 1000:15.2f} {fps:22.2f} {same[count][0] * 1000:27.2f}")
    print(f"{MOST} / 1: {own[MOST][0] / own[1][0]:.3f}")
    assert all(fps > 4.5 for _, fps in (*own.values(), *same.values()))
    assert own[MOST][0] < 1.10 * own[1][0]


async def _watch(urls, stations, *, seconds, apart=0.0):
    """Begin stations so many seconds apart, wait until each gives frames, then some seconds.

    Returns:
        How many frames each has given; they go on growing.
    """
    counts = [0] * len(urls)
    begun = [anyio.Event() for _ in urls]
    tasks = await stations.enter_async_context(anyio.create_task_group())
    stations.callback(tasks.cancel_scope.cancel)

    async def watch(place, url):
        await anyio.sleep(place * apart)

        def make():
            return StreamSource(url, f"station-{place}", hwaccel="none")

        async with SupervisedCapture(f"station-{place}", make, CapturePolicy()) as frames:
            async for _ in frames:
                counts[place] += 1
                begun[place].set()

    for place, url in enumerate(urls):
        tasks.start_soon(watch, place, url)
    for event in begun:
        await event.wait()
    await anyio.sleep(seconds)
    return counts


async def _station(url, camera, ages):
    """CPU seconds a frame of a supervised station."""
    source = SupervisedCapture("station", lambda: StreamSource(url, "station", 10, hwaccel="none"), CapturePolicy())
    async with source as frames:
        cost = _Cost(camera, ages)
        async for frame in frames:
            if cost.count(frame.image):
                break
    return cost.each


def _bare(url, camera, ages):
    """CPU seconds a frame of a loop that does nothing else."""
    options = {"rtsp_transport": "tcp", "analyzeduration": "200000", "timeout": "5000000"}
    with av.open(url, options=options, timeout=(5, 5)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        cost = _Cost(camera, ages)
        for picture in container.decode(stream):
            if cost.count(picture.to_ndarray(format="bgr24")):
                break
    return cost.each


class _Cost:
    """Counts frames from the tenth to the end of the time, and what they cost and how old they were."""

    def __init__(self, camera, ages):
        self._camera = camera
        self._ages = ages
        self._frames = -10

    def count(self, image):
        self._frames += 1
        if self._frames == 0:
            self._until = time.monotonic() + SECONDS
            self._before = time.process_time()
        if self._frames <= 0:
            return False
        self._ages.append(time.monotonic() - self._camera.sent_at("hd", number_of(image)))
        if time.monotonic() < self._until:
            return False
        self.each = (time.process_time() - self._before) / self._frames
        return True


def _percentiles(values):
    ordered = sorted(values)
    return " / ".join(f"{ordered[round(share * (len(ordered) - 1))] * 1000:.1f}" for share in (0.5, 0.99))


def _resident_mb():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6
