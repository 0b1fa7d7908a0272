"""What judging costs, and how many hard pairs and answers are understood."""

from __future__ import annotations

import time
from statistics import median

import pytest

from hard_orders import CASES
from hard_pairs import LATER_ONE_THING, LATER_TWO_THINGS, ONE_THING, TWO_THINGS
from matching_pairs import DIFFERENT, SAME
from orderacc import Item, Menu, judge, parse_answer
from orderacc.domain.menus import fold_name
from orderacc.simulator.menu import DEMO_ITEMS
from orderacc.validation import lines, matching, normalise
from orderacc.validation.likeness import compare, likeness

THRESHOLD = 0.85
DEMO = Menu(DEMO_ITEMS)
ON_MENU = [Item(item.name, 2) for item in DEMO_ITEMS[:8]]
ORDERED = [
    "Cheeseburger",
    "Lg Fries",
    "Coke",
    "Diet Coke",
    "6 pc Nuggets",
    "Chicken Wrap",
    "Vanilla Shake",
    "Apple Pie",
]
SEEN = [
    "Cheese Burger",
    "Large Fries",
    "Coca Cola",
    "Coke Light",
    "Nuggets 6pc",
    "Chiken Wrap",
    "Vanila Shake",
    "Cherry Pie",
]
ONE_DOZEN = ["Alpha Burger", "Beta Wrap", "Gamma Pie", "Delta Shake", "Epsilon Tea", "Zeta Soup"]
ONE_DOZEN += ["Eta Bowl", "Theta Roll", "Iota Stick", "Kappa Cake", "Lambda Rice", "Mu Noodle"]
OTHER_DOZEN = ["Quarz Kebab", "Rubin Sub", "Topaz Tart", "Opal Juice", "Onyx Latte", "Jade Stew"]
OTHER_DOZEN += ["Perle Plate", "Achat Bun", "Beryll Bite", "Zirkon Bread", "Kobalt Corn", "Nickel Naan"]


def forget():
    """Empty every memory of names."""
    for remembered in (
        *(normalise.take_apart, normalise.singular, normalise.nearest, compare, fold_name),
        *(lines.look_up, matching.kin),
    ):
        remembered.cache_clear()


def microseconds(work, rounds=400):
    """Processor time of one call, the median of ten blocks."""
    work()
    blocks = []
    for _ in range(10):
        began = time.process_time()
        for _ in range(rounds // 10):
            work()
        blocks.append((time.process_time() - began) / (rounds // 10) * 1e6)
    return median(blocks)


def items(names):
    return [Item(name) for name in names]


def test_what_judging_costs():
    dozen = items(ONE_DOZEN), items(OTHER_DOZEN)
    costs = {
        "8 lines of the menu, all there": microseconds(lambda: judge(ON_MENU, ON_MENU, menu=DEMO)),
        "8 lines, each name written otherwise, one swapped": microseconds(lambda: judge(items(ORDERED), items(SEEN))),
        "the same, by likeness alone": microseconds(lambda: judge(items(ORDERED), items(SEEN), strategy="semantic")),
        "12 by 12 lines with nothing in common": microseconds(lambda: judge(*dozen), rounds=100),
    }
    forget()
    began = time.process_time()
    judge(*dozen)
    costs["the same, names met for the first time"] = (time.process_time() - began) * 1e6
    for what, cost in costs.items():
        print(f"{what}: {cost:.0f} us")
    assert costs["8 lines of the menu, all there"] < 300
    assert costs["12 by 12 lines with nothing in common"] < 5000


def test_how_many_names_are_understood():
    tables = {
        "first": (SAME, DIFFERENT),
        "hard": (ONE_THING, TWO_THINGS),
        "later": (LATER_ONE_THING, LATER_TWO_THINGS),
    }
    for label, (same, different) in tables.items():
        found = [likeness(*pair) >= THRESHOLD for pairs in same.values() for pair in pairs]
        false = [likeness(*pair) >= THRESHOLD for pairs in different.values() for pair in pairs]
        precision = sum(found) / (sum(found) + sum(false))
        print(
            f"{label} pairs: {len(found)} of one thing, {len(false)} of two, precision {precision:.3f}, "
            f"recall {sum(found) / len(found):.3f}"
        )
        assert precision == 1
        assert sum(found) / len(found) >= 0.97
    print(f"whole orders: {len(CASES)}")


@pytest.mark.parametrize("piece", ["- 2x Burger\n", '{"name":"Burger","quantity":1},', "a ", "[", "'\" "])
def test_a_megabyte_of_an_answer(piece):
    text = piece * (1_000_000 // len(piece))
    began = time.process_time()
    parse_answer(text)
    took = (time.process_time() - began) * 1000
    print(f"1 MB of {piece!r}: {took:.1f} ms")
    assert took < 100
