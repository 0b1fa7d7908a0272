"""What streams are made of: numbered things, what is given up under load, and pictures looked at before decoding."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderacc.api.streaming.degrading import LADDERS, Degradation
from orderacc.api.streaming.looking import Lookout, check_picture, from_base64
from orderacc.api.streaming.messages import StreamError
from orderacc.api.streaming.tracks import PATIENCE, Tracks
from orderacc.config import load_config
from orderacc.domain.detections import Box, Detection
from orderacc.errors import ConfigError
from orderacc.picture_header import PictureHeader, picture_header
from staged_detector import StagedDetector, as_base64, jpeg

# Tracks.


def thing(x: float, y: float, label: str = "burger", side: float = 40) -> Detection:
    return Detection(label, 0.9, Box(x, y, x + side, y + side))


def test_things_that_cross_keep_their_numbers() -> None:
    tracks = Tracks()
    for step in range(60):
        at = step / 10
        there, back = tracks.number([thing(5 * step, 100), thing(300 - 5 * step, 128)], at)
        assert (there, back) == (1, 2)


def test_a_thing_that_is_hidden_for_a_moment_is_itself_and_later_another() -> None:
    tracks = Tracks()
    for step in range(10):
        assert tracks.number([thing(10 * step, 0)], step / 10) == [1]
    assert tracks.number([], 1.0) == []
    assert tracks.number([thing(120, 0)], 1.2) == [1]
    tracks.number([], 1.3 + PATIENCE)
    assert tracks.number([thing(130, 0)], 1.4 + PATIENCE) == [2]


def test_a_slow_stream_and_other_classes() -> None:
    tracks = Tracks()
    assert tracks.number([thing(0, 0), thing(0, 0, "cola")], 0.0) == [1, 2]
    assert tracks.number([thing(2, 0, "cola"), thing(2, 0), thing(200, 0)], 1.0) == [2, 1, 3]


boxes = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 500), st.integers(0, 200), st.sampled_from(["burger", "cola"])),
    max_size=20,
)


@given(st.lists(st.tuples(st.floats(-5, 50), boxes), max_size=15))
def test_whatever_is_seen_numbers_are_given_once_each_and_forgotten(frames: list) -> None:
    tracks = Tracks()
    for at, seen in frames:
        numbers = tracks.number([thing(x, y, label, side) for x, y, side, label in seen], at)
        assert len(numbers) == len(seen)
        assert len(set(numbers)) == len(numbers)
        assert all(number > 0 for number in numbers)
    tracks.number([], 1000.0)
    tracks.number([], 1002.0)
    assert len(tracks) == 0


# Giving up and getting back.


def test_pixels_before_frames_one_at_a_time_and_back() -> None:
    degradation = Degradation("balanced")
    seen = [degradation.quality]
    at = 0.0
    while degradation.level < len(LADDERS["balanced"]) - 1:
        degradation.note(5.0, 0.1, at)
        at += 0.1
        if degradation.quality != seen[-1]:
            seen.append(degradation.quality)
    assert seen == list(LADDERS["balanced"])
    assert 3.5 < at < 5
    for _ in range(100):
        degradation.note(5.0, 0.1, at := at + 0.1)
    assert degradation.quality == LADDERS["balanced"][-1]
    down = at
    while degradation.level:
        degradation.note(0.01, 0.1, at := at + 0.1)
    assert at - down > 15


def test_one_slow_frame_changes_nothing() -> None:
    degradation = Degradation("balanced")
    for step in range(1000):
        degradation.note(5.0 if step % 5 == 0 else 0.01, 0.1, step / 10)
    assert degradation.level == 0


@given(
    st.sampled_from(list(LADDERS)),
    st.lists(st.tuples(st.floats(0, 10), st.floats(0, 3), st.booleans(), st.sampled_from([None, *LADDERS]))),
)
def test_it_never_leaves_its_ladder_nor_jumps(mode: str, notes: list) -> None:
    degradation = Degradation(mode)  # type: ignore[arg-type]
    at = 0.0
    for took, passed, dropped, other in notes:
        before = degradation.level
        degradation.note(took, 0.1, at := at + passed, dropped=dropped)
        assert abs(degradation.level - before) <= 1
        if other is not None:
            degradation.change(other)
            mode = other
        assert degradation.quality in LADDERS[mode]  # type: ignore[index]


# Pictures.


@pytest.mark.parametrize("kind", [".jpg", ".png", ".webp"])
@given(width=st.integers(1, 300), height=st.integers(1, 300))
def test_the_size_in_the_header_is_the_pictures(kind: str, width: int, height: int) -> None:
    header = picture_header(jpeg(width, height, kind=kind))
    assert header == PictureHeader({".jpg": "jpeg"}.get(kind, kind[1:]), width, height)


def test_progressive_lossless_and_large_webp() -> None:
    image = np.zeros((70, 90, 3), np.uint8)
    progressive = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert picture_header(progressive) == PictureHeader("jpeg", 90, 70)
    lossless = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    assert picture_header(lossless) == PictureHeader("webp", 90, 70)
    extended = b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (9999).to_bytes(3, "little") * 2
    assert picture_header(extended) == PictureHeader("webp", 10_000, 10_000)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff\xe0"]),
)
def test_whatever_it_is_looking_at_it_ends(content: bytes, head: bytes) -> None:
    picture_header(head + content)


def test_a_header_that_never_comes_is_not_searched_for_long() -> None:
    for trap in (b"\xff" * 8_000_000, b"\xff\xe0\0\2" * 2_000_000, b"\xff\x01" * 4_000_000):
        began = time.perf_counter()
        assert picture_header(b"\xff\xd8" + trap) is None
        assert time.perf_counter() - began < 0.1


@given(st.binary(max_size=60), st.integers(0, 700), st.integers(1, 700))
def test_damaged_pictures_are_seen_or_refused_and_nothing_else(noise: bytes, at: int, cut: int) -> None:
    lookout = Lookout(StagedDetector())
    whole = jpeg()
    at = min(at, len(whole))
    for content in (whole[:at] + noise + whole[at:], whole[:cut], whole + noise):
        refused = None
        try:
            assert len(lookout.look_now(content, 1).detections) == 1
        except StreamError as error:
            refused = error.code
        assert refused in (None, "INVALID_IMAGE", "IMAGE_TOO_LARGE")
    lookout.close()


@given(st.text(max_size=50))
def test_whatever_text_is_base64_or_refused(text: str) -> None:
    content = refused = None
    try:
        content = from_base64(text)
    except StreamError as error:
        refused = error.code
    assert (content is None) == (refused == "INVALID_IMAGE")
    if content is not None:
        assert as_base64(content).rstrip("=") == text.rpartition(",")[2].rstrip("=")


def test_pictures_are_decoded_smaller_and_boxes_are_of_the_whole() -> None:
    detector = StagedDetector()
    lookout = Lookout(detector)
    for scale, shape in ((1, (721, 1281, 3)), (2, (361, 641, 3)), (4, (181, 321, 3))):
        seen = lookout.look_now(jpeg(1281, 721), scale)
        assert detector.shapes[-1] == shape
        assert (seen.size, seen.scale) == ((1281, 721), scale)
        (one,) = seen.detections
        assert (one.box.x1, one.box.y2) == (pytest.approx(1281 / 4), pytest.approx(721 * 3 / 4))
    assert lookout.look_now(jpeg(100, 80), 4).scale == 1  # nothing would be left of it
    lookout.close()


def test_a_picture_that_was_taken_lying_on_its_side_is_set_up() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    content = jpeg(400, 300)
    turned = content[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + content[2:]
    detector = StagedDetector()
    lookout = Lookout(detector)
    assert lookout.look_now(turned, 1).size == (300, 400)
    assert detector.shapes == [(400, 300, 3)]
    lookout.close()


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (65_535, 1), (5001, 5000), (0, 10)])
def test_sizes_that_are_refused_unseen(width: int, height: int) -> None:
    picture = bytearray(jpeg())
    at = picture.index(b"\xff\xc0")
    picture[at + 5 : at + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    if width * height in range(1, 25_000_001):
        assert check_picture(bytes(picture)).width == width
    else:
        with pytest.raises(StreamError):
            check_picture(bytes(picture))


# Settings.


def test_variables_set_streaming_where_there_is_a_door(tmp_path) -> None:
    station = "stations: [{id: a, source: {type: simulator}}]\n"
    variables = {
        "STREAMING_SESSION_TIMEOUT": "60",
        "STREAMING_MAX_FPS": "20",
        "STREAMING_DEFAULT_FPS": "5",
        "STREAMING_QUEUE_SIZE": "9",
        "STREAMING_ENABLE_TRACKING": "false",
    }
    file = tmp_path / "stations.yaml"
    file.write_text(station)
    assert load_config(file, environment=variables).api is None
    file.write_text(f"{station}api: {{streaming: {{max_sessions: 3}}}}\n")
    api = load_config(file, environment=variables).api
    assert api is not None
    found = api.streaming
    assert (found.session_timeout, found.max_fps, found.default_fps, found.queue_size) == (60.0, 20, 5, 9)
    assert (found.enable_tracking, found.max_sessions) == (False, 3)
    with pytest.raises(ConfigError, match="STREAMING_MAX_FPS"):
        load_config(file, environment={"STREAMING_MAX_FPS": "many"})
