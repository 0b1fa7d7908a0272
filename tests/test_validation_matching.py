from __future__ import annotations

import time
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching_pairs import DIFFERENT, SAME
from orderacc.domain.menus import Menu, MenuItem
from orderacc.validation.assignment import assign
from orderacc.validation.likeness import kinship, likeness
from orderacc.validation.lines import identify
from orderacc.validation.normalise import LONGEST, singular, take_apart

THRESHOLD = 0.85


def listed(groups):
    return [
        pytest.param(*pair, id=f"{group}: {pair[0]} / {pair[1]}") for group, pairs in groups.items() for pair in pairs
    ]


@pytest.mark.parametrize(("one", "other"), listed(SAME))
def test_one_thing_under_two_names(one, other):
    assert likeness(one, other) >= THRESHOLD
    assert likeness(other, one) == likeness(one, other)


@pytest.mark.parametrize(("one", "other"), listed(DIFFERENT))
def test_two_things_that_look_alike(one, other):
    assert likeness(one, other) < THRESHOLD
    assert likeness(other, one) < THRESHOLD


def test_no_name_of_one_pair_is_taken_for_another_things_name():
    """Across all groups: whatever is not listed as the same is not matched just because it is near."""
    brands = ["Burger", "Large Fries", "Small Fries", "Cola", "Diet Cola", "Chicken Leg", "Hot Dog", "Pizza Slice"]
    brands += ["Taco", "Wrap", "Salad", "Donut", "Cookie", "Coffee", "Milkshake", "Water", "Ice Cream"]
    assert [(a, b) for a, b in permutations(brands, 2) if likeness(a, b) >= THRESHOLD] == []


@pytest.mark.parametrize(
    ("plural", "one"),
    [("fries", "fry"), ("cookies", "cookie"), ("glasses", "glass"), ("boxes", "box"), ("tomatoes", "tomato")],
)
def test_plural_and_singular_meet(plural, one):
    assert singular(plural) == singular(one)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_answered_within_bounds_and_symmetrically(one, other):
    score = likeness(one, other)
    assert 0 <= score <= 1
    assert likeness(other, one) == score
    assert likeness(one, one) == 1


@given(st.text(max_size=60))
def test_case_and_outer_space_never_matter(name):
    assert take_apart(name).key == take_apart(f"  {name} ").key
    if name.isascii():
        assert take_apart(name.lower()).key == take_apart(name.upper()).key


def test_a_name_of_a_megabyte_takes_linear_time():
    started = time.process_time()
    for size in (200, 100_000, 1_000_000):
        assert likeness("burger " * (size // 7), "burgre " * (size // 7)) == 0
    assert time.process_time() - started < 5


HOSTILE = [
    "a",
    "e\u0301",
    "\ufdfa",
    "\u0345",
    "\u00df",
    "1/2 ",
    "w/ ",
    "& ",
    "%",
    "6 pc ",
    "no ",
    "'n'",
    "#1 ",
    "cheese",
    "\U0001f354",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_any_name_takes_linear_time(piece):
    """The longest name that is taken apart takes no time; beyond, ten times the length takes ten times as long."""

    def seconds(length, mark):
        names = [f"{mark}{each}{piece * length}"[:length] for each in "xy"]
        started = time.process_time()
        likeness(*names)
        return time.process_time() - started

    assert min(seconds(LONGEST, mark) for mark in "abc") < 0.05
    shorter, longer = (min(seconds(length, mark) for mark in "abc") for length in (100_000, 1_000_000))
    assert longer < 30 * shorter + 0.05


def test_a_menu_tells_apart_what_its_names_tell_apart():
    menu = Menu((MenuItem("Latte", aliases=("Milk Coffee",)), MenuItem("Late", item_id="77")))
    assert identify("coffee with milk", menu)[1] == "Latte"
    assert identify("lattes", menu)[1] == "Latte"
    assert identify("77", menu)[1] == "Late"
    assert identify("Mocha", menu) == (take_apart("Mocha").key, "Mocha")


def test_an_alias_that_two_items_share_in_another_spelling_names_neither():
    menu = Menu((MenuItem("Cola", aliases=("Soft Drinks",)), MenuItem("Lemonade", aliases=("Softdrink", "Soft drink"))))
    assert identify("soft-drinks", menu)[1] == "Cola"  # folded, it is written at one item only
    assert identify("drink, soft", menu)[1] == "drink, soft"


@given(
    st.lists(st.integers(1, 2), min_size=1, max_size=3),
    st.lists(st.integers(1, 2), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=60)
def test_the_assignment_is_the_best_there_is(supply, demand, random):
    scores = {
        (row, column): random.choice([0.86, 0.9, 0.95, 1.0])
        for row in range(len(supply))
        for column in range(len(demand))
        if random.random() < 0.7
    }
    made = assign(supply, demand, scores)
    assert {(row, column) for row, column, _ in made} <= set(scores)
    for row, most in enumerate(supply):
        assert sum(units for r, _, units in made if r == row) <= most
    for column, most in enumerate(demand):
        assert sum(units for _, c, units in made if c == column) <= most
    total = sum(scores[row, column] * units for row, column, units in made)
    assert total == pytest.approx(best_by_trying(tuple(supply), tuple(demand), scores))


def best_by_trying(supply, demand, scores, seen=None):
    seen = {} if seen is None else seen
    if (supply, demand) not in seen:
        best = 0.0
        for (row, column), score in scores.items():
            if supply[row] and demand[column]:
                fewer = (*supply[:row], supply[row] - 1, *supply[row + 1 :])
                less = (*demand[:column], demand[column] - 1, *demand[column + 1 :])
                best = max(best, score + best_by_trying(fewer, less, scores, seen))
        seen[supply, demand] = best
    return seen[supply, demand]


def test_thousands_of_units_are_assigned_as_well_as_few():
    scores = {(0, 0): 0.9, (0, 1): 0.95, (1, 0): 0.95, (1, 1): 0.86}
    few = assign([3, 2], [2, 3], scores)
    many = assign([3000, 2000], [2000, 3000], scores)
    assert [(row, column, units * 1000) for row, column, units in few] == many == [(0, 1, 3000), (1, 0, 2000)]


def test_kinship_is_of_look_alikes_and_variants():
    menu = Menu((MenuItem("Cone", group="sweet"), MenuItem("Sundae", group="sweet"), MenuItem("Bun")))
    assert kinship("Cone", "Sundae", menu) == 1
    assert kinship("Small Fries", "Large Fries", None) == 0.9
    assert kinship("Chicken Burger", "Beef Burger", None) == pytest.approx(0.6)
    assert kinship("Chicken Burger", "Chicken Wrap", None) == pytest.approx(0.4)
    assert kinship("Taco", "Coffee", menu) == 0
