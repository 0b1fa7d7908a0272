"""Useless pictures are told, and ordinary ones are left alone."""

from __future__ import annotations

import time
from functools import cache
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderacc.capture import VideoFileSource
from orderacc.domain.frames import Frame
from orderacc.perception.focus import focus
from orderacc.perception.picture import ADVICE, PictureHealth, PictureSettings, PictureWarning, look_once
from orderacc.simulator.random_script import random_script
from orderacc.simulator.render import CounterCamera
from orderacc.simulator.video import record

SEEDS = (3, 27, 205, 910_700_002)
"""Steel, planks, a plain worktop without a single clear edge, and one more."""

STEP = 0.5


@cache
def evening(seed, orders=2):
    """Every look at an evening with items, slips, hands and bags: a picture each half second."""
    script = random_script(seed, orders)
    camera = CounterCamera(script)
    return [camera.picture(at) for at in np.arange(0, script.seconds, STEP)]


def watch(health, pictures, start=0.0):
    """Warnings after each picture."""
    frames = (Frame("s1", index, start + index * STEP, picture) for index, picture in enumerate(pictures))
    return [health.look(frame) for frame in frames]


def first(warnings, kind):
    """Seconds until a warning came; None if it never did."""
    return next((index * STEP for index, there in enumerate(warnings) if kind in there), None)


