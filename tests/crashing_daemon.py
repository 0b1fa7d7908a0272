"""A daemon that is killed at any moment, and what it had acknowledged by then."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path


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

    def hear(self, line: str) -> None:
        kind, *words = json.loads(line)
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


class Nursery:
    """Forks daemons on one data directory.

    Args:
        folder: Holds the data directory and what the daemons tell.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = folder / "told"
        self.told.touch()

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
        """One daemon from its start until it is killed, so many seconds later, or ends; its exit status."""
        kill = "null" if kill_after is None else kill_after
        self._process.stdin.write(f"[{seed}, {kill}]\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def kill_at_random(folder: Path, times: int, seed: int) -> History:
    """Kill a daemon so often, at moments spread over its life, then let it end by itself."""
    history, chance = History(), random.Random(seed)
    with Nursery(folder) as nursery:
        # How long a life takes here and now; what is killed later than that has ended by itself.
        started = time.monotonic()
        assert nursery.life(seed, None) == 0
        longest = time.monotonic() - started
        while history.killed < times:
            history.lives += 1
            kill_after = chance.uniform(0, longest)
            status = nursery.life(seed + history.lives, kill_after)
            # The machine is busier or less busy than during the first life.
            longest = max(kill_after, longest / 2) if status == 0 else longest * 1.05
            assert status in {0, -signal.SIGKILL}, f"life {history.lives} ended with {status}"
            history.killed += status == -signal.SIGKILL
            history.ended += status == 0
        assert nursery.life(seed + history.lives + 1, None) == 0
        history.lives += 2
        history.ended += 2
    for line in nursery.told.read_text().splitlines():
        history.hear(line)
    return history
