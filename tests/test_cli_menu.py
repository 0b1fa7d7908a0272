"""`orderacc menu check`: what a menu's names and the models' have against each other."""

from __future__ import annotations

import json

import pytest

from orderacc import Menu, MenuItem
from orderacc.cli import main
from orderacc.simulator.menu import DEMO_ITEMS
from orderacc.simulator.truth import inventory
from orderacc.validation.menu_check import check_coverage, check_names


def check(*argv: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["menu", "check", *argv])
    return caught.value.code


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "menu.yaml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_the_demo_menu_is_right_and_covered_by_the_demo_models(write, capsys):
    path = write(json.dumps(inventory()), "inventory.json")
    assert check(path, "--vlm", "demo-vlm", "--detector", "demo-detector") == 0
    assert capsys.readouterr().out == f"{path}: 14 items, 32 names. Nothing is wrong.\n"


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ((MenuItem("Cola", aliases=("Soda",)), MenuItem("Fanta", aliases=("soda",))), ["alias_shared"] * 2),
        ((MenuItem("Cola", aliases=("FANTA",)), MenuItem("Fanta")), ["alias_taken"]),
        ((MenuItem("Cola", "Fanta"), MenuItem("Fanta")), ["id_taken"]),
        ((MenuItem("Cola", "7"), MenuItem("Fanta", "7")), ["id_taken"]),
        ((MenuItem("Cola", "7"), MenuItem("Fanta", aliases=("7",))), ["alias_taken"]),
        ((MenuItem("Cheeseburger"), MenuItem("Cheese Burger")), ["alike"]),
        ((MenuItem("Fries"), MenuItem("Regular Fries")), ["alike"]),
        ((MenuItem("Whopper"), MenuItem("Whoper")), ["alike"]),
        ((MenuItem("Whopper", threshold=0.99), MenuItem("Whoper", threshold=0.99)), []),
        ((MenuItem("Whopper", threshold=0.99), MenuItem("Whoper")), ["alike"]),
        ((MenuItem("Cola"), MenuItem("Diet Cola"), MenuItem("Large Cola"), MenuItem("Cherry Cola")), []),
        ((MenuItem("Nuggets 6 pc"), MenuItem("Nuggets 10 pc"), MenuItem("Nuggets")), []),
        ((MenuItem("Cola", aliases=("Coke", "coke", "Cola", "Colas")),), []),
        (DEMO_ITEMS, []),
    ],
)
def test_names_that_do_not_lead_to_one_item(items, expected):
    problems = check_names(Menu(items))
    assert [problem.code for problem in problems] == expected
    assert all(problem.item in problem.message or problem.spelling for problem in problems)


def test_synonyms_can_make_two_names_one():
    items = (MenuItem("Large Pop"), MenuItem("Large Soda"))
    assert check_names(Menu(items)) == []
    assert [problem.code for problem in check_names(Menu(items, (("pop", "soda"),)))] == ["alike"]


def test_what_the_matcher_is_said_to_confuse_is_what_the_judge_confuses():
    """An unknown spelling close to two items may be taken for either: the check says so of exactly such items."""
    from orderacc import Item, judge

    for one, other, alike in [
        ("Whopper", "Whoper", True),
        ("Small Fries", "Large Fries", False),
        ("Tea", "Pea", False),
    ]:
        told = bool(check_names(Menu((MenuItem(one), MenuItem(other)))))
        confused = judge([Item(one)], [Item(other)]).status == "accurate"
        assert told == confused == alike


def test_items_that_no_model_covers():
    menu = Menu((MenuItem("Burger", group="burgr"), MenuItem("Pie"), MenuItem("Cola", group="cola")))
    problems = check_coverage(menu, labels=("burger", "cola"), vocabulary=("Burger", "Colas"))
    assert [(problem.item, problem.code) for problem in problems] == [
        ("Burger", "label_unknown"),
        ("Pie", "name_unknown"),
        ("Cola", "name_unknown"),
    ]
    assert "did you mean 'burger'?" in problems[0].message
    assert "did you mean 'Colas'?" in problems[2].message
    assert check_coverage(menu) == []


