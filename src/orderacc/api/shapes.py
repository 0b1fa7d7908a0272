"""What the shapes of requests and answers are made of."""

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
