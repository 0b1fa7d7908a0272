"""The shapes of what is asked and answered. The texts under the fields are their descriptions in the document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from orderacc.api.routes import Scope
from orderacc.api.shapes import Given, Told
from orderacc.config.schema import DeviceSource, HttpSource, RtspSource
from orderacc.config.section import Share

Status: TypeAlias = Literal["accurate", "inaccurate", "unsure", "undetermined"]


class WrongField(Told):
    """One thing that is wrong."""

    path: str
    """Where: `source.url`, `items[2].quantity`."""
    message: str
    """What, and what to write instead."""


class Problem(Told):
    """What went wrong, as RFC 9457 has it."""

    type: str
    """`urn:orderacc:problem:` and the code."""
    title: str
    """The status in words."""
    status: int
    """The HTTP status."""
    code: str
    """What went wrong; does not change."""
    detail: str
    """One sentence for a person."""
    errors: tuple[WrongField, ...] = ()
    """What is wrong field by field."""


class Alive(Told):
    """That there is somebody."""

    status: Literal["ok"]
    """Always."""


class Ready(Told):
    """Whether orders are judged."""

    ready: bool
    """True with status 200, false with 503."""


class ComponentHealth(Told):
    """How one part is."""

    status: Literal["ok", "degraded", "failed"]
    """`degraded`: it does its work, or others do it; `failed`: it does not."""
    reason: str | None
    """What is wrong, for a person."""


class Health(Told):
    """How the box is."""

    status: Literal["ok", "degraded", "failed"]
    """The worst there is; `failed` when no order can be judged, and then the HTTP status is 503."""
    version: str
    """Of the program."""
    uptime_s: float
    """Seconds since the start."""
    components: dict[str, ComponentHealth]
    """Part by part: `model`, `loop`, `station:<id>` and those of storage and the outside."""


class ErrorTold(Told):
    """What went wrong last at a station."""

    code: str
    """Stable code."""
    message: str
    """For people; credentials masked."""
    age_s: float
    """Seconds ago."""


class MoveTold(Told):
    """A step of a station's life."""

    phase: str
    """Where it went."""
    reason: str
    """Why."""
    age_s: float
    """Seconds ago."""


class StationTold(Told):
    """A station and how it is."""

    id: str
    """Its name."""
    source: dict[str, Any]
    """Where its pictures come from; credentials masked."""
    fps: float
    """Frames looked at per second, at most."""
    roi: tuple[float, float, float, float] | None
    """Part of the picture that is the counter: left, top, right, bottom as shares."""
    phase: str
    """`starting`, `running`, `stalled`, `restarting`, `circuit_open`, `half_open`, `shutting_down` or `stopped`."""
    phase_s: float
    """Seconds it has been so."""
    warnings: list[str]
    """What is wrong with its picture."""
    open_order: str | None
    """Number of the order on the counter, when it is known."""
    frames_in: int
    """Frames that came."""
    frames_kept: int
    """Frames that were looked at."""
    frames_dropped: dict[str, int]
    """Frames that were not, by cause."""
    measured_fps: float
    """Frames a second of late."""
    frame_age_s: float | None
    """Seconds since the last frame came."""
    restarts: int
    """How often its camera was opened again."""
    failures: dict[str, int]
    """What failed, by code."""
    uptime_s: float
    """Seconds in which frames came."""
    last_error: ErrorTold | None
    """What went wrong last."""
    moves: list[MoveTold]
    """The last steps of its life, oldest first."""


class StationsTold(Told):
    """All stations."""

    stations: list[StationTold]
    """In the order they came."""


class SimulatedCamera(Given):
    """A simulated counter made from a seed; scripts are for the configuration file."""

    type: Literal["simulator"]
    """A simulated counter."""
    seed: Annotated[int, Field(ge=0, le=2**31)] = 7
    """Decides everything that happens."""
    orders: Annotated[int, Field(ge=1, le=1000)] = 6
    """How many orders come."""
    wrong_share: Share = 0.4
    """Share of orders whose POS lines differ from what is laid on the counter."""
    loop: bool = False
    """Start again at the end, for ever."""


CameraGiven: TypeAlias = Annotated[
    RtspSource | HttpSource | DeviceSource | SimulatedCamera, Field(discriminator="type")
]


class StationChange(Given):
    """What a station should be. Files are for the configuration file."""

    source: CameraGiven
    """Where the pictures come from."""
    fps: Annotated[float, Field(ge=1, le=60)] = 10.0
    """Frames looked at per second."""
    roi: tuple[Share, Share, Share, Share] | None = None
    """Part of the picture that is the counter: left, top, right, bottom as shares of width and height."""
    adaptive: bool | None = None
    """Ask the model about the best frame first; as the configuration says when left out."""
    early_look: bool | None = None
    """Ask when an order seems about to end; likewise."""


