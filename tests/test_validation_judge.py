from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc import Item, Menu, MenuItem, judge
from orderacc.domain.verdicts import SeenItem
from orderacc.simulator.menu import DEMO_ITEMS

DEMO = Menu(DEMO_ITEMS)


def lines(text):
    """`2 Burger, Fries` as items."""
    items = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        first, _, rest = part.partition(" ")
        items.append(Item(rest, int(first)) if first.isdigit() and rest else Item(part))
    return items


def told(items):
    return ", ".join(f"{item.quantity} {item.name}" for item in items)


ORDERS = {
    # name: expected, seen, matched, missing, extra, quantity mismatch
    "all there": ("2 Burger, Cola", "Cola, 2 Burger", "2 Burger, 1 Cola", "", "", ""),
    "nothing there": ("2 Burger", "", "", "2 Burger", "", ""),
    "nothing ordered": ("", "Burger", "", "", "1 Burger", ""),
    "one missing": ("Burger, Cola", "Burger", "1 Burger", "1 Cola", "", ""),
    "one extra": ("Burger", "Burger, Cola", "1 Burger", "", "1 Cola", ""),
    "too few": ("3 Burger", "Burger", "1 Burger", "", "", "Burger 3/1"),
    "too many": ("Burger", "3 Burger", "1 Burger", "", "", "Burger 1/3"),
    "repeated POS lines add up": ("Fries, Fries", "2 Fries", "2 Fries", "", "", ""),
    "two lines of fries, one in the bag": ("Fries, Fries", "Fries", "1 Fries", "", "", "Fries 2/1"),
    "repeated seen lines add up": ("2 Fries", "Fries, Fries", "2 Fries", "", "", ""),
    "coke is no diet coke": ("Coke", "Diet Coke", "", "1 Coke", "1 Diet Coke", ""),
    "both cokes": ("Coke, Diet Coke", "Diet Coke, Coke", "1 Coke, 1 Diet Coke", "", "", ""),
    "swapped sizes": ("Small Fries", "Large Fries", "", "1 Small Fries", "1 Large Fries", ""),
    "plurals": ("2 Cookies, Chicken Wings", "2 Cookie, Chicken Wing", "2 Cookies, 1 Chicken Wings", "", "", ""),
    "joined words": ("Cheese Burger, Hotdog", "Cheeseburger, Hot Dog", "1 Cheese Burger, 1 Hotdog", "", "", ""),
    "misspelled": ("Chicken Burger", "Chiken Burger", "1 Chicken Burger", "", "", ""),
    "accents in either form": ("Jalape\u00f1o Poppers", "Jalapen\u0303o Popper", "1 Jalape\u00f1o Poppers", "", "", ""),
    "abbreviations": ("Lg Fries, Chkn Wrap", "Large Fries, Chicken Wrap", "1 Lg Fries, 1 Chkn Wrap", "", "", ""),
    "a better partner is not stolen": (
        "Cheesburger, Cheeseburger",
        "Cheeseburger, Cheeseburgr",
        "1 Cheesburger, 1 Cheeseburger",
        "",
        "",
        "",
    ),
    "an extra that resembles an expected one": (
        "Chicken Burger",
        "Chicken Burger, Chicken Wrap",
        "1 Chicken Burger",
        "",
        "1 Chicken Wrap",
        "",
    ),
    "an extra variant of an expected one": ("Burger", "Burger, Double Burger", "1 Burger", "", "1 Double Burger", ""),
    "a second piece under another spelling": (
        "Cheeseburger",
        "Cheeseburger, Cheesburger",
        "1 Cheeseburger",
        "",
        "",
        "Cheeseburger 1/2",
    ),
    "pieces under three spellings": ("3 Donut", "Donuts, Doughnut, Donnut", "3 Donut", "", "", ""),
    "piece counts": ("6 pc Nuggets", "10 pc Nuggets", "", "1 6 pc Nuggets", "1 10 pc Nuggets", ""),
    "bottle sizes": (
        "Coke 2 liter bottle, Coke bottle",
        "Coke bottle, Coke 2 liter bottle",
        "1 Coke 2 liter bottle, 1 Coke bottle",
        "",
        "",
        "",
    ),
    "everything at once": (
        "2 Burger, Large Fries, Cola",
        "Burger, Small Fries, Cola, Cola, Taco",
        "1 Burger, 1 Cola",
        "1 Large Fries",
        "1 Small Fries, 1 Taco",
        "Burger 2/1, Cola 1/2",
    ),
}  # fmt: skip


def written(text):
    """Table cells name quantities always: `2 Burger, 1 Cola`."""
    return [Item(part.partition(" ")[2], int(part.partition(" ")[0])) for part in text.split(", ")] if text else []


