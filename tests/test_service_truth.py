"""Given perfect perception and a perfect model, every order gets its true verdict."""

from __future__ import annotations

from collections import defaultdict

import pytest

from orderacc.domain.detections import NOT_ITEMS
from orderacc.domain.menus import Menu
from orderacc.domain.orders import Item
from orderacc.selection.visits import StationTracker
from orderacc.simulator.choreography import build_timeline
from orderacc.simulator.menu import DEMO_ITEMS
from orderacc.simulator.random_script import random_script
from orderacc.simulator.truth import differences
from orderacc.testing import BlankSource, PerfectObserver
from orderacc.validation import FrameAnswer, fuse, judge

MENU = Menu(DEMO_ITEMS)


def boxes_of(candidate):
    boxes = defaultdict(list)
    for seen in candidate.detections:
        if seen.label not in NOT_ITEMS:
            boxes[seen.label].append(seen.box)
    return boxes


@pytest.mark.parametrize("seed", range(500_000, 500_006))
def test_perfect_witnesses_lead_to_true_verdicts(seed: int):
    script = random_script(seed, 5)
    observer, tracker = PerfectObserver(script), StationTracker("counter")
    closed = []
    for frame in BlankSource(script).frames():
        observation, candidate = observer.observe_now(frame)
        closed += tracker.observe(observation, candidate if candidate.score > 0 else None)
    closed += tracker.finish(script.seconds)
    assert [evidence.slip_text for evidence in closed] == [order.order_id for order in script.orders]
    timeline = build_timeline(script)
    for index, (evidence, order) in enumerate(zip(closed, script.orders, strict=True)):
        opened, ended = timeline.span(index)
        assert all(opened <= kept.frame.at <= ended for kept in evidence.frames)
        looks = [
            FrameAnswer(
                tuple(Item(name, count) for name, count in observer.answer(kept.frame.at).items()),
                boxes_of(kept),
                kept.frame.at,
            )
            for kept in evidence.frames
        ]
        seen = fuse(looks, MENU)
        assert {line.name: line.quantity for line in seen if line.quantity} == {
            item.name: item.quantity for item in order.laid
        }
        verdict = judge(order.paid, seen, menu=MENU)
        assert verdict.status == differences(order.paid, order.laid)["status"]
