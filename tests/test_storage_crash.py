"""A daemon is killed at random moments; whatever it had acknowledged is there afterwards, once."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter

import pytest

from crashing_daemon import kill_at_random
from orderacc.storage.schema import soundness

KILLS = int(os.environ.get("ORDERACC_KILLS", "20"))
SEED = int(os.environ.get("ORDERACC_KILL_SEED", "640001"))


@pytest.mark.timeout(60 + 10 * KILLS)
def test_every_order_acknowledged_or_opened_ends_in_exactly_one_verdict(tmp_path):
    history = kill_at_random(tmp_path, KILLS, SEED)
    with sqlite3.connect(tmp_path / "data" / "journal.db") as journal:
        assert soundness(journal, thorough=True) == ()
        kept_orders = set(journal.execute("SELECT source, order_id, version FROM orders"))
        visits = dict(journal.execute("SELECT visit_id, state FROM visits"))
        verdicts = {
            (verdict_id, revision): (status, reason)
            for verdict_id, revision, status, reason in journal.execute(
                "SELECT verdict_id, revision, status, reason FROM verdicts"
            )
        }
        (unfinished,) = journal.execute("SELECT count(*) FROM visits WHERE state <> 'judged'").fetchone()
    journal.close()
    finals = Counter(verdict_id for verdict_id, revision in verdicts if revision == 1)
    written = Counter(
        (line["verdict_id"], line["revision"])
        for line in map(json.loads, (tmp_path / "verdicts.ndjson").read_text().splitlines())
    )
    print(
        f"\n{history.killed} kills in {history.lives} lives: {len(history.orders)} POS orders acknowledged,"
        f" {len(kept_orders)} kept; {len(history.opened)} orders opened, {len(visits)} kept; {len(finals)} verdicts,"
        f" {sum(reason == 'interrupted' for _, reason in verdicts.values())} of them interrupted;"
        f" lost {len(history.orders - kept_orders) + len(history.opened - set(finals))},"
        f" doubled {sum(count > 1 for count in finals.values()) + len(history.twice)}"
    )
    assert history.killed == KILLS
    assert len(history.orders) >= KILLS / 2
    assert not any(reason == "judging_failed" for _, reason in verdicts.values())
    assert history.orders <= kept_orders
    assert history.opened <= set(visits)
    assert unfinished == 0
    assert set(finals) == set(visits)
    assert set(finals.values()) == {1}
    assert {revision for _, revision in verdicts} == {1}
    assert history.twice == []
    assert {key: verdicts[key][0] for key in history.verdicts} == history.verdicts
    assert set(written) <= set(verdicts)
    assert set(written.values()) == {1}
