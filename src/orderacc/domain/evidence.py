"""The few frames an order is judged by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from orderacc.domain.detections import NOT_ITEMS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from orderacc.domain.detections import Detection
    from orderacc.domain.frames import Frame, Image


@dataclass(frozen=True, slots=True, eq=False)
class CounterLook:
    """What a whole frame looks like, to be compared with others.

    Attributes:
        cells: float32 [45, 80], mean grey levels.
        level: How light it is: the median of `cells`, plus 1 so that it is never 0.
    """

    cells: NDArray[np.float32]
    level: float


@dataclass(frozen=True, eq=False)  # without slots: what is worked out once is kept in its dictionary
class Candidate:
    """A frame that may become evidence.

    Attributes:
        frame: The frame.
        detections: What the detector saw in it.
        score: How well it shows the items, higher is better.
        look: What the whole frame looks like; None where nobody has looked.
        half: The frame at half its size, BGR uint8 [H // 2, W // 2, 3], which pictures for the model are cut from; None
            where nobody has made it. Whoever puts another frame in its place makes this anew.
    """

    frame: Frame
    detections: tuple[Detection, ...]
    score: float
    look: CounterLook | None = None
    half: Image | None = None

    @cached_property
    def pieces(self) -> Counter[str]:
        """How many pieces of each item label the detector saw; not to be changed."""
        return Counter(found.label for found in self.detections if found.label not in NOT_ITEMS)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything known about one order at one station when it closed.

    Attributes:
        visit_id: Unique id of this order's stay at this counter (order numbers repeat, this does not).
        station_id: The station.
        slip_text: The number read off the slip, or None.
        reason: None, or why the order cannot be judged: `slip_unreadable`, `no_slip`, `cancelled`.
        frames: At most K frames, in time order; may be empty.
        opened_at: Frame time at which the counter became occupied by this order, seconds.
        closed_at: Frame time at which it ended, seconds.
        closed_by: `empty`, `swap`, `idle`, `too_long` or `end_of_stream`.
        selection_ms: Time it took to see that it ended and to choose the frames; None where nobody measured it.
    """

    visit_id: str
    station_id: str
    slip_text: str | None
    reason: str | None
    frames: tuple[Candidate, ...]
    opened_at: float
    closed_at: float
    closed_by: str
    selection_ms: float | None = None
