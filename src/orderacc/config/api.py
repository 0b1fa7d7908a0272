"""The section `api`: where the box listens, and who may ask for what."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from orderacc.config.section import InputFile, OutputFile, Section
from orderacc.config.streaming import StreamingConfig
from orderacc.config.videos import VideosConfig

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
"""Hosts that only this machine can reach."""


def _origin(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme not in ("http", "https") or not separator or not rest or set(rest) & set("/?#@* "):
        raise PydanticCustomError("origin", "should be an origin such as https://screen.example:8443, without a path")
    return text


def _host_or_network(text: str) -> str:
    if "/" in text:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise PydanticCustomError(
                "network", "should be a host name, an address or a network: 10.1.0.0/16"
            ) from None
    elif not text.strip() or any(character.isspace() for character in text):
        raise PydanticCustomError("network", "should be a host name, an address or a network: 10.1.0.0/16")
    return text


class TlsConfig(Section):
    """Encryption of what the API sends and receives."""

    certificate: InputFile
    """Certificate chain, PEM."""
    key: InputFile
    """Its private key, PEM, without a password."""


class CameraRulesConfig(Section):
    """What a camera that is added over the API may be. The configuration file may name any."""

    hosts: Annotated[tuple[Annotated[str, AfterValidator(_host_or_network)], ...], Field(strict=False)] = ()
    """Hosts, addresses and networks cameras may be at; all when empty, apart from this machine itself, link-local
    addresses and those where clouds tell secrets, which have to be named."""
    devices: bool = False
    """Whether cameras plugged into this machine may be added."""


class ApiConfig(Section):
    """The HTTP side. Without this section nothing listens; `api: {}` does, for this machine only."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address to listen on; others than this machine's own need `tokens`."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port; 0 takes one that is free."""
    tokens: Annotated[OutputFile | None, Field(validate_default=True)] = None
    """File of the tokens that are let in, written by `orderacc token create`. Without it whoever is on this machine
    may do everything."""
    tls: TlsConfig | None = None
    """Encryption; without it tokens and pictures can be read on the way."""
    origins: Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], Field(strict=False)] = ()
    """Origins of web pages that may ask besides our own."""
    hosts: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Names this machine is asked by besides its addresses. Counts without `tokens` only, where a page elsewhere could
    otherwise have its own name point here."""
    cameras: CameraRulesConfig = CameraRulesConfig()
    """Which cameras may be added."""
    rate_per_sec: Annotated[float, Field(gt=0, le=100_000)] = 100.0
    """Requests a second of one token, or of one address where there are no tokens; ten times as many at once."""
    connections: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """Most connections at a time."""
    keep_verdicts: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Verdicts that can be asked for where no `storage` keeps them."""
    streaming: StreamingConfig = StreamingConfig()
    """Detection for other clients."""
    videos: VideosConfig = VideosConfig()
    """Recordings that are handed in."""

    @field_validator("tokens")
    @classmethod
    def _needed(cls, tokens: object, info: ValidationInfo) -> object:
        host = info.data.get("host")
        if tokens is None and isinstance(host, str) and host not in LOOPBACK:
            message = "is needed where others can reach the host: tokens: tokens.json; then run orderacc token create"
            raise PydanticCustomError("no_tokens", message)
        return tokens
