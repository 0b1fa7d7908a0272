"""The detector with real OpenVINO networks: small ones built here, whose output is known, and the shipped one."""

from __future__ import annotations

import asyncio
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc.domain.detections import Box
from orderacc.errors import ModelError
from orderacc.perception.decode import decode
from orderacc.perception.detector import Detector
from orderacc.perception.letterbox import Letterbox, shrink

LABELS = ["burger", "fries", "slip"]
INPUT = (64, 32)


def layout(*cells):
    """YOLO11 output float32 [7, N] from (centre x, centre y, width, height, class, score)."""
    output = np.zeros((4 + len(LABELS), len(cells)), np.float32)
    for column, (x, y, w, h, kind, score) in enumerate(cells):
        output[:4, column] = x, y, w, h
        output[4 + kind, column] = score
    return output


def write_network(folder, output, *, name="detector.xml"):
    """A network that always answers `output`, but for its last cell: there the box is the picture's mean colour."""
    import openvino
    from openvino import opset13 as ops

    picture = ops.parameter([1, 3, INPUT[1], INPUT[0]], np.float32, name="images")
    mean = ops.reduce_mean(picture, ops.constant(np.array([2, 3])), keep_dims=False)
    colour = ops.reshape(mean, ops.constant(np.array([1, 3, 1])), special_zero=False)
    rest = output.shape[0] - 3
    last = ops.concat([colour, ops.constant(np.zeros((1, rest, 1), np.float32))], 1)
    answer = ops.concat([ops.constant(output[None]), last], 2)
    openvino.save_model(openvino.Model([answer], [picture], "tiny"), folder / name, compress_to_fp16=False)


