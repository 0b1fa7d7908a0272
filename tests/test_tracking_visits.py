from __future__ import annotations

from dataclasses import replace

import pytest

from counter_scenes import EMPTY, Film, Moment, check_sound, still, texts
from orderacc.domain.detections import SlipReading
from orderacc.tracking.events import VisitClosed
from orderacc.tracking.observation import Observation
from orderacc.tracking.settings import TrackerSettings
from orderacc.tracking.tracker import OrderTracker

A = Moment(items=("burger",), slip="4821")
B = Moment(items=("taco",), slip="7350")


def test_an_order_is_one_visit():
    film = Film().play(1, EMPTY).play(5, A).play(3, EMPTY)
    (one,) = film.end()
    assert (one.slip_text, one.reason, one.closed_by) == ("4821", None, "empty")
    assert one.opened_at == pytest.approx(1.0)
    assert one.closed_at == pytest.approx(5.9)
    assert one.station_id == "s1"
    check_sound(film, [one])


def test_evidence_comes_when_the_counter_has_been_empty_long_enough():
    film = Film().play(5, A)
    film.play(0.9, EMPTY)
    assert not film.evidence
    film.play(0.2, EMPTY)
    assert texts(film.evidence) == ["4821"]


def test_slip_swapped_on_an_occupied_counter():
    film = Film().play(5, A).play(0.5, replace(A, slip=None, hand=True)).play(5, B).play(2, EMPTY)
    first, second = film.end()
    assert (first.slip_text, first.closed_by) == ("4821", "swap")
    assert first.closed_at == second.opened_at == pytest.approx(5.5)
    assert second.slip_text == "7350"
    assert all(moment.slip == "4821" for moment in film.shown(first))
    assert all(moment.slip == "7350" for moment in film.shown(second))


def test_slip_swapped_with_no_frame_between_and_read_later():
    film = Film().play(5, A).play(1, replace(B, readable=False)).play(4, B).play(2, EMPTY)
    first, second = film.end()
    assert first.closed_at == second.opened_at == pytest.approx(5.0)
    assert all(moment.slip == "4821" for moment in film.shown(first))


def test_two_unsure_readings_confirm_a_swap_from_the_first_sighting():
    film = Film().play(5, A).play(4, replace(B, confidence=0.7)).play(2, EMPTY)
    first, second = film.end()
    assert texts(film.evidence) == ["4821", "7350"]
    assert first.closed_at == second.opened_at == pytest.approx(5.0)


def test_next_slip_laid_beside_the_first():
    both = replace(A, second_slip="7350", items=("burger", "taco"))
    film = Film().play(5, A).play(2, both).play(4, B).play(2, EMPTY)
    first, second = film.end()
    assert texts(film.evidence) == ["4821", "7350"]
    assert not any(moment.second_slip for one in (first, second) for moment in film.shown(one))


def test_next_slip_read_while_the_first_still_lies_there():
    both = replace(B, second_slip="4821", items=("burger", "taco"))
    film = Film().play(5, A).play(2, both).play(4, B).play(2, EMPTY)
    first, second = film.end()
    assert first.closed_at == second.opened_at == pytest.approx(5.0)
    assert texts(film.evidence) == ["4821", "7350"]
    assert not any(moment.second_slip for one in (first, second) for moment in film.shown(one))


def test_items_before_the_slip_belong_to_the_order():
    film = Film().play(2, Moment(items=("donut",))).play(1, Moment(bag=True, items=("fries",)))
    film.play(3, A).play(2, EMPTY)
    (one,) = film.end()
    assert one.slip_text == "4821"
    assert one.opened_at == 0.0
    assert {item for moment in film.shown(one) for item in moment.items} == {"donut", "fries", "burger"}


def test_static_scene_ends_and_does_not_come_back():
    film = Film().play(3, A).play(200, still(A))
    (one,) = film.evidence
    assert one.closed_by == "idle"
    assert one.closed_at == pytest.approx(22.9, abs=0.2)
    film.play(1, replace(A, hand=True)).play(3, EMPTY)
    assert film.end() == [one]
    film.play(3, B).play(2, EMPTY)
    assert texts(film.end()) == ["4821", "7350"]


def test_static_clutter_without_a_slip_ends():
    film = Film().play(120, still(Moment(items=("cola",))))
    assert [(one.reason, one.closed_by) for one in film.end()] == [("no_slip", "idle")]


def test_after_a_static_scene_another_slip_opens_a_visit():
    film = Film().play(30, still(A)).play(0.5, replace(A, slip=None, hand=True)).play(4, B).play(2, EMPTY)
    first, second = film.end()
    assert (first.slip_text, first.closed_by) == ("4821", "idle")
    assert second.slip_text == "7350"
    assert second.opened_at == pytest.approx(30.5)


