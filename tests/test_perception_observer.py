"""Looks and quality of frames, and the observer over simulated orders."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from orderacc.domain.detections import HAND, SLIP, Box, Detection, SlipReading
from orderacc.domain.frames import Frame
from orderacc.perception.appearance import change_between, likeness, look_at_counter, look_at_slip
from orderacc.perception.letterbox import halve
from orderacc.perception.observer import SAME_LOOK, Observer
from orderacc.perception.quality import covered_share, score_candidate, sharpness
from orderacc.simulator.random_script import random_script
from orderacc.simulator.render import CounterCamera

SEED = 910_700_002


class Truthful:
    """Detects what the simulator says is there."""

    def __init__(self, camera):
        self.camera = camera
        self.at = 0.0

    def detect_now(self, image):  # noqa: ARG002  the truth needs no picture
        return tuple(
            Detection(thing.label, 0.9, thing.box)
            for thing in self.camera.sightings(self.at)
            if thing.visible >= 0.15 and thing.box.area
        )


class Spy:
    """Answers a fixed number and notes from which threads it was asked."""

    model_id = "spy"

    def __init__(self, text="84"):
        self.text = text
        self.threads = []

    def read(self, slip):  # noqa: ARG002  its answer is fixed
        self.threads.append(threading.get_ident())
        return SlipReading(self.text, 0.95)


def film(seed=SEED, fps=5.0):
    camera = CounterCamera(random_script(seed, 1))
    start, end = camera.timeline.span(0)
    for index, at in enumerate(np.arange(start - 0.5, end + 0.5, 1 / fps)):
        yield camera, Frame("s1", index, float(at), camera.picture(float(at)))


def observe_all(reader, seed=SEED):
    observer, observed = None, []
    for camera, frame in film(seed):
        if observer is None:
            observer = Observer(Truthful(camera), reader)
        observer._detector.at = frame.at
        observed.append(observer.observe_now(frame))
    observer.close()
    return observed


def test_an_order_is_read_twice_and_the_same_at_every_replay():
    observed = [observation for observation, _ in observe_all(Spy())]
    assert observed == [observation for observation, _ in observe_all(Spy())]
    read = [one for one in observed if one.slip]
    assert 2 <= len(read) <= 6
    assert read[0].slip_changed
    assert not any(one.slip_changed for one in observed if one.slip_seen and read[0].at < one.at < read[1].at)
    assert all(one.slip_seen for one in read)
    assert all(0 <= one.change <= 1 for one in observed)


def test_candidates_carry_the_frame_and_its_score():
    for observation, candidate in observe_all(Spy()):
        np.testing.assert_array_equal(candidate.half, halve(candidate.frame.image))
        assert candidate.frame.index == observation.frame_index
        assert candidate.detections == observation.detections
        assert (candidate.score > 0) == bool(observation.items)


def test_what_is_nothing_on_the_menu_is_not_seen():
    class Crowded:
        def detect_now(self, image):  # noqa: ARG002  its answer is staged
            return tuple(
                Detection(label, 0.9, Box(10, 10, 60, 60)) for label in ("person", "burger", "slip", "hand", "bag")
            )

    frame = Frame("s1", 0, 0.0, np.full((72, 128, 3), 90, np.uint8))
    for food, kept in [
        (None, ["person", "burger", "slip", "hand", "bag"]),
        (frozenset({"burger", "cola"}), ["burger", "slip", "hand", "bag"]),
    ]:
        observer = Observer(Crowded(), Spy(), food=food)
        observation, candidate = observer.observe_now(frame)
        observer.close()
        assert [one.label for one in observation.detections] == kept
        assert candidate.detections == observation.detections


class Staged:
    """Reports one slip, where it is told to."""

    box = Box(100, 200, 320, 500)

    def detect_now(self, image):  # noqa: ARG002  its answer is staged
        return (Detection(SLIP, 0.9, self.box),)


def test_a_slip_is_read_only_where_it_lies_still():
    reader, detector = Spy(), Staged()
    observer = Observer(detector, reader)
    picture = np.full((720, 1280, 3), 90, np.uint8)
    for step in range(5):
        detector.box = Box(100, 200 + 40 * step, 320, 500 + 40 * step)
        observer.observe_now(Frame("s1", step, step / 10, picture))
    assert reader.threads == []
    detector.box = Box(100, 200, 320, 500)
    for step in range(5, 10):
        observer.observe_now(Frame("s1", step, step / 10, picture))
    observer.close()
    assert reader.threads


@pytest.mark.anyio
async def test_observing_works_in_one_thread_of_its_own():
    reader, observer = Spy(), None
    for camera, frame in film():
        observer = observer or Observer(Truthful(camera), reader)
        observer._detector.at = frame.at
        observation, _ = await observer.observe(frame)
        assert observation.at == frame.at
        if len(reader.threads) == 2:
            break
    observer.close()
    assert len(set(reader.threads)) == 1
    assert reader.threads[0] != threading.get_ident()


def slip_looks(seed, count=6):
    camera = CounterCamera(random_script(seed, 1))
    start, end = camera.timeline.span(0)
    rng = np.random.default_rng(seed)
    for at in np.linspace(start, end, 40):
        hands = any(hand.pose(float(at)) for hand in camera.timeline.hands)
        slips = [thing for thing in camera.sightings(float(at)) if thing.label == SLIP and thing.visible > 0.99]
        if slips and not hands and count:
            count -= 1
            corners = np.array([slips[0].box.x1, slips[0].box.y1, slips[0].box.x2, slips[0].box.y2])
            yield look_at_slip(camera.picture(float(at)), Box(*(corners + rng.uniform(-3, 3, 4))))


def test_a_slip_looks_like_itself_and_unlike_any_other():
    slips = [list(slip_looks(seed, 3)) for seed in (40, 42, 44, 46)]
    for one, looks in enumerate(slips):
        assert all(likeness(looks[0], look) >= SAME_LOOK for look in looks)
        for other in slips[one + 1 :]:
            assert likeness(looks[0], other[0]) < SAME_LOOK


def test_light_and_noise_and_a_shake_are_no_change_but_a_hand_is():
    rng = np.random.default_rng(0)
    camera = CounterCamera(random_script(SEED, 1))
    still = camera.picture(0.0)
    before = look_at_counter(still)
    darker = np.clip(still * 0.8 + rng.normal(0, 4, still.shape), 0, 255).astype(np.uint8)
    assert change_between(before, look_at_counter(np.roll(darker, 2, axis=1))) < 0.01
    hand = still.copy()
    hand[300:, 500:680] = (120, 160, 215)
    assert change_between(before, look_at_counter(hand)) > 0.05
    assert change_between(before, before) == 0.0


def test_too_small_a_slip_has_no_look():
    assert look_at_slip(np.zeros((720, 1280, 3), np.uint8), Box(10, 10, 30, 30)) is None


def checkers(light=200):
    tile = np.kron(np.indices((12, 12)).sum(0) % 2, np.ones((12, 12)))
    return np.repeat((tile * light + 20).astype(np.uint8)[..., None], 3, 2)


def scene(image=None):
    frame = np.full((720, 1280, 3), 90, np.uint8)
    frame[300:444, 500:644] = checkers() if image is None else image
    return frame


ITEM = Detection("burger", 0.9, Box(500, 300, 644, 444))


def test_sharper_frames_score_higher():
    import cv2

    crisp = scene()
    blurred = cv2.GaussianBlur(crisp, (0, 0), 4)
    assert sharpness(crisp, ITEM.box) > 4 * sharpness(blurred, ITEM.box)
    assert score_candidate(crisp, [ITEM]) > score_candidate(blurred, [ITEM])


def test_brightness_alone_does_not_change_sharpness():
    assert sharpness(scene(), ITEM.box) == pytest.approx(sharpness(scene() // 2, ITEM.box), rel=0.15)


def test_hands_on_and_near_and_the_frames_edge_lower_the_score():
    frame = scene()
    free = score_candidate(frame, [ITEM])
    near = score_candidate(frame, [ITEM, Detection(HAND, 0.9, Box(660, 300, 800, 700))])
    upon = score_candidate(frame, [ITEM, Detection(HAND, 0.9, Box(560, 300, 800, 700))])
    far = score_candidate(frame, [ITEM, Detection(HAND, 0.9, Box(900, 300, 1000, 700))])
    assert free == far > near > upon > 0
    moved = np.roll(frame, -500, axis=1)
    assert score_candidate(moved, [Detection("burger", 0.9, Box(0, 300, 144, 444))]) < free


def test_more_items_score_higher_and_none_scores_nothing():
    frame = scene()
    other = Detection("cola", 0.9, Box(500, 300, 600, 400))
    assert score_candidate(frame, [ITEM, other]) > score_candidate(frame, [ITEM])
    assert score_candidate(frame, [Detection(SLIP, 0.9, ITEM.box)]) == 0.0
    assert score_candidate(frame, []) == 0.0


def test_covered_share():
    box = Box(0, 0, 10, 10)
    assert covered_share(box, [Box(5, 0, 20, 10)]) == 0.5
    assert covered_share(box, [box, box]) == 1.0
    assert covered_share(Box(5, 5, 5, 5), [box]) == 0.0
