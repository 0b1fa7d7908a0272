"""Which line of a slip is the order number: forms, confusions, and everything that must not be taken for it."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderacc.perception.order_number import (
    LONE_HEIGHT_RATIO,
    REPAIRED_CONFIDENCE,
    find_keyword_number,
    find_order_number,
)

OTHER_LINES = (
    "MCBURGER 042", "BURGER HOUSE 042", "STORE 117", "STORE #117", "TABLE 12", "TABLE #12", "TBL NO. 7", "12:47",
    "12:47 20/11", "20/11/2026", "2026-11-20", "$8.50", "8.50", "TOTAL $46.41", "TEL 555-0134", "TEL. 5550134",
    "CASHIER 4", "REG 3", "1 BIG MAC", "2 FRIES LARGE", "1 NUGGETS 6", "2x COLA", "THANK YOU", "CHECK #88",
)  # fmt: skip
digits = st.text(string.digits, min_size=1, max_size=6)
other_lines = st.lists(st.sampled_from(OTHER_LINES).map(lambda text: (text, 0.95)), max_size=8)


def read(*texts, confidence=0.9):
    return find_order_number([(text, confidence) for text in texts])


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("ORDER #4821", "4821"), ("Order 84", "84"), ("#1384", "1384"), ("No. 1384", "1384"), ("Order No: 384", "384"),
        ("ORDER NO: 384", "384"), ("Order: 84", "84"), ("ORDER: A12", "A12"), ("ORDER A-12", "A12"),
        ("ORDER#4821", "4821"),
        ("ORDER4821", "4821"), ("ORDERNO.384", "384"), ("Order Number 77", "77"), ("YOUR ORDER 0042", "0042"),
        ("ORDER #007", "007"), ("# 1384", "1384"), ("NO 384", "384"), ("N0. 384", "384"), ("N° 384", "384"),
        ("Nº 1384", "1384"), ("№ 77", "77"), ("\uff03\uff11\uff13\uff18\uff14", "1384"),
        ("ORDER #4821.", "4821"), ("ORDER 84 12:47", "84"), ("# 9 4", "94"), ("ORDER # 1 3 8 4", "1384"),
        ("ORDER 84 TABLE 12", "84"), ("ORDER 84 EAT IN", "84"), ("ORDER 84 - TAKE AWAY", "84"),
    ],
)  # fmt: skip
def test_forms(line, number):
    reading = read(line)
    assert reading is not None
    assert reading.text == number
    assert reading.confidence == 0.9


@pytest.mark.parametrize(
    "keyword", ["0RDER", "ORDFR", "OROER", "QRDER", "ORDEP", "0RDEP", "ORD3R", "RDER", "ODER", "ORDR"]
)
def test_a_misread_keyword_is_still_the_keyword(keyword):
    reading = read(f"{keyword} #4821", "TABLE 12")
    assert reading is not None
    assert reading.text == "4821"


@pytest.mark.parametrize(
    "line",
    [
        "ORDER 48 21", "ORDER 4,821", "ORDER 12:47", "ORDER 8.50", "ORDER TOTAL 8.50", "ORDER 2 BURGERS", "ORDER 48B1",
        "ORDER l84", "ORDER H84", "ORDER N0123", "ORDER 5550134", "ORDER 555-0134", "ORDER 20/11/2026", "ORDER 84B",
        "#12 COMBO", "#1384-2", "CROCK 12", "BORDER 12", "OLDER 84", "ORDERS 84", "ORDER", "#", "", "ORDER TAKEN BY 12",
    ],
)  # fmt: skip
def test_never_guesses(line):
    assert read(line, "TABLE 12") is None


@pytest.mark.parametrize("line", OTHER_LINES)
def test_other_numbers_are_not_the_order(line):
    assert read(line) is None
    assert read(line, "THANK YOU") is None


def test_letters_that_can_only_be_digits_are_repaired_with_less_confidence():
    reading = read("ORDER #48O1")
    assert reading is not None
    assert (reading.text, reading.confidence) == ("4801", REPAIRED_CONFIDENCE)


def test_speck_before_the_line_is_dropped():
    assert read("二No. 4865", "TABLE 3").text == "4865"
    assert read(": #4865", "TABLE 3").text == "4865"


def test_number_below_its_keyword():
    assert read("ORDER", "#4821", "TABLE 12").text == "4821"
    assert read("ORDER NO.", "4821", "TABLE 12").text == "4821"
    assert read("ORDER", "1 BURGER", "TABLE 12") is None


def test_unreadable_line_below_the_keyword_does_not_bring_the_next_one_up():
    assert find_order_number([("ORDER", 0.9), ("", 0.0), ("042", 0.9)]) is None


def test_keyword_outweighs_mark_and_mark_outweighs_size():
    assert read("#12", "ORDER 84").text == "84"
    lines = [("#12", 0.9), ("900", 0.9), ("THANK YOU", 0.9)]
    assert find_order_number(lines, [20.0, 60.0, 20.0]).text == "12"


def test_disagreeing_lines_give_none():
    assert read("ORDER #4821", "ORDER #4822") is None
    assert read("#4821", "No. 17") is None


def test_agreeing_lines_give_the_surer_one():
    reading = find_order_number([("ORDER #4821", 0.7), ("Order 4821", 0.95)])
    assert reading is not None
    assert reading.confidence == 0.95


def test_lone_number_must_be_printed_large():
    lines = [("MC 042", 0.9), ("4821", 0.9), ("1 BURGER", 0.9), ("12:47", 0.9)]
    assert find_order_number(lines, [20, 40, 20, 20]).text == "4821"
    assert find_order_number(lines, [20, 20 * LONE_HEIGHT_RATIO - 1, 20, 20]) is None
    assert find_order_number(lines) is None


def test_two_large_lone_numbers_give_none():
    lines = [("482", 0.9), ("17", 0.9), ("1 BURGER", 0.9), ("12:47", 0.9), ("THANKS", 0.9)]
    assert find_order_number(lines, [50, 50, 20, 20, 20]) is None


def test_unsure_lines_are_not_looked_at():
    assert read("ORDER #4821", confidence=0.4) is None


def test_keyword_only_ignores_the_weaker_forms():
    assert find_keyword_number([("#12", 0.9), ("900", 0.9)]) is None
    assert find_keyword_number([("#12", 0.9), ("ORDER 84", 0.9)]).text == "84"


@given(
    digits, st.sampled_from(["ORDER #{}", "Order {}", "order no: {}", "ORDER:{}", "0RDER #{}"]), other_lines, st.data()
)
def test_all_digits_are_kept_whatever_else_is_printed(number, form, others, data):
    position = data.draw(st.integers(0, len(others)))
    lines = [*others[:position], (form.format(number), 0.9), *others[position:]]
    assert find_order_number(lines).text == number


@given(st.text(string.digits, min_size=2, max_size=6), st.sampled_from(["#{}", "No. {}", "No: {}"]), other_lines)
def test_marks_likewise(number, form, others):
    assert find_order_number([*others, (form.format(number), 0.9)]).text == number


@given(other_lines)
def test_a_slip_without_an_order_number_gives_none(others):
    heights = [20.0 + 15 * (index % 2) for index in range(len(others))]
    assert find_order_number(others, heights) is None


@given(st.lists(st.tuples(st.text(max_size=24), st.floats(0, 1)), max_size=6))
def test_any_text_gives_none_or_a_number_that_was_there(lines):
    reading = find_order_number(lines, [10.0] * len(lines))
    if reading is not None:
        assert 1 <= sum(character.isdigit() for character in reading.text) <= 6
        assert 0 <= reading.confidence <= 1
