"""`orderacc probe` on real videos, real cameras and everything that is neither."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

import ports
from orderacc.capture import REMEDIES, SourceStats, StreamInfo, StreamSource, VideoFileSource
from orderacc.capture.failures import UNKNOWN
from orderacc.capture.probing import Probe, probe, probe_each
from orderacc.cli import main
from orderacc.cli.probe import _hints, _station_of
from orderacc.errors import SourceError
from rtsp_server import RtspServer, encode_clip
from video_files import SIZE, write_video

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD = "cr0wbar-7391"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Exit code, stdout and stderr of a probe; neither ever shows the password."""

    def run_it(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["probe", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert PASSWORD not in out + err
        return caught.value.code or 0, out, err

    return run_it


class TestVideoFiles:
    def test_what_is_said(self, run, tmp_path):
        code, out, err = run(write_video(tmp_path / "a.mp4", frames=60, gop=30))
        assert (code, err) == (0, "")
        head, what, how = out.splitlines()
        assert head == f"camera  {tmp_path / 'a.mp4'}  ok"
        assert what == "  h264 320x180, 30 frames a second (declared: 30), file"
        assert how.startswith("  first picture after 0.")
        assert how.endswith(" s; keyframes: every 1 s; decoded by the processor")

    def test_a_picture_is_saved(self, run, tmp_path):
        video = write_video(tmp_path / "a.mp4", frames=10)
        code, out, _ = run(video, "--save", tmp_path / "new" / "pictures")
        assert code == 0
        assert f"saved {tmp_path / 'new/pictures/camera.jpg'}" in out
        assert cv2.imread(str(tmp_path / "new/pictures/camera.jpg")).shape == (SIZE[1], SIZE[0], 3)

    def test_json(self, run, tmp_path):
        code, out, _ = run(write_video(tmp_path / "a.mp4"), "--json", "--save", tmp_path)
        report = json.loads(out)
        assert 0 < report.pop("first_frame_s") < 5
        assert (code, report) == (
            0,
            {
                "station_id": "camera",
                "source": str(tmp_path / "a.mp4"),
                "ok": True,
                "codec": "h264",
                "width": 320,
                "height": 180,
                "fps": 30.0,
                "declared_fps": 30.0,
                "keyframe_interval_s": 0.333,
                "transport": "file",
                "hwaccel": "none",
                "picture": str(tmp_path / "camera.jpg"),
                "warnings": [],
                "hints": [],
                "error": None,
            },
        )

    def test_a_black_video_can_be_seen_and_is_told(self, run, tmp_path):
        path = tmp_path / "black.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 180))
        for _ in range(10):
            writer.write(np.zeros((180, 320, 3), np.uint8))
        writer.release()
        code, out, _ = run(path)
        assert code == 0
        assert "hint: the picture is black: is the light off, or the lens covered?" in out

    def test_what_is_no_video(self, run, tmp_path):
        (tmp_path / "a.mp4").write_text("no video")
        code, out, _ = run(tmp_path / "a.mp4", "--save", tmp_path)
        assert code == 1
        assert out.splitlines()[0].endswith("a.mp4  failed")
        assert f"  bad_stream: {tmp_path / 'a.mp4'}: not a video, or damaged beyond reading\n" in out
        assert out.splitlines()[-1].startswith("  Look whether a player shows it: ")
        assert not (tmp_path / "camera.jpg").exists()


class TestCameras:
    def test_a_camera_with_a_password(self, run, rtsp_camera, tmp_path, monkeypatch):
        camera: RtspServer = rtsp_camera({"front": encode_clip(tmp_path / "clip")}, auth=("admin", PASSWORD))
        monkeypatch.setenv("CAMERA_PASSWORD", PASSWORD)
        url = camera.url("front").replace(PASSWORD, "${CAMERA_PASSWORD}")
        code, out, err = run(url, "--save", tmp_path)
        assert (code, err) == (0, "")
        assert out.startswith(f"camera  rtsp://127.0.0.1:{camera.port}  ok\n  h264 320x180, ")
        assert " frames a second (declared: 10), tcp\n" in out
        assert "keyframes: every 0.5 s" in out
        assert cv2.imread(str(tmp_path / "camera.jpg")).shape == (180, 320, 3)

    @pytest.mark.parametrize(("login", "path", "code"), [("admin:wrong", "front", "unauthorized"), (None, "back", "")])
    def test_a_camera_that_says_no(self, run, rtsp_camera, tmp_path, login, path, code):
        auth = ("admin", PASSWORD) if login else None
        camera = rtsp_camera({"front": encode_clip(tmp_path / "clip")}, auth=auth)
        url = f"rtsp://{login + '@' if login else ''}127.0.0.1:{camera.port}/{path}"
        status, out, _ = run(url, "--json")
        error = json.loads(out)["error"]
        assert (status, error["code"]) == (1, code or "not_found")
        assert error["remedy"] == REMEDIES[error["code"]]

    def test_a_camera_with_few_keyframes_is_told_so(self, run, rtsp_camera, tmp_path):
        camera = rtsp_camera({"front": encode_clip(tmp_path / "clip", gop=320, frames=320)})
        (tmp_path / "orders.json").write_text("{}")
        (tmp_path / "s.yaml").write_text(
            f"stations: [{{id: a, source: {{type: rtsp, url: '{camera.url('front')}'}}}}]\n"
            "orders: {file: orders.json}\ncapture: {first_frame_timeout: 2}\n"
        )
        with closing(StreamSource(camera.url("front"), "first").frames()) as first:
            next(first)  # another viewer's stream is under way: its first keyframe has gone by
            next(first)
            status, out, _ = run("--stations", tmp_path / "s.yaml", "--seconds", 1)
        assert status == 1
        message = f"no_keyframe: rtsp://127.0.0.1:{camera.port}: video comes, but no keyframe for 2 s"
        assert out.splitlines()[1:] == [f"  {message}", f"  {REMEDIES['no_keyframe']}"]

    def test_a_camera_that_breaks_while_it_is_watched(self, run, rtsp_camera, tmp_path):
        camera = rtsp_camera({"front": encode_clip(tmp_path / "clip", gop=32)}, once=True)
        status, out, _ = run(camera.url("front"), "--json")
        report = json.loads(out)
        assert (status, report["ok"], report["error"]["code"]) == (1, False, "end_of_stream")
        assert (report["codec"], report["width"]) == ("h264", 320)


@pytest.mark.parametrize(
    ("answer", "code"), [(ports.garbage, "bad_stream"), (ports.saying("503 Service Unavailable"), "refused")]
)
def test_what_is_no_camera(run, answer, code):
    with ports.answering(answer) as port:
        status, out, _ = run(f"rtsp://admin:{PASSWORD}@127.0.0.1:{port}/front")
    assert status == 1
    assert out.startswith(f"camera  rtsp://127.0.0.1:{port}  failed\n  {code}: rtsp://127.0.0.1:{port}: ")
    assert out.splitlines()[-1] == f"  {REMEDIES[code]}"


def test_what_is_no_stream_over_http_gets_advice_of_its_own(run):
    with ports.serving({"/page": b"<html>A camera's page</html>"}) as port:
        said = [run(f"http://127.0.0.1:{port}/{path}", "--json") for path in ("page", "none")]
    said.append(run(f"http://127.0.0.1:{ports.free_port()}/", "--json"))
    errors = [json.loads(out)["error"] for _, out, _ in said]
    assert [error["code"] for error in errors] == ["bad_stream", "not_found", "refused"]
    assert "name the stream, not the camera's page" in errors[0]["remedy"]
    assert "the address of its stream" in errors[1]["remedy"]
    assert "the stream over HTTP is switched on" in errors[2]["remedy"]


def test_a_device_that_is_no_camera_is_told_so(run):
    status, out, err = run("/dev/null")
    assert (status, err) == (1, "")
    what, remedy = out.splitlines()[1:]
    assert what == "  bad_stream: /dev/null: not a camera"
    assert remedy.startswith("  Name a camera: ")


def test_every_station_of_a_configuration_in_its_order(run, rtsp_camera, tmp_path):
    camera = rtsp_camera({"front": encode_clip(tmp_path / "clip")}, auth=("admin", PASSWORD))
    write_video(tmp_path / "a.mp4")
    (tmp_path / "orders.json").write_text("{}")
    (tmp_path / "url").write_text(camera.url("front") + "\n")
    (tmp_path / "stations.yaml").write_text(
        f"""
stations:
  - {{id: live, source: {{type: rtsp, url: "file:url", hwaccel: none}}}}
  - {{id: gone, source: {{type: rtsp, url: "rtsp://admin:{PASSWORD}@127.0.0.1:9/x"}}}}
  - {{id: taped, source: {{type: file, path: a.mp4, loop: true}}}}
  - {{id: staged, source: {{type: simulator, loop: true}}}}
orders: {{file: orders.json}}
"""
    )
    status, out, _ = run("--stations", tmp_path / "stations.yaml", "--json", "--save", tmp_path / "p", "--seconds", 2)
    reports = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert [(one["station_id"], one["ok"]) for one in reports] == [
        ("live", True),
        ("gone", False),
        ("taped", True),
        ("staged", True),
    ]
    assert [one["source"].split("/")[0] for one in reports] == ["rtsp:", "rtsp:", "", "simulator"]
    assert reports[1]["error"]["code"] == "refused"
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["live.jpg", "staged.jpg", "taped.jpg"]


class TestCommandLine:
    @pytest.mark.parametrize("arguments", [[], ["a.mp4", "--stations", __file__]])
    def test_one_thing_must_be_named(self, run, arguments):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert "name one source, or a configuration with --stations" in err

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (f"rtsp://admin:{PASSWORD}/x@10.0.0.7/1", "should be a URL such as rtsp://10.0.0.7:554/stream1; "),
            (f"rtmp://admin:{PASSWORD}@10.0.0.7/1", "should begin with rtsp:// or rtsps:// or http:// or https://"),
            (f" rtsp://admin:{PASSWORD}@10.0.0.7/1", "should begin with rtsp:// or rtsps:// or http:// or https://"),
            (f"rtsp ://admin:{PASSWORD}@10.0.0.7/1", "should begin with rtsp:// or rtsps:// or http:// or https://"),
            ("rtsp://${NO_SUCH_THING}@h/1", "the environment variable 'NO_SUCH_THING' is not set"),
            ("file:none", "cannot be read: No such file or directory"),
            ("none.mp4", "there is no such file"),
            (".", "should be a file, not a folder"),
        ],
    )
    def test_sources_that_are_none_are_not_repeated(self, run, source, message):
        code, out, err = run(source)
        assert (code, out) == (2, "")
        assert message in " ".join(err.split())

    def test_a_configurations_mistakes(self, run, tmp_path):
        (tmp_path / "s.yaml").write_text(f"stations: [{{id: a, source: {{type: rtsp, url: 'rtsq://u:{PASSWORD}@h'}}}}]")
        code, out, err = run("--stations", tmp_path / "s.yaml")
        assert (code, out) == (1, "")
        assert "s.yaml:1:41 stations[0].source.url: should begin with rtsp:// or rtsps://" in err