def test_after_a_static_scene_the_first_slip_opens_a_visit():
    lone = Moment(items=("cola",))
    film = Film().play(30, still(lone)).play(4, replace(lone, slip="4821")).play(2, EMPTY)
    assert [(one.slip_text, one.reason) for one in film.end()] == [(None, "no_slip"), ("4821", None)]


def test_after_a_static_scene_added_items_open_a_visit_of_the_same_number():
    film = Film().play(40, still(A)).play(5, replace(A, items=("burger", "cola"))).play(2, EMPTY)
    first, second = film.end()
    assert texts(film.evidence) == ["4821", "4821"]
    assert second.opened_at > first.closed_at
    assert all("cola" in moment.items for moment in film.shown(second))


def test_long_order_is_judged_on_its_last_frames_too():
    film = (
        Film().play(38, replace(A, score=1.0)).play(2, replace(A, items=("burger", "salad"), score=0.5)).play(2, EMPTY)
    )
    (one,) = film.end()
    assert any("salad" in moment.items for moment in film.shown(one))


def test_order_that_lasts_too_long_goes_on_as_another_visit():
    settings = TrackerSettings(max_visit=30.0)
    film = Film(settings=settings).play(70, A).play(2, EMPTY)
    evidence = film.end()
    assert [one.closed_by for one in evidence] == ["too_long", "too_long", "empty"]
    assert texts(evidence) == ["4821"] * 3
    assert evidence[0].closed_at == evidence[1].opened_at == pytest.approx(30.0)
    check_sound(film, evidence)


def test_swap_under_way_when_the_visit_lasts_too_long():
    settings = TrackerSettings(max_visit=10.0)
    film = Film(settings=settings).play(9.5, A).play(1, replace(B, readable=False)).play(4, B).play(2, EMPTY)
    evidence = film.end()
    assert texts(evidence) == ["4821", "7350"]
    assert {moment.slip for moment in film.shown(evidence[0])} == {"4821"}
    assert evidence[1].opened_at == pytest.approx(9.5)


def test_the_same_number_twice_is_two_visits():
    film = Film().play(4, A).play(2, EMPTY).play(4, A).play(2, EMPTY)
    first, second = film.end()
    assert texts(film.evidence) == ["4821", "4821"]
    assert first.visit_id != second.visit_id
    check_sound(film, [first, second])


def test_unreadable_slip_keeps_its_frames():
    film = Film().play(6, replace(A, readable=False)).play(2, EMPTY)
    (one,) = film.end()
    assert (one.slip_text, one.reason) == (None, "slip_unreadable")
    assert len(one.frames) == 3


def test_unreadable_slip_before_a_swap_is_an_order_of_its_own():
    film = Film().play(5, replace(A, readable=False)).play(0.5, replace(A, slip=None, hand=True))
    film.play(5, B).play(2, EMPTY)
    first, second = film.end()
    assert [(one.slip_text, one.reason) for one in (first, second)] == [(None, "slip_unreadable"), ("7350", None)]
    assert all(moment.slip == "4821" for moment in film.shown(first))
    assert all(moment.slip == "7350" for moment in film.shown(second))


def test_unreadable_slip_after_a_swap_is_an_order_of_its_own():
    film = Film().play(5, A).play(0.5, replace(A, slip=None, hand=True))
    film.play(6, replace(B, readable=False)).play(2, EMPTY)
    first, second = film.end()
    assert (first.slip_text, first.closed_by) == ("4821", "swap")
    assert (second.slip_text, second.reason, second.closed_by) == (None, "slip_unreadable", "empty")
    assert all(moment.slip == "4821" for moment in film.shown(first))
    assert all(moment.slip == "7350" for moment in film.shown(second))


def test_unreadable_slip_after_a_swap_is_told_through_a_flickering_detector():
    unread, blink = replace(B, readable=False), replace(B, slip=None)
    film = Film().play(5, A).play(0.5, replace(A, slip=None, hand=True))
    for _ in range(4):
        film.play(1.5, unread).play(0.1, blink)
    evidence = film.play(2, EMPTY).end()
    assert [(one.slip_text, one.reason) for one in evidence] == [("4821", None), (None, "slip_unreadable")]
    assert all(moment.slip == "4821" for moment in film.shown(evidence[0]))
    assert all(moment.items == B.items for moment in film.shown(evidence[1]))


def test_counter_occupied_without_a_slip():
    film = Film().play(3, Moment(items=("burger",))).play(2, EMPTY)
    (one,) = film.end()
    assert (one.slip_text, one.reason) == (None, "no_slip")
    assert one.frames


def test_clutter_is_counted_but_no_visit():
    film = (
        Film().play(0.1, Moment(items=("burger",))).play(2, EMPTY).play(1.2, Moment(items=("burger",))).play(2, EMPTY)
    )
    assert film.end() == []
    assert film.station.clutter == 2


def test_bag_or_hand_alone_is_no_order():
    film = Film().play(5, Moment(bag=True)).play(5, Moment(hand=True))
    assert film.end() == []
    assert film.station.clutter == 0


