"""The errors this package raises on purpose.

```
OrderAccError
├── ConfigError        a setting, menu, script or orders file is wrong (carries every finding)
├── SourceError        a camera or a video cannot be opened or read
├── StationError       a station that was named is not there, or is there already
├── ModelError         a model or a device is missing, broken or does not fit the menu
├── EngineError        the vision language model failed on a request
├── OrdersError        the POS side could not answer
│   └── BadOrderError  an order is not what an order should be (carries everything that is wrong)
├── RequestError       what somebody asks over HTTP is wrong, too much or not theirs
├── NotifyError        a receiver of verdicts cannot be told, or is not there
└── StorageError       something could not be stored, or is not there
```

Every error has a stable `code` (snake_case) that logs, metrics and API answers carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "BadOrderError",
    "ConfigError",
    "EngineError",
    "Finding",
    "ModelError",
    "NotifyError",
    "OrderAccError",
    "OrdersError",
    "RequestError",
    "SourceError",
    "StationError",
    "StorageError",
]


class OrderAccError(Exception):
    """Base of everything raised on purpose.

    Attributes:
        code: Stable snake_case identifier of what went wrong.
        message: One sentence for a person: what is wrong, where, and the way out.
    """

    default_code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in a file a person wrote.

    Attributes:
        file: The file as the user named it.
        line: 1-based line, 0 when the file as a whole is meant.
        column: 1-based column, 0 when the line as a whole is meant.
        path: Dotted path of the field, e.g. `stations[1].source.url`; empty for the whole file.
        message: What is wrong and what to write instead; secrets already masked.
    """

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where} {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class ConfigError(OrderAccError):
    """A file a person wrote is wrong; `findings` holds all of it at once."""

    default_code = "bad_config"

    def __init__(self, findings: Sequence[Finding] | str, *, code: str | None = None) -> None:
        self.findings: tuple[Finding, ...] = () if isinstance(findings, str) else tuple(findings)
        super().__init__(findings if isinstance(findings, str) else "\n".join(map(str, self.findings)), code=code)


class SourceError(OrderAccError):
    """A camera or video cannot be opened or read.

    Codes: `unauthorized`, `not_found`, `refused`, `unreachable`, `timeout`, `stalled`, `end_of_stream`, `bad_stream`,
    `no_keyframe`, `unsupported_codec`, `bad_pipeline`, `source_crashed`.
    """

    default_code = "bad_stream"


class StationError(OrderAccError):
    """A station that was named is not there, or is there already.

    Codes: `no_such_station`, `station_exists`, `not_running`.
    """

    default_code = "no_such_station"


class ModelError(OrderAccError):
    """A model or device is missing or broken, or the model does not know the menu.

    Codes: `model_missing`, `model_broken`, `device_missing`, `menu_unknown`, `fetch_failed`.
    """

    default_code = "model_broken"


class EngineError(OrderAccError):
    """The vision language model failed on a request.

    Codes: `engine_failed`, `engine_closed`, `engine_hung`, `out_of_memory`, `device_lost`, `deadline`, `overloaded`,
    `bad_image`, `bad_request`, `bad_grammar`, `refused`; from a remote model also `unreachable`, `timeout`,
    `unauthorized`, `not_found`, `busy`, `circuit_open`, `bad_answer`.
    """

    default_code = "engine_failed"


class OrdersError(OrderAccError):
    """The order book could not answer. Codes: `orders_unavailable`."""

    default_code = "orders_unavailable"


class BadOrderError(OrdersError):
    """An order that somebody sent is not what an order should be. Codes: `bad_order`.

    Attributes:
        problems: Where in the order, as keys and indexes, and what is wrong there; contents are not repeated.
    """

    default_code = "bad_order"

    def __init__(self, problems: Sequence[tuple[tuple[str | int, ...], str]], *, code: str | None = None) -> None:
        self.problems = tuple(problems)
        where = (".".join(map(str, path)) or "the order" for path, _ in self.problems)
        super().__init__(
            "; ".join(f"{at} {what}" for at, (_, what) in zip(where, self.problems, strict=True)), code=code
        )


class RequestError(OrderAccError):
    """What somebody asks over HTTP is wrong, too much, or not theirs to ask.

    Codes: `unauthorized`, `forbidden`, `bad_origin`, `bad_host`, `csrf`, `rate_limited`, `not_found`,
    `method_not_allowed`, `not_acceptable`, `bad_request`, `invalid`, `too_large`, `unsupported_media_type`, `timeout`,
    `conflict`, `gone`, `camera_refused`, `no_picture`, `range_not_satisfiable`, `unavailable`.

    Attributes:
        details: What is wrong field by field: dotted path and message.
        headers: HTTP headers the answer carries.
    """

    default_code = "bad_request"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        details: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.details = tuple(details)
        self.headers = dict(headers or {})


class StorageError(OrderAccError):
    """Something could not be stored or read back.

    Codes of objects: `storage_unavailable` (no answer, or a failure that may pass), `storage_denied` (credentials or
    permissions), `storage_full`, `storage_refused` (this object, for good), `no_such_bucket`, `no_such_object`,
    `object_corrupt`, `bad_key`, `spool_full`. Codes of the journal: `storage_full`, `storage_failed`,
    `storage_corrupt`, `storage_locked`, `storage_newer`, `storage_closed`, `no_such_verdict`.
    """

    default_code = "storage_unavailable"


class NotifyError(OrderAccError):
    """A receiver of verdicts cannot be told.

    Codes: `broker_lost` (no connection, or none any more), `broker_refused` (it does not let us in).
    """

    default_code = "broker_lost"