def test_a_model_need_not_know_what_a_camera_cannot_find():
    menu = Menu(
        (
            MenuItem("Burger"),
            MenuItem("Napkin", verifiability="ignore"),
            MenuItem("Toy", verifiability="occluded"),
            MenuItem("Meal", contains=("Burger",), container="open"),
            MenuItem("Happy Box", contains=("Burger", "Toy"), container="closed"),
        )
    )
    assert menu.visible_names == ("Burger", "Happy Box")
    assert [problem.item for problem in check_coverage(menu, vocabulary=("Burger",))] == ["Happy Box"]


def test_a_menu_on_which_nothing_can_be_seen_is_refused(write, capsys):
    path = write("items:\n  - {name: Napkin, verifiability: ignore}\n")
    assert check(path) == 1
    assert "nothing that a camera can find" in capsys.readouterr().err


def test_findings_name_the_line_of_the_alias(write, capsys):
    path = write("items:\n  - name: Cola\n    aliases: [Pop,\n      Soda]\n  - {name: Fanta, aliases: [soda]}\n")
    assert check(path) == 1
    err = capsys.readouterr().err.splitlines()
    assert err[0].startswith(f"{path}:4:7 items[0].aliases[1]: 'Soda' is an alias of 'Fanta' too")
    assert err[1].startswith(f"{path}:5:29 items[1].aliases[0]: 'soda' is an alias of 'Cola' too")
    assert err[2] == "orderacc: bad_menu: 2 errors"


def test_aliases_made_by_sizes_are_told_at_their_entry(write, capsys):
    path = write("items:\n  - {name: Fries, sizes: [small, large]}\n  - {name: Wedges, aliases: [Fries Large]}\n")
    assert check(path, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert [(found["code"], found["item"], found["line"], found["path"]) for found in report["findings"]] == [
        ("alias_shared", "Large Fries", 2, "items[0]"),
        ("alias_shared", "Wedges", 3, "items[1].aliases[0]"),
    ]


def test_json_of_a_menu_that_is_right(write, capsys):
    path = write("[Tea, Coffee]")
    assert check(path, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"file": path, "items": 2, "findings": [], "uncovered": []}


def test_items_without_a_class_are_named(write, capsys):
    path = write(
        "items: [Pie, {name: Napkin, verifiability: ignore}, {name: Cola, group: cola}, {name: Meal, contains: [Cola]}]"
    )
    assert check(path, "--detector", "demo-detector") == 0
    assert "No class of the detector covers Pie: there the model's word alone counts." in capsys.readouterr().out
    assert check(path, "--detector", "demo-detector", "--json") == 0
    assert json.loads(capsys.readouterr().out)["uncovered"] == ["Pie"]


def test_items_without_a_class_are_named_beside_what_is_wrong(write, capsys):
    path = write("items: [Pie, {name: Cola, group: no-such-class}]")
    assert check(path, "--detector", "demo-detector") == 1
    told = capsys.readouterr()
    assert "No class of the detector covers Pie" in told.out
    assert "no-such-class" in told.err


STATIONS = "schema: 1\nstations: [{id: a, source: {type: simulator}}]\n"


def test_a_configuration_brings_menu_models_and_threshold(write, capsys):
    write("items: [{name: Burger, group: burger}, {name: Burgher, group: bun}]")
    path = write(STATIONS + "menu: {file: menu.yaml}\nvalidation: {threshold: 1.0}\n", "stations.yaml")
    assert check("--stations", path) == 1
    err = capsys.readouterr().err
    assert "the detector has no class 'bun'" in err
    assert "the model cannot say 'Burgher'; did you mean 'Burger'?" in err
    assert "likeness" not in err
    assert check("--stations", path, "--threshold", "0.8") == 1
    assert "likeness" in capsys.readouterr().err


def test_a_configuration_without_a_menu(write, capsys):
    path = write(STATIONS, "stations.yaml")
    assert check("--stations", path) == 1
    assert "orderacc: no_menu:" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["menu.yaml", "--stations", "stations.yaml"], ["m.yaml", "--threshold", "2"]])
def test_wrong_usage(argv, capsys):
    assert check(*argv) == 2
    assert "Error" in capsys.readouterr().err


def test_a_model_that_is_not_there(write, capsys):
    assert check(write("[Tea]"), "--vlm", "demo-vlm2") == 1
    assert "did you mean demo-vlm?" in capsys.readouterr().err


def test_a_menu_that_cannot_be_read(tmp_path, capsys):
    assert check(str(tmp_path / "none.yaml")) == 1
    assert "cannot be read" in capsys.readouterr().err
