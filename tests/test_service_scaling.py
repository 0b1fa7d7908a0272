"""Working the models by their load: the pure controller, and the scaler on figures of a day."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderacc.service.scaling import Ladder, Load, ScalingController, ScalingPolicy, Setting, Watching
from orderacc.service.thinning import LEAST_FPS, Thinner, Throttle

POLICY = ScalingPolicy(busy_after_s=10, idle_after_s=300, first_batch=4, most_batch=16)
CALM = Load(at=0, vlm=0.5, detector=0.5, latency_s=0.5, queued=0)
IDLE = Load(at=0, vlm=0.0, detector=0.1, latency_s=None, queued=0)


def follow(controller, load, seconds, *, start=0.0, every=1.0):
    """The settings of so many seconds of one load, and when that is over."""
    count = round(seconds / every)
    return [controller.follow(replace(load, at=start + index * every)) for index in range(count)], start + seconds


def test_with_little_to_do_batches_are_small_and_questions_are_asked_early():
    assert ScalingController(POLICY).setting == Setting(4, early_looks=True, watching=Watching.ALL)


@pytest.mark.parametrize("reason", [{"vlm": 0.85}, {"latency_s": 2.5}, {"queued": 17}])
def test_what_is_given_up_for_the_vlm_and_in_which_order(reason):
    controller = ScalingController(POLICY)
    settings, _ = follow(controller, replace(CALM, **reason), 31)
    assert [(one.batch_size, one.early_looks) for one in settings[9::10]] == [(4, True), (4, False), (8, False)]
    assert (settings[-1].batch_size, settings[-1].early_looks) == (16, False)
    assert all(one.watching is Watching.ALL for one in settings)


def test_frames_are_given_up_when_detection_is_too_much_and_first_where_no_order_is_open():
    settings, _ = follow(ScalingController(POLICY), replace(CALM, detector=0.9), 60)
    assert settings[9].watching is Watching.ALL
    assert settings[10].watching is Watching.HALF_IF_EMPTY
    assert settings[-1] == Setting(4, early_looks=True, watching=Watching.HALF)


def test_frames_are_the_last_that_is_given_up_for_late_answers():
    settings, _ = follow(ScalingController(POLICY), replace(CALM, latency_s=9.0, vlm=1.0), 61)
    assert [one.watching for one in settings[::10]] == [0, 0, 0, 0, 0, 1, 2]


def test_five_idle_minutes_bring_back_one_thing_at_a_time():
    controller = ScalingController(POLICY)
    _, now = follow(controller, Load(0, 1.0, 1.0, 9.0, 50), 120)
    settings, now = follow(controller, IDLE, 299, start=now)
    assert set(settings) == {Setting(16, early_looks=False, watching=Watching.HALF)}
    settings, now = follow(controller, IDLE, 2, start=now)
    assert settings[-1] == Setting(8, early_looks=False, watching=Watching.HALF_IF_EMPTY)
    settings, _ = follow(controller, IDLE, 601, start=now)
    assert settings[-1] == Setting(4, early_looks=True, watching=Watching.ALL)


def test_neither_busy_nor_idle_changes_nothing():
    controller = ScalingController(POLICY)
    _, now = follow(controller, replace(CALM, vlm=0.9), 15)
    before = controller.setting
    settings, _ = follow(controller, CALM, 4000, start=now)
    assert set(settings) == {before}


def test_a_load_around_a_threshold_moves_nothing():
    controller = ScalingController(POLICY)
    settings = [
        controller.follow(replace(CALM, at=index, vlm=0.79 if index % 9 == 0 else 0.95)) for index in range(2000)
    ]
    assert set(settings) == {ScalingController(POLICY).setting}


@pytest.mark.parametrize(
    "wrong",
    [
        {"low": 0.5, "high": 0.8},
        {"low": 0.0},
        {"high": 1.2},
        {"first_batch": 0},
        {"first_batch": 32},
        {"busy_after_s": 0},
        {"queue_target": 0},
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(ValueError, match=r"must|times"):
        ScalingPolicy(**wrong)


loads = st.builds(
    Load,
    at=st.just(0.0),
    vlm=st.sampled_from([0.0, 0.29, 0.3, 0.5, 0.8, 0.81, 1.0]),
    detector=st.sampled_from([0.0, 0.29, 0.5, 0.81, 1.0]),
    latency_s=st.sampled_from([None, 0.1, 2.0, 2.1, 60.0]),
    queued=st.sampled_from([0.0, 0.5, 16.0, 17.0, 900.0]),
)
days = st.lists(st.tuples(st.floats(0.01, 400), loads), max_size=80)


@given(days, st.integers(1, 40), st.integers(1, 40))
def test_whatever_happens_it_moves_one_rung_at_a_time_and_never_hastily(day, one, other):
    policy = ScalingPolicy(first_batch=min(one, other), most_batch=max(one, other))
    controller = ScalingController(policy)
    before, now, moved = controller.setting, 0.0, {"vlm": 0.0, "watching": 0.0}
    for seconds, load in day:
        now += seconds
        setting = controller.follow(replace(load, at=now))
        assert policy.first_batch <= setting.batch_size <= policy.most_batch
        assert setting.batch_size == policy.first_batch or not setting.early_looks
        assert abs(setting.watching - before.watching) <= 1
        assert setting.batch_size <= 2 * before.batch_size <= 4 * setting.batch_size
        for part, same in (
            ("vlm", setting.batch_size == before.batch_size and setting.early_looks == before.early_looks),
            ("watching", setting.watching == before.watching),
        ):
            if not same:
                up = setting.batch_size > before.batch_size or setting.early_looks < before.early_looks
                up = up if part == "vlm" else setting.watching > before.watching
                assert now - moved[part] >= (policy.busy_after_s if up else policy.idle_after_s)
                moved[part] = now
        before = setting


@given(st.floats(0.05, 3.0), st.sampled_from(["vlm", "detector"]))
def test_with_a_load_that_follows_what_is_done_it_comes_to_rest(full, part):
    """Half the frames are half the detector's work: a load that was too much must not swing for ever."""
    controller = ScalingController(POLICY)
    moves, setting, now = 0, controller.setting, 0.0
    for _ in range(4000):
        now += 5.0
        share = 1.0
        if part == "detector":
            share = {Watching.ALL: 1.0, Watching.HALF_IF_EMPTY: 0.75, Watching.HALF: 0.5}[setting.watching]
        elif not setting.early_looks:
            share = 0.6 if setting.batch_size == 4 else 0.5
        load = replace(IDLE, at=now, **{part: min(1.0, full * share)})
        after = controller.follow(load)
        moves += after != setting
        setting = after
    assert moves <= 5