@pytest.mark.parametrize(("expected", "seen", "matched", "missing", "extra", "mismatch"), ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("strategy", ["hybrid", "semantic"])
def test_whole_orders(expected, seen, matched, missing, extra, mismatch, strategy):
    ordered = [Item("6 pc Nuggets")] if expected.startswith("6 pc") else lines(expected)
    there = [Item("10 pc Nuggets")] if seen.startswith("10 pc") else lines(seen)
    verdict = judge(ordered, there, strategy=strategy)
    assert list(verdict.matched) == written(matched)
    assert list(verdict.missing) == written(missing)
    assert list(verdict.extra) == written(extra)
    assert ", ".join(f"{each.name} {each.expected}/{each.seen}" for each in verdict.quantity_mismatch) == mismatch
    assert verdict.status == ("inaccurate" if missing or extra or mismatch else "accurate")


def test_exact_takes_equal_names_only():
    ordered, there = lines("Cheeseburgers, Chicken Wrap"), lines("Cheese Burger, Chiken Wrap")
    verdict = judge(ordered, there, strategy="exact")
    assert told(verdict.matched) == "1 Cheeseburgers"
    assert told(verdict.missing) == "1 Chicken Wrap"
    assert judge(ordered, there).status == "accurate"
    assert judge(ordered, there, threshold=1.0).status == "inaccurate"


@pytest.mark.parametrize("wrong", [{"strategy": "fuzzy"}, {"threshold": 1.1}, {"threshold": float("nan")}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        judge([], [], **wrong)


def test_the_menu_names_both_sides():
    menu = Menu((MenuItem("Cola", "17", aliases=("Coke",)), MenuItem("Cherry Cola", "18")))
    verdict = judge([Item("17"), Item("COKE")], [Item("cola", 2)], menu=menu)
    assert verdict.status == "accurate"
    assert verdict.expected == (Item("Cola", 2),)
    assert told(judge([Item("18")], [Item("Coke")], menu=menu).missing) == "1 Cherry Cola"


def test_names_of_two_menu_items_never_match_however_near():
    menu = Menu((MenuItem("Whopper"), MenuItem("Whoper")))
    assert judge([Item("Whopper")], [Item("Whoper")]).status == "accurate"
    assert judge([Item("Whopper")], [Item("Whoper")], menu=menu).status == "inaccurate"


def test_a_stand_in_is_named_and_stays_missing_and_extra():
    verdict = judge([Item("Large Fries", 2), Item("Taco")], [Item("Small Fries"), Item("Coffee")], menu=DEMO)
    assert [(pair.expected, pair.seen, pair.quantity) for pair in verdict.substituted] == [
        ("Large Fries", "Small Fries", 1)
    ]
    assert told(verdict.missing) == "2 Large Fries, 1 Taco"
    assert told(verdict.extra) == "1 Small Fries, 1 Coffee"


@pytest.mark.parametrize(
    ("expected", "seen", "sentence"),
    [
        ("Large Fries, Cola", "Cola, Cola", "Missing: 1 large fries. Extra: 1 cola (1 ordered, 2 seen)."),
        ("Large Fries", "Cola", "Missing: 1 large fries. Extra: 1 cola."),
        ("3 BBQ Wings", "2 BBQ Wings", "Missing: 1 BBQ wings (3 ordered, 2 seen)."),
        ("Cola, 2 Taco", "2 Taco, Cola", "Complete: 3 items."),
        ("Cola", "Cola", "Complete: 1 item."),
    ],
)
def test_the_crew_is_told_in_one_line(expected, seen, sentence):
    assert judge(lines(expected), lines(seen)).sentence == sentence


class TestUnsure:
    def test_one_doubtful_line_of_a_complete_order(self):
        verdict = judge(lines("Burger, Cola"), [SeenItem("Burger", 1, 0.5), SeenItem("Cola", 1, 1.0)])
        assert (verdict.status, verdict.reason, verdict.confidence) == ("unsure", "low_confidence", 0.5)
        assert verdict.sentence == "Please check: burger."

    def test_doubt_at_the_limit_is_none(self):
        assert judge(lines("Burger"), [SeenItem("Burger", 1, 0.6)]).status == "accurate"
        assert judge(lines("Burger"), [SeenItem("Burger", 1, 0.599)]).status == "unsure"

    def test_one_certain_discrepancy_decides_whatever_else_is_in_doubt(self):
        verdict = judge(lines("Burger, Cola"), [SeenItem("Burger", 2, 0.3)])
        assert (verdict.status, verdict.confidence) == ("inaccurate", 1.0)

    def test_doubtful_discrepancies_only(self):
        verdict = judge(
            lines("Burger, Cola"), [SeenItem("Burger", 2, 0.3), SeenItem("Cola", 1), SeenItem("Taco", 1, 0.4)]
        )
        assert (verdict.status, verdict.confidence) == ("unsure", 0.4)
        assert verdict.sentence == "Please check: Extra: 1 taco, 1 burger (1 ordered, 2 seen)."
        assert told(verdict.extra) == "1 Taco"

    def test_a_sure_discrepancy_is_not_in_doubt_because_a_matched_line_is(self):
        assert judge(lines("Burger, Cola"), [SeenItem("Burger", 1, 0.2)]).status == "inaccurate"

    def test_a_missing_item_whose_look_alike_is_in_doubt(self):
        assert judge(lines("Small Fries"), [SeenItem("Large Fries", 1, 0.5)], menu=DEMO).status == "unsure"
        assert judge(lines("Small Fries"), [SeenItem("Large Fries", 1, 0.9)], menu=DEMO).status == "inaccurate"
        assert judge(lines("Small Fries"), [SeenItem("Taco", 1, 0.5)], menu=DEMO).status == "inaccurate"

    def test_a_missing_item_the_frames_are_not_sure_to_lack(self):
        absent = SeenItem("taco", 0, 0.5)
        verdict = judge(lines("Taco"), [absent], menu=DEMO)
        assert (verdict.status, told(verdict.missing), verdict.seen) == ("unsure", "1 Taco", ())
        assert judge(lines("Taco"), [SeenItem("Taco", 0, 0.8)], menu=DEMO).status == "inaccurate"
        assert judge(lines("Burger"), [Item("Burger"), absent], menu=DEMO).status == "unsure"
        assert judge(lines("Taco"), [Item("Taco"), absent], menu=DEMO).status == "accurate"

    def test_a_name_matched_by_likeness_is_no_surer_than_the_likeness(self):
        verdict = judge(lines("Chicken Burger"), lines("Chiken Burger"))
        assert verdict.status == "accurate"
        assert 0.85 <= verdict.confidence < 1


NAMES = ["Burger", "burgers", "Burgr", "Small Fries", "Large Fries", "lg fries", "Cola", "Diet Cola", "Coke", "Donut"]
NAMES += ["doughnuts", "Cheese Burger", "cheeseburger", "Taco", "taco ", "Tacco"]
ITEMS = st.lists(st.builds(Item, st.sampled_from(NAMES), st.integers(1, 4)), max_size=6)


@given(ITEMS, ITEMS, st.sampled_from([None, DEMO]), st.sampled_from(["exact", "semantic", "hybrid"]))
@settings(deadline=None, max_examples=100)
def test_every_unit_is_accounted_for(expected, seen, menu, strategy):
    verdict = judge(expected, seen, menu=menu, strategy=strategy)
    ordered, there = Counter(), Counter()
    for side, target in ((verdict.matched, (ordered, there)), (verdict.missing, (ordered,)), (verdict.extra, (there,))):
        for item in side:
            for count in target:
                count[item.name] += item.quantity
    for each in verdict.quantity_mismatch:
        assert each.expected != each.seen
        ordered[each.name] += max(0, each.expected - each.seen)
        there[each.name] += max(0, each.seen - each.expected)
    assert ordered == Counter({item.name: item.quantity for item in verdict.expected})
    assert there == Counter({item.name: item.quantity for item in verdict.seen})
    assert ordered.total() == sum(item.quantity for item in expected)
    assert there.total() == sum(item.quantity for item in seen)
    names = [item.name for item in (*verdict.missing, *verdict.extra, *verdict.quantity_mismatch)]
    assert len(names) == len(set(names))
    assert (verdict.status == "accurate") == (not names)


@given(ITEMS, ITEMS, st.randoms(use_true_random=False), st.sampled_from([None, DEMO]))
@settings(deadline=None, max_examples=60)
def test_the_order_of_lines_decides_nothing(expected, seen, random, menu):
    def outcome(one, other):
        verdict = judge(one, other, menu=menu)
        found = [verdict.matched, verdict.missing, verdict.extra]
        sides = [Counter({item.name.casefold().strip(): item.quantity for item in side}).total() for side in found]
        return verdict.status, sides, sorted((each.expected, each.seen) for each in verdict.quantity_mismatch)

    shuffled, mixed = list(expected), list(seen)
    random.shuffle(shuffled)
    random.shuffle(mixed)
    assert outcome(expected, seen) == outcome(shuffled, mixed)


@given(ITEMS)
@settings(deadline=None, max_examples=40)
def test_an_order_is_accurate_against_itself(items):
    assert judge(items, items).status == "accurate"
    assert judge(items, items, menu=DEMO).status == "accurate"


@given(st.lists(st.text(min_size=1, max_size=30).filter(str.strip).map(Item), max_size=4))
@settings(deadline=None, max_examples=40)
def test_any_names_at_all(items):
    verdict = judge(items, items)
    assert verdict.status == "accurate"
    assert sum(item.quantity for item in verdict.matched) == len(items)


def test_a_plain_order_is_judged_without_the_solver():
    code = (
        "import orderacc, sys\n"
        "orderacc.judge([orderacc.Item('Taco'), orderacc.Item('Burgr')], [orderacc.Item('Burger')])\n"
        "sys.exit('scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_speed_of_an_order_of_eight_lines(benchmark):
    items = [Item(item.name, 2) for item in DEMO_ITEMS[:8]]
    assert benchmark(judge, items, items, menu=DEMO).status == "accurate"
