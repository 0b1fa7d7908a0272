"""Stations come and go, fail and recover; the others do not notice, and every order gets exactly one verdict."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import anyio
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc.capture import StationPhase
from orderacc.capture.supervisor import MAX_ABANDONED
from orderacc.config import VlmConfig
from orderacc.errors import ConfigError, SourceError, StationError
from orderacc.perception.picture import PictureHealth, PictureSettings, PictureWarning
from staged_stations import (
    ORDER_FRAMES,
    BugError,
    Bugs,
    StagedBuilder,
    config_of,
    source,
    staged,
    station_config,
    until,
)

pytestmark = pytest.mark.anyio

HALF_AN_ORDER = 10


def two():
    return config_of(station_config("left"), station_config("right"))


def one_each(stage):
    """Every order that was opened has exactly one verdict."""
    seen = {number: count for number, count in stage.numbers().items() if number is not None}
    assert seen == dict.fromkeys(stage.builder.opened, 1)
    ids = [verdict.verdict_id for verdict in stage.verdicts]
    assert len(set(ids)) == len(ids)


def reasons(stage, station_id):
    return [verdict.reason for verdict in stage.verdicts if verdict.station_id == station_id]


async def test_a_station_is_added_and_removed_while_another_goes_on():
    async with staged(StagedBuilder(), config_of(station_config("left"))) as stage:
        await stage.show("left", HALF_AN_ORDER)
        await stage.stations.add(station_config("right"))
        await stage.show("right", HALF_AN_ORDER)
        await stage.stations.remove("right")
        assert stage.stations.ids() == ("left",)
        assert reasons(stage, "right") == ["shutdown"]
        await stage.show("left", ORDER_FRAMES)
        await until(lambda: reasons(stage, "left") == ["no_order"])
        assert stage.stations.health()["left"].restarts == 0
    one_each(stage)


async def test_visits_go_on_being_counted_when_a_station_comes_back():
    async with staged(StagedBuilder(), two()) as stage:
        for _ in range(3):
            await stage.show("right", HALF_AN_ORDER)
            await stage.stations.remove("right")
            await stage.stations.add(station_config("right"))
    assert [verdict.verdict_id for verdict in stage.verdicts] == [f"right-{number:06d}" for number in (1, 2, 3)]
    one_each(stage)


async def test_a_restart_leaves_an_open_order_open():
    async with staged(StagedBuilder(), two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        await stage.stations.restart("left")
        await until(lambda: stage.stations.health()["left"].restarts == 1)
        await stage.show("left", ORDER_FRAMES)
        await until(lambda: reasons(stage, "left") == ["no_order"])
    one_each(stage)


async def test_another_camera_is_another_scene():
    async with staged(StagedBuilder(), two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        await stage.stations.repoint("left", source(7))
        assert reasons(stage, "left") == ["shutdown"]
        assert stage.builder.camera("left", 0).open == 0
        await stage.show("left", ORDER_FRAMES, seed=7)
        await until(lambda: reasons(stage, "left") == ["shutdown", "no_order"])
        assert stage.stations.ids() == ("left", "right")
    one_each(stage)


@pytest.mark.parametrize("where", ["observing", "tracking", "after_tracking"])
async def test_a_bug_at_one_station_stays_there(where, caplog):
    async with staged(StagedBuilder(), two()) as stage:
        for name in ("left", "right"):
            await stage.show(name, HALF_AN_ORDER)
        setattr(stage.builder.bugs["left"], where, 1)
        stage.builder.camera("left").give(1)
        await until(lambda: reasons(stage, "left") == ["station_failed"])
        await stage.show("right", ORDER_FRAMES)
        await until(lambda: reasons(stage, "right") == ["no_order"])
        health = stage.stations.health()
        assert health["left"].failures == {"station_failed": 1}
        assert health["right"].failures == {}
        assert health["right"].restarts == 0
        await until(lambda: stage.stations.health()["left"].restarts == 1)
        await stage.show("left", ORDER_FRAMES)
        await until(lambda: reasons(stage, "left") == ["station_failed", "no_order"])
    one_each(stage)
    told = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    (failure,) = [line for line in told if line["event"] == "station_failed"]
    assert failure["station_id"] == "left"
    assert failure["exc_info"].__traceback__ is not None


@pytest.mark.parametrize("bugs", [{"tracking": 1, "finishing": 1}, {"ending": 1}, {"ending": 1, "finishing": 1}])
async def test_a_tracker_that_breaks_takes_no_order_along(bugs):
    async with staged(StagedBuilder(), two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        for where, times in bugs.items():
            setattr(stage.builder.bugs["left"], where, times)
        stage.builder.camera("left").give(ORDER_FRAMES - HALF_AN_ORDER)
        await until(lambda: reasons(stage, "left")[:1] == ["station_failed"])
        await until(lambda: stage.stations.health()["left"].restarts == 1)
        await stage.show("left", ORDER_FRAMES)
    assert reasons(stage, "left").count("station_failed") == 1
    one_each(stage)


async def test_a_recording_that_ends_by_a_bug_reports_its_order_once(monkeypatch):
    monkeypatch.setattr("orderacc.service.watching.FAILED_FRAMES", 1)
    async with staged(StagedBuilder(live=False), two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        stage.builder.bugs["left"].tracking = stage.builder.bugs["left"].finishing = 1
        stage.builder.camera("left").give(1)
        await until(lambda: stage.stations.failed() == ("left",))
    assert reasons(stage, "left") == ["station_failed"]
    one_each(stage)


async def test_a_camera_station_that_breaks_down_as_a_whole_is_made_anew(monkeypatch):
    monkeypatch.setattr("orderacc.service.tending.CRASH_PAUSE", 0.01)
    async with staged(StagedBuilder(), two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        bugs = stage.builder.bugs["left"]
        bugs.observing, bugs.waking = 1, 3
        stage.builder.camera("left").give(1)
        await until(lambda: stage.stations.health()["left"].failures.get("station_crashed") == 3)
        assert reasons(stage, "left") == ["station_failed"]
        await until(lambda: stage.stations.health()["left"].phase is StationPhase.STARTING)
        await stage.show("left", ORDER_FRAMES)
        await until(lambda: reasons(stage, "left") == ["station_failed", "no_order"])
        assert "station_crashed" not in stage.stations.health()["right"].failures
    one_each(stage)


async def test_a_station_that_fails_at_every_frame_opens_its_breaker():
    async with staged(StagedBuilder(), two()) as stage:
        await stage.show("left", 1)
        stage.builder.bugs["left"].observing = 1000
        stage.builder.camera("left").give(1000)
        await until(lambda: stage.stations.health()["left"].breaker_trips >= 1)
        assert stage.builder.bugs["left"].observing > 900
        stage.builder.bugs["left"].observing = 0
        await until(lambda: stage.stations.health()["left"].phase is StationPhase.RUNNING)
        assert stage.stations.health()["right"].failures == {}


async def test_a_recording_survives_a_bug_and_ends_at_too_many():
    builder = StagedBuilder(live=False)
    async with staged(builder, two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        builder.bugs["left"].observing = 1
        await stage.show("left", ORDER_FRAMES + 5)
        assert builder.camera("left").opened == 1
        await until(lambda: reasons(stage, "left") == ["station_failed", "no_order"])
        builder.bugs["left"].observing = 100
        builder.camera("left").give(20)
        await until(lambda: stage.stations.failed() == ("left",))
        assert stage.stations.health()["left"].last_error.code == "station_crashed"
        assert stage.stations.health()["right"].last_error is None
    one_each(stage)


async def test_recordings_end_and_then_the_set_does():
    builder = StagedBuilder(live=False)
    async with staged(builder, two()) as stage:
        await stage.show("left", ORDER_FRAMES + HALF_AN_ORDER)
        await stage.show("right", HALF_AN_ORDER)
        builder.camera("left").end()
        await until(lambda: reasons(stage, "left") == ["no_order", "no_order"])
        builder.camera("right").fail(SourceError("the disk is gone", code="not_found"))
        await until(lambda: stage.stations.failed() == ("right",))
        await until(lambda: stage.ended)
        with pytest.raises(StationError) as refused:
            await stage.stations.restart("left")
        assert refused.value.code == "not_running"
    assert stage.stations.health()["right"].last_error.code == "not_found"
    one_each(stage)


async def test_operations_on_stations_that_are_not_there_are_refused():
    async with staged(StagedBuilder(), two()) as stage:
        for operation in (stage.stations.remove, stage.stations.restart):
            with pytest.raises(StationError, match="'middle'") as refused:
                await operation("middle")
            assert refused.value.code == "no_such_station"
        with pytest.raises(StationError) as refused:
            await stage.stations.add(station_config("left"))
        assert refused.value.code == "station_exists"
    with pytest.raises(StationError) as refused:
        await stage.stations.remove("left")
    assert refused.value.code == "not_running"


async def test_a_camera_that_hangs_holds_up_nobody(monkeypatch):
    monkeypatch.setattr("orderacc.capture.supervisor.CLOSE_TIMEOUT", 0.5)
    async with staged(StagedBuilder(), two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        stage.builder.camera("left").deaf = True
        async with anyio.create_task_group() as group:
            group.start_soon(stage.stations.repoint, "left", source(1))
            await stage.show("right", ORDER_FRAMES)
        await stage.show("left", ORDER_FRAMES, seed=1)
        await until(lambda: reasons(stage, "left") == ["shutdown", "no_order"])
        stage.builder.camera("left").mend()
        stage.builder.camera("left").end()
    one_each(stage)


async def test_while_one_camera_hangs_everything_can_be_done_to_another_station():
    async with staged(StagedBuilder(), two()) as stage:
        hanging = stage.builder.camera("left")
        await stage.show("left", HALF_AN_ORDER)
        hanging.deaf = True
        async with anyio.create_task_group() as group:
            group.start_soon(stage.stations.remove, "left")
            await until(lambda: stage.stations.health()["left"].phase is StationPhase.SHUTTING_DOWN)
            await stage.stations.restart("right")
            await stage.stations.repoint("right", source(1))
            await stage.stations.add(station_config("middle"))
            assert stage.stations.ids() == ("left", "right", "middle")
            hanging.mend()
            hanging.end()
        assert stage.stations.ids() == ("right", "middle")
    one_each(stage)


async def test_threads_of_cameras_that_hang_are_counted_and_bounded_through_all_replacements(monkeypatch):
    monkeypatch.setattr("orderacc.capture.supervisor.CLOSE_TIMEOUT", 0.05)
    async with staged(StagedBuilder(), two()) as stage:
        cameras = [stage.builder.camera("left", seed) for seed in range(MAX_ABANDONED + 1)]
        for seed, camera in enumerate(cameras[:-1]):
            await until(lambda camera=camera: camera.open == 1)
            camera.deaf = True
            if seed % 2:
                await stage.stations.remove("left")
                await stage.stations.add(station_config("left", seed + 1))
            else:
                await stage.stations.repoint("left", source(seed + 1))
            assert stage.stations.health()["left"].abandoned_threads == seed + 1
        await until(lambda: stage.stations.health()["left"].phase is StationPhase.CIRCUIT_OPEN)
        assert stage.stations.health()["left"].last_error.code == "threads_stuck"
        assert 'orderacc_station_abandoned_threads{station="left"} 4.0' in stage.stations.metrics().decode()
        assert stage.stations.health()["right"].abandoned_threads == 0
        assert cameras[-1].opened == 0
        cameras[0].mend()
        cameras[0].end()
        await until(lambda: cameras[-1].open == 1)
        assert stage.stations.health()["left"].abandoned_threads == MAX_ABANDONED - 1
        for camera in cameras:
            camera.mend()
            camera.end()


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"fps": 0.0}, " fps: should be greater than or equal to 1"),
        ({"fps": "x"}, " fps: should be a valid number"),
        ({"roi": (0.9, 0.0, 0.1, 1.0)}, " roi: should be left, top, right, bottom"),
        ({"id": "middle"}, ": keeps its id"),
        ({"bogus": 1}, " bogus: Extra inputs"),
        ({"source": {"type": "rtsp", "url": "rtsp://h:hunter2/1"}}, " source.rtsp.url: should be a URL"),
    ],
)
async def test_settings_that_are_wrong_leave_a_station_as_it_is(values, wrong):
    async with staged(StagedBuilder(), two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        with pytest.raises(ConfigError) as refused:
            await stage.stations.change("left", values)
        assert str(refused.value).startswith(f"station 'left'{wrong}")
        assert "hunter2" not in str(refused.value)
        assert stage.stations.ids() == ("left", "right")
        assert stage.stations.configuration("left") == station_config("left")
        await stage.show("left", ORDER_FRAMES)
        await until(lambda: reasons(stage, "left") == ["no_order"])


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("by", ["repoint", "apply"])
async def test_a_station_that_cannot_be_made_anew_is_tried_again(monkeypatch, live, by):
    monkeypatch.setattr("orderacc.service.tending.CRASH_PAUSE", 0.01)
    async with staged(StagedBuilder(live=live), two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        stage.builder.bugs["left"].waking = 3
        if by == "apply":
            changes = await stage.stations.apply(config_of(station_config("left", 1), station_config("right", 1)))
            assert changes.changed == ("left", "right")
        else:
            await stage.stations.repoint("left", source(1))
        health = stage.stations.health()["left"]
        assert health.failures["station_crashed"] >= 1
        assert (health.last_error.code, health.last_error.message) == ("station_crashed", "waking")
        await until(lambda: stage.builder.camera("left", 1).open == 1)
        await stage.show("left", ORDER_FRAMES, seed=1)
        await until(lambda: reasons(stage, "left") == ["shutdown", "no_order"])
        assert stage.stations.health()["left"].failures == {"station_crashed": 3}
        assert stage.stations.health()["right"].failures == {}
        assert stage.stations.failed() == ()
    one_each(stage)


async def test_a_new_station_that_cannot_be_made_leaves_the_others_alone():
    async with staged(StagedBuilder(), two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        stage.builder.bugs["new"] = Bugs(waking=1)
        with pytest.raises(BugError):
            await stage.stations.apply(config_of(station_config("left", 1), station_config("new")))
        assert stage.stations.ids() == ("left", "right")
        assert reasons(stage, "left") == []
        assert stage.builder.followed[-1] is stage.builder.followed[0]
    one_each(stage)


async def test_a_repointing_that_is_given_up_is_carried_out_all_the_same():
    async with staged(StagedBuilder(), two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        with anyio.move_on_after(0):
            await stage.stations.repoint("left", source(1))
        assert stage.stations.ids() == ("left", "right")
        await until(lambda: stage.builder.camera("left", 1).open + stage.builder.camera("left").open == 1)
    one_each(stage)


async def test_a_new_configuration_touches_only_what_it_changes():
    async with staged(StagedBuilder(), config_of(*map(station_config, ("same", "gone", "other")))) as stage:
        for name in ("same", "gone", "other"):
            await stage.show(name, HALF_AN_ORDER)
        changes = await stage.stations.apply(
            config_of(
                station_config("same"), station_config("other", 3), station_config("new"), vlm=VlmConfig(threads=1)
            )
        )
        assert (changes.added, changes.removed, changes.changed) == (("new",), ("gone",), ("other",))
        assert changes.needs_restart == ("vlm",)
        assert set(stage.stations.ids()) == {"same", "other", "new"}
        assert stage.builder.camera("same").opened == 1
        assert reasons(stage, "same") == []
        assert reasons(stage, "gone") == reasons(stage, "other") == ["shutdown"]
        await stage.show("same", ORDER_FRAMES)
        await until(lambda: reasons(stage, "same") == ["no_order"])
        unchanged = await stage.stations.apply(stage.builder.followed[-1])
        assert (unchanged.added, unchanged.removed, unchanged.changed) == ((), (), ())
    one_each(stage)


async def test_a_configuration_that_cannot_be_made_changes_nothing():
    async with staged(StagedBuilder(), two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        stage.builder.refuse = ConfigError("the script is wrong")
        with pytest.raises(ConfigError):
            await stage.stations.apply(config_of(station_config("left", 5), station_config("new")))
        assert stage.stations.ids() == ("left", "right")
        assert reasons(stage, "left") == []
        assert stage.builder.followed[-1] is stage.builder.followed[0]
    one_each(stage)


async def test_health_and_metrics_tell_of_every_station():
    async with staged(StagedBuilder(), two()) as stage:
        await stage.show("left", HALF_AN_ORDER)
        stage.builder.camera("right").fail(SourceError("rtsp://crew:canary@box refused", code="refused"))
        await until(lambda: stage.stations.health()["right"].failures.get("refused", 0) > 0)
        health = stage.stations.health()
        assert health["left"].phase is StationPhase.RUNNING
        assert health["left"].kept == HALF_AN_ORDER
        assert "canary" not in repr(health)
        text = stage.stations.metrics().decode()
        assert f'orderacc_station_frames_kept_total{{station="left"}} {HALF_AN_ORDER}.0' in text
        assert 'orderacc_station_failures_total{code="refused",station="right"}' in text
        assert "canary" not in text


async def test_a_useless_picture_is_told_of_once_and_seen_in_health(caplog):
    caplog.set_level("INFO", logger="orderacc")

    class Picture:
        now = ()

        def look(self, _frame):
            return self.now

    picture = Picture()
    async with staged(StagedBuilder(picture=picture), config_of(station_config("left"))) as stage:
        await stage.show("left", HALF_AN_ORDER)
        picture.now = (PictureWarning.BLACK,)
        await stage.show("left", ORDER_FRAMES)
        assert stage.stations.health()["left"].warnings == ("black",)
        assert (
            'orderacc_station_picture_warning{station="left",warning="black"} 1.0' in stage.stations.metrics().decode()
        )
        picture.now = ()
        await stage.show("left", ORDER_FRAMES)
        assert stage.stations.health()["left"].warnings == ()
    told = [record.msg for record in caplog.records if "picture" in record.msg.get("event", "")]
    assert [(line["event"], line["warning"]) for line in told] == [
        ("picture_warning", "black"),
        ("picture_ok", "black"),
    ]
    assert "light" in told[0]["advice"]


async def test_a_restart_takes_the_view_that_is_there_for_the_right_one():
    class Turned(PictureHealth):
        """A camera that somebody turns, by a second from look to look."""

        view = np.random.default_rng(1).integers(0, 255, (20, 35, 3), np.uint8)
        looks = 0

        def look(self, frame):
            self.looks += 1
            image = cv2.resize(self.view, (640, 360), interpolation=cv2.INTER_NEAREST)
            image[:40, :40] = self.looks % 200  # a picture like the one before would be a frozen one
            return super().look(replace(frame, at=float(self.looks), image=image))

    picture = Turned(PictureSettings(moved_after=5))
    async with staged(StagedBuilder(picture=picture), config_of(station_config("left"))) as stage:
        await stage.show("left", 2 * ORDER_FRAMES)
        picture.view = 255 - picture.view
        await stage.show("left", 4 * ORDER_FRAMES)
        assert stage.stations.health()["left"].warnings == ("moved",)
        await stage.stations.restart("left")
        await until(lambda: stage.stations.health()["left"].restarts == 1)
        await stage.show("left", 4 * ORDER_FRAMES)
        assert stage.stations.health()["left"].warnings == ()


async def test_orders_are_watched_on_when_judging_the_picture_fails():
    class Broken:
        def look(self, _frame):
            raise BugError("look")

    async with staged(StagedBuilder(picture=Broken()), config_of(station_config("left"))) as stage:
        await stage.show("left", ORDER_FRAMES)
        await until(lambda: reasons(stage, "left") == ["no_order"])
        assert stage.stations.health()["left"].failures == {}
    one_each(stage)


NAMES = ("a", "b")
names = st.sampled_from(NAMES)
deeds = st.one_of(
    st.tuples(st.just("show"), names, st.integers(1, 60)),
    st.tuples(st.just("bug"), names, st.sampled_from(["observing", "tracking", "ending", "finishing"])),
    st.tuples(st.just("fail"), names, st.none()),
    st.tuples(st.just("mend"), names, st.none()),
    st.tuples(st.just("add"), names, st.integers(0, 1)),
    st.tuples(st.just("remove"), names, st.none()),
    st.tuples(st.just("restart"), names, st.none()),
    st.tuples(st.just("repoint"), names, st.integers(0, 1)),
    st.tuples(st.just("apply"), st.sets(names, min_size=1).map(sorted), st.integers(0, 1)),
)


async def come(stage, name, frames):
    """Let frames come, whichever camera the station looks at, and wait a little for them: they may have nobody."""

    def looked_at():
        return stage.frames(name) if name in stage.stations.ids() else 0

    before = looked_at()
    for seed in (0, 1):
        stage.builder.camera(name, seed).give(frames)
    with anyio.move_on_after(0.05):
        await until(lambda: looked_at() >= before + frames)


async def do(stage, deed):
    """Carry out a deed without waiting for what it leads to."""
    what, where, how = deed
    builder, stations = stage.builder, stage.stations
    # Which of them are there just now is for the story to say.
    with suppress(StationError):
        match what:
            case "show":
                await come(stage, where, how)
            case "bug":
                await come(stage, where, HALF_AN_ORDER)
                setattr(builder.bugs.setdefault(where, Bugs()), how, 1)
                await come(stage, where, HALF_AN_ORDER)
            case "fail":
                builder.camera(where, 0).fail(SourceError("gone", code="unreachable"))
            case "mend":
                builder.camera(where, 0).mend()
            case "add":
                await stations.add(station_config(where, how))
            case "repoint":
                await stations.repoint(where, source(how))
            case "apply":
                await stations.apply(config_of(*(station_config(name, how) for name in where)))
            case "remove" | "restart":
                await getattr(stations, what)(where)


@settings(max_examples=25)
@given(st.lists(deeds, min_size=5, max_size=20), st.booleans())
def test_every_order_gets_one_verdict_whatever_is_done_to_its_station(story, at_once):
    async def play():
        async with staged(StagedBuilder(), config_of(station_config("a"), station_config("b"))) as stage:
            if at_once:
                async with anyio.create_task_group() as group:
                    for deed in story:
                        group.start_soon(do, stage, deed)
            else:
                for deed in story:
                    await do(stage, deed)
        one_each(stage)

    anyio.run(play)
