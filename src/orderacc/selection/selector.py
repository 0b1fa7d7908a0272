"""Streaming selection: an order of any length, a handful of frames in memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from orderacc.selection.objective import (
    LOOK_WORTH,
    Look,
    Need,
    choose,
    clearness,
    likeness,
    need_worth,
    qualities,
    value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orderacc.domain.evidence import Candidate

POOL = 10
"""Frames held at most (a 720p frame and its half are 3.5 MB)."""

RECENT = 3
"""The latest of them are never given up: what a new state is worth shows only after some frames, and the last state
before the hand-off must be among the choices."""

TWIN_SECONDS = 0.25
"""Frames closer than this that show the same are one look; the better one is held."""

CLEAR_SHARE = 0.25
"""What a frame shows is believed from this share of the clearest frame's score per piece: in worse ones something moves
in front of the items, and a hand is taken for food."""

MAX_COUNT = 16
"""Larger counts of one label are not told apart."""


class Selector:
    """Holds the frames of one order worth keeping and picks at most `k` of them.

    See `orderacc.selection.objective` for what is good. The choice depends on the candidates and their frame times
    only, not on when or how fast they are offered.

    Args:
        k: Frames to pick, from 1.
        pool: Frames to hold, more than `k`.
    """

    def __init__(self, k: int = 3, *, pool: int = POOL) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        self._k = k
        self._pool = max(pool, k + RECENT)
        self._looks: list[Look] = []
        self._seen: Counter[Need] = Counter()
        self._clearest = 0.0

    def __len__(self) -> int:
        """Frames held now."""
        return len(self._looks)

    def offer(self, candidate: Candidate) -> None:
        """Consider one more frame of the order; frames come in time order."""
        look = Look.at_candidate(candidate)
        if look.counts:
            self._clearest = max(self._clearest, clearness(look))
        if self._clear(look):
            for label, count in look.counts.items():
                self._seen.update((label, shown) for shown in range(1, min(count, MAX_COUNT) + 1))
        twin = next((index for index, held in enumerate(self._looks) if _twins(held, look)), None)
        if twin is None:
            self._looks.append(look)
            self._shrink()
        elif self._looks[twin].candidate.score < candidate.score:
            self._looks[twin] = look
            self._looks.sort(key=lambda held: held.order)

    def absorb(self, later: Selector) -> None:
        """Take over what another selector held and learned of later frames of the same order."""
        self._seen.update(later._seen)
        self._clearest = max(self._clearest, later._clearest)
        self._looks = sorted([*self._looks, *later._looks], key=lambda look: look.order)
        self._shrink()

    def choose(self) -> tuple[Candidate, ...]:
        """The best `k` frames, in time order; fewer when fewer different ones were offered."""
        needs = {need: need_worth(frames) for need, frames in sorted(self._seen.items())}
        shown = [look for look in self._looks if look.counts and self._clear(look)]
        return tuple(look.candidate for look in choose(shown or self._looks, needs, self._k))

    def _clear(self, look: Look) -> bool:
        return clearness(look) >= CLEAR_SHARE * self._clearest

    def _shrink(self) -> None:
        while len(self._looks) > self._pool:
            del self._looks[self._least_needed()]

    def _least_needed(self) -> int:
        """The look that would be missed least, the latest ones aside."""
        looks = self._looks
        quality = qualities(looks)
        missed = [0.1 * clear for clear in quality]
        for need, frames in self._seen.items():
            if worth := need_worth(frames):
                for index, loss in _losses([value(look, need, quality[i]) for i, look in enumerate(looks)]):
                    missed[index] += worth * loss
        for index, look in enumerate(looks):
            # likeness fades with time, so the neighbours in time are the ones to compare with
            for near in (looks[max(0, index - 2) : index], looks[index + 1 : index + 3]):
                missed[index] += 0.5 - 0.5 * max((likeness(look, other) for other in near), default=0.0)
        return min(range(len(looks) - RECENT), key=lambda index: (round(missed[index], 9), index))


def _losses(shown: list[float]) -> Iterator[tuple[int, float]]:
    """What a count's best looks would lose were one of the looks given up, the others moving up in its place."""
    ranked = sorted((i for i, clear in enumerate(shown) if clear), key=lambda index: -shown[index])
    values = [shown[index] for index in ranked] + [0.0] * (len(LOOK_WORTH) + 1)
    steps = [worth * (values[rank] - values[rank + 1]) for rank, worth in enumerate(LOOK_WORTH)]
    for rank, index in enumerate(ranked[: len(LOOK_WORTH)]):
        yield index, sum(steps[rank:])


def _twins(held: Look, look: Look) -> bool:
    return abs(look.at - held.at) < TWIN_SECONDS and look.counts == held.counts
