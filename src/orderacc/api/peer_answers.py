"""What clients of another order checker expect to be answered: the same facts under the names they know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import ConfigDict

from orderacc.api.shapes import Given, Told

if TYPE_CHECKING:
    from orderacc.storage.records import StoredVerdict


class PeerItem(Told):
    """An item and how many of it."""

    name: str
    """As the menu has it."""
    quantity: int
    """How many."""


class PeerMismatch(Told):
    """An item on both sides in different numbers."""

    name: str
    """As the menu has it."""
    expected: int
    """How many were paid for."""
    detected: int
    """How many were seen."""


class PeerValidation(Told):
    """What differs."""

    missing: tuple[PeerItem, ...] = ()
    """Paid for and not seen."""
    extra: tuple[PeerItem, ...] = ()
    """Seen and not paid for."""
    quantity_mismatch: tuple[PeerMismatch, ...] = ()
    """Both, in different numbers."""


class PeerResult(Told):
    """What became of an order, or that it is being judged."""

    status: Literal["accurate", "inaccurate", "unsure", "undetermined", "processing"]
    """The verdict's, or `processing` with status 202."""
    order_id: str | None
    """The number on the slip; null where it was not read."""
    station_id: str | None = None
    """Where it was seen."""
    video_id: str | None = None
    """The recording it was seen in; null of a station."""
    verdict_id: str | None = None
    """What the verdict is called under `/v1/verdicts`."""
    expected_items: tuple[PeerItem, ...] = ()
    """What was paid for."""
    detected_items: tuple[PeerItem, ...] = ()
    """What was seen."""
    validation: PeerValidation = PeerValidation()
    """What differs."""
    sentence: str = ""
    """The verdict for a person."""
    num_frames: int = 0
    """Frames it was reached by."""
    inference_time_sec: float | None = None
    """Seconds the model took."""
    completed_at: str | None = None
    """When it was reached, ISO 8601 UTC."""

    @classmethod
    def of(cls, verdict: dict[str, Any], at: str | None, *, video_id: str | None = None) -> Self:
        """A verdict under the names known there."""
        timings = verdict.get("timings_ms") or {}
        took = timings.get("vlm")
        return cls(
            status=verdict["status"],
            order_id=verdict.get("slip_text") or verdict.get("order_id"),
            station_id=verdict.get("station_id"),
            video_id=video_id,
            verdict_id=verdict.get("verdict_id"),
            expected_items=_items(verdict.get("expected")),
            detected_items=_items(verdict.get("seen")),
            validation=PeerValidation(
                missing=_items(verdict.get("missing")),
                extra=_items(verdict.get("extra")),
                quantity_mismatch=tuple(
                    PeerMismatch(name=one["name"], expected=one["expected"], detected=one["seen"])
                    for one in verdict.get("quantity_mismatch") or ()
                ),
            ),
            sentence=verdict.get("sentence") or "",
            num_frames=len(verdict.get("frames") or ()),
            inference_time_sec=None if took is None else round(took / 1000, 3),
            completed_at=at or verdict.get("closed_at"),
        )

    @classmethod
    def stored(cls, one: StoredVerdict) -> Self:
        """A verdict of the ledger."""
        return cls.of(dict(one.body), one.recorded_at)


class PeerResults(Told):
    """What became of orders."""

    results: list[PeerResult]
    """The newest first."""


class PeerStarted(Told):
    """A recording or a camera that was taken."""

    status: Literal["started"]
    """Always."""
    video_id: str
    """What it is called."""
    filename: str
    """What the client called it, or the camera."""


class PeerRun(Given):
    """A camera to be watched."""

    model_config = ConfigDict(extra="ignore")

    source_type: Literal["file", "rtsp", "webcam", "http"]
    """What it is. Files of this machine are not read; hand them in."""
    source: str | int
    """Its URL, or the number of a camera plugged in."""


class PeerOrder(Given):
    """Which order."""

    model_config = ConfigDict(extra="ignore")

    order_id: str
    """The number on the slip."""
    station_id: str | None = None
    """Where; anywhere when left out."""


class PeerMode(Told):
    """How orders are watched."""

    service_mode: Literal["single", "parallel"]
    """`parallel` with more than one station."""
    workers: int
    """Stations."""
    station_id: str | None
    """The first of them."""


class PeerStatistics(Told):
    """Orders in figures."""

    total_orders: int
    """Verdicts that were counted: the last ones, 1000 at most."""
    by_status: dict[str, int]
    """Of these, by status."""
    by_station: dict[str, int]
    """Likewise, by station."""
    accuracy_rate: float | None
    """Share of accurate ones among those that could be judged; null before the first."""


class PeerRecall(Told):
    """An order of the last day."""

    status: Literal["found"]
    """Always; an older one is answered with 410, an unknown one with 404."""
    order_id: str
    """As asked."""
    result: PeerResult
    """What became of it."""
    frames_available: int
    """Frames that can be fetched."""
    has_replay: bool
    """Whether there is a video of it."""
    age_seconds: float
    """Seconds since its verdict."""


class PeerVideos(Told):
    """Recordings."""

    status: Literal["success"]
    """Always."""
    count: int
    """How many there are here."""
    videos: list[dict[str, Any]]
    """As `/v1/videos` has them, the newest first."""


class PeerVideo(Told):
    """A recording."""

    status: Literal["success"]
    """Always."""
    video_id: str | None
    """What it is called; null where none is being judged."""
    video: dict[str, Any] | None
    """As `/v1/videos/{video_id}` has it."""


class PeerSummary(Told):
    """All recordings in figures."""

    status: Literal["success"]
    """Always."""
    summary: dict[str, int]
    """How many in each state, in all, and verdicts."""


def _items(lines: list[dict[str, Any]] | None) -> tuple[PeerItem, ...]:
    return tuple(PeerItem(name=one["name"], quantity=one["quantity"]) for one in lines or ())