def test_a_pipeline_that_opens_a_url_is_no_url():
    pipeline = "rtspsrc location=rtsp://10.0.0.7/1 ! decodebin ! videoconvert ! appsink"
    source = _station_of(pipeline).source
    assert source.type == "device"
    assert source.device.reveal() == pipeline


def test_hints_say_what_to_change():
    station = _station_of("rtsp://10.0.0.7/1")
    info = StreamInfo("h264", 320, 180, 25.0, "none", "tcp", 0.1, 0.2, keyframe_interval_s=10.0)
    keyframes, rate = _hints(station, Probe(info, frames=9, fps=5.0))
    assert keyframes.startswith("a keyframe only every 10 s: ")
    assert rate == "5.0 pictures a second come, 10 are asked for: raise the camera's frame rate"
    assert list(_hints(station, Probe(info=None, error=SourceError("no")))) == []


class Stuck:
    """Neither gives frames nor fails, until it is let go."""

    station_id = "stuck"

    def __init__(self):
        self.forever = threading.Event()

    def frames(self):
        self.forever.wait()
        yield from ()

    def stats(self):
        return SourceStats()


def test_a_driver_that_hangs_keeps_nobody(tmp_path):
    stuck = Stuck()
    found = probe_each([stuck, VideoFileSource(write_video(tmp_path / "a.mp4"), "fine")], seconds=1, opening=1)
    stuck.forever.set()
    assert found[0].error.code == "timeout"
    assert found[1].picture is not None