class StationGiven(StationChange):
    """A station to be added."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Its name: letters, digits, dot, dash and underscore."""


class SnapshotQuery(Given):
    """How large."""

    width: Annotated[int, Field(ge=16, le=3840)] | None = None
    """Most pixels across; as the camera has it when left out."""


class LiveQuery(Given):
    """How large and how often."""

    width: Annotated[int, Field(ge=16, le=3840)] = 960
    """Most pixels across."""
    fps: Annotated[float, Field(ge=0.1, le=30)] = 10.0
    """Most pictures a second."""


class Line(Given):
    """An item and how many of it."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """As the menu has it."""
    quantity: Annotated[int, Field(ge=1, le=999)] = 1
    """How many."""


class ReviewGiven(Given):
    """What the crew says of a verdict."""

    opinion: Literal["confirmed", "wrong", "open"]
    """`open`: somebody wants to look at it later; its evidence is kept until then."""
    items: Annotated[list[Line], Field(max_length=200)] | None = None
    """What was in the bag, when the verdict was wrong."""
    note: Annotated[str, Field(max_length=2000)] = ""
    """In their words."""


class ReviewTold(Told):
    """What the crew said of a verdict."""

    review_id: int
    """Grows."""
    verdict_id: str
    """Of which verdict."""
    revision: int
    """The revision they saw."""
    opinion: Literal["confirmed", "wrong", "open"]
    """What they say."""
    items: list[Line] | None
    """What was in the bag."""
    note: str
    """In their words."""
    reviewer: str
    """Name of the token they came with."""
    at: str
    """When, ISO 8601 UTC."""


class ReviewsTold(Told):
    """What the crew said of all verdicts."""

    reviews: list[ReviewTold]
    """The oldest first; of several about one verdict the newest counts."""
    next: int | None
    """`after` of the next page; null at the end."""


class ReviewsQuery(Given):
    """Which reviews."""

    after: Annotated[int, Field(ge=0, le=2**53)] = 0
    """Those behind the review with this id."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    """Most reviews."""


class VerdictTold(Told):
    """A verdict as it was recorded."""

    recorded_at: str
    """When, ISO 8601 UTC."""
    verdict: dict[str, Any]
    """The verdict, `schema: 1`."""


class VerdictsTold(Told):
    """A page of verdicts."""

    verdicts: list[VerdictTold]
    """Newest first; of each its latest revision."""
    next: str | None
    """`cursor` of the next page; null at the end."""


class VerdictDetail(VerdictTold):
    """A verdict and what became of it."""

    revisions: list[VerdictTold]
    """All of them, the first one first."""
    reviews: list[ReviewTold]
    """What the crew said, the oldest first; the newest counts."""


_STATUS: Final = f"({'|'.join(get_args(Status))})"
_STATUSES: Final = f"^{_STATUS}(,{_STATUS})*$"


def _statuses(text: object) -> object:
    return tuple(text.split(",")) if isinstance(text, str) else text


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # within hours of the calendar's ends, where nothing was ever recorded
        return datetime.min.replace(tzinfo=UTC) if moment.year == 1 else datetime.max.replace(tzinfo=UTC)


Moment: TypeAlias = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class VerdictsQuery(Given):
    """Which verdicts."""

    station: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Of this station."""
    status: Annotated[
        tuple[Status, ...],
        BeforeValidator(_statuses, json_schema_input_type=str),
        Field(json_schema_extra={"pattern": _STATUSES, "examples": ["inaccurate,unsure"]}),
    ] = ()
    """With one of these statuses, separated by commas."""
    since: Moment | None = None
    """Recorded at or after this time, ISO 8601 with its zone."""
    until: Moment | None = None
    """Recorded before, likewise."""
    text: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Stands in the number on the slip, the order's id or the sentence."""
    reviewed: bool | None = None
    """Whether the crew has spoken."""
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")] | None = None
    """`next` of the page before."""
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    """Most verdicts."""


class EventsQuery(Given):
    """From where on."""

    after: Annotated[str, Field(max_length=64)] | None = None
    """Id of the last event known, where the header Last-Event-ID cannot be sent; `0` for all that are kept."""


class TokenGiven(Given):
    """A token to log in with."""

    token: Annotated[str, Field(min_length=1, max_length=200)]
    """As `orderacc token create` printed it."""


class SessionTold(Told):
    """A login."""

    name: str
    """Whose token it is."""
    scopes: list[Scope]
    """What it allows."""
    csrf: str | None
    """To be sent as X-CSRF-Token with whatever changes something; null where no cookie is in use."""
