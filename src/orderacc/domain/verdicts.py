"""What came of an order, and the JSON it leaves the process as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from orderacc.domain.findings import LineFinding
    from orderacc.domain.orders import Item

Status: TypeAlias = Literal["accurate", "inaccurate", "unsure", "undetermined"]

SCHEMA: Final = 1
"""Version of the JSON; grows when a field changes its meaning or goes."""


@dataclass(frozen=True, slots=True)
class SeenItem:
    """An item on the counter, as all frames together tell it.

    Attributes:
        name: The item.
        quantity: How many. 0 says that the evidence is for none, yet something spoke for the item: `confidence` is
            then how sure the absence is.
        confidence: How sure the count is, 0 to 1.

    Raises:
        ValueError: If the name is blank, the quantity negative or the confidence not within 0 to 1.
    """

    name: str
    quantity: int
    confidence: float = 1.0

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("an item needs a name")
        if isinstance(self.quantity, bool) or not isinstance(self.quantity, int) or self.quantity < 0:
            raise ValueError(f"quantity of {self.name!r} must be a whole number from 0, not {self.quantity!r}")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence of {self.name!r} must be within 0 to 1, not {self.confidence!r}")


@dataclass(frozen=True, slots=True)
class QuantityMismatch:
    """An item that was ordered and seen, in different numbers."""

    name: str
    expected: int
    seen: int


@dataclass(frozen=True, slots=True)
class Substitution:
    """An extra item that looks like it was put there for a missing one; both stay listed as missing and extra."""

    expected: str
    seen: str
    quantity: int


@dataclass(frozen=True, slots=True)
class FrameRef:
    """A frame the verdict rests on.

    Attributes:
        ref: Where the picture is, in the terms of whoever keeps it (a key in a store, a frame of a video).
        at: When it was taken, ISO 8601 UTC with milliseconds.
        score: How well it shows the items, higher is better.
    """

    ref: str
    at: str
    score: float


@dataclass(frozen=True, slots=True)
class Timings:
    """Where an order's time went, in milliseconds; None where a step did not run.

    Attributes:
        selection: Seeing that it ended and choosing the evidence.
        queue: Waiting for the vision language model.
        vlm: The model's own time.
        validation: Fusing and judging.
        order_end_to_verdict: From the frame that ended the order to the verdict.
    """

    selection: float | None = None
    queue: float | None = None
    vlm: float | None = None
    validation: float | None = None
    order_end_to_verdict: float | None = None


@dataclass(frozen=True, slots=True)
class ModelVersions:
    """Which models spoke, each as `name@version`; None where none did."""

    detector: str | None = None
    slip_reader: str | None = None
    vlm: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the bag holds what was paid for.

    `missing` and `extra` hold items wholly absent or wholly unexpected; an item on both sides in different numbers is
    in `quantity_mismatch` only; `matched` holds the smaller number of the two. So per item: expected = matched +
    missing + shortfall, and seen = matched + extra + surplus. A seen name that was matched to another spelling is
    written as it was ordered. An `undetermined` verdict compares nothing: only `expected` and `seen` may hold lines.

    The judge fills what it knows; the station, times, frames and models are added by the pipeline with
    `dataclasses.replace`. Times are text made by whoever knows the clock: for a recorded video, frame seconds are
    added to the recording's start as the caller states it, or to 1970-01-01 when nobody does.

    Attributes:
        reason: Why it is undetermined or unsure, as a code: `no_order`, `slip_unreadable`, `no_slip`, `no_frames`,
            `engine_failed`, `overloaded`, `orders_unavailable`, `cancelled`; `ambiguous_order`; `low_confidence` where
            the judge is unsure, `nothing_to_check` where the order holds nothing that can be seen; else None.
        sentence: One line for the crew.
        expected: What had to be seen: without what was ordered and cannot be.
        findings: Every unit on either side once more, each with the rule that put it where it is, and what the frames
            show of it.
        confidence: How sure the status is, 0 to 1.
        opened_at: ISO 8601 UTC with milliseconds, or None.
        closed_at: Likewise.
        revision: Grows when the same visit is judged again.
    """

    status: Status
    reason: str | None = None
    sentence: str = ""
    expected: tuple[Item, ...] = ()
    seen: tuple[SeenItem, ...] = ()
    matched: tuple[Item, ...] = ()
    missing: tuple[Item, ...] = ()
    extra: tuple[Item, ...] = ()
    quantity_mismatch: tuple[QuantityMismatch, ...] = ()
    substituted: tuple[Substitution, ...] = ()
    findings: tuple[LineFinding, ...] = ()
    confidence: float = 1.0
    verdict_id: str | None = None
    station_id: str | None = None
    order_id: str | None = None
    order_version: int | None = None
    slip_text: str | None = None
    opened_at: str | None = None
    closed_at: str | None = None
    frames: tuple[FrameRef, ...] = ()
    timings: Timings = Timings()
    vlm_calls: int = 0
    visual_tokens: int = 0
    models: ModelVersions = ModelVersions()
    revision: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON values, every key always present."""
        return {
            "schema": SCHEMA,
            "verdict_id": self.verdict_id,
            "station_id": self.station_id,
            "order_id": self.order_id,
            "order_version": self.order_version,
            "slip_text": self.slip_text,
            "status": self.status,
            "reason": self.reason,
            "sentence": self.sentence,
            "expected": _lines(self.expected),
            "seen": [
                {"name": item.name, "quantity": item.quantity, "confidence": round(item.confidence, 3)}
                for item in self.seen
            ],
            "matched": _lines(self.matched),
            "missing": _lines(self.missing),
            "extra": _lines(self.extra),
            "quantity_mismatch": [
                {"name": item.name, "expected": item.expected, "seen": item.seen} for item in self.quantity_mismatch
            ],
            "substituted": [
                {"expected": pair.expected, "seen": pair.seen, "quantity": pair.quantity} for pair in self.substituted
            ],
            "findings": [finding.to_dict() for finding in self.findings],
            "confidence": round(self.confidence, 3),
            "opened_at": self.opened_at,
            "closed_at": self.closed_at,
            "frames": [{"ref": frame.ref, "at": frame.at, "score": round(frame.score, 3)} for frame in self.frames],
            "timings_ms": {
                "selection": _milliseconds(self.timings.selection),
                "queue": _milliseconds(self.timings.queue),
                "vlm": _milliseconds(self.timings.vlm),
                "validation": _milliseconds(self.timings.validation),
                "order_end_to_verdict": _milliseconds(self.timings.order_end_to_verdict),
            },
            "vlm_calls": self.vlm_calls,
            "visual_tokens": self.visual_tokens,
            "models": {
                "detector": self.models.detector,
                "slip_reader": self.models.slip_reader,
                "vlm": self.models.vlm,
            },
            "revision": self.revision,
        }


def _lines(items: tuple[Item, ...]) -> list[dict[str, Any]]:
    return [{"name": item.name, "quantity": item.quantity} for item in items]


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
