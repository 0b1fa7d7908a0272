"""Local cameras. Where none is plugged in, OpenCV reads a recording in its place; the failures are real."""

from __future__ import annotations

import os
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import pytest

from orderacc.capture import REMEDIES, DeviceSource
from orderacc.capture import device as device_module
from orderacc.errors import SourceError
from video_files import SIZE, number_of, write_video

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NODE = "/dev/null"  # stands for a camera's node: there, and ours to use


@pytest.fixture
def plugged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A camera that shows 30 frames and is then silent."""
    video = write_video(tmp_path / "a.mp4")
    monkeypatch.setattr(device_module, "open_capture", lambda *_: cv2.VideoCapture(str(video), cv2.CAP_FFMPEG))


def failure(source: DeviceSource) -> SourceError:
    with pytest.raises(SourceError) as caught:
        list(source.frames())
    assert caught.value.code in REMEDIES
    return caught.value


@pytest.mark.usefixtures("plugged_in")
def test_frames_of_a_camera() -> None:
    source = DeviceSource(NODE, "drive-1")
    frames = []
    with pytest.raises(SourceError) as caught:
        frames.extend(source.frames())
    assert caught.value.code == "stalled"
    assert [number_of(frame.image) for frame in frames] == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    assert frames[0].at == 0
    assert all(after.at > before.at for before, after in pairwise(frames))
    assert {frame.image.shape for frame in frames} == {(SIZE[1], SIZE[0], 3)}
    assert all(frame.wall is not None and frame.pts is None for frame in frames)
    assert source.info is not None
    assert (source.info.width, source.info.height, source.info.transport) == (*SIZE, "v4l2")
    assert (source.stats().decoded, source.stats().kept) == (30, 30)


@pytest.mark.usefixtures("plugged_in")
def test_a_low_rate_converts_few() -> None:
    source = DeviceSource(NODE, "drive-1", 0.001)
    with pytest.raises(SourceError):
        list(source.frames())
    assert (source.stats().decoded, source.stats().kept) == (30, 1)


@pytest.mark.usefixtures("plugged_in")
def test_closing_from_another_thread_ends_it() -> None:
    source = DeviceSource(NODE, "drive-1")
    frames = source.frames()
    next(frames)
    closer = threading.Thread(target=source.close)
    closer.start()
    closer.join()
    assert list(frames) == []


def test_closed_before_it_began_it_opens_nothing() -> None:
    source = DeviceSource("/dev/video-that-is-not-there", "drive-1")
    source.close()
    assert list(source.frames()) == []


@pytest.mark.parametrize("device", [4711, "4711", "/dev/video4711", "/dev/v4l/by-id/counter"])
def test_a_camera_that_is_not_plugged_in(device: int | str) -> None:
    error = failure(DeviceSource(device, "drive-1"))
    assert error.code == "not_found"
    assert error.message.startswith("/dev/")


@pytest.fixture
def talkative() -> Iterator[None]:
    """OpenCV as it is when nothing has been said to it."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_WARNING)
    yield
    cv2.utils.logging.setLogLevel(before)


@pytest.mark.usefixtures("talkative")
def test_a_device_that_is_no_camera(capfd: pytest.CaptureFixture[str]) -> None:
    assert failure(DeviceSource("/dev/null", "drive-1")).code == "bad_stream"
    assert capfd.readouterr() == ("", "")  # OpenCV, which would say so too, is silent


def test_a_camera_that_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may use any device, so the answer of the system is staged.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert failure(DeviceSource("/dev/null", "drive-1")).code == "unauthorized"


@pytest.mark.usefixtures("plugged_in")
def test_a_camera_that_is_pulled_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = DeviceSource(NODE, "drive-1")
    frames = source.frames()
    next(frames)
    monkeypatch.setattr(source, "_path", tmp_path / "gone")
    with pytest.raises(SourceError, match="unplugged") as caught:
        list(frames)
    assert caught.value.code == "end_of_stream"


def test_a_pipeline_where_opencv_has_no_gstreamer(capfd: pytest.CaptureFixture[str]) -> None:
    error = failure(DeviceSource("videotestsrc ! fakesink", "drive-1"))
    if cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        assert error.code == "bad_pipeline"
    else:
        assert error.code == "unsupported_codec"
        assert "built without GStreamer" in error.message
    capfd.readouterr()


@pytest.mark.usefixtures("talkative")
def test_a_pipeline_that_does_not_start(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda _: True)
    error = failure(DeviceSource("nosuchsrc ! appsink", "drive-1"))
    assert error.code == "bad_pipeline"
    assert "gst-launch-1.0" in REMEDIES[error.code]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("device", ["", "video0", "/etc/passwd", "/dev/../etc/passwd", "-1", -1])
def test_what_is_no_device(device: int | str) -> None:
    with pytest.raises(ValueError, match="device"):
        DeviceSource(device, "drive-1")
