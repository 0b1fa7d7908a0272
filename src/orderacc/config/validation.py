"""The section `validation` of stations.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from orderacc.config.secrets import SecretText, url_with
from orderacc.config.section import Interval, Section, Share


class SemanticServiceConfig(Section):
    """Somebody who knows more words: asked over HTTP about names in doubt, never waited for long."""

    url: Annotated[SecretText, url_with("http", "https")]
    """Takes `{"pairs": [{"ordered": "Zorbo Wrap", "seen": "Plimfy Wrap"}]}` by POST and answers `{"scores": [0.9]}`,
    0 to 1 or `null` for each pair."""
    token: SecretText | None = None
    """Sent as a bearer token; `file:PATH` or `${NAME}` keep it elsewhere."""
    timeout_sec: Interval = 0.3
    """Time an answer may take; a verdict goes without it then."""
    connections: Annotated[int, Field(ge=1, le=64)] = 4
    """Most questions on their way at a time."""
    cache_size: Annotated[int, Field(ge=0, le=1_000_000)] = 4096
    """Pairs whose answer is remembered."""
    circuit_breaker_threshold: Annotated[int, Field(ge=1, le=1000)] = 3
    """Failures within a minute after which it is left alone for a while."""
    circuit_breaker_cooldown_sec: Interval = 10.0
    """How long."""

    @field_validator("token")
    @classmethod
    def _fit_for_a_header(cls, token: SecretText | None) -> SecretText | None:
        if token is not None and not (token.reveal().isascii() and token.reveal().isprintable()):
            raise PydanticCustomError("bad_token", "should be plain ASCII on one line")
        return token


class ValidationConfig(Section):
    """How what was seen is compared with what was paid for."""

    strategy: Literal["exact", "semantic", "hybrid"] = "hybrid"
    """`exact`: equal names; `semantic`: likeness; `hybrid`: equal names first, likeness for the rest."""
    threshold: Share = 0.85
    """Least likeness at which two names are the same thing; an item of the menu may have its own."""
    semantic_service: SemanticServiceConfig | None = None
    """Asked about names that are in doubt; without it they are two things."""
