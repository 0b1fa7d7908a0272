"""Network cameras: what comes out of real streams, and what is said of those that fail."""

from __future__ import annotations

import threading
import time
import traceback
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest

import ports
from orderacc.capture import REMEDIES, StreamSource
from orderacc.capture import decoder as decoder_module
from orderacc.errors import SourceError
from rtsp_server import Clip, RtspServer, encode_clip
from video_files import SIZE, number_of, write_video

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orderacc.domain.frames import Frame

    StartCamera = Callable[..., RtspServer]

LARGER = (640, 360)
PASSWORD = "cr%40b-7391"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return encode_clip(tmp_path_factory.mktemp("clips") / "small")


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return encode_clip(tmp_path_factory.mktemp("clips") / "larger", size=LARGER)


def take(source: StreamSource, count: int) -> list[Frame]:
    """Frames until there are enough or the source ends."""
    frames = []
    for frame in source.frames():
        frames.append(frame)
        if len(frames) == count:
            source.close()
    return frames


def failure(source: StreamSource, then: Callable[[], None] = lambda: None) -> tuple[SourceError, int, float]:
    """How a source fails.

    Args:
        source: The source.
        then: Called at the sixth frame.

    Returns:
        The error, the number of frames before it, and the seconds it took since then, or since the beginning.
    """
    frames, started = 0, time.monotonic()

    def watch() -> None:
        nonlocal frames, started
        for frame in source.frames():
            frames = frame.index + 1
            if frames == 6:
                then()
                started = time.monotonic()

    with pytest.raises(SourceError) as caught:
        watch()
    took = time.monotonic() - started
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None
    assert caught.value.code in REMEDIES
    return caught.value, frames, took


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """The log's events."""
    return [record.msg for record in caplog.records if record.name.startswith("orderacc.")]


def test_frames_come_in_order_with_their_times(rtsp_camera: StartCamera, clip: Clip) -> None:
    camera = rtsp_camera({"front": clip})
    source = StreamSource(camera.url("front"), "drive-1", 10)
    began = time.time()
    frames = take(source, 15)
    numbers = [number_of(frame.image) for frame in frames]
    assert [(after - before) % 32 for before, after in pairwise(numbers)] == [1] * 14
    assert [frame.index for frame in frames] == list(range(15))
    assert [frame.at for frame in frames] == pytest.approx([index / 10 for index in range(15)], abs=0.02)
    assert {frame.image.shape for frame in frames} == {(SIZE[1], SIZE[0], 3)}
    assert all(after.pts - before.pts == 9000 for before, after in pairwise(frames[1:]))
    assert all(began <= frame.wall <= time.time() for frame in frames)
    assert source.station_id == "drive-1"


