"""Asking less: questions, tokens and verdicts of every way to ask, on the same evidence; and how sure a sure line is.

`pytest benchmarks/test_asking.py --benchmark-enable -s`. ORDERACC_BENCH_SEEDS and ORDERACC_BENCH_ORDERS choose videos,
as in `test_end_to_end.py`. Each video is watched once; what the tracker gives is judged in each way by the same model.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from dataclasses import fields, replace
from itertools import pairwise

import anyio
import cv2
import numpy as np
import pytest

from orderacc.capture import VideoFileSource
from orderacc.config import JudgingConfig
from orderacc.models.store import ModelStore
from orderacc.orders import FileOrders
from orderacc.perception.letterbox import halve
from orderacc.perception.observer import Observer
from orderacc.selection.visits import StationTracker
from orderacc.service.asking import AskPolicy
from orderacc.service.early import Moments
from orderacc.service.questions import EarlyAnswers, QuestionCounters
from orderacc.service.runtime import Runtime
from orderacc.service.station import RECORDING_EPOCH
from orderacc.simulator.scoring import Score, score
from orderacc.vlm.pictures import PictureRules
from orderacc.vlm.view import MIN_WIDTH

FIRST, _, LAST = os.environ.get("ORDERACC_BENCH_SEEDS", "910000-910003").partition("-")
SEEDS = range(int(FIRST), int(LAST or FIRST) + 1)
ORDERS = int(os.environ.get("ORDERACC_BENCH_ORDERS", "50"))
FRAME = (1280, 720)
WAYS = {
    "three frames": AskPolicy(adaptive=False, early_look=False),
    "adaptive": AskPolicy(early_look=False),
    "adaptive, early look": AskPolicy(),
    "three frames, blurred": AskPolicy(adaptive=False, early_look=False),
    "adaptive, blurred": AskPolicy(early_look=False),
}
BLUR = 10.0
"""Standard deviation in pixels of a 720p frame: the model then errs, while the detector's boxes stay what they were."""
STEPS = (0.0, 0.5, 0.7, 0.9, 0.999, 1.001)

pytestmark = pytest.mark.timeout(3600)


class Way:
    """What one way to ask came to."""

    def __init__(self, policy, *, blurred):
        self.policy, self.blurred = policy, blurred
        self.early, self.counters = EarlyAnswers(), QuestionCounters()
        self.verdicts, self.waits, self.score, self.ready = [], [], Score(), 0


def happenings(video, runtime):
    """What the station would have handed over, one after the other: outlooks, and evidence with True."""
    observer, tracker, moments = (
        Observer(runtime.detector, runtime.slip_reader),
        StationTracker("counter"),
        Moments(),
    )
    at = 0.0
    for frame in VideoFileSource(video, "counter", 10.0).frames():
        observation, candidate = observer.observe_now(frame)
        at = observation.at
        for evidence in tracker.observe(observation, candidate if candidate.score > 0 else None):
            yield True, moments.settled(evidence)
        outlook = moments.see(observation, tracker)
        if outlook is not None:
            yield False, outlook
    yield from ((True, evidence) for evidence in tracker.finish(at))
    observer.close()


async def judge(runtime, way, ended, what, book):
    """One thing that happened, in one way to ask."""
    before = replace(runtime.judge.counters)
    if ended:
        what = out_of_focus(what) if way.blurred else what
        way.early.close(what.frames)
        began = time.monotonic()
        verdict = await runtime.judge.judge(what, book, RECORDING_EPOCH, began, early=way.early, policy=way.policy)
        way.verdicts.append(verdict)
        way.waits.append((time.monotonic() - began) * 1000)
        way.ready += runtime.judge.counters.calls == before.calls
        way.early = EarlyAnswers()
    else:
        await runtime.judge.foresee(what, book, way.early, way.policy)
    for one in fields(QuestionCounters):
        grown = getattr(runtime.judge.counters, one.name) - getattr(before, one.name)
        setattr(way.counters, one.name, getattr(way.counters, one.name) + grown)


def out_of_focus(evidence):
    """The same evidence in pictures the model can hardly read."""
    frames = []
    for one in evidence.frames:
        image = cv2.GaussianBlur(one.frame.image, (0, 0), BLUR)
        frames.append(replace(one, frame=replace(one.frame, image=image), half=halve(image)))
    return replace(evidence, frames=tuple(frames))


