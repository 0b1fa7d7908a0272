"""What shapes of requests and answers are made of; the texts under fields are their descriptions in the document."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Given(BaseModel):
    """What somebody sends: unknown keys are mistakes, and so are a text where a number belongs and a yes for a one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )


class Told(BaseModel):
    """What is answered."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


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