@given(st.lists(st.tuples(st.floats(0, 1000), st.booleans(), st.booleans()), max_size=60), st.integers(0, 5))
def test_a_ladder_stays_between_its_ends(steps, top):
    ladder, now = Ladder(top, 10, 300), 0.0
    for seconds, busy, idle in steps:
        now += seconds
        assert 0 <= ladder.follow(now, busy=busy, idle=idle) <= top


def kept(thinner, fps, seconds=20.0, *, order_open=False):
    """Frame times looked at, of a camera that trembles by a fifth of a frame."""
    times = [index / fps + 0.2 / fps * math.sin(index * 2.3) for index in range(round(seconds * fps))]
    return [at for at in times if thinner.wants(at, order_open=order_open)]


@pytest.mark.parametrize("fps", [1, 2, 4, 5, 7.5, 10, 15, 25, 30, 60])
def test_half_of_the_frames_is_half_of_them_but_never_too_few(fps):
    rate = len(kept(Thinner(fps, Throttle(Watching.HALF)), fps)) / 20
    assert rate == pytest.approx(fps / 2, rel=0.08) or min(fps, LEAST_FPS) <= rate <= fps


def test_counters_with_an_open_order_are_watched_in_full_for_longer():
    throttle = Throttle(Watching.HALF_IF_EMPTY)
    assert len(kept(Thinner(10, throttle), 10, order_open=True)) == 200
    assert len(kept(Thinner(10, throttle), 10)) == pytest.approx(100, abs=2)
    throttle.watching = Watching.ALL
    assert len(kept(Thinner(10, throttle), 10)) == 200