def test_frames_beyond_any_number_are_seen_and_memory_stays_bounded():
    film = Film()
    for second in range(120):
        film.play(1, replace(A, score=0.3 + second % 7 / 10, items=("burger",) * (1 + second % 3)))
    film.play(2, replace(A, items=("burger", "cookie"))).play(2, EMPTY)
    (one,) = film.end()
    assert film.most_frames <= 12
    assert any("cookie" in moment.items for moment in film.shown(one))


@pytest.mark.parametrize("rereads", [True, False])
def test_hand_over_the_slip_for_a_while_is_the_same_visit(rereads):
    film = Film()
    film.eyes.rereads = rereads
    film.play(3, A)
    film.play(0.5, replace(A, look=1, readable=False, hand_on_slip=True)).play(3, replace(A, slip=None, hand=True))
    film.play(0.5, replace(A, look=2, readable=False, hand_on_slip=True)).play(3, A).play(2, EMPTY)
    (one,) = film.end()
    assert (one.slip_text, one.closed_by) == ("4821", "empty")


def test_slip_taken_first_leaves_the_last_items_to_the_order():
    film = Film().play(5, A).play(0.3, replace(A, look=1, readable=False, hand_on_slip=True))
    film.play(4, Moment(items=("burger", "salad"))).play(2, EMPTY)
    (one,) = film.end()
    assert any("salad" in moment.items for moment in film.shown(one))
    assert one.closed_at == pytest.approx(9.2)


def test_one_misreading_changes_nothing():
    film = Film().play(3, A).play(0.1, replace(A, look=1, misread="4827", confidence=0.6)).play(3, replace(A, look=1))
    (one,) = film.play(2, EMPTY).end()
    assert one.slip_text == "4821"


def test_number_read_in_part_while_the_slip_was_laid_down_is_corrected():
    film = Film().play(2, replace(A, misread="482", hand_on_slip=True)).play(4, replace(A, look=1)).play(2, EMPTY)
    (one,) = film.end()
    assert one.slip_text == "4821"
    assert one.opened_at == 0.0


def test_number_read_in_part_under_a_hand_is_no_swap():
    film = Film().play(3, A).play(2, replace(A, look=1, misread="48", hand_on_slip=True)).play(3, A).play(2, EMPTY)
    assert texts(film.end()) == ["4821"]


def test_number_read_in_part_while_the_slip_is_carried_off_is_no_swap():
    leaving = replace(A, look=1, misread="821", confidence=0.999)
    film = Film().play(5, A).play(0.1, leaving).play(0.8, replace(A, slip=None)).play(2, EMPTY)
    assert texts(film.end()) == ["4821"]


def test_number_misread_at_first_is_corrected_not_swapped():
    film = Film().play(0.4, replace(A, misread="4827")).play(4, replace(A, look=1)).play(2, EMPTY)
    assert texts(film.end()) == ["4821"]


def test_majority_of_readings_of_an_unmoved_slip_wins():
    tracker = OrderTracker()
    film = Film()
    seen = film.eyes.see(0.0, 0, A)
    closed = []
    for index, text in enumerate(["4827", None, None, "4821", "4821", "4821", None]):
        reading = SlipReading(text, 0.95) if text else None
        closed += tracker.observe(
            Observation(
                index * 0.5, index, seen.detections, slip_seen=True, slip_changed=False, slip=reading, change=0.1
            )
        )
    closed += tracker.finish(4.0)
    assert [event.slip_text for event in closed if isinstance(event, VisitClosed)] == ["4821"]
    assert tracker.segment is None


def test_stream_that_ends_closes_what_is_open():
    film = Film().play(4, A)
    (one,) = film.end()
    assert (one.slip_text, one.closed_by) == ("4821", "end_of_stream")
    assert film.station.finish(film.now + 1) == []


def test_hand_keeps_an_order_open():
    film = Film().play(3, A).play(4, Moment(hand=True)).play(2, A).play(2, EMPTY)
    (one,) = film.end()
    assert one.closed_at == pytest.approx(8.9)


def test_open_visit_can_be_looked_at():
    film = Film()
    assert film.station.open_since is None
    film.play(1, EMPTY).play(2, A)
    assert (film.station.open_since, film.station.open_number) == (pytest.approx(1.0), "4821")


def test_time_that_runs_backwards_is_refused():
    tracker = OrderTracker()
    later, earlier = (
        Observation(at, 0, (), slip_seen=False, slip_changed=False, slip=None, change=0.0) for at in (2.0, 1.0)
    )
    tracker.observe(later)
    with pytest.raises(ValueError, match="backwards"):
        tracker.observe(earlier)


def test_settings_refuse_nonsense():
    with pytest.raises(ValueError, match="empty_after"):
        TrackerSettings(empty_after=-1.0)
