"""Why a verdict says what it says, what cannot be seen, and what others know about names."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc import Item, Menu, MenuItem, judge
from orderacc.domain.detections import Box
from orderacc.domain.verdicts import SeenItem
from orderacc.validation import FrameAnswer, pairs_in_doubt, with_sightings
from orderacc.validation.lines import identify
from orderacc.validation.normalise import take_apart

MENU = Menu(
    (
        MenuItem("Burger", "b1", aliases=("Hamburger",), group="burger"),
        MenuItem("Small Fries", group="fries"),
        MenuItem("Large Fries", group="fries"),
        MenuItem("Soup", verifiability="occluded"),
        MenuItem("Napkin", verifiability="ignore"),
        MenuItem("Whopper", threshold=0.99),
        MenuItem("Lunch Set", contains=("Burger", "Small Fries"), container="open"),
    )
)


def items(*names):
    return [Item(name) for name in names]


def findings(verdict):
    return {(found.outcome, found.name): found for found in verdict.findings}


@pytest.mark.parametrize(
    ("ordered", "seen", "rule", "detail"),
    [
        ("Large Tea", "Small Tea", "size", "large / small"),
        ("Cola 500 ml", "Cola 1.5 l", "size", "500 ml / 1500 ml"),
        ("6 pc Nuggets", "9 pc Nuggets", "count", "6 / 9"),
        ("Coke", "Diet Coke", "trait", "nothing said / diet"),
        ("Burger no onion", "Burger", "left_out", "without onion / nothing said"),
        ("Coke Can", "Coke Bottle", "container", "can / bottle"),
        ("Apple Pie", "Cherry Pie", "words", "apple / cherry"),
        ("Taco", "Tea", "nothing_near", ""),
    ],
)
def test_what_tells_two_names_apart_is_said(ordered, seen, rule, detail):
    verdict = judge(items(ordered), items(seen))
    missing, extra = verdict.findings
    assert (missing.outcome, extra.outcome) == ("missing", "extra")
    assert (missing.rule, missing.detail) == (rule, detail)
    assert extra.rule == rule
    near = rule != "nothing_near"
    assert (missing.other_name, extra.other_name) == ((seen, ordered) if near else (None, None))


@pytest.mark.parametrize(
    ("ordered", "seen", "menu", "rule", "score"),
    [
        ("Tea", "teas", None, "same_name", 1.0),
        ("Hamburger", "b1", MENU, "same_item", 1.0),
        ("Chicken Wrap", "Chiken Wrap", None, "spelling", 0.952),
        ("Cola", "Cola Can", None, "container_unsaid", 0.95),
    ],
)
def test_what_makes_two_names_one_thing_is_said(ordered, seen, menu, rule, score):
    (found,) = judge(items(ordered), items(seen), menu=menu).findings
    assert (found.outcome, found.rule, round(found.score, 3)) == ("matched", rule, score)
    assert found.strategy == "hybrid"


def test_the_weakest_of_several_spellings_is_named():
    (found,) = judge([Item("Broccoli", 3)], items("Broccoli", "Brocoli", "brocolli")).findings
    assert (found.rule, found.other_name, found.seen) == ("spelling", "brocolli", 3)


def test_an_extra_that_resembles_what_is_there_already_says_so():
    extra = findings(judge(items("Large Cola"), items("Large Cola", "Small Cola")))["extra", "Small Cola"]
    assert (extra.rule, extra.other_name) == ("size", "Large Cola")


def test_items_below_the_threshold_say_how_alike_they_are():
    found = judge(items("Chicken Wrap"), items("Chiken Wrap"), threshold=1.0).findings[0]
    assert (found.outcome, found.rule, round(found.score, 2)) == ("missing", "below_threshold", 0.95)


class TestWhatCannotBeSeen:
    def test_occluded_and_not_seen_decides_nothing(self):
        verdict = judge([Item("Burger"), Item("Soup", 2)], items("Burger"), menu=MENU)
        assert (verdict.status, verdict.expected, verdict.missing) == ("accurate", (Item("Burger"),), ())
        assert verdict.sentence == "Complete: 1 item. Not visible: 2 soup."
        found = findings(verdict)["not_checked", "Soup"]
        assert (found.expected, found.seen, found.rule, found.confidence) == (2, 0, "not_visible", 0.0)

    def test_occluded_and_seen_is_matched_as_far_as_it_is_seen(self):
        verdict = judge([Item("Soup", 3)], items("Soup"), menu=MENU)
        assert (verdict.status, verdict.matched, verdict.expected) == ("accurate", (Item("Soup"),), (Item("Soup"),))
        assert findings(verdict)["not_checked", "Soup"].expected == 2

    def test_more_of_the_occluded_than_was_ordered_is_wrong(self):
        verdict = judge(items("Soup"), [Item("Soup", 2)], menu=MENU)
        assert verdict.status == "inaccurate"
        assert [(one.expected, one.seen) for one in verdict.quantity_mismatch] == [(1, 2)]

    def test_occluded_and_not_ordered_is_extra(self):
        assert judge(items("Burger"), items("Burger", "Soup"), menu=MENU).extra == (Item("Soup"),)

    def test_hidden_lines_of_the_order(self):
        hidden = [Item("Burger"), Item("Tea")]
        verdict = judge(items("Burger"), [Item("Burger", 2)], hidden=hidden)
        assert (verdict.status, verdict.matched) == ("accurate", (Item("Burger", 2),))
        assert verdict.sentence.endswith("Not visible: 1 tea.")
        one_seen = judge(items("Burger"), items("Burger"), hidden=items("Burger"))
        assert (one_seen.status, one_seen.expected) == ("accurate", (Item("Burger"),))
        assert judge([Item("Burger", 2)], items("Burger"), hidden=items("Burger")).status == "inaccurate"

    def test_doubt_about_what_cannot_be_seen_is_none(self):
        seen = [Item("Burger"), SeenItem("Soup", 0, 0.3)]
        assert judge(items("Burger", "Soup"), seen, menu=MENU).status == "accurate"

    def test_what_nobody_asks_about_is_left_out_on_both_sides(self):
        verdict = judge([Item("Burger"), Item("Napkin", 4)], [Item("Burger"), Item("napkins", 1)], menu=MENU)
        assert (verdict.status, verdict.sentence) == ("accurate", "Complete: 1 item.")
        found = findings(verdict)["ignored", "Napkin"]
        assert (found.expected, found.seen, found.rule) == (4, 1, "not_asked")

    @pytest.mark.parametrize("ordered", [["Soup"], ["Napkin"], ["Soup", "Napkin"]])
    def test_nothing_to_check_is_never_accurate(self, ordered):
        verdict = judge(items(*ordered), [], menu=MENU)
        assert (verdict.status, verdict.reason, verdict.confidence) == ("unsure", "nothing_to_check", 0.0)
        assert judge([], [], hidden=items("Tea")).status == "unsure"
        assert judge(items(*ordered), items("Burger"), menu=MENU).status == "inaccurate"


def test_an_open_combo_is_its_contents():
    verdict = judge([Item("lunch set", 2)], [Item("Burger", 2), Item("Small Fries", 2)], menu=MENU)
    assert (verdict.status, verdict.expected) == ("accurate", (Item("Burger", 2), Item("Small Fries", 2)))


def test_an_item_may_ask_for_more_likeness_than_others():
    assert judge(items("Whopper"), items("Whoper")).status == "accurate"
    assert judge(items("Whopper"), items("Whoper"), menu=MENU).status == "inaccurate"


def test_sightings_say_which_frame_shows_how_many_and_where():
    box = Box(10, 20, 30.25, 40)
    looks = {
        0: FrameAnswer((Item("small fries"), Item("Tea")), {"fries": [box]}, 1.0),
        2: FrameAnswer((), {}, 2.0),
    }
    verdict = judge(items("Small Fries", "Burger"), items("Small Fries", "Tea"), menu=MENU)
    found = findings(with_sightings(verdict, looks, MENU))
    (shown,) = found["matched", "Small Fries"].frames
    assert shown.to_dict() == {"frame": 0, "count": 1, "boxes": [[10, 20, 30.2, 40]]}
    assert found["missing", "Burger"].frames == ()
    assert [one.to_dict() for one in found["extra", "Tea"].frames] == [{"frame": 0, "count": 1, "boxes": None}]
    json.dumps(with_sightings(verdict, looks, MENU).to_dict())


def test_a_line_seen_under_another_spelling_is_counted_in_its_frames():
    verdict = judge(items("Broccoli"), items("Brocoli"))
    shown = with_sightings(verdict, {0: FrameAnswer(tuple(items("brocoli")), {}, 0.0)}, None).findings[0].frames
    assert [one.count for one in shown] == [1]


class TestOpinions:
    ORDERED, SEEN = "Zorbo Wrap", "Plimfy Wrap"

    def test_an_opinion_counts_for_names_nobody_knows(self):
        pair = self.ORDERED, self.SEEN
        verdict = judge(items(self.ORDERED), items(self.SEEN))
        assert pairs_in_doubt(verdict, None) == [pair]
        verdict = judge(items(self.ORDERED), items(self.SEEN), opinions={pair: 0.9})
        (found,) = verdict.findings
        assert (verdict.status, found.rule, found.score, found.confidence) == ("accurate", "opinion", 0.9, 0.9)
        assert found.other_name == self.SEEN

    def test_an_opinion_below_the_threshold_or_under_exact_changes_nothing(self):
        opinions = {(self.ORDERED, self.SEEN): 0.84}
        assert judge(items(self.ORDERED), items(self.SEEN), opinions=opinions).status == "inaccurate"
        opinions = {(self.ORDERED, self.SEEN): 1.0}
        assert judge(items(self.ORDERED), items(self.SEEN), opinions=opinions, strategy="exact").extra

    @pytest.mark.parametrize(
        ("ordered", "seen"),
        [
            ("Chicken Burger", "Beef Burger"),
            ("Large Zorbo", "Small Plimfy"),
            ("Diet Zorbo", "Plimfy"),
            ("6 pc Zorbo", "9 pc Plimfy"),
            ("Zorbo no onion", "Plimfy"),
            ("Burger", "Zorbo Burger"),
        ],
    )
    def test_guards_and_known_words_are_beyond_any_opinion(self, ordered, seen):
        verdict = judge(items(ordered), items(seen))
        assert pairs_in_doubt(verdict, None) == []
        assert judge(items(ordered), items(seen), opinions={(ordered, seen): 1.0}).status == "inaccurate"

    def test_two_items_of_the_menu_are_beyond_any_opinion(self):
        menu = Menu((MenuItem(self.ORDERED), MenuItem(self.SEEN)))
        verdict = judge(items(self.ORDERED), items(self.SEEN), menu=menu)
        assert pairs_in_doubt(verdict, menu) == []
        opinions = {(self.ORDERED, self.SEEN): 1.0}
        assert judge(items(self.ORDERED), items(self.SEEN), menu=menu, opinions=opinions).status == "inaccurate"


NAMES = ["Burger", "burgers", "Soup", "soups", "Large Fries", "lg fries", "Cola", "Coke", "Tea", "Napkins", "Whoper"]
SIDE = st.lists(st.builds(Item, st.sampled_from(NAMES), st.integers(1, 3)), max_size=5)


@given(SIDE, SIDE, SIDE, st.sampled_from([None, MENU]), st.sampled_from(["exact", "semantic", "hybrid"]))
@settings(max_examples=100)
def test_findings_account_for_every_unit(expected, seen, hidden, menu, strategy):
    verdict = judge(expected, seen, hidden=hidden, menu=menu, strategy=strategy)
    totals = Counter()
    for found in verdict.findings:
        totals["expected"] += found.expected
        totals["seen"] += found.seen
        totals[found.outcome] += 1
        assert 0 <= found.score <= 1
        assert 0 <= found.confidence <= 1
    assert totals["expected"] == sum(item.quantity for item in (*expected, *hidden))
    assert totals["seen"] == sum(item.quantity for item in seen)
    assert totals["missing"] == len(verdict.missing)
    assert totals["extra"] == len(verdict.extra)
    assert totals["quantity_mismatch"] == len(verdict.quantity_mismatch)
    amiss = verdict.missing or verdict.extra or verdict.quantity_mismatch
    assert verdict.status == ("inaccurate" if amiss else verdict.status)
    assert verdict.status != "accurate" or not amiss


SPELLINGS = ["soft drink", "Soft Drinks", "drink, soft", "Large Fries", "fries large", "lg. fries", "Big Mac", "bigmac"]


@given(
    st.sampled_from(SPELLINGS),
    st.sampled_from(SPELLINGS),
    st.lists(st.sampled_from([*SPELLINGS, "Pop", "Chips"]), max_size=3),
    st.lists(st.sampled_from([*SPELLINGS, "Pop", "Chips"]), max_size=3),
    st.sampled_from([(), (("pop", "soft drink"),), (("chips", "fries"), ("big", "large"))]),
)
@settings(max_examples=200)
def test_a_synonym_never_breaks_an_exact_match(one, other, aliases, more, synonyms):
    """What is equal without a menu stays equal with it, unless the menu says in so many words that it is two things."""
    menu = Menu((MenuItem("Cola", aliases=tuple(aliases)), MenuItem("Wedges", aliases=tuple(more))), synonyms)
    named = [identify(name, menu)[0] for name in (one, other)]
    two_things = all(key.startswith("menu:") for key in named) and named[0] != named[1]
    if take_apart(one).key == take_apart(other).key and not two_things:
        for strategy in ("exact", "semantic", "hybrid"):
            assert judge(items(one), items(other), menu=menu, strategy=strategy).status == "accurate"


@given(SIDE, SIDE, st.randoms(use_true_random=False), st.sampled_from([None, MENU]))
@settings(max_examples=60)
def test_reasons_do_not_depend_on_the_order_of_lines(expected, seen, random, menu):
    def told(one, other):
        verdict = judge(one, other, menu=menu)
        return verdict.status, Counter((found.outcome, found.expected, found.seen) for found in verdict.findings)

    shuffled, mixed = random.sample(expected, len(expected)), random.sample(seen, len(seen))
    assert told(expected, seen) == told(shuffled, mixed)
