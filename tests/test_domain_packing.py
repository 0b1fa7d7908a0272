"""Combos as the till sends them, and as they lie on the counter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderacc import Item, Menu, MenuItem, Order, judge
from orderacc.domain.order_lines import Modifier, OrderLine
from orderacc.domain.packing import packed
from orderacc.domain.verdicts import SeenItem

MENU = Menu(
    (
        MenuItem("Burger"),
        MenuItem("Small Fries", aliases=("Fries",)),
        MenuItem("Cola"),
        MenuItem("Toy", verifiability="ignore"),
        MenuItem("Kids Box", contains=("Burger", "Small Fries", "Toy"), container="closed"),
        MenuItem("Burger Meal", contains=("Burger", "Small Fries", "Cola")),
        MenuItem("Party Bag", contains=("Kids Box", "Kids Box"), container="closed"),
    )
)

FRIES = (MenuItem("Small Fries", aliases=("Fries",)),)


def line(line_id, name, parent=None, quantity=1, **more):
    return OrderLine(line_id, name, quantity, parent, **more)


def order(*lines):
    return Order("7", lines=lines)


def test_what_is_in_a_box_is_hidden_and_the_box_is_looked_for():
    sent = order(
        line("1", "kids box", quantity=2),
        line("2", "Burger", "1"),
        line("3", "fries", "1", quantity=2),
        line("4", "Cola", "1"),
        line("5", "Burger"),
    )
    there = packed(sent, MENU)
    assert there.items == (Item("Cola", 2), Item("Burger"), Item("kids box", 2))
    assert there.hidden == (Item("Burger", 2), Item("fries", 4))
    assert (there.order_id, there.version) == (sent.order_id, sent.version)
    seen = [Item("Kids Box", 2), Item("Cola", 2), Item("Burger")]
    assert judge(there.items, seen, menu=MENU, hidden=there.hidden).status == "accurate"
    lost = judge(there.items, seen[1:], menu=MENU, hidden=there.hidden)
    assert lost.missing == (Item("Kids Box", 2),)


@pytest.mark.parametrize(
    "sent",
    [
        order(line("1", "Burger Meal"), line("2", "Burger", "1"), line("3", "Cola", "1")),
        order(line("1", "Kids Box"), line("2", "Cola", "1")),
        order(line("1", "Kids Box"), line("2", "Burger")),
        order(line("1", "Surprise"), line("2", "Burger", "1")),
        Order("7", (Item("Kids Box"), Item("Burger"))),
    ],
)
def test_nothing_is_hidden_that_lies_in_the_open(sent):
    assert packed(sent, MENU) is sent


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        (line("1", "Zorbo Surprise", sku="b1"), "Burger"),
        (line("1", "Zorbo Surprise", sku="?", aliases=("House Special", "Coke", "Burger")), "Cola"),
        (line("1", "Zorbo Surprise", sku="b1", aliases=("Cola",)), "Burger"),
        (line("1", "Small Fries", sku="b1"), "Small Fries"),
        (line("1", "Zorbo", modifiers=(Modifier("Small", "size"),), aliases=("Fries",)), "Small Fries"),
        (line("1", "Fries", sku="b1", modifiers=(Modifier("Large", "size"),)), "Large Fries"),
        (line("1", "Zorbo", sku="b1", modifiers=(Modifier("Pie", "swap"),)), "Pie"),
        (line("1", "Zorbo Surprise", sku="b9", aliases=("House Special",)), "Zorbo Surprise"),
    ],
)
def test_a_line_is_what_the_menu_calls_it(sent, wanted):
    there = packed(order(sent), Menu((MenuItem("Burger", item_id="b1"), MenuItem("Cola", aliases=("Coke",)), *FRIES)))
    assert there.items == (Item(wanted),)


def test_a_box_known_by_its_sku_is_packed_as_one():
    menu = Menu((*MENU.items, MenuItem("Fun Box", item_id="f1", contains=("Burger",), container="closed")))
    there = packed(order(line("1", "Zorbo", sku="f1"), line("2", "Burger", "1")), menu)
    assert (there.items, there.hidden) == ((Item("Fun Box"),), (Item("Burger"),))


def test_a_box_alone_is_looked_for_and_an_open_combo_alone_is_its_contents():
    sent = order(line("1", "Kids Box"), line("2", "Burger Meal"))
    seen = [Item("Kids Box"), Item("Burger"), Item("Small Fries"), Item("Cola")]
    assert judge(packed(sent, MENU).items, seen, menu=MENU).status == "accurate"


def test_a_combo_the_model_names_is_seen_as_its_contents():
    meal = [Item("Burger"), Item("Fries"), Item("Cola")]
    assert judge(meal, [SeenItem("Burger Meal", 1, 0.9), SeenItem("Burger Meal", 0)], menu=MENU).status == "accurate"
    assert judge(meal, [*meal, SeenItem("Burger Meal", 0, 0.1)], menu=MENU).status == "accurate"
    assert judge([Item("Burger Meal")], [SeenItem("Burger Meal", 2)], menu=MENU).status == "inaccurate"


def test_boxes_within_boxes_are_one():
    sent = order(line("1", "Party Bag"), line("2", "Kids Box", "1", quantity=2), line("3", "Burger", "2"))
    there = packed(sent, MENU)
    assert there.items == (Item("Party Bag"),)
    assert Item("Burger", 2) in there.hidden


def test_a_voided_box_is_not_looked_for_and_an_ignored_part_stays_ignored():
    sent = order(line("1", "Kids Box", voided=True), line("2", "Burger", "1"), line("3", "Cola"))
    assert packed(sent, MENU).items == (Item("Cola"),)
    there = packed(order(line("1", "Kids Box"), line("2", "Toy", "1", verifiability="ignore")), MENU)
    assert [one.verifiability for one in there.lines] == ["visible", "ignore", "visible"]


def test_the_boxes_line_takes_no_id_that_is_there():
    there = packed(order(line("1", "Kids Box"), line("1/box", "Burger", "1"), line("1/box/box", "Toy")), MENU)
    assert len({one.line_id for one in there.lines}) == len(there.lines) == 4


NAMES = st.sampled_from([*MENU.names, "Fries", "Pie"])


@given(st.lists(st.tuples(NAMES, st.integers(1, 3), st.integers(0, 6), st.booleans()), min_size=1, max_size=7))
def test_packing_loses_nothing_and_is_done_once(rows):
    lines = []
    for index, (name, quantity, parent, voided) in enumerate(rows):
        above = str(parent) if parent < index else None
        lines.append(line(str(index), name, above, quantity, voided=voided))
    sent = order(*lines)
    there = packed(sent, MENU)
    assert packed(there, MENU).items == there.items
    leaves = {one.line_id for one in lines} - {one.parent_line_id for one in lines}
    assert leaves <= {one.line_id for one in there.lines}
    units = sum(item.quantity for item in (*there.items, *there.hidden))
    boxes = sum(item.quantity for item in (*sent.items, *sent.hidden))
    assert units >= boxes


@pytest.mark.parametrize("verifiability", ["visible", "occluded"])
def test_more_pieces_than_anybody_can_count_are_no_order(verifiability):
    chain = [line("0", "Crate", quantity=1000), line("1", "Box", "0", 1000)]
    assert order(*chain, line("2", "Cola", "1", 1, verifiability=verifiability)).order_id == "7"
    with pytest.raises(ValueError, match="quantity of 'Cola' must be 1000000 at most, not 2000000"):
        order(*chain, line("2", "Cola", "1", 2, verifiability=verifiability))
