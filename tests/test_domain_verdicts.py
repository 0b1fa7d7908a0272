from __future__ import annotations

import json
from dataclasses import replace

import pytest

from orderacc import Item, judge
from orderacc.domain.verdicts import FrameRef, ModelVersions, SeenItem, Timings, Verdict

KEYS = [
    "schema", "verdict_id", "station_id", "order_id", "order_version", "slip_text", "status", "reason", "sentence",
    "expected", "seen", "matched", "missing", "extra", "quantity_mismatch", "substituted", "findings", "confidence",
    "opened_at", "closed_at", "frames", "timings_ms", "vlm_calls", "visual_tokens", "models", "revision",
]  # fmt: skip


def test_an_empty_verdict_has_every_key():
    written = Verdict("undetermined").to_dict()
    assert list(written) == KEYS
    assert list(written["timings_ms"]) == ["selection", "queue", "vlm", "validation", "order_end_to_verdict"]
    assert list(written["models"]) == ["detector", "slip_reader", "vlm"]


def finding(outcome, name, expected, seen, rule, score, confidence, other_name, detail):
    return {
        "outcome": outcome,
        "name": name,
        "expected": expected,
        "seen": seen,
        "rule": rule,
        "score": score,
        "confidence": confidence,
        "strategy": "hybrid",
        "other_name": other_name,
        "detail": detail,
        "frames": [],
    }


def test_a_full_verdict_as_json():
    verdict = judge(
        [Item("Large Fries"), Item("Cola", 2), Item("Taco")],
        [Item("Small Fries"), SeenItem("Cola", 3, 0.98765), Item("Taco")],
    )
    verdict = replace(
        verdict,
        verdict_id="v1",
        station_id="s1",
        order_id="384",
        order_version=2,
        slip_text="0384",
        opened_at="2026-11-20T10:00:00.000Z",
        closed_at="2026-11-20T10:00:09.500Z",
        frames=(FrameRef("frame/12", "2026-11-20T10:00:01.200Z", 0.81234),),
        timings=Timings(vlm=12.34567, order_end_to_verdict=50.0),
        vlm_calls=1,
        visual_tokens=54,
        models=ModelVersions(vlm="demo-vlm@1"),
    )
    assert json.loads(json.dumps(verdict.to_dict())) == {
        "schema": 1,
        "verdict_id": "v1",
        "station_id": "s1",
        "order_id": "384",
        "order_version": 2,
        "slip_text": "0384",
        "status": "inaccurate",
        "reason": None,
        "sentence": "Missing: 1 large fries. Extra: 1 small fries, 1 cola (2 ordered, 3 seen).",
        "expected": [
            {"name": "Large Fries", "quantity": 1},
            {"name": "Cola", "quantity": 2},
            {"name": "Taco", "quantity": 1},
        ],
        "seen": [
            {"name": "Cola", "quantity": 3, "confidence": 0.988},
            {"name": "Taco", "quantity": 1, "confidence": 1.0},
            {"name": "Small Fries", "quantity": 1, "confidence": 1.0},
        ],
        "matched": [{"name": "Cola", "quantity": 2}, {"name": "Taco", "quantity": 1}],
        "missing": [{"name": "Large Fries", "quantity": 1}],
        "extra": [{"name": "Small Fries", "quantity": 1}],
        "quantity_mismatch": [{"name": "Cola", "expected": 2, "seen": 3}],
        "substituted": [{"expected": "Large Fries", "seen": "Small Fries", "quantity": 1}],
        "findings": [
            finding("missing", "Large Fries", 1, 0, "size", 0.0, 1.0, "Small Fries", "large / small"),
            finding("quantity_mismatch", "Cola", 2, 3, "same_name", 1.0, 0.988, None, ""),
            finding("matched", "Taco", 1, 1, "same_name", 1.0, 1.0, None, ""),
            finding("extra", "Small Fries", 0, 1, "size", 0.0, 1.0, "Large Fries", "small / large"),
        ],
        "confidence": 1.0,
        "opened_at": "2026-11-20T10:00:00.000Z",
        "closed_at": "2026-11-20T10:00:09.500Z",
        "frames": [{"ref": "frame/12", "at": "2026-11-20T10:00:01.200Z", "score": 0.812}],
        "timings_ms": {
            "selection": None,
            "queue": None,
            "vlm": 12.346,
            "validation": None,
            "order_end_to_verdict": 50.0,
        },
        "vlm_calls": 1,
        "visual_tokens": 54,
        "models": {"detector": None, "slip_reader": None, "vlm": "demo-vlm@1"},
        "revision": 1,
    }


@pytest.mark.parametrize(
    "wrong", [("", 1, 1.0), ("A", -1, 1.0), ("A", True, 1.0), ("A", 1, 1.1), ("A", 1, float("nan"))]
)
def test_a_seen_item_that_means_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match=r"name|quantity|confidence"):
        SeenItem(*wrong)
