"""Reading the truth and the verdicts, with every mistake at its line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from orderacc.documents import dotted, read_document
from orderacc.domain.orders import Item
from orderacc.errors import ConfigError, Finding

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

MOST_FINDINGS = 20
"""Findings of one file told at once: a file of another kind has as many as lines."""


def _moment(text: str) -> str:
    try:
        aware = datetime.fromisoformat(text).utcoffset() is not None
    except ValueError:
        aware = False
    if not aware:
        raise PydanticCustomError("moment", "should be a time with its zone, such as 2026-11-21T12:30:00.000Z")
    return text


Moment: TypeAlias = Annotated[str, AfterValidator(_moment)]
Name: TypeAlias = Annotated[str, Field(min_length=1)]
Seconds: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Units: TypeAlias = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Line(_Part):
    name: Name
    quantity: Annotated[int, Field(ge=1)] = 1


class _SeenLine(_Part):
    name: Name
    quantity: Units
    confidence: Annotated[float, Field(ge=0, le=1)] = 1.0


class _Mismatch(_Part):
    name: Name
    expected: Units
    seen: Units


class _Verdict(_Part):
    """The part of a verdict that is held against the truth."""

    status: Literal["accurate", "inaccurate", "unsure", "undetermined"]
    confidence: Annotated[float, Field(ge=0, le=1)] = 1.0
    seen: list[_SeenLine]
    missing: list[_Line]
    extra: list[_Line]
    quantity_mismatch: list[_Mismatch]
    sentence: str = ""
    reason: str | None = None
    verdict_id: str | None = None
    station_id: str | None = None
    slip_text: str | None = None
    opened_at: Moment | None = None
    closed_at: Moment | None = None
    revision: int = 1


class _TrueOrder(_Part):
    order_id: Name
    slip_text: str | None = None
    opened_s: Seconds | None = None
    closed_s: Seconds | None = None
    expected: list[_Line]
    items: list[_Line]

    @model_validator(mode="after")
    def _both_times_or_none(self) -> _TrueOrder:
        if (self.opened_s is None) != (self.closed_s is None):
            raise PydanticCustomError("one_time", "should have both opened_s and closed_s, or neither")
        return self


class _Truth(_Part):
    schema_version: Literal[1] = Field(default=1, alias="schema")
    orders: Annotated[list[_TrueOrder], Field(min_length=1)]

    @model_validator(mode="after")
    def _timed_alike(self) -> _Truth:
        if len({order.opened_s is None for order in self.orders}) > 1:
            raise PydanticCustomError("some_times", "should have opened_s and closed_s for all orders, or for none")
        return self


_TRUTH = TypeAdapter(_Truth)
_VERDICT = TypeAdapter(_Verdict)


@dataclass(frozen=True, slots=True)
class TrueOrder:
    """What there really was of one order.

    Attributes:
        order_id: Its number.
        slip_text: The number on its slip; the order's where the truth does not say, None where it had no slip.
        expected: What was paid for.
        items: What lay on the counter.
        opened_s: When it came, in seconds of the video; None where the truth has no times.
        closed_s: When it went.
    """

    order_id: str
    slip_text: str | None
    expected: tuple[Item, ...]
    items: tuple[Item, ...]
    opened_s: float | None = None
    closed_s: float | None = None


def read_truth(path: Path | str) -> tuple[TrueOrder, ...]:
    """Read `truth.json` as the simulator writes it, or one written by hand.

    By hand, `{"orders": [{"order_id", "expected": [{"name", "quantity"}], "items": [...]}]}` is enough; `opened_s` and
    `closed_s` (seconds of the video) tell orders of one number apart.

    Raises:
        ConfigError: With every finding, each with its line and column.
    """
    document = read_document(path)
    try:
        truth = _TRUTH.validate_python(document.data)
    except ValidationError as error:
        found = [document.finding(each["loc"], _said(each)) for each in error.errors(include_url=False)]
        raise ConfigError(_some(found)) from None
    return tuple(
        TrueOrder(
            order.order_id,
            order.slip_text if "slip_text" in order.model_fields_set else order.order_id,
            _items(order.expected),
            _items(order.items),
            order.opened_s,
            order.closed_s,
        )
        for order in truth.orders
    )


def read_verdicts(path: Path | str) -> list[dict[str, Any]]:
    """Read verdicts, a JSON object a line, as `results:` and `--json` write them.

    Returns:
        What is compared of each verdict, in the file's order; of one that was revised the last revision only.

    Raises:
        ConfigError: With every finding, each with its line.
    """
    file = str(path)
    verdicts: dict[object, dict[str, Any]] = {}
    findings: list[Finding] = []
    try:
        with open(path, encoding="utf-8-sig") as lines:  # noqa: PTH123  a path or its text
            for number, line in enumerate(lines, 1):
                if not line.strip() or len(findings) > MOST_FINDINGS:
                    continue
                try:
                    verdict = _VERDICT.validate_python(json.loads(line)).model_dump()
                except ValidationError as error:
                    told = error.errors(include_url=False)
                    findings += [Finding(file, number, 1, dotted(each["loc"]), _said(each)) for each in told]
                except (ValueError, RecursionError) as error:
                    findings.append(Finding(file, number, 1, "", f"not JSON: {error}"))
                else:
                    _keep_last(verdicts, verdict, number)
    except UnicodeDecodeError:
        findings.append(Finding(file, 0, 0, "", "not UTF-8 text: save the file as UTF-8"))
    except OSError as error:
        findings.append(Finding(file, 0, 0, "", f"cannot be read: {error.strerror or error}"))
    if findings:
        raise ConfigError(_some(findings))
    return list(verdicts.values())


def _keep_last(verdicts: dict[object, dict[str, Any]], verdict: dict[str, Any], number: int) -> None:
    key = number if verdict["verdict_id"] is None else (verdict["station_id"], verdict["verdict_id"])
    if key not in verdicts or verdicts[key]["revision"] <= verdict["revision"]:
        verdicts[key] = verdict


def _items(lines: list[_Line]) -> tuple[Item, ...]:
    return tuple(Item(line.name, line.quantity) for line in lines)


def _said(error: ErrorDetails) -> str:
    message = "is required" if error["type"] == "missing" else error["msg"].removeprefix("Input ").strip()
    return message[:1].lower() + message[1:]


def _some(findings: list[Finding]) -> list[Finding]:
    return findings[:MOST_FINDINGS]
