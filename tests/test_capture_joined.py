"""One time line through many connections: frame time grows, and does not run away from the clock."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc.capture import CapturePolicy, Delivery, SupervisedCapture
from orderacc.capture.joined import FAR_AHEAD, JoinedTime
from orderacc.domain.frames import Frame
from orderacc.testing import StagedCamera, StagedClock
from staged_time import until

FPS = 5
PICTURE = np.zeros((4, 4, 3), np.uint8)
MOST = 30.0
"""Seconds a camera hands over at once in these tests, at the most."""

Connection = tuple[float, float, float]
"""Seconds handed over at once, seconds it lasts after that, seconds until the next."""


def played(time: JoinedTime, connections: list[Connection]) -> list[list[tuple[float, float]]]:
    """For each connection, its frames' times on the common line and by the clock; the clock begins at 0."""
    now, result = 0.0, []
    for backlog, lasts, gap in connections:
        time.begin(now, 0.0)
        own = [index / FPS for index in range(int((backlog + lasts) * FPS) + 1)]
        frames = [time.place(Frame("drive-1", index, at, PICTURE)) for index, at in enumerate(own)]
        result.append([(frame.at, now + max(0.0, at - backlog)) for frame, at in zip(frames, own, strict=True)])
        now = result[-1][-1][1] + gap
    return result


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, MOST), st.floats(0, 20), st.floats(0.5, 15)), max_size=12), st.floats(0, MOST))
def test_however_often_a_camera_begins_with_a_backlog_frame_time_stays_by_the_clock(
    connections: list[Connection], last: float
) -> None:
    # In its time every lead is made up for but its own.
    connections = [*connections, (last, 2 * (FAR_AHEAD + MOST), 1)]
    streams = played(JoinedTime(), connections)
    frames = [frame for stream in streams for frame in stream]
    assert all(a < b for (a, _), (b, _) in pairwise(frames))
    assert all(-1e-6 <= at - clock <= FAR_AHEAD + 2 * MOST for at, clock in frames)
    for stream in streams:
        assert all(b - a <= 1 / FPS + 1e-6 for (a, _), (b, _) in pairwise(stream))
    at, clock = frames[-1]
    assert at - clock == pytest.approx(last, abs=1 / FPS)


def test_the_distances_of_a_recording_are_its_own() -> None:
    for stream in played(JoinedTime(catches_up=False), [(60, 0, 1)] * 3):
        assert [at - stream[0][0] for at, _ in stream] == pytest.approx([index / FPS for index in range(len(stream))])


@pytest.mark.anyio
@pytest.mark.parametrize(("delivery", "most"), [(Delivery.LATEST, 2 * FAR_AHEAD), (Delivery.LOSSLESS, 30.1)])
async def test_a_camera_that_is_opened_anew_does_not_get_further_ahead_as_a_recording_does(
    delivery: Delivery, most: float
) -> None:
    camera, policy, ats = StagedCamera(), CapturePolicy(), []
    async with SupervisedCapture("drive-1", camera.make, policy, clock=StagedClock(), delivery=delivery) as capture:
        for attempt in range(1, 7):
            await until(lambda attempt=attempt: camera.opened == attempt)
            for _ in range(51):
                camera.give()
                ats.append((await anext(capture)).at)
            capture.restart("again")
    assert all(a < b for a, b in pairwise(ats))
    assert most - 5 <= ats[-1] <= most
