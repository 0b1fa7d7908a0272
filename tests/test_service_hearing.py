"""What a verdict knows of its frames, of what cannot be seen, and of names in doubt."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from orderacc import Item, Menu, MenuItem
from orderacc.domain.detections import Box, Detection
from orderacc.domain.evidence import Candidate
from orderacc.domain.frames import Frame
from orderacc.service.hearing import Hearing
from orderacc.vlm.engine import VlmAnswer

pytestmark = pytest.mark.anyio

MENU = Menu((MenuItem("Burger", group="burger"), MenuItem("Plimfy Wrap"), MenuItem("Soup")))


def candidate(index, *boxes):
    frame = Frame("s", index, index / 10, np.zeros((20, 200, 3), np.uint8))
    return Candidate(frame, tuple(Detection("burger", 0.9, box) for box in boxes), 1.0)


def answers(*texts):
    """Asks about frames; each gets the next text."""
    left = list(texts)

    async def ask(part):
        return [VlmAnswer("r", left.pop(0), "stop", 90, 10, 54, 1.0) for _ in part]

    return ask


class Knowing:
    """Holds everything in doubt for the same, and remembers what it was asked."""

    def __init__(self, score=0.95):
        self.score = score
        self.asked = []

    async def opinions(self, pairs):
        self.asked.append(list(pairs))
        return dict.fromkeys(pairs, self.score) if self.score else {}


async def heard(expected, texts, *, frames=None, strategy="hybrid", **settings):
    frames = frames or [candidate(3)]
    hearing = Hearing(frames, [Item(name) for name in expected], MENU, strategy, 0.85, **settings)
    await hearing.hear(answers(*texts), frames, adaptive=False)
    return hearing.verdict


async def test_findings_name_the_frame_and_the_boxes():
    first, second = Box(0, 0, 8, 8), Box(1, 0, 9, 8)
    frames = [candidate(3), candidate(5, first), candidate(7, second)]
    verdict = await heard(["Burger"], ["[]", "- Burger", "- Burger"], frames=frames)
    (found,) = verdict.findings
    assert [(one.frame, one.count, one.boxes) for one in found.frames] == [(1, 1, (first,)), (2, 1, (second,))]


async def test_what_cannot_be_seen_is_no_extra_and_not_missing():
    verdict = await heard(["Burger"], ["- Burger\n- Soup"], hidden=[Item("Soup", 2)])
    assert {found.outcome for found in verdict.findings} == {"matched", "not_checked"}
    assert (verdict.missing, verdict.extra) == ((), ())


async def test_names_in_doubt_are_asked_about():
    knowing = Knowing()
    verdict = await heard(["Zorbo Wrap"], ["- Plimfy Wrap"], semantics=knowing)
    assert knowing.asked == [[("Zorbo Wrap", "Plimfy Wrap")]]
    assert [found.rule for found in verdict.findings] == ["opinion"]
    assert (verdict.missing, verdict.extra) == ((), ())


@pytest.mark.parametrize(
    ("expected", "text", "strategy"),
    [
        (["Burger"], "- Burger", "hybrid"),
        (["Soup"], "- Plimfy Wrap", "hybrid"),
        (["Large Zorbo Wrap"], "- Plimfy Wrap", "hybrid"),
        (["Zorbo Wrap"], "- Plimfy Wrap", "exact"),
    ],
)
async def test_nobody_is_asked_where_nothing_is_in_doubt(expected, text, strategy):
    knowing = Knowing()
    await heard(expected, [text], semantics=knowing, strategy=strategy)
    assert knowing.asked == []


async def test_without_an_opinion_the_words_known_here_decide():
    verdict = await heard(["Zorbo Wrap"], ["- Plimfy Wrap"], semantics=Knowing(score=None))
    assert [item.name for item in verdict.missing] == ["Zorbo Wrap"]
    assert [item.name for item in verdict.extra] == ["Plimfy Wrap"]


@pytest.mark.parametrize(("lines", "threads"), [(5, 1), (60, 2)])
async def test_comparing_a_large_order_leaves_the_event_loop_alone(lines, threads):
    looked_up_by = set()

    class Noting(Menu):
        def find(self, name):
            looked_up_by.add(threading.get_ident())
            return super().find(name)

    menu = Noting((MenuItem("Burger"),))
    looked_up_by.clear()
    frames = [candidate(3)]
    hearing = Hearing(frames, [Item(f"Thing {line}") for line in range(lines)], menu, "hybrid", 0.85)
    await hearing.hear(answers("- Burger\n- Soup\n- Cola"), frames, adaptive=False)
    assert hearing.verdict.status == "inaccurate"
    assert len(looked_up_by) == threads
