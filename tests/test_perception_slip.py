"""Slips read with the real engine: the simulator's, laid by camera, and our own turned every way."""

from __future__ import annotations

from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from orderacc.domain.detections import SLIP, Box
from orderacc.errors import ModelError
from orderacc.perception.easy_ocr import ALPHABET, EasyOcrReader, import_easyocr
from orderacc.perception.paper import SlipView, rectify
from orderacc.perception.rapid_ocr import RapidOcrReader
from orderacc.perception.slip import read_slip
from orderacc.perception.text_lines import find_lines
from orderacc.simulator.random_script import random_script
from orderacc.simulator.samples import sample
from orderacc.simulator.slip import slip_sprite


@pytest.fixture(scope="module")
def reader():
    return RapidOcrReader()


def lay(number, angle, *, seed=3, scale=1.0, middle=(640, 360)):
    """A slip on a dark counter: the frame and the slip's box."""
    sprite = slip_sprite(number, (), seed)
    height, width = sprite.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    matrix[:, 2] += np.array(middle) - (width / 2, height / 2)
    laid = cv2.warpAffine(sprite, matrix, (1280, 720), flags=cv2.INTER_LINEAR)
    frame = np.full((720, 1280, 3), (60, 70, 80), np.uint8)
    through = 1 - laid[..., 3:].astype(np.float32) / 255
    frame = (frame * through + laid[..., :3]).astype(np.uint8)
    x, y, w, h = cv2.boundingRect((laid[..., 3] > 0).astype(np.uint8))
    return frame, Box(x, y, x + w, y + h)


def test_the_simulators_slips_are_read_right(reader):
    rng = np.random.default_rng(0)
    right = wrong = slips = 0
    for seed in range(910_600_000, 910_600_014):
        picture = sample(seed)
        for thing in picture.objects:
            if thing.label == SLIP and thing.visible >= 0.95:
                slips += 1
                corners = np.array([thing.box.x1, thing.box.y1, thing.box.x2, thing.box.y2]) + rng.uniform(-4, 4, 4)
                reading = reader.read(rectify(picture.image, Box(*corners)))
                right += reading is not None and reading.text == random_script(seed, 1).orders[0].order_id
                wrong += reading is not None and reading.text != random_script(seed, 1).orders[0].order_id
    assert slips >= 8
    assert wrong == 0
    assert right >= slips - 1


@pytest.mark.parametrize("angle", [0, 12, -40, 75, 90, 130, 180, -90])
def test_a_slip_is_read_however_it_lies(reader, angle):
    frame, box = lay("6819", angle)
    reading = reader.read(rectify(frame, box))
    assert reading is not None
    assert reading.text == "6819"
    assert reading.confidence > 0.8


def test_an_empty_sheet_and_a_bare_counter_give_none(reader):
    frame = np.full((720, 1280, 3), (60, 70, 80), np.uint8)
    assert reader.read(rectify(frame, Box(500, 200, 700, 500))) is None
    frame[200:500, 500:700] = 240
    assert reader.read(rectify(frame, Box(500, 200, 700, 500))) is None


def test_a_number_something_lies_on_is_not_read(reader):
    frame, box = lay("6819", 0)
    heading = Box(box.x2 - 70, box.y1, box.x2 + 60, box.y1 + 120)
    frame[int(heading.y1) : int(heading.y2), int(heading.x1) : int(heading.x2)] = (40, 90, 160)
    assert reader.read(rectify(frame, box, [heading])) is None
    # what lies beside the slip or on its lower end hides nothing
    frame, box = lay("6819", 0)
    beside = [Box(box.x2 + 20, box.y1, box.x2 + 90, box.y2), Box(box.x1, box.y2 - 30, box.x2, box.y2)]
    assert reader.read(rectify(frame, box, beside)).text == "6819"


@pytest.mark.parametrize("angle", [0, 15])
def test_a_slip_that_reaches_out_of_view_is_read_whole_or_not_at_all(reader, angle):
    readings = []
    for x in range(1140, 1281, 10):
        frame, box = lay("6819", angle, middle=(x, 360))
        reading = reader.read(rectify(frame, box))
        readings.append(reading and reading.text)
    assert readings[0] == "6819"
    assert readings[-1] is None
    assert set(readings) == {"6819", None}


@pytest.mark.parametrize("x", [12, 320])
def test_a_streak_beside_a_line_is_no_part_of_it(x):
    paper = np.full((300, 360, 3), 240, np.uint8)
    for text, y in (("Order 5665", 100), ("2 Small Fries", 140)):
        cv2.putText(paper, text, (60, y), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (40, 40, 40), 3)
    hidden = np.zeros(paper.shape[:2], np.uint8)
    heights = [line.height for line in find_lines(SlipView(paper, hidden))]
    cv2.rectangle(paper, (x, 70), (x + 10, 130), (40, 40, 40), -1)
    assert [line.height for line in find_lines(SlipView(paper, hidden))] == heights


def test_a_box_too_small_or_outside_has_no_view():
    frame = np.zeros((720, 1280, 3), np.uint8)
    assert rectify(frame, Box(100, 100, 104, 104)) is None
    assert rectify(frame, Box(1400, 100, 1500, 300)) is None


def test_lines_come_top_to_bottom_with_their_heights():
    frame, box = lay("6819", 5)
    lines = find_lines(rectify(frame, box))
    heights = [line.height for line in lines]
    assert len(lines) >= 4
    assert np.argmax(heights) <= 2
    assert all(line.image.shape[2] == 3 and line.image.shape[0] > line.height for line in lines)


def test_upright_and_legible_is_read_once_and_no_further_than_needed():
    frame, box = lay("6819", 0)
    view, asked = rectify(frame, box), []

    def recognise(line):
        asked.append(line)
        return "ORDER #6819", 0.95

    assert read_slip(view, recognise).text == "6819"
    assert len(asked) <= 3


def test_the_wrong_way_up_is_never_believed_for_a_number_alone():
    frame, box = lay("1961", 0)
    assert read_slip(rectify(frame, box), lambda _: ("1961", 0.6)) is None


def test_easyocr_says_what_is_missing(tmp_path):
    with pytest.raises(ModelError, match="english_g2") as caught:
        EasyOcrReader(tmp_path)
    assert caught.value.code == "model_missing"


@pytest.mark.skipif(find_spec("easyocr") is None, reason="the easyocr extra is not installed")
def test_easyocr_reads_with_a_network_of_ones_own(tmp_path):
    import_easyocr()
    import torch
    from easyocr.model.vgg_model import Model

    network = Model(input_channel=1, output_channel=32, hidden_size=16, num_class=len(ALPHABET) + 1)
    weights = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save(weights, tmp_path / "tiny.pth")
    (tmp_path / "tiny.py").write_text("from easyocr.model.vgg_model import Model\n", encoding="utf-8")
    parameters = "network_params: {input_channel: 1, output_channel: 32, hidden_size: 16}\n"
    described = f'{parameters}imgH: 64\nlang_list: [en]\ncharacter_list: "{ALPHABET}"\n'
    (tmp_path / "tiny.yaml").write_text(described, encoding="utf-8")
    reader = EasyOcrReader(tmp_path, network="tiny")
    frame, box = lay("6819", 0)
    assert reader.read(rectify(frame, box)) is None
    assert reader.model_id.startswith("easyocr@")
    assert reader.model_id.endswith("/tiny")


def test_the_reader_names_its_engine(reader):
    assert reader.model_id.startswith("rapidocr@")
