"""`orderacc judge`: one order by hand, with its reasons."""

from __future__ import annotations

import io
import json

import pytest

from orderacc.cli import main


@pytest.fixture
def orders(tmp_path):
    path = tmp_path / "orders.json"
    lines = [{"name": "Burger", "quantity": 2}, {"name": "Large Fries"}, {"name": "Chicken Wrap"}]
    path.write_text(json.dumps({"384": lines, "0385": [{"name": "Soup"}]}), encoding="utf-8")
    return path


def judged(orders, *argv):
    with pytest.raises(SystemExit) as caught:
        main(["judge", "--expected", str(orders), *map(str, argv)])
    return caught.value.code or 0


def test_an_accurate_order(orders, capsys):
    assert judged(orders, "--order", 384, "--seen", "2x burger, large fries, chicken wrap") == 0
    assert "ACCURATE  Complete: 4 items." in capsys.readouterr().out


def test_every_line_says_why(orders, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert judged(orders, "--order", "#384", "--seen", "burgers; small fries; chiken wrap; tea") == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "another size (large / small): small fries" in out
    assert "another spelling, 0.95: chiken wrap" in out
    assert "tea 0 1 extra nothing like it 1.00" in out
    assert "INACCURATE Missing: 1 large fries, 1 burger (2 ordered, 1 seen). Extra: 1 small fries, 1 tea." in out


def test_json_is_the_verdict_and_a_models_answer_is_read(orders, capsys, monkeypatch):
    answer = '```json\n{"items":[{"name":"Burger","quantity":2},{"name":"Large Fries"},{"name":"Chicken Wrap"}]}\n```'
    monkeypatch.setattr("sys.stdin", io.StringIO(answer.strip("`").removeprefix("json")))
    assert judged(orders, "--order", 384, "--seen", "-", "--json") == 0
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["schema"], verdict["status"], verdict["order_id"]) == (1, "accurate", "384")
    assert [finding["rule"] for finding in verdict["findings"]] == ["same_name"] * 3


def test_the_menu_says_what_cannot_be_seen(orders, tmp_path, capsys):
    menu = tmp_path / "menu.yaml"
    menu.write_text("items:\n- Burger\n- Large Fries\n- {name: Chicken Wrap, verifiability: occluded}\n")
    assert judged(orders, "--order", 384, "--seen", "2 burger, large fries", "--menu", menu) == 0
    out = capsys.readouterr().out
    assert "Complete: 3 items. Not visible: 1 chicken wrap." in out
    assert "cannot be seen" in out


def in_full(order_id, **more):
    line = {"line_id": "1", "name": "Burger", "quantity": 1}
    return {"source": "till", "order_id": order_id, "display_id": "42", "items": [line]} | more


def test_one_of_several_orders_of_a_number_is_asked_for_by_its_id(tmp_path, capsys):
    path = tmp_path / "orders.json"
    path.write_text(json.dumps([in_full("a1"), in_full("a2")]))
    assert judged(path, "--order", "42", "--seen", "burger") == 2
    assert "say which by its id: a1, a2" in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert judged(path, "--order", "a2", "--seen", "burger") == 0


def test_a_cancelled_order_is_not_judged(tmp_path, capsys):
    path = tmp_path / "orders.json"
    path.write_text(json.dumps([in_full("a1", state="cancelled")]))
    assert judged(path, "--order", "42", "--seen", "burger") == 1
    assert "UNDETERMINED  Not judged: this order was cancelled." in capsys.readouterr().out


def test_a_closed_box_is_looked_for_in_place_of_what_is_in_it(tmp_path):
    path, menu = tmp_path / "orders.json", tmp_path / "menu.yaml"
    lines = [{"line_id": "1", "name": "Kids Box", "quantity": 1}]
    lines.append({"line_id": "2", "name": "Burger", "quantity": 1, "parent_line_id": "1"})
    path.write_text(json.dumps([in_full("a1", items=lines)]))
    menu.write_text("items:\n- Burger\n- {name: Kids Box, contains: [Burger], container: closed}\n")
    assert judged(path, "--order", "42", "--seen", "kids box", "--menu", menu) == 0


@pytest.mark.parametrize("seen", ['{"items": [{"name": "Big \\ud83c Pie"}]}', "big \ud83c pie"])
def test_half_of_a_character_is_no_failure(orders, capsys, seen):
    assert judged(orders, "--order", 384, "--seen", seen, "--json") == 1
    (extra,) = json.loads(capsys.readouterr().out)["extra"]
    assert extra["name"].casefold() == "big \ufffd pie"


def test_nothing_seen(orders, capsys):
    assert judged(orders, "--order", "0385", "--seen", "") == 1
    assert "Missing: 1 soup." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--order", "999", "--seen", "burger"), "no order '999'; it has 384, 0385"),
        (("--order", "384", "--seen", "burger, 42"), "'42' is no item"),
        (("--order", "384", "--seen", '{"error": "busy"}'), "is JSON without items"),
        (("--order", "384", "--seen", "burger", "--strategy", "fuzzy"), "'fuzzy' is not one of"),
        (("--order", "384", "--seen", "burger", "--threshold", "2"), "--threshold"),
    ],
)
def test_wrong_usage(orders, capsys, argv, message):
    assert judged(orders, *argv) == 2
    captured = capsys.readouterr()
    assert message in " ".join(captured.err.split())
    assert captured.out == ""


def test_a_bad_orders_file_is_named_with_its_line(tmp_path, capsys):
    path = tmp_path / "orders.json"
    path.write_text('{"384":\n [{"name": "Burger", "quantity": 0}]}')
    assert judged(path, "--order", 384, "--seen", "burger") == 1
    assert f"{path}:2:22 384[0].quantity" in capsys.readouterr().err
