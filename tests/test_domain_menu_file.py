"""What a menu file can say beyond names: sizes, synonyms, look-alikes, contents; and every mistake in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderacc import ConfigError, Item, Menu, MenuItem
from orderacc.domain.menus import DEEPEST, MOST_WITHIN

FULL = """\
items:
  - {name: Burger, id: b1, category: mains, aliases: [Hamburger], group: burger, look_alikes: [Wrap]}
  - Wrap
  - {name: Fries, sizes: {small: f1, large: f2}, aliases: [Pommes], group: fries}
  - {name: Kids Box, contains: [Burger, small fries, Napkin], container: closed}
  - {name: Burger Meal, contains: [Burger, Large Fries]}
  - {name: Napkin, verifiability: ignore}
  - {name: Cola, threshold: 0.9}
synonyms: {fries: [chips, french fries], cola: coke}
"""


@pytest.fixture
def menu(tmp_path):
    (tmp_path / "menu.yaml").write_text(FULL)
    return Menu.load(tmp_path / "menu.yaml")


def test_an_item_in_sizes_is_an_item_a_size(menu):
    assert [name for name in menu.names if "Fries" in name] == ["Small Fries", "Large Fries"]
    large = menu.find("fries LARGE")
    assert (large.item_id, large.size, large.group) == ("f2", "large", "fries")
    assert menu.find("f1").name == "Small Fries"
    assert menu.find("large pommes") is menu.find("Pommes Large") is large
    assert menu.find("Fries") is None
    assert menu.look_alike("Small Fries", "Large Fries")


def test_the_fields_of_an_item(menu):
    assert menu.find("Napkin").verifiability == "ignore"
    assert menu.find("Cola").threshold == 0.9
    assert menu.find("Wrap") == MenuItem("Wrap")
    assert menu.find("Burger Meal").container == "open"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("chips large", "Large Fries"),
        ("small FRENCH Fries", "Small Fries"),
        ("Coke", "Cola"),
        ("cokes", None),
        ("Coke Zero", None),
        ("Chipsy large", None),
    ],
)
def test_synonyms_stand_for_the_menus_own_words(menu, name, found):
    item = menu.find(name)
    assert (item and item.name) == found


def test_a_synonym_never_takes_a_name_that_is_on_the_menu():
    items = (MenuItem("Pop", aliases=("Soda Pop",)), MenuItem("Soda"), MenuItem("Diet Soda"), MenuItem("Diet Pop"))
    menu = Menu(items, (("soda", "pop"),))
    for item in items:
        assert menu.find(item.name) is item
    assert menu.find("soda pop") is items[0]
    assert Menu((MenuItem("Big Soda"), MenuItem("Big Pop")), (("drink", "soda", "pop"),)).find("Big Drink") is None


WORDS = st.sampled_from(["soda", "pop", "cola", "large", "small", "tea", "ice"])
NAMES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)


@given(
    st.lists(st.tuples(NAMES, st.lists(NAMES, max_size=2)), min_size=1, max_size=6, unique_by=lambda entry: entry[0]),
    st.lists(WORDS, min_size=2, max_size=4, unique=True),
    NAMES,
)
def test_adding_synonyms_never_changes_what_was_found(entries, group, name):
    items = tuple(MenuItem(name, aliases=tuple(aliases)) for name, aliases in entries)
    plain, rich = Menu(items), Menu(items, (tuple(group),))
    found = plain.find(name)
    if found is not None:
        assert rich.find(name) is found


def test_look_alikes_hold_both_ways_and_need_the_menu(menu):
    assert menu.look_alike("burger", "Wrap")
    assert menu.look_alike("Wrap", "Hamburger")
    assert not menu.look_alike("Wrap", "Cola")
    assert not menu.look_alike("Wrap", "Pie")


def test_an_open_combo_is_its_contents_and_a_closed_one_is_itself(menu):
    order = [Item("Burger Meal", 2), Item("Kids Box"), Item("Pie")]
    assert menu.unpacked(order) == (Item("Burger", 2), Item("Large Fries", 2), Item("Kids Box"), Item("Pie"))
    assert menu.encloses("Kids Box", "hamburger")
    assert not menu.encloses("Kids Box", "Cola")
    assert not menu.encloses("Burger Meal", "Burger")
    assert not menu.encloses("Pie", "Burger")


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ((MenuItem("A", contains=("A",)),), "'A' contains itself"),
        ((MenuItem("A", contains=("B",)), MenuItem("B", contains=("C",)), MenuItem("C", contains=("B",))), "itself"),
        (tuple(MenuItem(f"I{n}", contains=(f"I{n + 1}",)) for n in range(DEEPEST + 2)), "deep"),
        ((MenuItem("A", contains=("B",) * (MOST_WITHIN + 1)), MenuItem("B")), "more than 100 things"),
        (tuple(MenuItem(f"I{n}", contains=(f"I{n + 1}",) * 50) for n in range(DEEPEST - 1)), "more than 100 things"),
    ],
)
def test_contents_without_an_end_are_refused(items, message):
    with pytest.raises(ValueError, match=message):
        Menu(items)


@pytest.mark.parametrize("synonyms", [(("a", "b"), ("B", "c")), (("a", "A"),), (("a", " "),)])
def test_a_word_has_one_meaning(synonyms):
    with pytest.raises(ValueError, match="synonym"):
        Menu((MenuItem("X"),), synonyms)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_share(threshold):
    with pytest.raises(ValueError, match="threshold of 'Tea'"):
        MenuItem("Tea", threshold=threshold)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{name: Tea, verifiability: hidden}", "items[0].verifiability: should be visible, occluded or ignore"),
        ("{name: Tea, container: box}", "items[0].container: should be open or closed"),
        ("{name: Tea, threshold: 85}", "items[0].threshold: should be a number from 0 to 1"),
        ("{name: Tea, threshold: true}", "items[0].threshold: should be a number from 0 to 1"),
        ("{name: Tea, look_alikes: Cola}", "items[0].look_alikes: should be a list of names"),
        ("{name: Tea, contains: [1]}", "items[0].contains[0]: a name should be text"),
        ("{name: Tea, look_alikes: [Cofee]}", "look_alikes[0]: no item of this menu is called 'Cofee'; did you mean"),
        ("{name: Tea, contains: [Pizza]}", "items[0].contains[0]: no item of this menu is called 'Pizza'"),
        ("{name: Tea, contains: [Coffee, Tea]}", "items[0].contains: menu item 'Tea' contains itself"),
        ("{name: Tea, sizes: large}", "items[0].sizes: should be sizes, [small, large], or"),
        ("{name: Tea, sizes: []}", "items[0].sizes: should be sizes"),
        ("{name: Tea, sizes: {small: [1]}}", "items[0].sizes: should be sizes"),
        ("{name: Tea, sizes: [small, small]}", "items[0].sizes: a size is listed twice"),
        ("{name: Tea, sizes: [small], size: small}", "items[0].sizes: an item has a size or comes in sizes"),
        ("{name: Tea, size: 2}", "items[0].size: should be text"),
        ("{name: Tea, alias: [Chai]}", "items[0].alias: is not read; did you mean 'aliases'?"),
        ("{name: Tea, verifiabilty: ignore}", "items[0].verifiabilty: is not read; did you mean 'verifiability'?"),
        ("{name: Iced Coffee}\n  - {name: Coffee, sizes: [iced]}", "'Iced Coffee' is on the menu already, in line 2"),
    ],
)
def test_every_mistake_has_its_place(tmp_path, entry, message):
    path = tmp_path / "menu.yaml"
    path.write_text(f"items:\n  - {entry}\n  - Coffee\n")
    with pytest.raises(ConfigError) as caught:
        Menu.load(path)
    assert any(message in str(found) and found.line > 1 for found in caught.value.findings), caught.value


@pytest.mark.parametrize(
    ("synonyms", "message"),
    [
        ("[a, b]", "synonyms: should be a table"),
        ("{tea: [1]}", "synonyms.tea: should be a list of words"),
        ("{7: [seven]}", "synonyms.7: should be a list of words"),
        ("{tea: [chai], cha: [Chai]}", "synonyms.cha: 'Chai' is among the synonyms already"),
    ],
)
def test_synonyms_that_make_no_sense(tmp_path, synonyms, message):
    path = tmp_path / "menu.yaml"
    path.write_text(f"items: [Tea]\nsynonyms: {synonyms}\n")
    with pytest.raises(ConfigError) as caught:
        Menu.load(path)
    assert [message in str(found) and found.line == 2 for found in caught.value.findings] == [True]


def test_keys_of_the_pos_are_left_alone(tmp_path):
    path = tmp_path / "inventory.json"
    path.write_text(
        '{"version": 3, "items": [{"id": null, "name": "Tea", "names": {}, "category_id": 2, "alias_of": 0}]}'
    )
    assert Menu.load(path).items == (MenuItem("Tea"),)