class Crashing(Stuck):
    """Fails as drivers do, with more in its message than anybody should see."""

    def __init__(self, error):
        self.error = error

    def frames(self):
        raise self.error
        yield


def test_a_driver_that_crashes_is_told_of_like_any_failure(run, monkeypatch, tmp_path, capsys):
    crash = cv2.error(f"OpenCV: cannot read rtsp://admin:{PASSWORD}@10.0.0.7/1")
    found = probe_each([Crashing(crash), VideoFileSource(write_video(tmp_path / "a.mp4"), "fine")], seconds=1)
    assert found[1].picture is not None
    assert found[0].error.code == "source_crashed"
    assert "OpenCV: cannot read rtsp://" in found[0].error.message
    assert PASSWORD not in found[0].error.message
    assert found[0].error.__context__ is None
    assert capsys.readouterr().err == ""
    for error, code, remedy in (
        (crash, "source_crashed", REMEDIES["source_crashed"]),
        (SourceError("no", code="of_a_plugin"), "of_a_plugin", UNKNOWN),
    ):
        monkeypatch.setattr(VideoFileSource, "frames", Crashing(error).frames)
        status, out, err = run(tmp_path / "a.mp4")
        assert (status, err) == (1, "")
        assert out.splitlines()[1].startswith(f"  {code}: ")
        assert out.splitlines()[-1] == f"  {remedy}"


def test_a_short_video_has_a_rate_too(tmp_path):
    assert probe(VideoFileSource(write_video(tmp_path / "a.mp4", frames=5, fps=5), "s"), 10).fps == pytest.approx(5)
    assert probe(VideoFileSource(write_video(tmp_path / "b.mp4", frames=1), "s"), 10).fps is None
