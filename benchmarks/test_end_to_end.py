"""The whole job on recorded video: verdicts against the truth, speed against real time, the cost of each stage.

`pytest benchmarks/test_end_to_end.py --benchmark-enable -s`. ORDERACC_BENCH_SEEDS and ORDERACC_BENCH_ORDERS choose the
videos (default `910000-910003` and 50: 200 orders, 52 minutes of video, which take a quarter of an hour to render).
"""

from __future__ import annotations

import json
import os
import time

import anyio
import numpy as np
import pytest

from orderacc.capture import VideoFileSource
from orderacc.config import JudgingConfig
from orderacc.perception.observer import Observer
from orderacc.selection.visits import StationTracker
from orderacc.service.replay import replay
from orderacc.service.runtime import Runtime
from orderacc.service.station import RECORDING_EPOCH
from orderacc.simulator.scoring import Score, score

FIRST, _, LAST = os.environ.get("ORDERACC_BENCH_SEEDS", "910000-910003").partition("-")
SEEDS = range(int(FIRST), int(LAST or FIRST) + 1)
ORDERS = int(os.environ.get("ORDERACC_BENCH_ORDERS", "50"))

pytestmark = pytest.mark.timeout(3600)  # the whole set takes ten minutes on two idle cores


async def _judge(folder):
    return [verdict async for verdict in replay(folder / "station.mp4", orders=folder / "orders.json")]


def test_verdicts_equal_the_truth(recorded, benchmark):
    total, calls, tokens, length = Score(), [], [], 0.0
    folders = [recorded(seed, ORDERS) for seed in SEEDS]

    def judge_all():
        return [anyio.run(_judge, folder) for folder in folders]

    cpu, wall = time.process_time(), time.perf_counter()
    judged = benchmark.pedantic(judge_all, rounds=1, iterations=1)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    for folder, verdicts in zip(folders, judged, strict=True):
        truth = json.loads((folder / "truth.json").read_text())
        own = score(truth, [verdict.to_dict() for verdict in verdicts], RECORDING_EPOCH)
        print(f"\n{folder.name}: {own.right}/{own.orders} right, {own.slips_read} slips read")
        total += own
        length += truth["orders"][-1]["closed_s"]
        calls += [verdict.vlm_calls for verdict in verdicts]
        tokens += [verdict.visual_tokens for verdict in verdicts]
    for line in total.wrong:
        print("  " + line)
    print(
        f"{total.orders} orders: {total.right / total.orders:.1%} of verdicts right, "
        f"{total.slips_read / total.orders:.1%} of slips read, {total.single} with exactly one verdict, "
        f"{total.stray} stray verdicts, {total.foreign_frames} foreign frames, {total.unsure} unsure, "
        f"{total.undetermined} undetermined; {np.mean(calls):.2f} VLM calls and {np.mean(tokens):.0f} visual tokens an "
        f"order; {length:.0f} s of video in {wall:.0f} s ({length / wall:.1f} times real time, {cpu:.0f} CPU-s)"
    )
    assert total.single == total.orders
    assert total.stray == 0
    assert total.foreign_frames == 0


@pytest.fixture(scope="module")
def runtime():
    loaded = Runtime.load(JudgingConfig())
    yield loaded
    anyio.run(loaded.aclose)


def test_cost_of_each_stage(recorded, runtime, benchmark):
    """CPU milliseconds per 720p frame at 10 fps, stage by stage."""
    video = recorded(SEEDS[0], ORDERS) / "station.mp4"
    spent = dict.fromkeys(("decode", "detect", "rest of observing", "track and select"), 0.0)
    frames = 0

    def clock(stage, since):
        now = time.process_time()
        spent[stage] += now - since
        return now

    def watch():
        nonlocal frames
        observer = Observer(runtime.detector, runtime.slip_reader)
        tracker = StationTracker("counter")
        source = VideoFileSource(video, "counter", 10.0).frames()
        for _ in range(600):
            now = time.process_time()
            frame = next(source)
            now = clock("decode", now)
            runtime.detector.detect_now(frame.image)
            now = clock("detect", now)
            observation, candidate = observer.observe_now(frame)
            now = clock("rest of observing", now)
            tracker.observe(observation, candidate if candidate.score > 0 else None)
            clock("track and select", now)
            frames += 1
        source.close()
        observer.close()

    benchmark.pedantic(watch, rounds=1, iterations=1)
    spent["rest of observing"] -= spent["detect"]
    total = sum(spent.values())
    for stage, seconds in spent.items():
        print(f"\n{stage:<20} {seconds / frames * 1000:6.2f} CPU-ms a frame", end="")
    print(f"\n{'all':<20} {total / frames * 1000:6.2f} CPU-ms a frame: {frames / 10 / total:.1f} stations a core")
