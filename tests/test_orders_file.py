from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc import ConfigError, Item
from orderacc.orders import FileOrders, OrderBook, read_orders

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "orders.json"
    write(path, {"384": [{"name": "pepsi can", "quantity": 2}, {"name": "banana"}]})
    return path


def write(path, orders):
    """Replace the file as a POS should: whole, by renaming."""
    fresh = path.with_suffix(".new")
    fresh.write_text(orders if isinstance(orders, str) else json.dumps(orders))
    fresh.replace(path)


async def test_an_order_is_found_by_its_number(file):
    book: OrderBook = FileOrders(file)
    order = (await book.find("drive-1", "384")).order
    assert order is not None
    assert (order.order_id, order.items, order.version) == ("384", (Item("pepsi can", 2), Item("banana")), 1)
    assert (await book.find("drive-1", "385")).order is None
    assert (await book.find("drive-1", "")).order is None


@pytest.mark.parametrize("text", [" 384 ", "#384", "\uff13\uff18\uff14", "0384"])
async def test_how_the_number_is_printed_does_not_matter(file, text):
    assert (await FileOrders(file).find("s", text)).order.order_id == "384"


async def test_leading_zeros_tell_orders_apart_only_where_the_file_has_both(file):
    write(file, {"84": [{"name": "A"}], "084": [{"name": "B"}], "7": [{"name": "C"}], "A1": [{"name": "D"}]})
    book = FileOrders(file)
    assert (await book.find("s", "84")).order.order_id == "84"
    assert (await book.find("s", "084")).order.order_id == "084"
    assert (await book.find("s", "0084")).order is None
    assert (await book.find("s", "007")).order.order_id == "7"
    assert (await book.find("s", "a1")).order.order_id == "A1"


async def test_a_changed_file_is_read_again_and_an_amended_order_gets_a_version(file):
    book = FileOrders(file)
    kept = (await book.find("s", "384")).order
    write(file, {"384": [{"name": "banana"}], "385": [{"name": "tea"}]})
    amended = (await book.find("s", "384")).order
    assert (amended.items, amended.version) == ((Item("banana"),), 2)
    assert kept.items != amended.items
    assert (await book.find("s", "385")).order.version == 1
    write(file, {"385": [{"name": "tea"}]})
    assert (await book.find("s", "384")).order is None
    write(file, {"384": [{"name": "banana"}], "385": [{"name": "tea"}]})
    assert (await book.find("s", "384")).order.version == 2


@pytest.mark.parametrize("bad", ['{"384": [', '{"384": [{"name": ""}]}', "[[]]", ""])
async def test_a_file_that_turns_bad_keeps_the_last_good_one_and_says_why(file, caplog, bad):
    book = FileOrders(file)
    write(file, bad)
    assert (await book.find("s", "384")).order.version == 1
    assert (await book.find("s", "384")).order.version == 1
    assert sum("orders_file_bad" in str(record.msg) for record in caplog.records) == 1
    write(file, {"9": [{"name": "tea"}]})
    assert (await book.find("s", "384")).order is None
    assert (await book.find("s", "9")).order.order_id == "9"


@pytest.mark.parametrize("empty", ["[]", '{"orders": []}', "{}"])
async def test_a_till_without_open_orders_says_so(file, caplog, empty):
    book = FileOrders(file)
    write(file, empty)
    assert (await book.find("s", "384")).order is None
    assert "orders_file_bad" not in [record.msg["event"] for record in caplog.records]


async def test_a_file_that_vanishes_for_a_moment_keeps_its_orders_and_is_told_of_once(file, caplog):
    book = FileOrders(file)
    text = file.read_text()
    file.unlink()
    assert (await book.find("s", "384")).order is not None
    assert (await book.find("s", "384")).order is not None
    assert [record.msg["findings"] for record in caplog.records] == [
        [f"{file}: cannot be read: No such file or directory"]
    ]
    write(file, text.replace("384", "555"))
    assert (await book.find("s", "555")).order is not None


async def test_a_change_within_one_tick_of_the_clock_is_seen(file):
    book = FileOrders(file)
    before = file.stat()
    write(file, file.read_text().replace("384", "385"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (await book.find("s", "385")).order is not None


def test_a_file_that_is_bad_from_the_start_is_refused_with_every_line(file):
    file.write_text(
        '{\n"1": [{"name": "Tea", "quantity": 0}],\n"2": [],\n"3": [{"quantity": 1}, "Tea"],\n'
        '"4": [{"name": " "}],\n"": [{"name": "A"}],\n"5": [{"name": "A", "quantity": "2"}],\n'
        '" 5": [{"name": "A"}]\n}'
    )
    with pytest.raises(ConfigError) as caught:
        FileOrders(file)
    assert [str(found).removeprefix(str(file)) for found in caught.value.findings] == [
        ":2:23 1[0].quantity: input should be greater than or equal to 1",
        ":3:1 2: should be a list of lines, at least one",
        ':4:7 3[0]: should be a line: {"name": "Burger", "quantity": 1}',
        ':4:24 3[1]: should be a line: {"name": "Burger", "quantity": 1}',
        ":5:8 4[0].name: should be text on one line, not empty",
        ":6:1: an order needs a number",
        ":7:21 5[0].quantity: should be a whole number",
        ":8:1  5: is the same order number as '5'",
    ]


@pytest.mark.parametrize("names", [["Burger"], ["Burger", "Cola"]])
def test_a_menu_is_not_taken_for_an_order_called_items(file, names):
    write(file, {"items": [{"name": name, "category": "drink", "aliases": []} for name in names]})
    with pytest.raises(ConfigError, match=r"orders.json:1:2 items: looks like a menu, or like an order without order"):
        read_orders(file)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"1": [{"name": "Smiley Box \ud83c"}]}, "without halves of characters"),
        ({"1\ud83c": [{"name": "Tea"}]}, "an order's number should be text on one line"),
        ({"1": [{"name": "Tea\nPie"}]}, "on one line"),
        ({"1": [{"name": "Tea", "quantity": 10**20}]}, "less than or equal to 1000"),
    ],
)
def test_a_table_holds_nothing_that_no_verdict_could_be_written_of(file, table, words):
    write(file, table)
    with pytest.raises(ConfigError, match=words):
        read_orders(file)


@pytest.mark.parametrize(
    "name", ["Caf\u00e9\u00a0Latte", "Box \U0001f468\u200d\U0001f373", "\u30c1\u30fc\u30ba\u3000\u30d1\u30a4"]
)
def test_spaces_of_other_widths_and_joined_emoji_are_names_like_any_other(file, name):
    write(file, {"1": [{"name": f" {name}\n", "quantity": 1000}]})
    (order,) = read_orders(file).values()
    assert order.items == (Item(name, 1000),)


@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.from_regex(r"[1-9][0-9]{0,4}", fullmatch=True),
        st.lists(st.tuples(st.sampled_from(["Tea", "Pie"]), st.integers(1, 5)), min_size=1, max_size=4),
    )
)
def test_what_is_written_is_what_is_read(tmp_path_factory, orders):
    path = tmp_path_factory.mktemp("orders") / "orders.json"
    lines = {number: [{"name": name, "quantity": count} for name, count in items] for number, items in orders.items()}
    path.write_text(json.dumps(lines))
    assert {
        number: [(i.name, i.quantity) for i in order.items] for number, order in read_orders(path).items()
    } == orders