def test_what_is_known_of_a_stream(rtsp_camera: StartCamera, clip: Clip, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    camera = rtsp_camera({"front": clip})
    source = StreamSource(camera.url("front"), "drive-1", hwaccel="none")
    assert source.info is None
    take(source, 15)
    info = source.info
    assert (info.codec, (info.width, info.height), info.fps) == ("h264", SIZE, 10)
    assert (info.hwaccel, info.transport, info.keyframe_interval_s) == ("none", "tcp", 0.5)
    assert 0 < info.opened_s <= info.first_frame_s < 5
    stats = source.stats()
    assert (stats.decoded, stats.kept, stats.damaged, stats.resolution_changes) == (15, 15, 0, 0)
    assert 0 < stats.decode_s < 1
    (event,) = told(caplog)
    assert (event["event"], event["hwaccel"], event["fallback"]) == ("stream_opened", "none", None)


def test_a_lower_rate_takes_every_other_frame(rtsp_camera: StartCamera, clip: Clip) -> None:
    source = StreamSource(rtsp_camera({"front": clip}).url("front"), "drive-1", 5)
    frames = take(source, 6)
    numbers = [number_of(frame.image) for frame in frames]
    assert [(after - before) % 32 for before, after in pairwise(numbers)] == [2] * 5
    assert source.stats().dropped >= 5


def test_h265(rtsp_camera: StartCamera, tmp_path: Path) -> None:
    camera = rtsp_camera({"front": encode_clip(tmp_path / "clip", codec="libx265")}, codec="h265")
    source = StreamSource(camera.url("front"), "drive-1")
    numbers = [number_of(frame.image) for frame in take(source, 8)]
    assert [(after - before) % 32 for before, after in pairwise(numbers)] == [1] * 7
    assert source.info.codec == "hevc"


def test_udp(rtsp_camera: StartCamera, clip: Clip) -> None:
    source = StreamSource(rtsp_camera({"front": clip}).url("front"), "drive-1", transport="udp")
    assert len(take(source, 8)) == 8
    assert source.info.transport == "udp"


def test_the_size_changes_on_the_way(rtsp_camera: StartCamera, clip: Clip, larger: Clip) -> None:
    camera = rtsp_camera({"front": [clip, larger]})
    source = StreamSource(camera.url("front"), "drive-1")
    shapes, times = [], []
    for frame in source.frames():
        shapes.append(frame.image.shape[:2])
        times.append(frame.at)
        if len(shapes) == 5:
            camera.switch("front")
        if shapes[-1] == LARGER[::-1]:
            source.close()
    assert set(shapes[:-1]) == {SIZE[::-1]}
    assert shapes[-1] == LARGER[::-1]
    assert times == pytest.approx([index / 10 for index in range(len(times))], abs=0.05)
    assert (source.info.width, source.info.height) == LARGER
    assert source.stats().resolution_changes == 1


@contextmanager
def refusing(name: str) -> Iterator[str]:
    """Addresses at which there is no camera."""
    with {
        "closed port": lambda: ports.answering(ports.hang_up),
        "silence": ports.silent,
        "garbage": lambda: ports.answering(ports.garbage),
        "a web page": lambda: ports.answering(ports.web_page),
        "hanging up": lambda: ports.answering(ports.hang_up),
        "black hole": ports.black_hole,
        "no such name": lambda: ports.answering(ports.hang_up),
        "fault of its own": lambda: ports.answering(ports.saying("500 Internal Server Error")),
        "too many viewers": lambda: ports.answering(ports.saying("453 Not Enough Bandwidth")),
        "forbidden": lambda: ports.answering(ports.saying("403 Forbidden")),
    }[name]() as port:
        if name != "closed port":
            yield f"viewer:{PASSWORD}@{'camera.invalid' if name == 'no such name' else '127.0.0.1'}:{port}/front"
    if name == "closed port":
        yield f"viewer:{PASSWORD}@127.0.0.1:{port}/front"


@pytest.mark.parametrize(
    ("name", "rtsp", "http"),
    [
        ("closed port", "refused", "refused"),
        ("silence", "timeout", "timeout"),
        ("garbage", "bad_stream", "bad_stream"),
        ("a web page", "bad_stream", "refused"),
        ("hanging up", "bad_stream", "bad_stream"),
        ("black hole", "unreachable", "unreachable"),
        ("no such name", "unreachable", "unreachable"),
        ("fault of its own", "refused", "refused"),
        ("too many viewers", "refused", "refused"),
        ("forbidden", "unauthorized", "unauthorized"),
    ],
)
def test_where_there_is_no_camera(name: str, rtsp: str, http: str) -> None:
    waits = name in {"silence", "black hole"}
    for scheme, code in (("rtsp", rtsp), ("http", http)):
        with refusing(name) as address:
            source = StreamSource(f"{scheme}://{address}", "drive-1", timeout=1 if waits else 10)
            error, frames, took = failure(source)
        assert (error.code, frames) == (code, 0)
        assert took < 5 or not waits
        assert error.message.startswith(f"{scheme}://")
        assert "viewer" not in error.message


def test_a_camera_that_asks_for_a_password(rtsp_camera: StartCamera, clip: Clip) -> None:
    camera = rtsp_camera({"front": clip}, auth=("viewer", PASSWORD))
    assert failure(StreamSource(camera.url("front", credentials=False), "drive-1"))[0].code == "unauthorized"
    wrong = camera.url("front").replace("7391", "7392")
    assert failure(StreamSource(wrong, "drive-1"))[0].code == "unauthorized"


def test_a_password_with_an_at_sign(rtsp_camera: StartCamera, clip: Clip) -> None:
    camera = rtsp_camera({"front": clip}, auth=("viewer", "p@ss/word"))
    url = camera.url("front").replace("p@ss/word", "p%40ss%2Fword")
    assert len(take(StreamSource(url, "drive-1"), 2)) == 2


def test_a_camera_without_this_stream(rtsp_camera: StartCamera, clip: Clip) -> None:
    error, *_ = failure(StreamSource(rtsp_camera({"front": clip}).url("back"), "drive-1"))
    assert error.code == "not_found"


def test_a_camera_that_sends_nothing_from_the_start(rtsp_camera: StartCamera, clip: Clip) -> None:
    camera = rtsp_camera({"front": clip})
    camera.stall()
    error, _, took = failure(StreamSource(camera.url("front"), "drive-1", timeout=1))
    assert error.code == "timeout"
    assert took < 4


@pytest.mark.parametrize(("fault", "code"), [("stall", "stalled"), ("pause", "stalled"), ("kill", "end_of_stream")])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_that_fails_on_the_way(
    rtsp_camera: StartCamera, clip: Clip, fault: str, code: str, transport: str
) -> None:
    camera = rtsp_camera({"front": clip})
    source = StreamSource(camera.url("front"), "drive-1", timeout=1, transport=transport)
    error, frames, took = failure(source, getattr(camera, fault))
    assert error.code == code
    assert frames >= 6
    assert took < 3
    if fault == "pause":
        camera.resume()


def test_a_stream_that_ends_gives_all_it_had(rtsp_camera: StartCamera, clip: Clip) -> None:
    source = StreamSource(rtsp_camera({"front": clip}, once=True).url("front"), "drive-1")
    error, frames, _ = failure(source)
    assert error.code == "end_of_stream"
    assert frames == 32


@pytest.mark.parametrize("scheme", ["rtsps", "RTSPS"])
def test_an_encrypted_camera(rtsp_camera: StartCamera, clip: Clip, tmp_path: Path, scheme: str) -> None:
    camera = rtsp_camera({"front": clip}, auth=("viewer", "sesame"))
    with ports.encrypted(camera.port, tmp_path) as port:
        url = camera.url("front").replace("rtsp:", f"{scheme}:").replace(f":{camera.port}/", f":{port}/")
        source = StreamSource(url, "drive-1")
        numbers = [number_of(frame.image) for frame in take(source, 3)]
    assert [(after - before) % 32 for before, after in pairwise(numbers)] == [1, 1]
    assert source.info.transport == "tcp"


def test_capitals_in_the_scheme(rtsp_camera: StartCamera, clip: Clip) -> None:
    url = rtsp_camera({"front": clip}).url("front").replace("rtsp:", "RTSP:")
    assert len(take(StreamSource(url, "drive-1"), 2)) == 2


@pytest.mark.parametrize(("gop", "patience"), [(320, 1), (32, 60)])
def test_a_camera_with_few_keyframes_is_waited_for_as_long_as_told(
    rtsp_camera: StartCamera, tmp_path: Path, gop: int, patience: int
) -> None:
    camera = rtsp_camera({"front": encode_clip(tmp_path / "clip", gop=gop, frames=320)})
    with closing(StreamSource(camera.url("front"), "first").frames()) as first:
        next(first)
        next(first)
        source = StreamSource(camera.url("front"), "drive-1", first_frame_timeout=patience)
        if patience == 60:
            assert len(take(source, 2)) == 2
        else:
            error, frames, took = failure(source)
            assert (error.code, frames) == ("no_keyframe", 0)
            assert took < 10


def test_closing_ends_it_and_hangs_up(rtsp_camera: StartCamera, clip: Clip) -> None:
    camera = rtsp_camera({"front": clip})
    source = StreamSource(camera.url("front"), "drive-1")
    begun, ended = threading.Event(), threading.Event()

    def watch() -> None:
        for _ in source.frames():
            begun.set()
        ended.set()

    thread = threading.Thread(target=watch)
    thread.start()
    assert begun.wait(10)
    assert camera.clients() == 1
    source.close()
    assert ended.wait(5)
    thread.join()
    deadline = time.monotonic() + 5
    while camera.clients():
        assert time.monotonic() < deadline


def test_closing_a_stalled_stream_ends_it_within_the_timeout(rtsp_camera: StartCamera, clip: Clip) -> None:
    camera = rtsp_camera({"front": clip})
    source = StreamSource(camera.url("front"), "drive-1", timeout=1)
    frames = source.frames()
    for _ in range(3):
        next(frames)
    camera.stall()
    started = time.monotonic()
    threading.Timer(0.2, source.close).start()
    assert len(list(frames)) < 5
    assert time.monotonic() - started < 2.5


def test_closed_before_it_began_it_opens_nothing() -> None:
    with ports.silent() as port:
        source = StreamSource(f"rtsp://127.0.0.1:{port}/front", "drive-1")
        source.close()
        assert list(source.frames()) == []


def mpegts(tmp_path: Path, times_ms: list[int], codec: str = "libx264") -> bytes:
    return write_video(tmp_path / "a.ts", times_ms=times_ms, codec=codec, noise=True).read_bytes()


def over_http(pages: dict[str, bytes | str], path: str = "/a.ts", fps: float | None = None) -> list[Frame]:
    """Frames of a page, which must end as streams do."""
    frames = []
    with ports.serving(pages) as port:
        source = StreamSource(f"http://127.0.0.1:{port}{path}", "drive-1", fps, timeout=2)
        with pytest.raises(SourceError) as caught:
            frames.extend(source.frames())
    assert caught.value.code == "end_of_stream"
    assert source.info.transport == "http"
    return frames


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_http(tmp_path: Path, codec: str) -> None:
    frames = over_http({"/a.ts": mpegts(tmp_path, list(range(0, 2000, 100)), codec)})
    assert [number_of(frame.image) for frame in frames] == list(range(len(frames)))
    assert len(frames) == 20
    assert [frame.at for frame in frames] == pytest.approx([index / 10 for index in range(len(frames))], abs=0.01)


def test_where_a_redirect_leads(tmp_path: Path) -> None:
    video = mpegts(tmp_path, list(range(0, 1000, 100)))
    assert len(over_http({"/a.ts": "/b.ts", "/b.ts": video})) == 10


@pytest.mark.parametrize(
    "times",
    [
        pytest.param([*range(0, 1000, 100), *range(3_600_000, 3_601_000, 100)], id="an hour ahead"),
        pytest.param([95_443_000 + step for step in range(0, 2000, 100)], id="33 bits wrap around"),
    ],
)
def test_times_that_jump_do_not_show(tmp_path: Path, times: list[int]) -> None:
    frames = over_http({"/a.ts": mpegts(tmp_path, times)})
    assert len(frames) == 20
    assert all(0 < after.at - before.at < 0.5 for before, after in pairwise(frames))


def test_without_any_times(tmp_path: Path) -> None:
    with av.open(str(write_video(tmp_path / "a.ts", noise=True))) as container:
        video = b"".join(bytes(packet) for packet in container.demux(video=0))
    frames = over_http({"/a.h264": video}, "/a.h264")
    assert len(frames) == 30
    assert all(after.at > before.at for before, after in pairwise(frames))


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_an_encrypted_page(tmp_path: Path, scheme: str) -> None:
    video = mpegts(tmp_path, list(range(0, 1000, 100)))
    with ports.serving({"/a.ts": video}) as inner, ports.encrypted(inner, tmp_path) as port:
        assert len(take(StreamSource(f"{scheme}://127.0.0.1:{port}/a.ts", "drive-1"), 5)) == 5


def slow_pictures(connection: socket.socket) -> None:
    """A camera's motion JPEG, 10 pictures a second and nothing said of it."""
    connection.recv(4096)
    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n")
    picture = cv2.imencode(".jpg", np.zeros((SIZE[1], SIZE[0], 3), np.uint8))[1].tobytes()
    for _ in range(25):
        head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
        connection.sendall(head.encode() + picture + b"\r\n")
        time.sleep(0.1)


def test_motion_jpeg_takes_the_time_it_takes() -> None:
    with ports.answering(slow_pictures) as port:
        source = StreamSource(f"http://127.0.0.1:{port}/", "drive-1", 10)
        # What came while FFmpeg looked at the stream comes at once.
        frames = take(source, 16)[5:]
    assert source.info.fps is None
    assert frames[-1].at - frames[0].at == pytest.approx(frames[-1].wall - frames[0].wall, abs=0.1)
    assert frames[-1].at - frames[0].at > 0.9


@pytest.mark.parametrize(
    "secret", ["file://{path}", "{path}", "concat:{path}|{path}", "subfile,,start,0,end,0,,:{path}"]
)
@pytest.mark.parametrize("way", ["redirect", "list.m3u8", "key.m3u8"])
def test_no_stream_reaches_the_files_of_this_machine(tmp_path: Path, secret: str, way: str) -> None:
    video = write_video(tmp_path / "private.ts", noise=True)
    target = secret.format(path=video)
    pages: dict[str, bytes | str] = {
        "/redirect": target,
        "/list.m3u8": playlist(target),
        "/key.m3u8": playlist("a.ts", f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"'),
        "/a.ts": video.read_bytes(),
    }
    with ports.serving(pages) as port:
        error, frames, _ = failure(StreamSource(f"http://127.0.0.1:{port}/{way}", "drive-1"))
    assert error.code in {"bad_stream", "end_of_stream", "not_found", "refused"}
    assert frames == 0


def playlist(name: str, *lines: str) -> bytes:
    return "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:1", *lines, "#EXTINF:1,", name, "#EXT-X-ENDLIST", ""]).encode()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.m3u8", "a.jpg"])
