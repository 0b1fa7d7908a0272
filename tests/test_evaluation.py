"""`orderacc eval` and what it counts with."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc import ConfigError, Item, Menu, MenuItem, Verdict, judge
from orderacc.cli import main
from orderacc.domain.verdicts import SeenItem
from orderacc.evaluation import Tally, TrueOrder, calibrate, evaluate, read_truth, read_verdicts
from orderacc.evaluation.chart import draw
from orderacc.evaluation.tally import tally
from orderacc.simulator.choreography import build_timeline
from orderacc.simulator.random_script import random_script
from orderacc.simulator.scoring import score
from orderacc.simulator.truth import VisibilityLog, truth_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def order(number="7", expected=(("Burger", 1),), items=None, span=None, **more):
    lines = [Item(*line) for line in expected]
    there = lines if items is None else [Item(*line) for line in items]
    opened, closed = span or (None, None)
    return TrueOrder(number, more.get("slip", number), tuple(lines), tuple(there), opened, closed)


def at(seconds):
    return (EPOCH + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def said(expected, seen, *, number="7", span=(0, 10), **more):
    verdict = judge([Item(*line) for line in expected], [SeenItem(*line) for line in seen]).to_dict()
    times = {"opened_at": at(span[0]), "closed_at": at(span[1])}
    return {**verdict, "slip_text": number, "station_id": "a", "verdict_id": f"a/{span[0]}", **times, **more}


def undetermined(**more):
    return {
        **said([("Burger", 1)], [("Burger", 1)], **more),
        **Verdict("undetermined", reason="no_order").to_dict(),
    } | {key: value for key, value in more.items() if key != "span"}


def test_a_verdict_that_is_right():
    result = evaluate([order()], [said([("Burger", 1)], [("Burger", 1, 0.9)])], epoch=EPOCH)
    assert (result.right, result.abstained, result.stray, result.wrong) == (1, 0, 0, ())
    assert result.confusion["accurate"]["accurate"] == 1
    assert result.items == {"Burger": Tally(1)}
    assert result.all_kinds == Tally()
    assert result.verdict_calibration.error == pytest.approx(0.1)


def test_items_and_discrepancies_are_counted_in_units():
    true = order(expected=[("Burger", 2), ("Cola", 3), ("Pie", 1)], items=[("Burger", 2), ("Cola", 1), ("Taco", 2)])
    verdict = said([("Burger", 2), ("Cola", 3), ("Pie", 1)], [("Burger", 2), ("Cola", 2), ("Taco", 1)])
    result = evaluate([true], [verdict], epoch=EPOCH)
    assert dict(result.items) == {"Burger": Tally(2), "Cola": Tally(1, 1, 0), "Taco": Tally(1, 0, 1)}
    assert result.kinds["missing"] == Tally(1)
    assert result.kinds["extra"] == Tally(1, 0, 1)
    assert result.kinds["quantity_mismatch"] == Tally(0, 1, 1)  # the number is part of what is said
    assert result.right == 0
    assert result.confusion["inaccurate"]["inaccurate"] == 1
    assert "7: inaccurate" in result.wrong[0]


def test_the_worst_is_a_wrong_order_let_go():
    orders = [order("1", items=[("Cola", 1)]), order("2"), order("3"), order("4")]
    verdicts = [
        said([("Burger", 1)], [("Burger", 1)], number="1"),
        said([("Burger", 1)], [("Cola", 1)], number="2", span=(1, 2)),
        said([("Burger", 1)], [("Burger", 1, 0.3)], number="3", span=(2, 3)),
        undetermined(number="4", slip_text="4", span=(3, 4)),
    ]
    result = evaluate(orders, verdicts, epoch=EPOCH)
    assert (result.let_go, result.false_alarms, result.abstained, result.right) == (1, 1, 2, 0)
    assert result.abstain_rate == 0.5
    assert result.items["Burger"] == Tally(1, 1, 1)  # the undetermined order's burger is nobody's miss
    assert result.kinds["missing"] == Tally(0, 1, 1)
    assert result.verdict_calibration.count == 2


def test_an_undetermined_verdicts_discrepancies_are_missed():
    result = evaluate([order(items=[("Cola", 1)])], [undetermined(slip_text="7")], epoch=EPOCH)
    assert result.kinds["missing"] == result.kinds["extra"] == Tally(0, 0, 1)
    assert result.items == {}
    assert result.line_calibration.error is None


def test_no_verdict_and_several_are_never_right():
    verdict = said([("Burger", 1)], [("Burger", 1)], span=(5, 9))
    result = evaluate([order(span=(4, 10)), order("8", span=(20, 30))], [verdict, verdict], epoch=EPOCH)
    assert result.right == 0
    assert result.confusion["accurate"]["several"] == result.confusion["accurate"]["none"] == 1
    assert [line.split(":")[0] for line in result.wrong] == ["7 at 4 s", "8 at 20 s"]


def test_by_time_the_number_does_not_matter():
    orders = [order("7", span=(0, 10)), order("7", items=[("Cola", 1)], span=(20, 30))]
    verdicts = [
        said([("Burger", 1)], [("Cola", 1)], span=(19, 31), number=None),
        said([("Burger", 1)], [("Burger", 1)], span=(1, 9), number="1"),
        said([("Burger", 1)], [("Burger", 1)], span=(12, 14), number="7"),
    ]
    result = evaluate(orders, verdicts, epoch=EPOCH)
    assert (result.right, result.stray) == (2, 1)


def test_without_times_orders_of_one_number_come_in_turn():
    orders = [order("7"), order("7", items=[("Cola", 1)]), order("8", slip=None)]
    verdicts = [
        said([("Burger", 1)], [("Cola", 1)], span=(50, 60)),
        said([("Burger", 1)], [("Burger", 1)], span=(1, 9)),
        said([("Burger", 1)], [("Burger", 1)], span=(61, 70), number=None),
        said([("Burger", 1)], [("Burger", 1)], span=(71, 80), number="99"),
    ]
    result = evaluate(orders, verdicts, epoch=EPOCH)
    assert (result.right, result.stray, result.confusion["accurate"]["none"]) == (2, 2, 1)
    third = evaluate(orders, [*verdicts, said([("Burger", 1)], [("Cola", 1)], span=(90, 99))], epoch=EPOCH)
    assert third.confusion["inaccurate"]["several"] == 1


def test_the_menu_resolves_names_and_leaves_out_what_cannot_be_seen():
    menu = Menu(
        (
            MenuItem("Cola", aliases=("Coke",)),
            MenuItem("Meal", contains=("Cola", "Toy")),
            MenuItem("Toy", verifiability="occluded"),
            MenuItem("Napkin", verifiability="ignore"),
        )
    )
    true = order(expected=[("Meal", 2), ("Napkin", 3)], items=[("COKE", 2), ("Toy", 1)])
    result = evaluate([true], [said([("Coke", 2)], [("coke", 2)])], epoch=EPOCH, menu=menu)
    assert result.right == 1
    assert result.items == {"Cola": Tally(2)}


def test_case_and_accents_never_tell_names_apart():
    true = order(expected=[("Jalapeño Bites", 1)])
    verdict = said([("JALAPENO BITES", 1)], [("jalapeno bites", 1)])
    assert evaluate([true], [verdict], epoch=EPOCH).right == 1


LINES = st.lists(st.tuples(st.sampled_from(["Burger", "Cola", "Pie", "Taco"]), st.integers(1, 3)), max_size=4)


@given(st.lists(st.tuples(LINES, LINES, LINES), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_counts_add_up_and_the_order_of_verdicts_does_not_matter(rounds, random):
    orders, verdicts = [], []
    for index, (expected, there, seen) in enumerate(rounds):
        orders.append(order(str(index), expected, there, span=(10 * index, 10 * index + 9)))
        verdicts.append(said(expected, seen, number=str(index), span=(10 * index, 10 * index + 9)))
    result = evaluate(orders, verdicts, epoch=EPOCH)
    shuffled = random.sample(verdicts, len(verdicts))
    assert evaluate(orders, shuffled, epoch=EPOCH).to_dict() == result.to_dict()
    assert result.all_items.right + result.all_items.missed == sum(n for _, there, _ in rounds for _, n in there)
    assert result.all_items.right + result.all_items.wrong == sum(n for *_, seen in rounds for _, n in seen)
    assert sum(sum(row.values()) for row in result.confusion.values()) == len(rounds)
    assert result.right + len(result.wrong) == len(rounds)
    assert ET.fromstring(draw(result)).tag.endswith("svg")  # noqa: S314  our own text


@given(st.lists(st.tuples(LINES, LINES), min_size=1, max_size=5))
def test_verdicts_that_say_what_there_was_are_all_right(rounds):
    orders = [order(str(n), *round_, span=(10 * n, 10 * n + 9)) for n, round_ in enumerate(rounds)]
    verdicts = [said(expected, there, span=(10 * n, 10 * n + 9)) for n, (expected, there) in enumerate(rounds)]
    result = evaluate(orders, verdicts, epoch=EPOCH)
    assert result.right == len(rounds)
    assert result.all_items.f1 in (1.0, None)
    assert result.all_kinds.f1 in (1.0, None)


def test_a_simulated_hour_is_scored_as_the_simulator_scores_it():
    script = random_script(5, 40, fps=10, wrong_share=0.4)
    truth = json.loads(json.dumps(truth_of(script, build_timeline(script), VisibilityLog(), (1280, 720))))
    orders = [
        TrueOrder(
            each["order_id"],
            each["slip_text"],
            *(tuple(Item(**line) for line in each[key]) for key in ("expected", "items")),
            each["opened_s"],
            each["closed_s"],
        )
        for each in truth["orders"]
    ]
    verdicts = []
    for index, each in enumerate(truth["orders"]):
        seen = [(line["name"], line["quantity"]) for line in each["items"]][index % 3 == 0 :]
        expected = [(line["name"], line["quantity"]) for line in each["expected"]]
        verdicts.append(said(expected, seen, number=each["slip_text"], span=(each["opened_s"], each["closed_s"])))
    result, simple = evaluate(orders, verdicts, epoch=EPOCH), score(truth, verdicts, EPOCH)
    assert (result.orders, result.right, result.stray) == (simple.orders, simple.right, simple.stray)
    assert 0 < result.right < result.orders


@pytest.mark.parametrize(
    ("each", "shares"),
    [
        (Tally(), (None, None, None)),
        (Tally(3, 1, 0), (0.75, 1.0, 6 / 7)),
        (Tally(0, 0, 2), (None, 0.0, 0.0)),
        (Tally(0, 2, 0), (0.0, None, 0.0)),
    ],
)
def test_shares_of_a_tally(each, shares):
    assert (each.precision, each.recall, each.f1) == shares


def test_tallies_are_of_units():
    assert tally(Counter(a=3, b=1), Counter(a=1, c=2)) == Tally(1, 3, 2)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60))
def test_calibration_holds_every_claim_once(claims):
    result = calibrate(claims)
    assert sum(each.count for each in result.bins) == result.count == len(claims)
    for each in result.bins:
        assert each.low <= each.confidence + 1e-9
        assert each.confidence <= each.high + 1e-9
    if claims:
        mean = sum(sure for sure, _ in claims) / len(claims)
        right = sum(right for _, right in claims) / len(claims)
        assert abs(mean - right) - 1e-9 <= result.error <= 1
        assert math.isclose(result.brier, sum((sure - right) ** 2 for sure, right in claims) / len(claims))


# The files and the command


@pytest.fixture
def files(tmp_path):
    truth = {
        "orders": [
            {"order_id": "7", "expected": [{"name": "Burger"}], "items": [{"name": "Burger", "quantity": 1}]},
            {"order_id": "8", "expected": [{"name": "Pie", "quantity": 2}], "items": [{"name": "Pie"}]},
        ]
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    verdicts = [
        said([("Burger", 1)], [("Burger", 1)]),
        said([("Pie", 2)], [("Pie", 2)], number="8", span=(20, 30)),
        said([("Pie", 2)], [("Pie", 1)], number="8", span=(20, 30), revision=2),
    ]
    (tmp_path / "verdicts.ndjson").write_text("\n".join(map(json.dumps, verdicts)) + "\n\n")
    return tmp_path


def run(folder, *argv):
    with pytest.raises(SystemExit) as caught:
        main(["eval", "--truth", str(folder / "truth.json"), "--verdicts", str(folder / "verdicts.ndjson"), *argv])
    return caught.value.code


def test_the_last_revision_counts(files, capsys):
    assert run(files, "--json", "--least", "1") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["orders"], report["right"], report["stray"]) == (2, 2, 0)
    assert report["discrepancies"]["quantity_mismatch"]["f1"] == 1
    assert report["calibration"]["verdicts"]["count"] == 2
    assert set(report["confusion"]["accurate"]) == {
        "accurate",
        "inaccurate",
        "unsure",
        "undetermined",
        "none",
        "several",
    }


def test_the_table(files, capsys):
    assert run(files) == 0
    out = capsys.readouterr().out
    assert out.startswith("2 of 2 orders right (100.0%)\n")
    assert [line.split() for line in out.splitlines() if line.startswith("Pie")] == [
        ["Pie", "1.000", "1.000", "1.000", "1", "0", "0"]
    ]


def test_too_few_right_is_an_exit_code(files, capsys):
    (files / "verdicts.ndjson").write_text(json.dumps(said([("Burger", 1)], [("Burger", 1)])))
    assert run(files, "--least", "0.9") == 1
    captured = capsys.readouterr()
    assert captured.err == "orderacc: too_few_right: 1 of 2 orders are right, a share of 0.5000, not 0.9\n"
    assert "none instead of one verdict; there were 1 Pie" in captured.out


def test_a_picture_of_another_kind_is_not_written(files, capsys):
    assert run(files, "--plot", str(files / "eval.png")) == 2
    assert "--plot" in capsys.readouterr().err
    assert not (files / "eval.png").exists()


def test_the_picture_says_what_the_table_says(files):
    assert run(files, "--plot", str(files / "eval.svg")) == 0
    picture = ET.parse(files / "eval.svg").getroot()  # noqa: S314  our own file
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "2 of 2 orders right, left to a person 0, wrong ones let go 0, false alarms 0" in texts
    assert "1.000: 1 right, 0 wrong, 0 missed" in texts


def test_hostile_names_stay_text_in_the_picture():
    name = '<script>"&' + "x" * 40
    result = evaluate([order(expected=[(name, 1)])], [said([(name, 1)], [(name, 1)])], epoch=EPOCH)
    picture = ET.fromstring(draw(result, title="</title><b>"))  # noqa: S314  our own text
    assert picture.find("{http://www.w3.org/2000/svg}title").text == "</title><b>"
    assert any((element.text or "").startswith("<script>") for element in picture.iter())


def test_stations_are_told_apart(files, capsys):
    both = [said([("Burger", 1)], [("Burger", 1)]), said([("Pie", 2)], [("Pie", 1)], number="8", station_id="b")]
    (files / "verdicts.ndjson").write_text("\n".join(map(json.dumps, both)))
    assert run(files) == 2
    assert "2 stations" in capsys.readouterr().err
    assert run(files, "--station", "c") == 2
    assert "no verdict is of 'c'" in capsys.readouterr().err
    assert run(files, "--station", "b", "--json") == 0
    assert json.loads(capsys.readouterr().out)["right"] == 1


def test_another_epoch(files, capsys):
    truth = json.loads((files / "truth.json").read_text())
    for index, each in enumerate(truth["orders"]):
        each |= {"opened_s": 20 * index, "closed_s": 20 * index + 10}
    (files / "truth.json").write_text(json.dumps(truth))
    assert run(files, "--json", "--epoch", "1970-01-01") == 0
    assert json.loads(capsys.readouterr().out)["right"] == 2
    assert run(files, "--epoch", "2026-11-21T12:00:00Z") == 0
    assert "is --epoch when its video began?" in capsys.readouterr().out
    assert run(files, "--epoch", "noon") == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"orders": []}, "orders: "),
        ({"orders": 3}, "orders: should be a valid list"),
        ({}, "orders: is required"),
        ({"schema": 2, "orders": [{"order_id": "7", "items": [], "expected": []}]}, "schema: should be 1"),
        ({"orders": [{"order_id": "7", "items": []}]}, "orders[0].expected: is required"),
        ({"orders": [{"order_id": 7, "items": [], "expected": []}]}, "orders[0].order_id: should be a valid string"),
        ({"orders": [{"order_id": "7", "items": [{"name": "A", "quantity": 0}], "expected": []}]}, ".quantity: "),
        ({"orders": [{"order_id": "7", "items": [], "expected": [], "opened_s": 1}]}, "should have both opened_s"),
        (
            {"orders": [{"order_id": "7", "items": [], "expected": [], "opened_s": float("nan")}]},
            ".opened_s: should be",
        ),
    ],
)
def test_a_truth_that_is_none(files, capsys, change, message):
    (files / "truth.json").write_text(json.dumps(change))
    assert run(files) == 1
    err = capsys.readouterr().err
    assert message in err
    assert f"{files / 'truth.json'}:1:" in err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", ":2:1: not JSON"),
        ("[" * 100_000, ":2:1: not JSON"),
        ("9" * 5000, ":2:1: not JSON"),
        ("7", ":2:1: should be "),
        ("{}", ":2:1 status: is required"),
        (json.dumps({**said([], []), "status": "fine"}), ":2:1 status: should be 'accurate'"),
        (json.dumps({**said([], []), "opened_at": "noon"}), ":2:1 opened_at: should be a time with its zone"),
        (json.dumps({**said([], []), "seen": [{"name": "A", "quantity": -1}]}), ":2:1 seen[0].quantity: "),
    ],
)
def test_verdicts_that_are_none(tmp_path, line, message):
    path = tmp_path / "verdicts.ndjson"
    path.write_text(json.dumps(said([], [])) + "\n" + line + "\n")
    with pytest.raises(ConfigError) as caught:
        read_verdicts(path)
    assert f"{path}{message}" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_verdicts(tmp_path / "none.ndjson")
    (tmp_path / "verdicts.ndjson").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_verdicts(tmp_path / "verdicts.ndjson")
    (tmp_path / "verdicts.ndjson").write_text("x\n" * 5000)
    with pytest.raises(ConfigError) as caught:
        read_verdicts(tmp_path / "verdicts.ndjson")
    assert len(caught.value.findings) == 20


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["orders", "order_id", "items", "expected", "name", "quantity"]), inner)
        ),
    )
)
def test_any_json_is_a_truth_or_a_finding(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "any-truth.json"
    path.write_text(json.dumps(value))
    try:
        assert read_truth(path)
    except ConfigError as error:
        if not error.findings:
            pytest.fail(f"without a place: {error}")
