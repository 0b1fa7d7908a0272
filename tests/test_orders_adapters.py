"""Orders as tills write them: the neutral schema, Square's and Toast's; nobody who ordered is kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc.domain.orders import Item, Modifier, Order, OrderLine
from orderacc.errors import BadOrderError
from orderacc.orders.schema import read_answer, read_order
from orderacc.orders.square import read_square
from orderacc.orders.toast import read_toast

TILLS = Path(__file__).parent / "tills"


def at(hour, minute=0, second=0, milli=0):
    return datetime(2026, 11, 21, hour, minute, second, milli * 1000, UTC)


def test_square():
    orders, problems = read_square(json.loads((TILLS / "square.json").read_text()), "square")
    first, second = orders
    assert (first.source, first.order_id, first.display_id) == ("square", "CAISENgvlJ6jLWAzERDzjyHVybY", "42")
    assert (first.version, first.state, first.channel, first.location_id) == (4, "ready", "pickup", "057P5VYJ4A5X1")
    assert (first.placed_at, first.due_at) == (at(12), at(12, 20))
    assert first.items == (Item("Burger", 2), Item("Large Fries"), Item("Brisket"))
    assert first.lines[0].modifiers == (Modifier("Onion", "remove"), Modifier("Cheese", "add", 2))
    assert first.lines[0].sku == "BURGER1"
    assert (second.display_id, second.state) == ("7890", "cancelled")
    assert {path for path, _ in problems} == {(2, "version"), (2, "items", 0, "name")}


@pytest.mark.parametrize(
    ("ticket", "shown"),
    [
        ("42", "42"),
        (42, "42"),
        ("#DT-042", "#DT-042"),
        ("Maria", "R-1"),
        ("Maria Lopez", "R-1"),
        ("Maria2", "R-1"),
        ("Jo 42", "R-1"),
        ("+1-555-0100-42", "R-1"),
        ("", "R-1"),
        (None, "R-1"),
    ],
)
def test_a_square_ticket_is_a_number_or_nobodys_business(ticket, shown):
    order = {"id": "XYZ7890", "ticket_name": ticket, "reference_id": "R-1", "line_items": []}
    ((read,), problems) = read_square({"order": order}, "square")
    assert (read.display_id, problems) == (shown, [])


def test_toast():
    orders, problems = read_toast(json.loads((TILLS / "toast.json").read_text()), "toast")
    first, second, third = orders
    assert (first.source, first.display_id, first.location_id) == ("toast", "42", "4be1f8a0-north")
    assert (first.version, first.state, first.channel) == (
        int(at(12, 3, 0, 500).timestamp() * 1000),
        "ready",
        "take_out",
    )
    assert (first.placed_at, first.due_at) == (at(12), at(12, 20))
    assert first.items == (Item("Burger", 2), Item("Large Fries", 3), Item("Cola", 2))
    assert first.lines[1].modifiers == (Modifier("Onion", "remove"),)
    assert [(one.state, one.display_id) for one in (second, third)] == [("cancelled", "43"), ("closed", "44")]
    assert third.version == 0
    assert {path[0] for path, _ in problems} == {3}


@pytest.mark.parametrize("till", ["square", "toast"])
def test_who_ordered_is_not_kept(till):
    read = read_square if till == "square" else read_toast
    orders, problems = read(json.loads((TILLS / f"{till}.json").read_text()), till)
    assert "canary" not in json.dumps([one.to_dict() for one in orders]).lower()
    assert "canary" not in repr(problems).lower()


FULL = {
    "schema": 1,
    "source": "till",
    "location_id": "north",
    "order_id": "o-1",
    "display_id": "42",
    "version": 3,
    "state": "ready",
    "channel": "drive",
    "placed_at": "2026-11-21T13:00:00.123456+01:00",
    "due_at": None,
    "items": [
        {"line_id": "a", "name": "Meal", "quantity": 2},
        {
            "line_id": "b",
            "parent_line_id": "a",
            "sku": "77",
            "name": "Fries",
            "aliases": ["Chips"],
            "modifiers": [{"name": "Large", "kind": "size"}],
        },
        {"line_id": "c", "name": "Napkins", "verifiability": "ignore"},
        {"line_id": "d", "name": "Cola", "voided": True},
        {"line_id": "e", "name": "Pie", "modifiers": [{"name": "Apple Pie", "kind": "swap"}]},
    ],
    "customer": {"name": "CANARY"},
    "phone": "555-CANARY",
}


def test_the_neutral_schema_gives_the_order_and_drops_whoever_ordered():
    order = read_order(FULL)
    assert order.items == (Item("Large Fries", 2), Item("Apple Pie"))
    assert (order.source, order.version, order.placed_at) == ("till", 3, at(12, 0, 0, 123))
    assert order.lines[1] == OrderLine("b", "Fries", 1, "a", "77", ("Chips",), (Modifier("Large", "size"),))
    assert Order.from_dict(json.loads(json.dumps(order.to_dict()))) == order
    assert read_order(order.to_dict()) == order
    assert "CANARY" not in repr(order)
    assert read_order(FULL, source="feed").source == "feed"


def test_a_name_and_a_number_are_enough():
    order = read_order({"order_id": "7", "items": [{"name": "Tea"}, {"name": "Tea", "quantity": 2}]})
    assert (order.items, order.lines, order.version) == ((Item("Tea"), Item("Tea", 2)), (), 0)
    assert Order.from_dict(order.to_dict()) == order


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"order_id": " "}, ("order_id",), "should be text on one line"),
        ({"order_id": 3}, ("order_id",), "should be text"),
        ({"order_id": "a\nb"}, ("order_id",), "one line"),
        ({"version": 0}, ("version",), "greater than or equal to 1"),
        ({"version": 2**60}, ("version",), "less than"),
        ({"version": "3"}, ("version",), "whole number"),
        ({"state": "done"}, ("state",), "'open', 'ready', 'closed' or 'cancelled'"),
        ({"placed_at": "2026-11-21T12:00:00"}, ("placed_at",), "with its zone"),
        ({"placed_at": "soon"}, ("placed_at",), "with its zone"),
        ({"placed_at": 5}, ("placed_at",), "with its zone"),
        ({"placed_at": "0001-01-01T00:00:00+14:00"}, (), "beyond any calendar"),
        ({"items": {}}, ("items",), "should be a list"),
        ({"items": [{}]}, ("items", 0, "name"), "is required"),
        ({"items": ["Tea"]}, ("items", 0), "table of keys"),
        ({"items": [{"name": "Tea", "quantity": True}]}, ("items", 0, "quantity"), "whole number"),
        ({"items": [{"name": "Tea", "quantity": 1.5}]}, ("items", 0, "quantity"), "whole number"),
        ({"items": [{"name": "Tea", "quantity": 10**9}]}, ("items", 0, "quantity"), "less than or equal to 1000"),
        ({"items": [{"name": "Tea", "parent_line_id": "9"}]}, (), "part of line '9', which is not there"),
        ({"items": [{"name": "Tea"}] * 1001}, ("items",), "shorter list"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_not_repeated(change, path, words):
    with pytest.raises(BadOrderError) as caught:
        read_order(FULL | change)
    assert caught.value.code == "bad_order"
    ((where, message),) = caught.value.problems
    assert where == path
    assert words in message


def test_everything_that_is_wrong_is_named_at_once():
    with pytest.raises(BadOrderError) as caught:
        read_order({"items": [{"name": ""}, {"quantity": 0}], "state": 1})
    assert len(caught.value.problems) == 5


def test_an_answer_of_many_gives_the_good_ones_and_says_what_is_wrong_with_the_others():
    good = {"order_id": "1", "items": []}
    for answer in ([good, {}], {"orders": [good, {}]}):
        orders, problems = read_answer(answer, "till")
        assert [one.order_id for one in orders] == ["1"]
        assert {path[0] for path, _ in problems} == {1}
    assert read_answer(good, "till")[0][0].source == "till"
    assert read_answer("no order", "till")[1]


KEYS = [
    "orders",
    "order",
    "id",
    "guid",
    "items",
    "line_items",
    "checks",
    "selections",
    "modifiers",
    "name",
    "displayName",
    "quantity",
    "version",
    "state",
    "fulfillments",
    "placed_at",
    "created_at",
    "openedDate",
    "modifiedDate",
    "order_id",
    "display_id",
    "line_id",
    "parent_line_id",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)
READERS = (read_answer, read_square, read_toast)
RECORDED = [FULL, *(json.loads((TILLS / name).read_text()) for name in ("square.json", "toast.json"))]


def read_by_all(data):
    for read in READERS:
        orders, problems = read(data, "till")
        assert all(one.source == "till" and Order.from_dict(one.to_dict()) == one for one in orders)
        assert all(isinstance(message, str) for _, message in problems)


@settings(max_examples=100)
@given(JSON)
def test_whatever_a_till_sends_is_orders_or_problems_and_never_a_failure(data):
    read_by_all(data)


def spots(data, path=()):
    """Every place in JSON values."""
    yield path
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        yield from spots(value, (*path, key))


def replaced(data, path, value):
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = replaced(data[path[0]], path[1:], value)
    return copy


@settings(max_examples=150)
@given(
    st.sampled_from(RECORDED).flatmap(lambda data: st.tuples(st.just(data), st.sampled_from(list(spots(data))))), JSON
)
def test_one_wrong_value_anywhere_in_an_answer_costs_no_more_than_its_order(spot, value):
    data, path = spot
    read_by_all(replaced(data, path, value))
