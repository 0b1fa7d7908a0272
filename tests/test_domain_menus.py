from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc import ConfigError, Menu, MenuItem
from orderacc.domain.menus import fold_name


def test_items_are_found_by_name_id_and_alias_whatever_the_case_and_accents():
    menu = Menu((MenuItem("Crème Brûlée", "D-7", aliases=("Burnt cream",), group="dessert"), MenuItem("Cola")))
    for name in ("Crème Brûlée", "creme  BRULEE", "d 7", "burnt-cream"):
        assert menu.find(name) is menu.items[0]
    assert menu.find("Pie") is None
    assert menu.group_of("burnt cream") == "dessert"
    assert menu.group_of("Cola") is None
    assert menu.group_of("Pie") is None
    assert menu.names == ("Crème Brûlée", "Cola")


def test_a_name_beats_an_id_and_an_id_beats_an_alias():
    menu = Menu(
        (MenuItem("One", "two", aliases=("three",)), MenuItem("Two", "three"), MenuItem("Five", "5", aliases=("6",)))
    )
    assert menu.find("two") is menu.items[1]
    assert menu.find("three") is menu.items[1]
    assert menu.find("6") is menu.items[2]


def test_an_alias_of_two_items_names_neither():
    menu = Menu((MenuItem("Cola", aliases=("drink",)), MenuItem("Tea", aliases=("Drink",))))
    assert menu.find("drink") is None


@pytest.mark.parametrize("items", [(MenuItem("A"), MenuItem("á")), (MenuItem(" "),)])
def test_items_that_cannot_be_told_apart_are_refused(items):
    with pytest.raises(ValueError, match="menu item"):
        Menu(items)


def test_a_group_the_detector_has_no_label_for_covers_nothing_but_still_joins_look_alikes():
    fries = [MenuItem(f"{size} Fries", group="fries") for size in ("Small", "Large")]
    menu = Menu((MenuItem("Burger", group="burger"), *fries, MenuItem("Toy")))
    assert menu.covered_by({"burger", "fries"}) == menu
    seen = menu.covered_by({"burger"})
    assert [seen.group_of(name) for name in menu.names] == ["burger", None, None, None]
    assert seen.look_alike("Small Fries", "Large Fries")
    assert not seen.look_alike("Small Fries", "Toy")


def test_menus_are_equal_by_their_items_and_serve_as_keys():
    assert {Menu((MenuItem("A"),)): 1}[Menu((MenuItem("A"),))] == 1
    assert Menu((MenuItem("A"),)) != Menu((MenuItem("B"),))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("inventory.json", '{"items": [{"id": 7, "name": "Cola", "category": null, "aliases": ["Coke"], "price": 2}]}'),
        ("menu.yaml", "items:\n  - {id: 7, name: Cola, aliases: [Coke]}\n"),
        ("menu.yml", "- {id: '7', name: Cola, aliases: [Coke]}"),
    ],
)
def test_menus_are_read_from_json_and_yaml(tmp_path, file, text):
    (tmp_path / file).write_text(text)
    assert Menu.load(tmp_path / file).items == (MenuItem("Cola", "7", "", ("Coke",), None),)


def test_a_list_of_names_is_a_menu(tmp_path):
    (tmp_path / "names.json").write_text('["Big Mac", "Small Fries"]')
    assert Menu.load(str(tmp_path / "names.json")).names == ("Big Mac", "Small Fries")


def test_groups_come_from_the_file(tmp_path):
    (tmp_path / "menu.yaml").write_text("items: [{name: Large Fries, group: fries}]")
    assert Menu.load(tmp_path / "menu.yaml").group_of("large fries") == "fries"


def findings(path):
    with pytest.raises(ConfigError) as caught:
        Menu.load(path)
    return [str(found).removeprefix(str(path)) for found in caught.value.findings]


def test_every_mistake_is_told_with_its_line(tmp_path):
    path = tmp_path / "inventory.json"
    path.write_text(
        '{"items": [\n  {"id": "1"},\n  {"name": "Cola", "aliases": "Coke"},\n  7,\n  {"name": "Tea", "id": []},\n'
        '  {"name": "Tea"},\n  {"name": "TEA"},\n  {"name": "Pie", "aliases": [1], "category": 2}\n]}'
    )
    assert findings(path) == [
        ":2:3 items[0].name: every menu item needs a name, as text",
        ":3:20 items[1].aliases: should be a list of names",
        ":4:3 items[2]: should be a name or a table with a name",
        ":5:19 items[3].id: should be text or a number",
        ":7:4 items[5].name: 'TEA' is on the menu already, in line 6",
        ":8:35 items[6].category: should be text",
        ":8:31 items[6].aliases[0]: an alias should be text",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "should be a list of menu items"),
        (b"{}", "should be a list of menu items"),
        (b'{"items": []}', ":1:2 items: should be a list of menu items"),
        (b'{"items": [', ":1:12: not JSON: Expecting value"),
        (b'{"items": [1],\n "items": [2]}', ":2:2 items: this key is written twice"),
        (b'{"items": ["\xff"]}', ":1:13: not UTF-8 text"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_menu(tmp_path, content, message):
    path = tmp_path / "inventory.json"
    path.write_bytes(content)
    if content:
        assert any(message in found for found in findings(path))
    else:
        assert findings(path) == [":1:1: not JSON: Expecting value"]


def test_a_missing_file(tmp_path):
    assert findings(tmp_path / "none.json") == [": cannot be read: No such file or directory"]


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    (tmp_path / "menu.json").write_bytes('\ufeff["Tea"]'.encode())
    assert Menu.load(tmp_path / "menu.json").names == ("Tea",)


@given(st.text(max_size=40))
def test_folding_twice_folds_no_further(name):
    assert fold_name(fold_name(name)) == fold_name(name)


@settings(deadline=None, max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_a_menu_or_a_finding(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("menus") / "menu.json"
    path.write_text(json.dumps(value, indent=1))
    try:
        assert Menu.load(path).names
    except ConfigError as error:
        if not error.findings or not all(found.line for found in error.findings):
            pytest.fail(f"without a place: {error}")