def test_a_file_or_a_playlist_is_no_camera_and_told_so(tmp_path: Path, name: str) -> None:
    pages: dict[str, bytes | str] = {
        "/a.m3u8": playlist("a.ts"),
        "/a.jpg": cv2.imencode(".jpg", np.zeros((SIZE[1], SIZE[0], 3), np.uint8))[1].tobytes(),
        "/a.ts": mpegts(tmp_path, list(range(0, 1000, 100))),
    }
    if name.endswith(("mp4", "mkv")):
        pages[f"/{name}"] = write_video(tmp_path / name).read_bytes()
    with ports.serving(pages) as port:
        error, frames, _ = failure(StreamSource(f"http://127.0.0.1:{port}/{name}", "drive-1"))
    assert (error.code, frames) == ("bad_stream", 0)
    assert "a file, a picture or a playlist over HTTP is no camera" in error.message


def test_hardware_that_is_not_there_is_replaced_and_told(
    rtsp_camera: StartCamera, clip: Clip, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(decoder_module, "hardware_decoder", lambda *_: None)
    source = StreamSource(rtsp_camera({"front": clip}).url("front"), "drive-1", hwaccel="vaapi")
    assert len(take(source, 3)) == 3
    assert source.info.hwaccel == "none"
    assert [(event["hwaccel"], event["fallback"]) for event in told(caplog)] == [("none", "no vaapi for h264 here")]


def test_hardware_that_cannot_decode_it_is_replaced(
    rtsp_camera: StartCamera, clip: Clip, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    # A decoder for something else stands in for hardware whose driver accepts the stream and then fails on it.
    monkeypatch.setattr(decoder_module, "hardware_decoder", lambda *_: av.CodecContext.create("hevc", "r"))
    source = StreamSource(rtsp_camera({"front": clip}).url("front"), "drive-1")
    assert len(take(source, 3)) == 3
    assert source.info.hwaccel == "none"
    (event,) = told(caplog)
    assert event["fallback"].startswith("qsv ")


def test_hardware_that_decodes_it_is_used_and_told(
    rtsp_camera: StartCamera, clip: Clip, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(decoder_module, "hardware_decoder", lambda *_: av.CodecContext.create("h264", "r"))
    source = StreamSource(rtsp_camera({"front": clip}).url("front"), "drive-1", hwaccel="vaapi")
    numbers = [number_of(frame.image) for frame in take(source, 5)]
    assert [(after - before) % 32 for before, after in pairwise(numbers)] == [1] * 4
    assert source.info.hwaccel == "vaapi"
    assert [(event["hwaccel"], event["fallback"]) for event in told(caplog)] == [("vaapi", None)]


@pytest.mark.parametrize("kind", ["qsv", "vaapi"])
def test_hardware_never_becomes_software_without_telling(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def accelerate(*names: str, **settings: object) -> None:
        asked.append((names, settings))
        raise ValueError("not here")

    monkeypatch.setattr(decoder_module, "hwdevices_available", lambda: [kind])
    monkeypatch.setattr(decoder_module, "HWAccel", accelerate)
    assert decoder_module.hardware_decoder(av.CodecContext.create("h264", "r"), kind) is None
    assert asked == [((kind,), {"allow_software_fallback": False})]


@pytest.mark.parametrize("kind", ["qsv", "vaapi"])
def test_looking_for_hardware_never_fails(kind: str) -> None:
    found = decoder_module.hardware_decoder(av.CodecContext.create("h264", "r"), kind)
    assert found is None or found.is_hwaccel


@pytest.mark.parametrize(
    "url", ["", "front", "file:///etc/passwd", "/dev/video0", "rtsp://", "rtsp://host:no", "ftp://h/a"]
)
def test_what_is_no_streams_address(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        StreamSource(url, "drive-1")


def test_what_can_not_be_asked_for() -> None:
    with pytest.raises(ValueError, match="timeout"):
        StreamSource("rtsp://camera/1", "drive-1", timeout=0)
    with pytest.raises(ValueError, match="frames a second"):
        StreamSource("rtsp://camera/1", "drive-1", fps=0)
