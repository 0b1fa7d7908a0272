"""Other settings for a station that is being watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orderacc.config.schema import StationConfig
from orderacc.errors import ConfigError, Finding
from orderacc.telemetry.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Mapping


def changed_station(station: StationConfig, values: Mapping[str, Any]) -> StationConfig:
    """A station's configuration with other values in some of its fields.

    Args:
        station: What it is now.
        values: Fields and what they should be.

    Raises:
        ConfigError: With everything that is wrong with the values; among it an `id`, which stays what it is.
    """
    where = f"station {station.id!r}"
    if "id" in values:
        raise ConfigError([Finding(where, 0, 0, "", "keeps its id: add another station and remove this one")])
    try:
        return StationConfig.model_validate({**dict(station), **values})
    except ValidationError as error:
        findings = [
            Finding(where, 0, 0, ".".join(map(str, detail["loc"])), redact_text(detail["msg"].removeprefix("Input ")))
            for detail in error.errors(include_url=False, include_input=False)
        ]
    raise ConfigError(findings)
