"""The shapes of verdicts and of what the crew says of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from orderacc.api.shapes import Given, Told

Status: TypeAlias = Literal["accurate", "inaccurate", "unsure", "undetermined"]


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