def noisy(picture, index, sigma=2.0):
    """Noise of a camera, another for every index."""
    cv2.setRNGSeed(index + 1)
    noise = cv2.randn(np.empty(picture.shape, np.int16), (0, 0, 0), (16 * sigma,) * 3)
    return cv2.add(picture, noise // 16, dtype=cv2.CV_8U)


def turned(picture, *, angle=0.0, shift=(0, 0), scale=1.0):
    matrix = cv2.getRotationMatrix2D((picture.shape[1] / 2, picture.shape[0] / 2), angle, scale)
    matrix[:, 2] += shift
    return cv2.warpAffine(picture, matrix, (picture.shape[1], picture.shape[0]), borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_ordinary_evening_gives_no_warning(seed):
    pictures = evening(seed)
    health = PictureHealth()
    # The same evening three times over: what is learnt from the first is put to use.
    assert set(watch(health, [*pictures, *pictures, *pictures])) == {()}


def test_a_recorded_evening_gives_no_warning_at_any_frame(tmp_path):
    script = random_script(27, 1, fps=5)
    record(script, tmp_path)
    health = PictureHealth(PictureSettings(frozen_after=10))
    frames = list(VideoFileSource(tmp_path / "station.mp4", "s1").frames())
    assert frames[-1].at > 10
    assert {health.look(frame) for frame in frames} == {()}


def dark(picture, index):
    return noisy(picture // 24, index)


def washed_out(picture, index):
    return noisy(np.clip(picture.astype(np.float32) * 2 + 200, 0, 255), index)


def out_of_focus(picture, index):
    return noisy(cv2.GaussianBlur(picture, (0, 0), 5), index)


def smeared(picture, index):
    return noisy(cv2.GaussianBlur(picture, (0, 0), 15), index)


@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (dark, PictureWarning.BLACK),
        (washed_out, PictureWarning.OVEREXPOSED),
        (out_of_focus, PictureWarning.BLURRED),
        (smeared, PictureWarning.BLURRED),
    ],
)
def test_a_spoilt_picture_is_told_once_and_so_is_its_end(seed, spoil, kind):
    pictures = evening(seed)
    spoilt = [spoil(picture, index) for index, picture in enumerate(pictures[20:60])]
    warnings = watch(PictureHealth(), [*pictures, *spoilt, *pictures])
    changes = [now for before, now in pairwise(warnings) if before != now]
    assert changes == [(kind,), ()]
    told = [index * STEP for index, there in enumerate(warnings) if there]
    begin, end = len(pictures) * STEP, (len(pictures) + len(spoilt)) * STEP
    assert 4.5 <= told[0] - begin <= 6
    assert 0 <= told[-1] - end <= 4


@pytest.mark.parametrize("spoil", [dark, washed_out, out_of_focus])
def test_a_camera_that_begins_spoilt_is_told_too(spoil):
    spoilt = [spoil(picture, index) for index, picture in enumerate(evening(27)[:30])]
    assert watch(PictureHealth(), spoilt)[14] != ()


def test_a_white_worktop_in_bright_light_shows_its_items():
    pictures = evening(364)
    assert (pictures[0].min(axis=2) >= 250).mean() > 0.5
    assert set(watch(PictureHealth(), pictures)) == {()}


def test_a_moment_of_it_is_nothing():
    """A hand over the lens, a torch, a camera that focuses."""
    pictures = list(evening(27))
    for at, spoil in ((20, dark), (35, washed_out), (50, out_of_focus)):
        pictures[at : at + 8] = [spoil(picture, index) for index, picture in enumerate(pictures[at : at + 8])]
    assert set(watch(PictureHealth(), pictures)) == {()}


class TestFrozen:
    SETTINGS = PictureSettings(frozen_after=10)

    def test_a_picture_that_does_not_change_while_time_goes_on(self):
        pictures = evening(3)
        warnings = watch(PictureHealth(self.SETTINGS), [*pictures, *[pictures[-1]] * 30, *pictures[:10]])
        since = first(warnings, PictureWarning.FROZEN) - (len(pictures) - 1) * STEP
        assert since == self.SETTINGS.frozen_after
        assert warnings[-1] == ()

    def test_one_picture_encoded_again_and_again(self, tmp_path):
        frames = encoded(tmp_path / "frozen.mp4", [evening(3)[10]] * 60, {"qp": "26"})
        assert len({frame.tobytes() for frame in frames}) > 1
        assert watch(PictureHealth(self.SETTINGS), frames)[-1] == (PictureWarning.FROZEN,)

    def test_a_still_counter_that_the_encoder_smooths_is_alive(self, tmp_path):
        still = evening(3)[10]
        frames = encoded(tmp_path / "still.mp4", [noisy(still, index, 0.8) for index in range(60)], {"crf": "30"})
        assert len({frame.tobytes() for frame in frames}) < len(frames)
        assert set(watch(PictureHealth(self.SETTINGS), frames)) == {()}

    def test_a_short_recording_in_a_loop_is_not_frozen(self):
        assert set(watch(PictureHealth(self.SETTINGS), evening(27)[20:50] * 4)) == {()}

    def test_a_black_picture_is_black_not_frozen(self):
        black = np.zeros((720, 1280, 3), np.uint8)
        assert watch(PictureHealth(self.SETTINGS), [black] * 40)[-1] == (PictureWarning.BLACK,)


class TestMoved:
    @pytest.mark.parametrize("seed", [3, 27])
    @pytest.mark.parametrize(
        "turn", [{"shift": (250, 0)}, {"shift": (-180, 120)}, {"angle": 15}, {"angle": 180}, {"scale": 1.3}]
    )
    def test_it_is_told_and_goes_when_the_camera_is_turned_back(self, seed, turn):
        pictures = evening(seed)
        moved = [turned(picture, **turn) for picture in (pictures * 3)[:90]]
        warnings = watch(PictureHealth(), [*pictures, *pictures, *moved, *pictures])
        assert [now for before, now in pairwise(warnings) if before != now] == [(PictureWarning.MOVED,), ()]
        assert 19 <= first(warnings, PictureWarning.MOVED) - 2 * len(pictures) * STEP < 45

    def test_a_vibration_is_nothing(self):
        rng = np.random.default_rng(4)
        shaken = [turned(picture, shift=rng.integers(-6, 7, 2)) for picture in evening(27) * 2]
        assert set(watch(PictureHealth(), shaken)) == {()}

    def test_light_that_is_dimmed_is_no_other_view(self):
        pictures = evening(27)
        dimmed = [picture // 2 for picture in pictures]
        assert set(watch(PictureHealth(), [*pictures, *dimmed, *pictures])) == {()}

    def test_somebody_in_front_of_the_camera_is_no_other_view(self):
        pictures = evening(27)
        rng = np.random.default_rng(5)
        covered = []
        for picture in pictures:
            left = int(rng.integers(0, 300))
            somebody = cv2.resize(rng.integers(0, 255, (9, 16, 3), np.uint8), (1000, 720))
            covered.append(picture.copy())
            covered[-1][:, left : left + 1000] = somebody[:, : 1280 - left]
        assert set(watch(PictureHealth(), [*pictures, *covered[:60], *pictures])) == {()}

    def test_a_view_that_stays_is_the_new_one(self):
        pictures = evening(27)
        moved = [turned(picture, shift=(250, 0)) for picture in pictures] * 3
        warnings = watch(PictureHealth(PictureSettings(accept_view_after=30)), [*pictures, *moved])
        assert first(warnings, PictureWarning.MOVED) is not None
        assert warnings[-1] == ()

    def test_a_view_that_somebody_calls_right_is_the_new_one(self):
        pictures = evening(27)
        moved = [turned(picture, shift=(250, 0)) for picture in pictures] * 2
        health = PictureHealth()
        assert watch(health, [*pictures, *moved])[-1] == (PictureWarning.MOVED,)
        health.forget_view()
        assert set(watch(health, moved, start=1000)) == {()}

    def test_another_resolution_begins_anew(self):
        pictures = evening(27)
        smaller = [cv2.resize(picture[:, 160:1120], (640, 480), interpolation=cv2.INTER_AREA) for picture in pictures]
        assert set(watch(PictureHealth(), [*pictures, *smaller])) == {()}


@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (2560, 1440)])
def test_every_size_is_judged_alike(size):
    picture = evening(27)[20]
    interpolation = cv2.INTER_AREA if size[0] < 1280 else cv2.INTER_CUBIC
    sharp = cv2.resize(picture, size, interpolation=interpolation)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 4 * max(1, round(size[0] / 1280)))
    assert look_once(sharp) is None
    assert look_once(noisy(blurred, 0)) is PictureWarning.BLURRED


