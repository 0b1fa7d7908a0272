"""Who waits for an engine: the queue, the door in front of it, and those that were taken back from an engine."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orderacc.vlm.engine import Priority
from orderacc.vlm.fair_queue import FairQueue

if TYPE_CHECKING:
    from orderacc.errors import EngineError
    from orderacc.vlm.engine import VlmAnswer, VlmRequest
    from orderacc.vlm.fair_queue import Place
    from orderacc.vlm.seated import SeatedEngine


@dataclass(slots=True, eq=False)
class Ticket:
    """One asker and how far it has come.

    Attributes:
        request: The question; as urgent as it has become.
        came: When, by `time.monotonic()`.
        settled: Set when there is an answer or an error, or nobody waits any more.
        answer: The answer.
        error: Why there is none; of one that will be asked again, what happened before.
        place: In the queue or at the door; None elsewhere.
        tried: Engines that failed on it when it was alone.
        moves: How often it was taken back.
        hangs: How many engines hung on it.
    """

    request: VlmRequest
    came: float
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    answer: VlmAnswer | None = None
    error: EngineError | None = None
    place: Place[Ticket] | None = None
    tried: set[SeatedEngine] = field(default_factory=set)
    moves: int = 0
    hangs: int = 0

    def hurry(self, priority: Priority) -> bool:
        """Make it more urgent, wherever it is.

        Returns:
            Whether it was less urgent.
        """
        if self.request.priority <= priority:
            return False
        self.request = replace(self.request, priority=priority)
        return True


class WaitingRoom:
    """A queue of limited size; closing requests that find no room wait at its door, others are refused.

    Door and queue are both in turns of stations, so that a station which asks a lot at once fills the queue for nobody
    but itself. Pure but for the events that tickets hold.

    Args:
        size: Most requests in the queue.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._queue: FairQueue[Ticket] = FairQueue()
        self._door: FairQueue[Ticket] = FairQueue()
        self._taken_back: list[Ticket] = []

    def __len__(self) -> int:
        return len(self._queue) + len(self._door) + len(self._taken_back)

    @property
    def queued(self) -> int:
        """How many are in the queue."""
        return len(self._queue)

    @property
    def at_door(self) -> int:
        """How many wait for room in it."""
        return len(self._door)

    @property
    def pressure(self) -> float:
        """Share of the queue that is taken or wanted, 0 to 1."""
        return min(1.0, len(self) / self._size)

    def has_room(self, priority: Priority) -> bool:
        """Whether a newcomer would find room in the queue, if only that of somebody less urgent."""
        return self.pressure < 1 or any(other > priority for other in self._queue.urgencies)

    def goes_first(self, ticket: Ticket) -> bool:
        """Whether nobody in the queue is more urgent."""
        return all(ticket.request.priority <= other for other in self._queue.urgencies[:1])

    def everyone(self) -> list[Ticket]:
        """All who wait."""
        return [*self._taken_back, *(place.item for place in self._queue), *(place.item for place in self._door)]

    def enter(self, ticket: Ticket) -> Ticket | None:
        """Take somebody in.

        Returns:
            Who is refused for want of room: somebody less urgent, the newcomer itself, or None.
        """
        refused, urgency = None, ticket.request.priority
        if len(self._queue) >= self._size:
            refused = self._queue.displace(urgency)
            if refused is not None:
                refused.place = None
            elif urgency > Priority.CLOSING:
                return ticket
        self._line_up(ticket, self._queue if len(self._queue) < self._size else self._door)
        return refused

    def leave(self, ticket: Ticket) -> None:
        """Somebody does not wait any more, or never did."""
        if ticket in self._taken_back:
            self._taken_back.remove(ticket)
        if ticket.place is not None and not self._queue.remove(ticket.place):
            self._door.remove(ticket.place)
        ticket.place = None
        self._admit()

    def hurry(self, request_id: str, priority: Priority) -> bool:
        """Make a request more urgent.

        Returns:
            Whether there was one that was less urgent.
        """
        asked = [ticket for ticket in self.everyone() if ticket.request.request_id == request_id]
        hurried = [ticket for ticket in asked if ticket.hurry(priority)]
        for ticket in hurried:
            if ticket.place is not None:
                self._queue.hurry(ticket.place, priority)
        return bool(hurried)

    def expired(self, now: float) -> list[Ticket]:
        """Let those go whose deadline has passed, by `time.monotonic()`."""
        late = [*self._queue.expired(now), *self._door.expired(now)]
        for ticket in late:
            ticket.place = None
        self._admit()
        return late

    def take(self, most: int, budget: float) -> list[Ticket]:
        """Let the next ones out of the queue; see `FairQueue.take`."""
        batch = self._queue.take(most, budget)
        for ticket in batch:
            ticket.place = None
        self._admit()
        return batch

    def take_back(self, ticket: Ticket) -> None:
        """Somebody comes back from an engine; goes before those in the queue who are no more urgent."""
        self._taken_back.append(ticket)

    def next_taken_back(self, engine: SeatedEngine) -> Ticket | None:
        """The most urgent of those taken back that this engine has not failed on; of several the first."""
        untried = (ticket for ticket in self._taken_back if engine not in ticket.tried)
        return min(untried, key=lambda ticket: ticket.request.priority, default=None)

    def taken_back(self) -> tuple[Ticket, ...]:
        """Those taken back from engines."""
        return tuple(self._taken_back)

    def _line_up(self, ticket: Ticket, line: FairQueue[Ticket]) -> None:
        request = ticket.request
        ticket.place = line.put(
            ticket,
            station=request.station_id,
            cost=request.visual_tokens,
            priority=request.priority,
            deadline=math.inf if request.deadline is None else request.deadline,
        )

    def _admit(self) -> None:
        while len(self._queue) < self._size and (first := self._door.take(1)):
            self._line_up(first[0], self._queue)
