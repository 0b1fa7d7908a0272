"""When the tracker believes what it sees."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Thresholds of order tracking; times are frame time in seconds.

    Attributes:
        occupied_after: The counter counts as occupied when items or a slip were seen this long, in two frames at least.
        empty_after: It counts as empty this long after the last item, slip or hand was seen.
        idle_after: A visit ends when the picture has not changed for this long.
        change_threshold: Share of the picture that must change between two frames for something to have happened,
            0 to 1.
        max_visit: A visit ends after this long; what goes on is a visit of its own.
        confident: A number read once with this confidence is believed; below, two readings must agree, and likewise for
            what may be a part of the number already known.
        clutter_after: Items without a slip in view for less are clutter, not a visit.
        glimpse: A look at a slip shorter than this decides nothing.
        settle: No order's slip lies for less: a number corrected within this time was misread, not swapped.
        unread_after: A slip in clear view for this long without giving its number is a slip of its own, not a known one
            badly seen.
    """

    occupied_after: float = 0.2
    empty_after: float = 1.0
    idle_after: float = 20.0
    change_threshold: float = 0.005
    max_visit: float = 300.0
    confident: float = 0.9
    clutter_after: float = 2.0
    glimpse: float = 0.5
    settle: float = 1.0
    unread_after: float = 3.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) >= 0:
                raise ValueError(f"{field.name} must not be negative, it is {getattr(self, field.name)}")
        if self.max_visit <= 0:
            raise ValueError("max_visit must be more than 0 s")