def write_manifest(folder, **changes):
    manifest = {"schema": 1, "id": "tiny", "version": "3", "kind": "detector", "labels": LABELS} | changes
    (folder / "orderacc.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    cells = layout((16, 16, 16, 8, 0, 0.9), (17, 16, 16, 8, 0, 0.8), (17, 16, 16, 8, 1, 0.7), (48, 16, 8, 8, 2, 0.2))
    write_network(tmp_path, cells)
    write_manifest(tmp_path)
    return tmp_path


def picture(width=128, height=64, colour=(0, 0, 0)):
    return np.full((height, width, 3), colour, np.uint8)


def test_boxes_come_back_in_frame_pixels_strongest_first_and_suppressed_within_a_class(folder):
    seen = Detector.load(folder).detect_now(picture())
    assert [(one.label, round(one.score, 3)) for one in seen] == [("burger", 0.9), ("fries", 0.7)]
    assert seen[0].box == Box(16, 24, 48, 40)


def test_thresholds_are_arguments(folder):
    seen = Detector.load(folder, min_score=0.1, max_overlap=0.95).detect_now(picture())
    assert [one.label for one in seen] == ["burger", "burger", "fries", "slip"]


def test_other_aspects_are_letterboxed(folder):
    seen = Detector.load(folder).detect_now(picture(64, 64))
    # 64x64 fills the middle 32x32 of the 64x32 input: half scale, 16 pixels to the right
    assert seen[0].box == Box(0, 24, 16, 40)


def test_colours_reach_the_network_as_rgb_from_0_to_1(folder):
    pool = Detector.load(folder)._pool
    colours = pool.infer(picture(*INPUT, colour=(255, 127.5, 51))[None], lambda output: output[0, :3, -1].copy())
    assert colours == pytest.approx([0.2, 127 / 255, 1.0], abs=1e-4)


def test_labels_of_a_yolo_export_come_from_its_metadata(tmp_path):
    write_network(tmp_path, layout((16, 16, 16, 8, 1, 0.9)), name="yolo11n.xml")
    (tmp_path / "metadata.yaml").write_text("task: detect\nnames:\n  0: cup\n  1: fork\n  2: slip\n", encoding="utf-8")
    detector = Detector.load(tmp_path)
    assert detector.labels == ("cup", "fork", "slip")
    assert [one.label for one in detector.detect_now(picture())] == ["fork"]
    assert detector.model_id == tmp_path.name


def test_id_and_size_are_told(folder):
    detector = Detector.load(folder)
    assert (detector.model_id, detector.input_size, detector.labels) == ("tiny@3", INPUT, tuple(LABELS))


@pytest.mark.anyio
async def test_detecting_many_at_once_leaves_the_loop_free(folder):
    detector = Detector.load(folder, threads=2)
    frames = [picture(128 + 16 * index, 72) for index in range(12)]
    together = await asyncio.gather(*(detector.detect(frame) for frame in frames))
    assert together == [detector.detect_now(frame) for frame in frames]


@pytest.mark.parametrize("missing", ["folder", "network", "weights"])
def test_what_is_missing_is_named(folder, missing):
    target = folder / "nowhere" if missing == "folder" else folder
    if missing == "network":
        (folder / "detector.xml").unlink()
    if missing == "weights":
        (folder / "detector.bin").unlink()
    with pytest.raises(ModelError) as caught:
        Detector.load(target)
    assert caught.value.code == "model_missing"
    assert str(target) in caught.value.message


def broken(folder, how):
    match how:
        case "no labels":
            (folder / "orderacc.json").unlink()
        case "not json":
            (folder / "orderacc.json").write_text("{", encoding="utf-8")
        case "other kind":
            write_manifest(folder, kind="vlm")
        case "label count":
            write_manifest(folder, labels=["burger"])
        case "two networks":
            (folder / "detector.xml").rename(folder / "a.xml")
            (folder / "detector.bin").rename(folder / "a.bin")
            write_network(folder, layout(), name="b.xml")
        case "not xml":
            (folder / "detector.xml").write_text("<net", encoding="utf-8")


@pytest.mark.parametrize("how", ["no labels", "not json", "other kind", "label count", "two networks", "not xml"])
def test_what_does_not_fit_is_refused_when_loading(folder, how):
    broken(folder, how)
    with pytest.raises(ModelError) as caught:
        Detector.load(folder)
    assert caught.value.code == "model_broken"


def test_a_detector_that_finds_no_slips_is_refused_with_what_is_needed(tmp_path):
    write_network(tmp_path, layout((16, 16, 16, 8, 1, 0.9)))
    (tmp_path / "metadata.yaml").write_text("names: {0: receipt, 1: person, 2: handbag}\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"needs 'slip', should have 'hand' and 'bag'.* receipt, person, handbag$"):
        Detector.load(tmp_path)


def test_an_absent_device_is_refused_with_those_there_are(folder):
    with pytest.raises(ModelError, match="CPU") as caught:
        Detector.load(folder, device="GPU.7")
    assert caught.value.code == "device_missing"


sizes = st.tuples(st.integers(16, 2000), st.integers(16, 2000))


@given(sizes, st.sampled_from([(448, 256), (640, 640), (320, 480)]))
def test_a_frame_of_any_size_is_placed_inside_and_mapped_back(frame, network):
    placed = Letterbox.fit(frame, network)
    assert placed.inner_size[0] == network[0] or placed.inner_size[1] == network[1]
    left, top = placed.offset
    inside = np.array([[left, top, left + placed.inner_size[0], top + placed.inner_size[1]]], np.float32)
    assert placed.to_frame(inside)[0] == pytest.approx([0, 0, *frame], rel=1e-4, abs=0.01)
    assert placed.to_frame(np.array([[-9, -9, 9999, 9999]], np.float32))[0] == pytest.approx([0, 0, *frame], rel=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(20, 1400), st.integers(20, 800))
def test_shrinking_keeps_the_mean(width, height):
    noise = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    small = shrink(noise, (max(1, width // 3), max(1, height // 3)))
    assert small.shape == (max(1, height // 3), max(1, width // 3), 3)
    assert small.mean() == pytest.approx(noise.mean(), abs=8)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 64), st.floats(0, 32), st.floats(1, 40), st.floats(1, 30), st.integers(0, 2), st.floats(0, 1)
        ),
        max_size=12,
    )
)
def test_decoding_keeps_the_strongest_and_lets_no_two_of_a_class_overlap(cells):
    boxes, scores, classes = decode(layout(*cells), min_score=0.3, max_overlap=0.5, max_count=5)
    assert len(boxes) <= 5
    assert list(scores) == sorted(scores, reverse=True)
    assert all(scores >= 0.3)
    kept = [Box(*map(float, box)) for box in boxes]
    for i, one in enumerate(kept):
        assert all(one.iou(other) <= 0.51 for j, other in enumerate(kept) if i < j and classes[i] == classes[j])
    strongest = max((cell[5] for cell in cells), default=0)
    assert not len(boxes) or scores[0] == pytest.approx(strongest)


def test_the_shipped_detector_finds_what_the_simulator_shows():
    from orderacc.simulator.samples import sample

    detector = Detector.load(Path(str(files("orderacc") / "models" / "demo-detector")))
    wanted = found = wrong = 0
    for seed in range(910_500_000, 910_500_012):
        truth = sample(seed)
        seen = list(detector.detect_now(truth.image))
        clear = [thing for thing in truth.objects if thing.visible >= 0.6]
        wanted += len(clear)
        for thing in clear:
            match = [one for one in seen if one.label == thing.label and one.box.iou(thing.box) >= 0.5]
            found += bool(match)
        everything = [thing for thing in truth.objects if thing.visible > 0]
        wrong += sum(
            not any(one.label == thing.label and one.box.iou(thing.box) > 0.3 for thing in everything) for one in seen
        )
    assert found >= 0.92 * wanted
    assert wrong <= 0.08 * wanted
