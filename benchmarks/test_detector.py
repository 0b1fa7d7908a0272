"""The detector shared by many stations: `pytest benchmarks/test_detector.py --benchmark-enable -s` (five minutes).

Ratios are of rounds by turns in one run, so that other work on the machine weighs on both sides alike.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from orderacc.models.runtime import import_openvino
from orderacc.models.store import ModelStore
from orderacc.perception.detector import Detector
from orderacc.perception.letterbox import Letterbox
from orderacc.simulator.samples import sample

STATIONS = 8
ROUNDS = 7
FRAMES = 120

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def model_dir():
    return ModelStore().resolve("demo-detector", kind="detector").path


@pytest.fixture(scope="module")
def frames():
    """720p frames of busy counters, one for each station."""
    return [sample(910_700_000 + index).image for index in range(STATIONS)]


def clocked(work, frames):
    """CPU seconds and seconds a frame."""
    cpu, wall = time.process_time(), time.perf_counter()
    count = work(frames)
    return (time.process_time() - cpu) / count, (time.perf_counter() - wall) / count


def bare_queue(compiled, streams, prepare, finish):
    """The shortest loop there is: OpenVINO's own queue of requests, fed by one thread, read in its callbacks."""
    openvino = import_openvino()
    queue = openvino.AsyncInferQueue(compiled, streams + 1)
    queue.set_callback(lambda request, _: finish(request.get_output_tensor(0).data))

    def work(frames):
        for index in range(FRAMES):
            queue.start_async([prepare(frames[index % len(frames)])], share_inputs=True)
        queue.wait_all()
        return FRAMES

    return work


def stations(detector):
    """As the service does it: a thread for each station, all on one detector."""
    threads = ThreadPoolExecutor(STATIONS)

    def watch(frame):
        for _ in range(FRAMES // STATIONS):
            detector.detect_now(frame)

    def work(frames):
        list(threads.map(watch, frames))
        return FRAMES // STATIONS * STATIONS

    return work


def by_turns(ways, frames):
    """`name -> [(cpu, wall) of each round]`; the first round warms up."""
    figures = {name: [] for name in ways}
    for _ in range(1 + ROUNDS):
        for name, work in ways.items():
            figures[name].append(clocked(work, frames))
    return {name: rounds[1:] for name, rounds in figures.items()}


def median(rounds, which):
    return statistics.median(one[which] for one in rounds)


@pytest.mark.parametrize("threads", [1, 2])
def test_stream_throughput_against_a_bare_queue(model_dir, frames, threads, benchmark):
    """The same compiled network: pictures ready for it, and 720p frames that are scaled first and decoded after."""
    detector = Detector.load(model_dir, threads=threads)
    pool = detector._pool  # noqa: SLF001  the very network that the detector runs
    compiled = pool._free[0].get_compiled_model()  # noqa: SLF001
    placed = Letterbox.fit((frames[0].shape[1], frames[0].shape[0]), detector.input_size)
    ready = [placed.apply(frame) for frame in frames]

    def measure():
        network_only = by_turns(
            {
                "bare": bare_queue(
                    compiled,
                    threads,
                    lambda frame: frame[np.newaxis],
                    detector._decode,  # noqa: SLF001
                ),
                "detector": stations(detector),
            },
            ready,
        )
        whole = by_turns(
            {
                "bare": bare_queue(
                    compiled,
                    threads,
                    lambda frame: placed.apply(frame)[np.newaxis],
                    detector._decode,  # noqa: SLF001
                ),
                "detector": stations(detector),
            },
            frames,
        )
        return network_only, whole

    figures = benchmark.pedantic(measure, rounds=1, iterations=1)
    print(f"\n{threads} stream(s), {STATIONS} stations    frames/s   CPU-ms a frame   detector / bare by CPU, by wall")
    for what, rounds in zip(("pictures as the network takes them", "720p frames"), figures, strict=True):
        for name in ("bare", "detector"):
            print(
                f"{what:36} {name:10} {1 / median(rounds[name], 1):8.0f} {median(rounds[name], 0) * 1000:14.2f}",
                end="" if name == "detector" else "\n",
            )
        ratios = [
            statistics.median(
                bare[which] / own[which] for bare, own in zip(rounds["bare"], rounds["detector"], strict=True)
            )
            for which in (0, 1)
        ]
        print(f"        {ratios[0]:.3f}, {ratios[1]:.3f}")
        assert ratios[0] >= 0.95


def test_requests_made_once_against_one_for_each_frame(model_dir, frames, benchmark):
    """What the pool saves."""
    detector = Detector.load(model_dir, threads=1)
    compiled = detector._pool._free[0].get_compiled_model()  # noqa: SLF001
    placed = Letterbox.fit((frames[0].shape[1], frames[0].shape[0]), detector.input_size)

    def one_each(frame):
        for _ in range(FRAMES // STATIONS):
            request = compiled.create_infer_request()
            request.infer([placed.apply(frame)[np.newaxis]], share_inputs=True)
            detector._decode(request.get_output_tensor(0).data)  # noqa: SLF001

    threads = ThreadPoolExecutor(STATIONS)

    def without_pool(frames):
        list(threads.map(one_each, frames))
        return FRAMES // STATIONS * STATIONS

    figures = benchmark.pedantic(
        lambda: by_turns({"one for each": without_pool, "pool": stations(detector)}, frames), rounds=1, iterations=1
    )
    for name, rounds in figures.items():
        print(
            f"\n{name:14} {median(rounds, 0) * 1000:6.2f} CPU-ms a frame, {1 / median(rounds, 1):4.0f} a second", end=""
        )


def test_which_settings_are_best(model_dir, benchmark):
    """Streams against threads on one picture against pictures at a time, network alone."""
    from orderacc.perception.detector import _with_preprocessing
    from orderacc.perception.model_folder import DetectorFolder

    openvino = import_openvino()
    core, network = openvino.Core(), DetectorFolder.read(model_dir).network
    rng = np.random.default_rng(1)

    def way(batch, streams, threads):
        model = core.read_model(network)
        if batch > 1:
            model.reshape([batch, *[side.get_length() for side in model.input(0).partial_shape][1:]])
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False}
        compiled = core.compile_model(_with_preprocessing(model), "CPU", settings)
        queue = openvino.AsyncInferQueue(compiled, streams + 1)
        picture = rng.integers(0, 255, list(compiled.input(0).shape), np.uint8)

        def work(_):
            for _ in range(FRAMES // batch):
                queue.start_async([picture], share_inputs=True)
            queue.wait_all()
            return FRAMES // batch * batch

        return work

    ways = {
        "1 thread, 1 stream": way(1, 1, 1),
        "2 threads, 1 stream (latency)": way(1, 1, 2),
        "2 threads, 2 streams (throughput)": way(1, 2, 2),
        "1 thread, batches of 4": way(4, 1, 1),
        "2 threads, 2 streams, batches of 4": way(4, 2, 2),
    }
    figures = benchmark.pedantic(lambda: by_turns(ways, []), rounds=1, iterations=1)
    print()
    for name, rounds in figures.items():
        print(f"{name:36} {1 / median(rounds, 1):5.0f} frames a second, {median(rounds, 0) * 1000:5.2f} CPU-ms a frame")
