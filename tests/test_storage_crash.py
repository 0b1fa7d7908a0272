"""A daemon is killed at random moments; whatever it had acknowledged is there afterwards, once."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from crashing_daemon import Nursery, kill_at_random, must_be_kept
from killed_program import STORE, Program

KILLS = int(os.environ.get("ORDERACC_KILLS", "20"))
KILLS_REAL = int(os.environ.get("ORDERACC_KILLS_REAL", "0"))
SEED = int(os.environ.get("ORDERACC_KILL_SEED", "640001"))


@pytest.mark.timeout(60 + 10 * KILLS)
def test_every_order_acknowledged_or_opened_ends_in_exactly_one_verdict(tmp_path):
    with Nursery(tmp_path) as nursery:
        history = kill_at_random(nursery, KILLS, SEED)
    must_be_kept(history, tmp_path)
    assert history.killed == KILLS
    assert len(history.orders) >= KILLS / 2


@pytest.mark.skipif(not KILLS_REAL, reason="ORDERACC_KILLS_REAL says how often")
@pytest.mark.timeout(120 + 60 * KILLS_REAL)
def test_the_program_itself_with_its_models_loses_nothing(tmp_path):
    program = Program(tmp_path)
    history = kill_at_random(program, KILLS_REAL, SEED)
    verdicts = must_be_kept(history, tmp_path)
    program.print_figures()
    assert history.killed == KILLS_REAL
    assert program.missed == []

    # Who waits at the till of the last life, which nobody cut short: every order, once.
    judged = Counter(one["order_id"] for one in verdicts.values())
    assert {order_id: judged[order_id] for order_id in program.shown} == dict.fromkeys(program.shown, 1)

    # The outside was told of every verdict; again only with the key it had before.
    told = {body["key"]: body["data"] for body in program.received}
    assert told == {f"{STORE}/{verdict_id}/{revision}": one for (verdict_id, revision), one in verdicts.items()}
    assert all(body["data"] == told[body["key"]] for body in program.received)
    assert program.forged == 0
