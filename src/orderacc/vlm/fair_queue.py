"""Who is next: the most urgent first, and stations that are equally urgent take turns by the tokens they ask for.

Pure: no clock, no tasks. Deficit round robin after Shreedhar and Varghese: in each round a station may spend a quantum
of tokens, and what it did not spend it keeps for as long as it waits. A station that asks ten times as often as the
others waits longer for its own answers, not the others for theirs.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from orderacc.vlm.engine import Priority

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

QUANTUM: Final = 64
"""Visual tokens of one turn, about a small picture: stations alternate picture by picture."""


@dataclass(slots=True, eq=False)
class Place(Generic[T]):
    """One place in the queue.

    Attributes:
        item: Who waits.
        station: Whose turn it uses.
        cost: What it takes from the turn, 1 or more.
        priority: What it goes before.
        deadline: When it is given up, in the seconds of `expired`; infinity for never.
    """

    item: T
    station: str
    cost: int
    priority: Priority
    deadline: float


@dataclass(slots=True)
class _Line(Generic[T]):
    """The places of one station at one priority, first come first."""

    places: OrderedDict[int, Place[T]]
    credit: int = 0
    on_turn: bool = False


class FairQueue(Generic[T]):
    """Places by priority, then in turns of stations, then in the order they came.

    Two stations that always have somebody waiting never differ by more than a quantum and one place's cost in what they
    got from a priority.

    Args:
        quantum: Tokens a station may spend in one turn.
    """

    def __init__(self, quantum: int = QUANTUM) -> None:
        if quantum < 1:
            raise ValueError("quantum must be 1 or more")
        self._quantum = quantum
        self._rings: dict[Priority, OrderedDict[str, _Line[T]]] = {priority: OrderedDict() for priority in Priority}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def urgencies(self) -> list[Priority]:
        """How urgent those are who wait, the most urgent first."""
        return [priority for priority in Priority if self._rings[priority]]

    def __iter__(self) -> Iterator[Place[T]]:
        """Everyone who waits, in no promised order."""
        for ring in self._rings.values():
            for line in ring.values():
                yield from line.places.values()

    def put(
        self, item: T, *, station: str, cost: int, priority: Priority = Priority.CLOSING, deadline: float = math.inf
    ) -> Place[T]:
        """Take somebody in, behind those of the same station and priority."""
        place = Place(item, station, max(1, cost), priority, deadline)
        self._add(place)
        return place

    def remove(self, place: Place[T]) -> bool:
        """Somebody went away.

        Returns:
            Whether the place was in the queue.
        """
        ring = self._rings[place.priority]
        line = ring.get(place.station)
        if line is None or line.places.pop(id(place), None) is None:
            return False
        self._length -= 1
        if not line.places:
            # Credit is for those who wait: a station that comes back later begins like any other.
            del ring[place.station]
        return True

    def hurry(self, place: Place[T], priority: Priority) -> bool:
        """Make a place more urgent; it goes behind those of its station that were as urgent before.

        Returns:
            Whether it was in the queue and less urgent.
        """
        if place.priority <= priority or not self.remove(place):
            return False
        place.priority = priority
        self._add(place)
        return True

    def expired(self, now: float) -> list[T]:
        """Remove those whose deadline is over.

        Args:
            now: Seconds.

        Returns:
            Whom.
        """
        late = [place for place in self if place.deadline <= now]
        for place in late:
            self.remove(place)
        return [place.item for place in late]

    def displace(self, priority: Priority) -> T | None:
        """Make room for somebody more urgent.

        Args:
            priority: Of whom room is needed for.

        Returns:
            Who had to leave: the newest of the least urgent; None when nobody is less urgent.
        """
        for less in sorted(Priority, reverse=True):
            if less <= priority:
                return None
            if ring := self._rings[less]:
                line = max(ring.values(), key=lambda one: len(one.places))
                place = next(reversed(line.places.values()))
                self.remove(place)
                return place.item
        return None

    def take(self, most: int, budget: float = math.inf) -> list[T]:
        """Let the next ones leave together.

        Args:
            most: How many at most.
            budget: Tokens they may cost together. One that costs more than the whole of it leaves alone.

        Returns:
            Who leaves, in the order they are served. Nobody overtakes because the next one does not fit.
        """
        taken: list[T] = []
        while len(taken) < most and (place := self._next()) is not None:
            if taken and place.cost > budget:
                break
            budget -= place.cost
            self._serve(place)
            taken.append(place.item)
        return taken

    def _add(self, place: Place[T]) -> None:
        line = self._rings[place.priority].setdefault(place.station, _Line(OrderedDict()))
        line.places[id(place)] = place
        self._length += 1

    def _next(self) -> Place[T] | None:
        """Who is served next; its station is on turn and can afford it."""
        if not self.urgencies:
            return None
        ring = self._rings[self.urgencies[0]]
        while True:
            station, line = next(iter(ring.items()))
            if not line.on_turn:
                line.on_turn = True
                line.credit += self._quantum
            place = next(iter(line.places.values()))
            if place.cost <= line.credit:
                return place
            line.on_turn = False
            ring.move_to_end(station)

    def _serve(self, place: Place[T]) -> None:
        self._rings[place.priority][place.station].credit -= place.cost
        self.remove(place)
