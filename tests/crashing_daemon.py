"""A daemon that is killed at any moment, what it had acknowledged by then, and whether that is kept, once."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orderacc.storage.schema import soundness

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass
class History:
    """What a daemon's lives have acknowledged: told only once it had returned to whoever asked."""

    orders: set[tuple[str, str, int]] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    verdicts: dict[tuple[str, int], str] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    lives: int = 0
    killed: int = 0
    ended: int = 0

    def hear(self, kind: str, *words) -> None:
        if kind == "order":
            source, order_id, version = words
            self.orders.add((source, order_id, version))
        elif kind == "opened":
            self.opened.add(words[0])
        elif kind == "verdict":
            verdict_id, revision, status, fresh = words
            if fresh and (verdict_id, revision) in self.verdicts:
                self.twice.append(verdict_id)
            self.verdicts[verdict_id, revision] = status


class Lives(Protocol):
    """Daemons, one after the other, on one data directory."""

    def life(self, seed: int, kill_after: float | None) -> int:
        """One daemon from its start until it is killed, so many seconds later, or ends; its exit status."""
        ...

    def told(self) -> Iterable[Sequence]:
        """What all of them have acknowledged, as `History` hears it."""
        ...


class Nursery:
    """Forks daemons on one data directory.

    Args:
        folder: Holds the data directory and what the daemons tell.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._told = folder / "told"
        self._told.touch()

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("daemon_nursery.py")), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def life(self, seed: int, kill_after: float | None) -> int:
        kill = "null" if kill_after is None else kill_after
        self._process.stdin.write(f"[{seed}, {kill}]\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def told(self) -> Iterable[Sequence]:
        return map(json.loads, self._told.read_text().splitlines())


def kill_at_random(lives: Lives, times: int, seed: int) -> History:
    """Kill a daemon so often, at moments spread over its life, then let it end by itself."""
    history, chance = History(), random.Random(seed)
    # How long a life takes here and now; what is killed later than that has ended by itself.
    started = time.monotonic()
    assert lives.life(seed, None) == 0
    longest = time.monotonic() - started
    while history.killed < times:
        history.lives += 1
        kill_after = chance.uniform(0, longest)
        status = lives.life(seed + history.lives, kill_after)
        # The machine is busier or less busy than during the first life.
        longest = max(kill_after, longest / 2) if status == 0 else longest * 1.05
        assert status in {0, -signal.SIGKILL}, f"life {history.lives} ended with {status}"
        history.killed += status == -signal.SIGKILL
        history.ended += status == 0
    assert lives.life(seed + history.lives + 1, None) == 0
    history.lives += 2
    history.ended += 2
    for words in lives.told():
        history.hear(*words)
    return history


def must_be_kept(history: History, folder: Path) -> dict[tuple[str, int], dict]:
    """Hold a history against what lies on the disk behind it; fails where the two differ, and prints what it found.

    Args:
        history: Of a daemon that has ended by itself at last.
        folder: Holds its data directory `data` and its results `verdicts.ndjson`.

    Returns:
        Every verdict by its id and revision.
    """
    with sqlite3.connect(folder / "data" / "journal.db") as journal:
        assert soundness(journal, thorough=True) == ()
        kept_orders = set(journal.execute("SELECT source, order_id, version FROM orders"))
        visits = dict(journal.execute("SELECT visit_id, state FROM visits"))
        verdicts = {
            (verdict_id, revision): json.loads(body)
            for verdict_id, revision, body in journal.execute("SELECT verdict_id, revision, body FROM verdicts")
        }
        (unfinished,) = journal.execute("SELECT count(*) FROM visits WHERE state <> 'judged'").fetchone()
    journal.close()
    finals = Counter(verdict_id for verdict_id, revision in verdicts if revision == 1)
    written = Counter(
        (line["verdict_id"], line["revision"])
        for line in map(json.loads, (folder / "verdicts.ndjson").read_text().splitlines())
    )
    print(
        f"\n{history.killed} kills in {history.lives} lives: {len(history.orders)} POS orders acknowledged,"
        f" {len(kept_orders)} kept; {len(history.opened)} orders opened, {len(visits)} kept; {len(finals)} verdicts,"
        f" {sum(one['reason'] == 'interrupted' for one in verdicts.values())} of them interrupted;"
        f" lost {len(history.orders - kept_orders) + len(history.opened - set(finals))},"
        f" doubled {sum(count > 1 for count in finals.values()) + len(history.twice)}"
    )
    assert not any(one["reason"] == "judging_failed" for one in verdicts.values())
    assert history.orders <= kept_orders
    assert history.opened <= set(visits)
    assert unfinished == 0
    assert set(finals) == set(visits)
    assert set(finals.values()) == {1}
    assert {revision for _, revision in verdicts} == {1}
    assert history.twice == []
    assert {key: verdicts[key]["status"] for key in history.verdicts} == history.verdicts
    assert set(written) <= set(verdicts)
    assert set(written.values()) == {1}
    return verdicts
