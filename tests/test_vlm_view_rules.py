"""The picture the model gets: one size for a model trained on it, else as large as the smallest item needs."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from orderacc.domain.detections import Box
from orderacc.perception.letterbox import halve
from orderacc.simulator.random_script import random_script
from orderacc.simulator.render import CounterCamera
from orderacc.vlm.engine import TOKEN_SIDE
from orderacc.vlm.view_rules import LEAST_SIDE, ViewRules, fitted_window

MOST = 756 * 504


@st.composite
def scenes(draw):
    width, height = draw(st.integers(160, 1920)), draw(st.integers(120, 1080))
    boxes = []
    for _ in range(draw(st.integers(1, 6))):
        x1, y1 = draw(st.floats(0, width - 8)), draw(st.floats(0, height - 8))
        x2, y2 = draw(st.floats(x1 + 4, width)), draw(st.floats(y1 + 4, height))
        boxes.append(Box(x1, y1, x2, y2))
    return (width, height), boxes


@given(scenes(), st.integers(28, 448))
def test_a_fitted_window_holds_every_box_within_the_frame_and_the_budget(scene, side):
    (width, height), boxes = scene
    window, size = fitted_window((width, height), boxes, side, MOST)
    assert 0 <= window.x1 <= min(box.x1 for box in boxes) + 1e-6
    assert 0 <= window.y1 <= min(box.y1 for box in boxes) + 1e-6
    assert max(box.x2 for box in boxes) - 1e-6 <= window.x2 <= width + 1e-6
    assert max(box.y2 for box in boxes) - 1e-6 <= window.y2 <= height + 1e-6
    assert size[0] * size[1] <= MOST
    assert all(edge % TOKEN_SIDE == 0 and edge >= LEAST_SIDE * TOKEN_SIDE for edge in size)


@given(scenes(), st.integers(28, 448))
def test_a_fitted_picture_is_not_squeezed_by_more_than_a_token_at_the_frames_edge(scene, side):
    frame, boxes = scene
    window, size = fitted_window(frame, boxes, side, MOST)
    scales = size[0] / (window.x2 - window.x1), size[1] / (window.y2 - window.y1)
    for edge, scale in zip(size, scales, strict=True):
        lacking = edge * (1 - min(scales) / scale)
        assert lacking < TOKEN_SIDE + 1e-6 or edge == LEAST_SIDE * TOKEN_SIDE


def test_the_smallest_item_decides():
    large, small = Box(300, 300, 500, 500), Box(600, 300, 650, 350)
    _, coarse = fitted_window((1280, 720), [large], 84, MOST)
    _, fine = fitted_window((1280, 720), [large, small], 84, MOST)
    assert coarse[0] * coarse[1] < fine[0] * fine[1]
    window, size = fitted_window((1280, 720), [large], 84, MOST)
    assert abs(size[0] / (window.x2 - window.x1) * 200 - 84) < 1


def test_a_frame_is_not_enlarged():
    window, size = fitted_window((1280, 720), [Box(100, 100, 130, 130), Box(700, 500, 800, 600)], 448, MOST)
    assert size[0] <= window.x2 - window.x1 + TOKEN_SIDE


def test_a_model_with_a_size_of_its_own_gets_that():
    picture = np.zeros((720, 1280, 3), np.uint8)
    for boxes in ([], [Box(600, 300, 650, 350)]):
        assert ViewRules((252, 168)).cut(picture, boxes).shape == (168, 252, 3)


def test_other_models_get_fewer_tokens_for_less_on_the_counter():
    picture = np.zeros((720, 1280, 3), np.uint8)
    rules = ViewRules((756, 504), 84)
    few = rules.cut(picture, [Box(600, 300, 700, 400)])
    many = rules.cut(picture, [Box(100, 100, 200, 200), Box(1100, 500, 1200, 600)])
    none = rules.cut(picture, [])
    assert few.size < many.size <= none.size == 756 * 504 * 3
    assert all(edge % TOKEN_SIDE == 0 for one in (few, many, none) for edge in one.shape[:2])


def test_what_shrinks_to_half_or_less_is_cut_from_the_half_size_frame():
    picture = CounterCamera(random_script(910_700_002, 1)).picture(2.0)
    rules, boxes = ViewRules((252, 168)), [Box(431.0, 303.0, 650.0, 455.0)]
    whole, shifted = (rules.cut(one, boxes).astype(float) for one in (picture, np.roll(picture, 2, axis=1)))
    off = np.abs(rules.cut(picture, boxes, halve(picture)) - whole).mean()
    assert off < np.abs(shifted - whole).mean()
    assert not rules.cut(picture, boxes, halve(np.zeros_like(picture))).any()


def test_what_is_shown_larger_than_half_is_cut_from_the_frame():
    picture = CounterCamera(random_script(910_700_002, 1)).picture(2.0)
    for rules in (ViewRules((756, 504)), ViewRules((756, 504), 84)):
        boxes = [Box(431.0, 303.0, 650.0, 455.0)]
        nothing = halve(np.zeros_like(picture))
        np.testing.assert_array_equal(rules.cut(picture, boxes, nothing), rules.cut(picture, boxes))


@given(scenes(), st.sampled_from([ViewRules((56, 28)), ViewRules((252, 168)), ViewRules((756, 504), 84)]))
@example(((545, 533), [Box(0.0, 0.0, 4.0, 533.0)]), ViewRules((56, 28)))
def test_a_picture_shows_the_same_place_whichever_it_is_cut_from(scene, rules):
    (width, height), boxes = scene
    across, down = np.meshgrid(np.linspace(0, 250, width), np.linspace(0, 250, height))
    picture = np.stack((across, down, down), axis=2).astype(np.float32)  # whole numbers would be rounded at every step
    halved, whole = rules.cut(picture, boxes, halve(picture)), rules.cut(picture, boxes)
    assert halved.shape == whole.shape
    off = np.abs(halved - whole).max(axis=(0, 1))  # RGB: down, down, across
    assert off[2] <= 2 * 250 / (width - 1) + 0.01  # two pixels of the frame
    assert off[0] <= 2 * 250 / (height - 1) + 0.01
