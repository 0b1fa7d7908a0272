"""The simulated counter: same seed same pixels, scripts a person can write, truth that fits the pictures."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc.domain.orders import Item
from orderacc.errors import ConfigError
from orderacc.simulator.choreography import build_timeline
from orderacc.simulator.menu import GROUPS, LABELS, NAMES
from orderacc.simulator.random_script import MAX_PIECES, random_script
from orderacc.simulator.render import CounterCamera
from orderacc.simulator.samples import sample
from orderacc.simulator.script import Action, Script, ScriptedOrder
from orderacc.simulator.script_file import load_script, save_script
from orderacc.simulator.source import SimulatorSource
from orderacc.simulator.truth import differences, pos_orders
from orderacc.simulator.video import record


def one_order(*actions: Action, paid: tuple[Item, ...] = (), seconds: float = 6.0, seed: int = 3) -> Script:
    return Script(seed, (ScriptedOrder("4821", paid, actions),), fps=5.0, seconds=seconds)


def test_the_menu_has_14_items_with_look_alikes():
    assert len(NAMES) == 14
    assert len(GROUPS) == 12
    assert LABELS[-3:] == ("slip", "hand", "bag")


def test_the_same_seed_gives_the_same_pixels_in_any_order():
    first, second = CounterCamera(random_script(5, 2)), CounterCamera(random_script(5, 2))
    early, late = first.picture(3.0), first.picture(9.0)
    assert np.array_equal(second.picture(9.0), late)
    assert np.array_equal(second.picture(3.0), early)
    assert not np.array_equal(CounterCamera(random_script(6, 2)).picture(3.0), early)


def test_a_picture_is_a_720p_colour_frame():
    picture = CounterCamera(random_script(1, 1)).picture(2.0)
    assert picture.shape == (720, 1280, 3)
    assert picture.dtype == np.uint8


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_every_kind_is_shown_whole_at_some_moment_before_the_hand_off(seed: int):
    script = random_script(seed, 1)
    order = script.orders[0]
    assert 1 <= sum(item.quantity for item in order.laid) <= MAX_PIECES
    camera = CounterCamera(script)
    hand_off = next(action.at for action in order.actions if action.do == "take")
    best: Counter[str] = Counter()
    for at in np.arange(0.0, hand_off, 0.25):
        seen = Counter(s.name for s in camera.sightings(float(at)) if s.name and s.visible >= 0.5)
        for name, count in seen.items():
            best[name] = max(best[name], count)
    assert best == {item.name: item.quantity for item in order.laid}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_random_orders_are_told_apart_in_time_and_number(seed: int):
    script = random_script(seed, 6)
    numbers = [order.order_id for order in script.orders]
    assert len(set(numbers)) == len(numbers)
    timeline = build_timeline(script)
    spans = [timeline.span(index) for index in range(6)]
    assert all(start < end for start, end in spans)
    assert all(later[0] > earlier[1] - 0.5 for earlier, later in pairwise(spans))
    assert spans[-1][1] < script.seconds


def test_the_share_of_wrong_orders_is_as_asked():
    orders = [order for seed in range(40) for order in random_script(seed, 5, wrong_share=0.4).orders]
    wrong = sum(differences(order.paid, order.laid)["status"] == "inaccurate" for order in orders)
    assert 0.3 < wrong / len(orders) < 0.5
    assert all(differences(o.paid, o.laid)["status"] == "accurate" for o in random_script(1, 9, wrong_share=0).orders)


def test_differences_are_counted_as_verdicts_count_them():
    found = differences((Item("Cola", 2), Item("Taco")), (Item("Cola"), Item("Wrap")))
    assert found["status"] == "inaccurate"
    assert found["missing"] == [{"name": "Taco", "quantity": 1}]
    assert found["extra"] == [{"name": "Wrap", "quantity": 1}]
    assert found["quantity_mismatch"] == [{"name": "Cola", "expected": 2, "seen": 1}]


def test_a_hand_hides_what_it_covers():
    script = one_order(
        Action(1.0, "lay", "Burger", x=640, y=360, angle=0, look=0), Action(3.0, "cover", "Burger#1", seconds=1.0)
    )
    camera = CounterCamera(script)
    clear = next(s for s in camera.sightings(2.4) if s.key == "Burger#1")
    covered = next(s for s in camera.sightings(3.5) if s.key == "Burger#1")
    assert clear.visible > 0.95
    assert covered.visible < 0.6
    assert abs((clear.box.x1 + clear.box.x2) / 2 - 640) < 12


def test_a_bagged_piece_is_gone_and_the_truth_says_when():
    script = one_order(
        Action(0.8, "stand_bag"),
        Action(1.0, "lay", "Cola"),
        Action(3.0, "bag", "Cola#1"),
        Action(4.5, "slip"),
        seconds=6.0,
    )
    camera = CounterCamera(script)
    assert [s.name for s in camera.sightings(2.0) if s.name] == ["Cola"]
    assert not [s for s in camera.sightings(4.0) if s.name]
    assert script.orders[0].laid == (Item("Cola"),)


def test_a_script_survives_its_file(tmp_path):
    script = random_script(12, 3)
    save_script(script, tmp_path / "script.json")
    assert load_script(tmp_path / "script.json") == script


def test_a_script_can_be_written_by_hand(tmp_path):
    path = tmp_path / "swap.yaml"
    path.write_text(
        "seed: 4\norders:\n  - order_id: 84\n    paid: [{name: Taco}]\n"
        "    actions:\n      - {at: 1, do: slip}\n      - {at: 2, do: lay, what: Taco}\n      - {at: 6, do: take}\n"
    )
    script = load_script(path)
    assert script.orders[0].order_id == "84"
    assert script.orders[0].laid == (Item("Taco"),)
    assert script.seconds > 6


def test_a_number_may_come_again_for_what_it_paid_for(tmp_path):
    path = tmp_path / "again.yaml"
    path.write_text(
        "orders:\n"
        "  - {order_id: 84, paid: [{name: Taco}, {name: Cola}, {name: Taco}], actions: [{at: 1, do: slip}]}\n"
        "  - {order_id: 84, paid: [{name: Cola}, {name: Taco, quantity: 2}], actions: [{at: 9, do: slip}]}\n"
    )
    assert [order.order_id for order in load_script(path).orders] == ["84", "84"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("orders: [{order_id: 1, actions: [{at: 1, do: fly}]}]", "orders[0].actions[0].do: should be slip, lay"),
        ("orders: [{order_id: 1, actions: [{at: 1, do: lay, what: Tacco}]}]", "did you mean 'Taco'"),
        ("orders: [{order_id: 1, actions: [{at: 1, do: slip, wat: 2}]}]", "bad.yaml:1:52 orders[0].actions[0].wat:"),
        ("orders: [{order_id: 1, paid: [{name: Taco, quantity: 0}], actions: [{at: 1, do: slip}]}]", "quantity: "),
        ("orders: [{actions: [{at: 1, do: slip}]}]", "order_id: is required"),
        ("orders: [{order_id: 1, actions: [{at: .nan, do: slip}]}]", "at: "),
        ("orders: [{order_id: 1, actions: [{at: 1, do: stand_bag}]}]", "should lay a slip or an item down"),
        ("orders: [{order_id: 1, actions: [{at: 1, do: slip}, {at: 2, do: slip}]}]", "the slip lies there already"),
        ("orders: [{order_id: 1, actions: [{at: 2, do: slip}, {at: 1, do: cover, what: slip}]}]", "nothing does"),
        (
            "orders: [{order_id: 1, actions: [{at: 1, do: lay, what: Taco}, {at: 2, do: bag, what: Taco}]}]",
            "at 2 s no 'Taco' lies there to bag; there are: Taco#1",
        ),
        (
            "orders: [{order_id: 1, actions: [{at: 1, do: lay, what: Taco}, {at: 2, do: take}, {at: 3, do: move}]}]",
            "no '' lies there to move",
        ),
        (
            (
                "orders:\n"
                "  - {order_id: 84, paid: [{name: Taco}], actions: [{at: 1, do: slip}]}\n"
                "  - {order_id: '84', paid: [{name: Taco, quantity: 2}], actions: [{at: 9, do: slip}]}\n"
            ),
            "bad.yaml:3:6 orders[1].order_id: '84' is the number of orders[0] already, which paid for something else",
        ),
        ("orders: [", "not YAML"),
        ("7", "should be a table of keys"),
    ],
)
def test_a_wrong_script_is_refused_with_its_reason(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.yaml") as caught:
        load_script(path)
    assert message in str(caught.value)


def test_a_recording_is_single_slice_h264_with_its_truth_beside_it(tmp_path):
    script = one_order(
        Action(0.8, "slip"), Action(1.6, "lay", "Donut"), Action(3.0, "take"), paid=(Item("Donut", 2),), seconds=4.0
    )
    truth = record(script, tmp_path)
    with av.open(str(tmp_path / "station.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 1280, 720)
        times = [float(frame.pts * stream.time_base) for frame in container.decode(stream)]
    assert times == pytest.approx([i / 5 for i in range(20)], abs=1e-4)
    assert truth == json.loads((tmp_path / "truth.json").read_text())
    assert truth["schema"] == 1
    order = truth["orders"][0]
    assert order["status"] == "inaccurate"
    assert order["quantity_mismatch"] == [{"name": "Donut", "expected": 2, "seen": 1}]
    assert order["opened_s"] < 0.8 < order["closed_s"] < 4
    first, last = order["visible"]["Donut#1"][0]
    assert 1.0 < first <= last < 4
    assert json.loads((tmp_path / "orders.json").read_text()) == pos_orders(script)
    assert [item["name"] for item in json.loads((tmp_path / "inventory.json").read_text())["items"]] == list(NAMES)


def test_the_source_delivers_the_scripts_frames():
    script = one_order(Action(0.8, "slip"), seconds=1.0)
    source = SimulatorSource(script, "counter-1")
    frames = list(source.frames())
    assert [frame.at for frame in frames] == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert {frame.station_id for frame in frames} == {"counter-1"}
    source.close()
    assert list(source.frames()) == []


def test_samples_show_what_they_say():
    shown = [sample(seed) for seed in range(8)]
    assert all(s.image.shape == (720, 1280, 3) for s in shown)
    objects = [o for s in shown for o in s.objects]
    assert all(0 <= o.visible <= 1.05 for o in objects)
    assert {o.label for o in objects} <= set(LABELS)
    assert sum(any(o.name and o.visible > 0.5 for o in s.objects) for s in shown) >= 5
