"""The section `orders` of stations.yaml."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from orderacc.config.secrets import SecretText, url_with
from orderacc.config.section import InputFileOrFolder, Interval, Seconds, Section


class PollConfig(Section):
    """A till, or whatever knows its orders, that is asked over HTTP again and again."""

    url: Annotated[SecretText, url_with("http", "https")]
    """What gives the orders; `file:PATH` or `${NAME}` keep secrets elsewhere."""
    format: Literal["orderacc", "square", "toast"] = "orderacc"
    """How its answers are written: our own orders, or those of a till system's API."""
    source: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None = None
    """Name of this source of orders; by default the format's."""
    interval_sec: Annotated[float, Field(ge=0.05, le=3600)] = 2.0
    """Time between two questions."""
    timeout_sec: Interval = 10.0
    """Time an answer may take."""
    backoff_max_sec: Interval = 60.0
    """Longest wait between questions while they fail."""
    token: SecretText | None = None
    """Sent as a bearer token; `file:PATH` or `${NAME}` keep it elsewhere."""
    headers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")], SecretText] = Field(default={})
    """Further headers, such as `Toast-Restaurant-External-ID`."""
    body: str | None = None
    """JSON to ask with, by POST (Square's search); without it the question is a GET."""

    @model_validator(mode="after")
    def _fit_for_headers(self) -> Self:
        for value in (self.token, *self.headers.values()):
            if value is not None and not (value.reveal().isascii() and value.reveal().isprintable()):
                raise PydanticCustomError("bad_header", "token and headers should be ASCII text on one line")
        in_url = "@" in urlsplit(self.url.reveal()).netloc
        in_headers = any(name.lower() == "authorization" for name in self.headers)
        if in_url + in_headers + (self.token is not None) > 1:
            message = "credentials should be given once: in the url, as token, or as the header Authorization"
            raise PydanticCustomError("credentials_twice", message)
        return self


class StationOrdersConfig(Section):
    """Whose orders a station hands out."""

    location: str | None = None
    """Only orders of this restaurant, as the till calls it."""
    channels: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Only orders that came this way, as the till calls it."""


class OrdersConfig(Section):
    """What was paid for. Times are seconds."""

    file: InputFileOrFolder | None = None
    """Orders as JSON: `{"384": [{"name": "Burger", "quantity": 1}]}`, or our own JSON, or one order a line (`.ndjson`);
    or a folder of such files. Read again whenever it changes."""
    poll: Annotated[tuple[PollConfig, ...], Field(strict=False, max_length=16)] = ()
    """Tills that are asked over HTTP."""
    wait_sec: Seconds = 5.0
    """How long a bag waits for its order, when the till has none of that number yet."""
    revise_within_sec: Seconds = 120.0
    """An order that is amended, or comes at all, within this time behind the verdict is judged again."""
    match_within_sec: Interval = 14400.0
    """Numbers come again: an open order counts only if it was placed, or due, so long before."""
    match_closed_within_sec: Interval = 3600.0
    """The same for orders that the till has closed."""
    keep_sec: Interval = 172800.0
    """How long orders are kept that nobody holds any more."""
    keep_most: Annotated[int, Field(ge=100, le=1_000_000)] = 50_000
    """How many of them."""
    stations: dict[str, StationOrdersConfig] = Field(default={})
    """By station; one that is not named hands out everybody's."""
