"""What is written to the journal and read from it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic_core import PydanticSerializationError, to_json

if TYPE_CHECKING:
    from orderacc.domain.orders import Order

Opinion: TypeAlias = Literal["open", "confirmed", "wrong"]
"""`open`: somebody wants to look at it later; nothing it needs is removed until then."""

VisitState: TypeAlias = Literal["open", "waiting", "judged"]


def now_text() -> str:
    """The time, ISO 8601 UTC with milliseconds."""
    return time_text(datetime.now(UTC))


def time_text(moment: datetime) -> str:
    """A moment as the journal writes it: ISO 8601 UTC with milliseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def written(value: object) -> str:
    """JSON as the journal keeps it.

    Made in the writer's thread, which holds up the event loop meanwhile: a quarter of the time `json.dumps` takes.
    """
    try:
        return to_json(value).decode()
    except PydanticSerializationError:
        # Half of a character cannot be written, and no order loses its verdict for one.
        whole = json.dumps(value, ensure_ascii=False).encode(errors="replace")
        return to_json(json.loads(whole)).decode()


@dataclass(frozen=True, slots=True)
class ReceivedOrder:
    """A POS order that was kept.

    Attributes:
        order: Its newest version.
        received_at: When that came, ISO 8601 UTC with milliseconds.
    """

    order: Order
    received_at: str


@dataclass(frozen=True, slots=True)
class OpenedVisit:
    """An order whose slip has been read.

    Attributes:
        visit_id: Its id.
        station_id: Where.
        number: The visit's number at its station, which its id ends with.
        slip_text: The number on the slip.
        opened_at: ISO 8601 UTC with milliseconds.
    """

    visit_id: str
    station_id: str
    number: int
    slip_text: str
    opened_at: str


@dataclass(frozen=True, slots=True)
class EvidenceFrame:
    """A frame that an order is judged by, as it can be found again.

    Attributes:
        ref: Its key in the object store.
        index: Position among its station's frames.
        at: Frame time, seconds.
        score: How well it shows the items.
        detections: What the detector saw in it: label, score and box (x1, y1, x2, y2 in pixels).
    """

    ref: str
    index: int
    at: float
    score: float
    detections: tuple[tuple[str, float, tuple[float, float, float, float]], ...] = ()


@dataclass(frozen=True, slots=True)
class ClosedVisit:
    """An order that has ended and waits for its verdict.

    Attributes:
        visit_id: Its id.
        station_id: Where.
        number: As in `OpenedVisit`.
        slip_text: The number on the slip, or None.
        opened_at: ISO 8601 UTC with milliseconds.
        closed_at: Likewise.
        epoch: Wall-clock time of frame time 0, ISO 8601.
        opened_s: Frame time of its beginning, seconds.
        closed_s: Frame time of its end, seconds.
        closed_by: As in `Evidence`.
        reason: Why it cannot be judged, or None.
        frames: Its evidence.
    """

    visit_id: str
    station_id: str
    number: int
    slip_text: str | None
    opened_at: str
    closed_at: str
    epoch: str
    opened_s: float
    closed_s: float
    closed_by: str
    reason: str | None
    frames: tuple[EvidenceFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class UnfinishedVisit:
    """An order without a verdict.

    Attributes:
        opened: What is known since it was opened.
        closed: What is known since it ended; None when that was not seen.
    """

    opened: OpenedVisit
    closed: ClosedVisit | None


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """A verdict as it was recorded.

    Attributes:
        seq: Grows with every verdict and revision.
        recorded_at: When, ISO 8601 UTC with milliseconds.
        body: `Verdict.to_dict()` of then.
    """

    seq: int
    recorded_at: str
    body: dict[str, Any]

    @property
    def verdict_id(self) -> str:
        """Its id."""
        return str(self.body["verdict_id"])

    @property
    def revision(self) -> int:
        """Its revision."""
        return int(self.body["revision"])


@dataclass(frozen=True, slots=True)
class VerdictFilter:
    """Which verdicts; None and empty leave open.

    Attributes:
        station_id: Of this station.
        status: With one of these.
        since: Recorded at or after, ISO 8601 UTC.
        until: Recorded before, likewise.
        text: Stands in the slip's text, the order's id or the sentence; upper and lower case are the same.
        reviewed: Whether the crew has spoken.
    """

    station_id: str | None = None
    status: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    text: str | None = None
    reviewed: bool | None = None


@dataclass(frozen=True, slots=True)
class VerdictPage:
    """Verdicts, newest first.

    Attributes:
        verdicts: At most as many as were asked for; of each its latest revision.
        cursor: Where to go on; None at the end.
    """

    verdicts: tuple[StoredVerdict, ...]
    cursor: int | None


@dataclass(frozen=True, slots=True)
class Review:
    """What the crew says of a verdict.

    Attributes:
        review_id: Grows.
        verdict_id: Of which.
        revision: The revision they saw.
        opinion: What they say.
        items: What was in the bag, `{"name", "quantity"}` each; None when they do not say.
        note: In their words.
        reviewer: Who, as the caller names them.
        at: ISO 8601 UTC with milliseconds.
    """

    review_id: int
    verdict_id: str
    revision: int
    opinion: Opinion
    items: tuple[dict[str, Any], ...] | None
    note: str
    reviewer: str
    at: str


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """Something that happened.

    Attributes:
        event_id: Grows without ever being used twice; what a listener resumes from.
        at: ISO 8601 UTC with milliseconds.
        kind: `order`, `opened`, `closed`, `verdict`, `review`, `station` or `journal`.
        station_id: Where, if anywhere.
        body: More about it: the whole verdict, the review, the order's id and state, a station's phase.
    """

    event_id: int
    at: str
    kind: str
    station_id: str | None
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """Something to tell the outside.

    Attributes:
        sink: Whom: the name of a webhook or broker.
        station_id: Messages of one station to one sink are told in order.
        key: The same message has the same key, whatever happens; told once per sink.
        body: JSON values.
    """

    sink: str
    station_id: str
    key: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in the store that belongs to a visit.

    Attributes:
        key: Its key.
        kind: `frames`, `clips` or `verdicts`.
        visit_id: Whose.
        size: Bytes.
    """

    key: str
    kind: str
    visit_id: str
    size: int
