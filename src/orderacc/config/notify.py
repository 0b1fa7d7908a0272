"""The section `notify` of stations.yaml."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from orderacc.config.secrets import SecretText, url_with
from orderacc.config.section import InputFile, Interval, Section

Status: TypeAlias = Literal["accurate", "inaccurate", "unsure", "undetermined"]

Statuses: TypeAlias = Annotated[tuple[Status, ...], Field(strict=False, min_length=1)]

SinkName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

EVERY_STATUS: Final[tuple[Status, ...]] = ("accurate", "inaccurate", "unsure", "undetermined")

WEBHOOK_PREFIX: Final = "whsec_"
"""How webhooks' secrets begin, so that they are known for what they are."""

SHORTEST_KEY: Final = 24
LONGEST_KEY: Final = 64
"""Bytes of a webhook's key."""


def signing_key(secret: str) -> bytes:
    """The key in a webhook's secret.

    Args:
        secret: `whsec_` and base64; the prefix may be left out.

    Raises:
        ValueError: If there is none in it; the message says nothing of the secret.
    """
    try:
        key = base64.b64decode(secret.removeprefix(WEBHOOK_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError(
            f"should be {WEBHOOK_PREFIX} and {SHORTEST_KEY} to {LONGEST_KEY} bytes in base64; make one with: "
            f'echo "{WEBHOOK_PREFIX}$(head -c 32 /dev/urandom | base64 -w0)"'
        )
    return key


def _with_key(secret: SecretText) -> SecretText:
    try:
        signing_key(secret.reveal())
    except ValueError as error:
        raise PydanticCustomError("bad_secret", "{problem}", {"problem": str(error)}) from None
    return secret


class SinkSection(Section):
    """What all receivers have in common. Times are seconds."""

    statuses: Statuses = EVERY_STATUS
    """Verdicts it is told of. A verdict that is revised is told whatever it says now."""
    retry_max_sec: Interval = 60.0
    """Longest wait between attempts while it fails; they begin at one second."""
    give_up_after_sec: Interval = 86_400.0
    """Age at which a message that still fails is given up; `orderacc notify replay` sends it again."""
    max_in_flight: Annotated[int, Field(ge=1, le=64)] = 4
    """Stations it is told of at a time; messages about one station always come one after the other."""


class WebhookConfig(SinkSection):
    """A URL that messages are posted to, signed after the Standard Webhooks specification."""

    name: SinkName
    """Name in the log and on the command line. Messages wait under it: another name is another receiver."""
    url: Annotated[SecretText, url_with("http", "https")]
    """Where to; may hold a user and a password. `file:PATH` or `${NAME}` keep the secret elsewhere."""
    secrets: Annotated[
        tuple[Annotated[SecretText, AfterValidator(_with_key)], ...], Field(strict=False, min_length=1, max_length=4)
    ]
    """What messages are signed with, `whsec_` and base64 of 24 to 64 bytes. Several while one is being replaced."""
    timeout_sec: Interval = 15.0
    """Time one attempt may take."""


class MqttConfig(SinkSection):
    """An MQTT broker. Needs the extra `mqtt`."""

    name: SinkName = "mqtt"
    """As for webhooks."""
    host: Annotated[str, Field(min_length=1, max_length=255)]
    """The broker."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Its port; 1883, with `tls` 8883."""
    user: Annotated[str, Field(min_length=1)] | None = None
    """Who we are."""
    password: Annotated[SecretText | None, Field(validate_default=True)] = None
    """The secret to it; `file:PATH` or `${NAME}` keep it elsewhere."""
    tls: bool = False
    """Encrypt, and check that it is the right broker."""
    ca_file: Annotated[InputFile | None, Field(validate_default=True)] = None
    """Certificates to trust instead of the system's."""
    topic: Annotated[str, Field(pattern=r"^[^\s+#/$][^\s+#]{0,127}$")] = "orderacc"
    """What topics begin with: `TOPIC/STATION/verdict`, `TOPIC/STATION/state` (retained) and `TOPIC/availability`
    (retained, `online` or `offline`)."""
    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    """Name of this client at the broker, one of its own for every box; by default `orderacc-` and the store's name.
    `orderacc notify test` comes under this name with `-test` behind."""
    keepalive_sec: Annotated[int, Field(ge=2, le=3600)] = 15
    """A connection that is silent for one and a half times as long is dead."""
    timeout_sec: Interval = 10.0
    """Time one attempt may take."""
    retry_max_sec: Interval = 15.0
    """Longest wait between attempts while it fails; they begin at one second."""

    @field_validator("password")
    @classmethod
    def _whose(cls, password: SecretText | None, info: ValidationInfo) -> SecretText | None:
        if password is not None and info.data.get("user") is None:
            raise PydanticCustomError("no_user", "needs a user")
        return password

    @field_validator("ca_file")
    @classmethod
    def _only_with_tls(cls, file: InputFile | None, info: ValidationInfo) -> InputFile | None:
        if file is not None and not info.data.get("tls"):
            raise PydanticCustomError("no_tls", "needs tls: true")
        return file


class NotifyConfig(Section):
    """Who is told of verdicts. Messages wait in the journal until they are delivered, so `storage` is needed."""

    store: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "store"
    """Name of this restaurant, part of every message's key: a receiver of several must be able to tell them apart."""
    webhooks: Annotated[tuple[WebhookConfig, ...], Field(strict=False, max_length=16)] = ()
    """URLs."""
    mqtt: MqttConfig | None = None
    """A broker."""

    @property
    def names(self) -> tuple[str, ...]:
        """Those of all receivers."""
        return (*(one.name for one in self.webhooks), *((self.mqtt.name,) if self.mqtt else ()))

    @model_validator(mode="after")
    def _names_differ(self) -> NotifyConfig:
        names = self.names
        twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
        if twice is not None:
            raise PydanticCustomError("name_twice", "two receivers are called '{name}'", {"name": twice})
        return self
