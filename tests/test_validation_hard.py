"""The tables of hard pairs and whole orders, and the figures they must reach."""

from __future__ import annotations

import pytest

from hard_orders import CASES
from hard_pairs import LATER_ONE_THING, LATER_TWO_THINGS, ONE_THING, TWO_THINGS
from matching_pairs import DIFFERENT, SAME
from orderacc import Item, judge
from orderacc.validation.likeness import likeness

THRESHOLD = 0.85


def listed(groups):
    return [
        pytest.param(*pair, id=f"{group}: {pair[0]} / {pair[1]}") for group, pairs in groups.items() for pair in pairs
    ]


@pytest.mark.parametrize(("one", "other"), listed(TWO_THINGS))
def test_two_things_are_told_apart(one, other):
    assert likeness(one, other) < THRESHOLD
    assert likeness(other, one) < THRESHOLD


@pytest.mark.parametrize("group", ONE_THING)
def test_one_thing_is_known_under_its_other_names(group):
    missed = [pair for pair in ONE_THING[group] if likeness(*pair) < THRESHOLD]
    assert missed == []
    assert all(likeness(one, other) == likeness(other, one) for one, other in ONE_THING[group])


@pytest.mark.parametrize(
    ("same", "different"),
    [(SAME, DIFFERENT), (ONE_THING, TWO_THINGS), (LATER_ONE_THING, LATER_TWO_THINGS)],
    ids=["first", "hard", "later"],
)
def test_precision_and_recall(same, different):
    found = [likeness(*pair) >= THRESHOLD for pairs in same.values() for pair in pairs]
    false = [pair for pairs in different.values() for pair in pairs if likeness(*pair) >= THRESHOLD]
    recall = sum(found) / len(found)
    print(f"{len(found)} pairs of one thing, recall {recall:.3f}; false matches {len(false)}")
    assert false == []
    assert recall >= 0.97


def test_the_tables_are_as_large_as_they_should_be():
    assert set(ONE_THING) == set(TWO_THINGS)
    assert len(ONE_THING) == 12
    assert sum(map(len, ONE_THING.values())) + sum(map(len, TWO_THINGS.values())) >= 120
    assert len(CASES) >= 40


def lines(text):
    items = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        first, _, rest = part.partition(" ")
        items.append(Item(rest, int(first)) if first.isdigit() and part != "7 Up" else Item(part))
    return items


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("strategy", ["hybrid", "semantic"])
def test_whole_orders(case, strategy):
    verdict = judge(lines(case.ordered), lines(case.seen), strategy=strategy)
    found = {
        "matched": "; ".join(f"{item.quantity} {item.name}" for item in verdict.matched),
        "missing": "; ".join(f"{item.quantity} {item.name}" for item in verdict.missing),
        "extra": "; ".join(f"{item.quantity} {item.name}" for item in verdict.extra),
        "mismatch": "; ".join(f"{each.name} {each.expected}/{each.seen}" for each in verdict.quantity_mismatch),
        "substituted": "; ".join(f"{each.expected}/{each.seen} {each.quantity}" for each in verdict.substituted),
    }
    assert found == {field: getattr(case, field) for field in found}
    wrong = case.missing or case.extra or case.mismatch
    assert verdict.status == ("inaccurate" if wrong else "accurate")
