"""Recorded video: what comes out of real files, whole and broken."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderacc.capture import VideoFileSource, probe_video
from orderacc.errors import SourceError
from video_files import SIZE, cut, number_of, turn, write_video

if TYPE_CHECKING:
    from pathlib import Path

    from orderacc.domain.frames import Frame


def read(path: Path, fps: float | None = None) -> list[Frame]:
    return list(VideoFileSource(path, "drive-1", fps).frames())


def failure(path: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read(path)
    assert str(path) in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.mp4", "libx265"),
        ("a.avi", "mpeg4"),
        ("a.mp4", "mpeg4"),
        ("a.avi", "mjpeg"),
        ("a.webm", "libvpx"),
    ],
)
def test_every_frame_of_a_file_comes_out_in_order(tmp_path: Path, name: str, codec: str) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    frames = read(write_video(tmp_path / name, codec=codec, pixels=pixels))
    assert [number_of(frame.image) for frame in frames] == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.at for frame in frames] == pytest.approx([i / 30 for i in range(30)], abs=0.0011)
    assert {frame.station_id for frame in frames} == {"drive-1"}
    image = frames[0].image
    assert image.dtype == np.uint8
    assert image.shape == (SIZE[1], SIZE[0], 3)
    assert image.flags.c_contiguous
    blue, _, red = image[20, 20]
    assert red > 200 > 60 > blue


@pytest.mark.parametrize(("fps", "numbers"), [(10, [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]), (7.5, [*range(0, 30, 4)])])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_rate_takes_the_frame_at_each_beat(tmp_path: Path, name: str, fps: float, numbers: list[int]) -> None:
    frames = read(write_video(tmp_path / name), fps)
    assert [number_of(frame.image) for frame in frames] == numbers
    assert [frame.index for frame in frames] == list(range(len(numbers)))


def test_a_rate_above_the_videos_own_delivers_each_frame_once(tmp_path: Path) -> None:
    assert len(read(write_video(tmp_path / "a.mp4", frames=10, fps=10), fps=60)) == 10


def test_rates_that_do_not_divide_do_not_drift(tmp_path: Path) -> None:
    frames = read(write_video(tmp_path / "a.mp4", frames=75, fps=25, size=(64, 64)), fps=10)
    assert len(frames) == 30
    assert all(0 <= frame.at - frame.index / 10 < 1 / 25 for frame in frames)


def test_reading_twice_gives_the_same_pixels_and_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise=True)
    first, second = read(path, 10), read(path, 10)
    assert [frame.at for frame in first] == [frame.at for frame in second]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))


def test_times_of_a_variable_rate_are_the_streams_own(tmp_path: Path) -> None:
    times = [0, 20, 300, 310, 320, 900, 1000, 1400]
    path = write_video(tmp_path / "a.mkv", times_ms=times)
    assert [frame.at for frame in read(path)] == [time / 1000 for time in times]
    assert [frame.at for frame in read(path, fps=10)] == [0, 0.3, 0.9, 1, 1.4]


def test_the_first_frame_is_at_zero_whatever_the_stream_says(tmp_path: Path) -> None:
    frames = read(write_video(tmp_path / "a.mkv", times_ms=[5000, 5040, 5080]))
    assert [frame.at for frame in frames] == [0, 0.04, 0.08]


def test_a_stream_without_times_runs_at_its_nominal_rate(tmp_path: Path) -> None:
    frames = read(write_video(tmp_path / "a.h264", frames=10))
    assert [frame.at for frame in frames] == [i / 30 for i in range(10)]


@pytest.mark.parametrize("size", [(321, 181), (33, 47), (322, 182)])
def test_sizes_that_fit_no_macroblock(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_video(tmp_path / "a.mp4", frames=3, size=size, pixels="yuv444p")
    assert {frame.image.shape for frame in read(path)} == {(size[1], size[0], 3)}


@pytest.mark.parametrize(
    ("turns", "corner"), [(0, "top left"), (1, "bottom left"), (2, "bottom right"), (3, "top right")]
)
def test_a_video_taken_sideways_is_turned_upright(tmp_path: Path, turns: int, corner: str) -> None:
    image = read(turn(write_video(tmp_path / "a.mp4", frames=2), turns))[0].image
    assert image.shape[:2] == ((SIZE[1], SIZE[0]) if turns % 2 == 0 else SIZE)
    rows = slice(0, 40) if corner.startswith("top") else slice(-40, None)
    columns = slice(0, 40) if corner.endswith("left") else slice(-40, None)
    assert image[rows, columns, 2].mean() > 200
    assert image.flags.c_contiguous


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.mkv", "a.avi"])
def test_a_file_cut_short_delivers_what_is_whole(tmp_path: Path, name: str) -> None:
    options = {"movflags": "faststart"} if name.endswith("mp4") else {}
    path = cut(write_video(tmp_path / name, noise=True, container_options=options), 0.6)
    source = VideoFileSource(path, "drive-1")
    numbers = [number_of(frame.image) for frame in source.frames()]
    assert 5 < len(numbers) < 30
    assert numbers == list(range(len(numbers)))
    assert source.stats().kept == len(numbers)


def test_damage_in_the_middle_is_skipped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "a.ts", frames=30, gop=5, noise=True)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle : middle + 188 * 30] = bytes(188 * 30)
    path.write_bytes(data)
    source = VideoFileSource(path, "drive-1")
    frames = list(source.frames())
    assert 10 < len(frames) < 30
    assert number_of(frames[-1].image) == 29
    assert all(a.at < b.at for a, b in pairwise(frames))
    assert source.stats().damaged > 0
    assert "video_damaged" in caplog.text


@pytest.fixture(scope="module")
def short_video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("video") / "a.mkv"
    return write_video(path, frames=12, size=(96, 64), gop=4).read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=40)), min_size=1, max_size=6))
def test_whatever_is_damaged_the_rest_is_in_order_or_the_error_is_ours(
    tmp_path: Path, short_video: bytes, damage: list[tuple[float, bytes]]
) -> None:
    data = bytearray(short_video)
    for share, junk in damage:
        start = int(share * len(data))
        data[start : start + len(junk)] = junk
    path = tmp_path / "damaged.mkv"
    path.write_bytes(data)
    source = VideoFileSource(path, "drive-1")
    frames, code = [], None
    try:
        frames = list(source.frames())
    except SourceError as error:
        code = error.code
    assert (code in {"bad_stream", "unsupported_codec", "end_of_stream"}) == (not frames)
    assert all(a.at < b.at for a, b in pairwise(frames))
    assert source.stats().kept == len(frames)


def test_a_file_whose_index_is_lost_is_a_bad_stream(tmp_path: Path) -> None:
    assert failure(cut(write_video(tmp_path / "a.mp4"), 0.5)).code == "bad_stream"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("zero.mp4", b""),
        ("notes.txt", b"hello, this is no video\n" * 50),
        ("renamed.mp4", b"hello, this is no video\n" * 50),
        ("random.mp4", np.random.default_rng(3).bytes(20_000)),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n/etc/hostname\n#EXT-X-ENDLIST\n"),
        ("list.mp4", b"ffconcat version 1.0\nfile /etc/hostname\n"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert failure(path).code == "bad_stream"


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.rate = 48000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    assert failure(path).code == "bad_stream"


def test_a_codec_nobody_knows(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zz9z"))
    assert failure(path).code == "unsupported_codec"


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
def test_a_video_without_frames_has_ended(tmp_path: Path, name: str) -> None:
    assert failure(write_video(tmp_path / name, frames=0)).code == "end_of_stream"


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert failure(tmp_path / "none.mp4").code == "not_found"
    assert failure(tmp_path).code == "not_found"


def test_a_name_that_looks_like_a_protocol_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", frames=3).rename(tmp_path / "concat:b|c.mp4")
    assert len(list(VideoFileSource("concat:b|c.mp4", "drive-1").frames())) == 3


def test_stats_add_up(tmp_path: Path) -> None:
    source = VideoFileSource(write_video(tmp_path / "a.mp4"), "drive-1", fps=10)
    assert sum(1 for _ in source.frames()) == 10
    stats = source.stats()
    assert (stats.decoded, stats.kept, stats.dropped, stats.damaged) == (30, 10, 20, 0)


def test_closing_ends_the_frames(tmp_path: Path) -> None:
    source = VideoFileSource(write_video(tmp_path / "a.mp4"), "drive-1")
    frames = source.frames()
    next(frames)
    source.close()
    assert len(list(frames)) <= 3
    assert source.stats().decoded < 10


def test_closing_before_the_first_frame_is_no_error(tmp_path: Path) -> None:
    source = VideoFileSource(write_video(tmp_path / "a.mp4"), "drive-1")
    source.close()
    assert list(source.frames()) == []


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_a_rate_must_be_a_rate(tmp_path: Path, fps: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        VideoFileSource(tmp_path / "a.mp4", "drive-1", fps)


def test_probe(tmp_path: Path) -> None:
    info = probe_video(write_video(tmp_path / "a.mp4", frames=45))
    assert (info.width, info.height, info.fps, info.duration, info.codec) == (320, 180, 30, 1.5, "h264")
    with pytest.raises(SourceError):
        probe_video(tmp_path / "none.mp4")


def test_what_is_known_of_a_video_while_it_is_read(tmp_path: Path) -> None:
    source = VideoFileSource(write_video(tmp_path / "a.mp4", gop=15), "drive-1", fps=10)
    assert source.info is None
    assert len(list(source.frames())) == 10
    info = source.info
    assert (info.codec, info.width, info.height, info.fps) == ("h264", *SIZE, 30)
    assert (info.hwaccel, info.transport, info.keyframe_interval_s) == ("none", "file", 0.5)
    assert 0 < info.opened_s <= info.first_frame_s < 5