def test_a_sharper_picture_has_the_greater_focus():
    picture = evening(27)[20]
    values = [focus(noisy(cv2.GaussianBlur(picture, (0, 0), sigma), 0)) for sigma in (0.5, 1, 1.5, 3)]
    assert values == sorted(values, reverse=True)
    assert focus(np.full((720, 1280, 3), 128, np.uint8)) is None


@given(
    st.integers(1, 200), st.integers(1, 200), st.sampled_from([0, 128, 255]), st.lists(st.floats(0, 1e6), max_size=6)
)
def test_any_picture_at_any_time_is_no_error(width, height, grey, times):
    health = PictureHealth()
    picture = np.full((height, width, 3), grey, np.uint8)
    for index, at in enumerate(sorted(times)):
        assert set(health.look(Frame("s1", index, at, picture))) <= set(PictureWarning)


def test_each_warning_has_its_advice():
    assert set(ADVICE) == set(PictureWarning)
    assert [str(kind) for kind in PictureWarning] == ["black", "overexposed", "blurred", "frozen", "moved"]


def test_it_costs_next_to_nothing():
    health = PictureHealth()
    pictures = evening(27)[:24]
    watch(health, pictures)
    costs = []
    for index, picture in enumerate(pictures * 4):
        begun = time.thread_time()
        health.look(Frame("s1", index, 100 + index * STEP, picture))
        costs.append((time.thread_time() - begun) * 1000)
    look = float(np.median(costs))
    print(f"a look at 1280x720: {look:.2f} ms of CPU, least {min(costs):.2f}; per frame at 10 fps: {look / 5:.2f} ms")
    assert look / 5 < 1


def encoded(path, pictures, quality):
    """Through an H.264 encoder with a keyframe every 8 pictures, and back."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=2, options={"preset": "veryfast", "g": "8", "bf": "0", **quality})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return [frame.image for frame in VideoFileSource(path, "s1").frames()]