def full_frame_tokens():
    """Tokens of a whole frame in which items are as large as in the demo model's picture."""
    model = ModelStore().resolve("demo-vlm", kind="vlm")
    rules = replace(PictureRules.read(model.path / "preprocessor_config.json"), max_pixels=10**9)
    scale = model.view[0] / (MIN_WIDTH * FRAME[0])
    return rules.visual_tokens(round(FRAME[0] * scale), round(FRAME[1] * scale))


def reliability(lines):
    """Of lines by confidence: how many, how sure they were, how many were right."""
    print(f"\n{'confidence':<16}{'lines':>7}{'mean':>8}{'right':>8}")
    gap = 0.0
    for low, high in pairwise(STEPS):
        inside = [(sure, right) for sure, right in lines if low <= sure < high]
        if inside:
            sure, right = (float(np.mean(column)) for column in zip(*inside, strict=True))
            gap += abs(sure - right) * len(inside) / len(lines)
            print(f"{low:.1f} to {min(high, 1.0):<9.3g}{len(inside):>7}{sure:>8.3f}{right:>8.3f}")
    print(f"expected calibration error {gap:.4f}")


def test_fewer_questions_same_verdicts(recorded, benchmark):
    runtime = Runtime.load(JudgingConfig())
    ways = {name: Way(policy, blurred="blurred" in name) for name, policy in WAYS.items()}
    lines: dict[str, list[tuple[float, bool]]] = defaultdict(list)

    async def watch_all():
        async with anyio.create_task_group() as group:
            await group.start(runtime.batcher.run)
            for seed in SEEDS:
                folder = recorded(seed, ORDERS)
                truth, book = json.loads((folder / "truth.json").read_text()), FileOrders(folder / "orders.json")
                for way in ways.values():
                    way.verdicts = []
                for ended, what in happenings(folder / "station.mp4", runtime):
                    for way in ways.values():
                        await judge(runtime, way, ended, what, book)
                there = {
                    order["slip_text"]: Counter({line["name"]: line["quantity"] for line in order["items"]})
                    for order in truth["orders"]
                }
                for name, way in ways.items():
                    way.score += score(truth, [verdict.to_dict() for verdict in way.verdicts], RECORDING_EPOCH)
                    for verdict in way.verdicts:
                        for line in verdict.seen if verdict.slip_text in there else ():
                            right = there[verdict.slip_text][line.name] == line.quantity
                            lines[name].append((line.confidence, right))
            group.cancel_scope.cancel()
        await runtime.aclose()

    benchmark.pedantic(anyio.run, args=(watch_all,), rounds=1, iterations=1)
    full = 3 * full_frame_tokens()
    print(f"\nthree full frames, items as large: {full} visual tokens an order")
    print(f"{'':<22}{'right':>9}{'calls':>7}{'tokens':>8}{'of full':>9}{'of 3 cut':>10}{'wait p50':>10}{'ready':>7}")
    cut = ways["three frames"].counters.visual_tokens
    for name, way in ways.items():
        orders, spent = way.score.orders, way.counters
        print(
            f"{name:<22}{way.score.right:>5}/{orders}{spent.calls / orders:>7.2f}{spent.visual_tokens / orders:>8.1f}"
            f"{spent.visual_tokens / orders / full:>9.3f}{spent.visual_tokens / cut:>10.3f}"
            f"{np.median(way.waits):>10.1f}{way.ready:>7}"
        )
        for line in () if way.blurred else way.score.wrong:
            print("  " + line)
    early = ways["adaptive, early look"].counters
    print(f"early: {early.early_calls} asked, {early.early_used} used")
    for name in ("three frames", "adaptive", "three frames, blurred", "adaptive, blurred"):
        print(f"\n{name}: lines by confidence", end="")
        reliability(lines[name])
    assert ways["adaptive"].score.right >= ways["three frames"].score.right - 1
    assert ways["adaptive, early look"].score == ways["adaptive"].score
    assert early.visual_tokens / ways["adaptive"].score.orders <= 0.4 * full
