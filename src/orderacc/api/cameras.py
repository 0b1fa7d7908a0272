"""Which cameras may be added over HTTP: a box must not be made to look where whoever asks could not."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from orderacc.config import DeviceSource, HttpSource, RtspSource
from orderacc.errors import RequestError

if TYPE_CHECKING:
    from orderacc.config import CameraRulesConfig, Source

_Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

METADATA: Final = tuple(
    map(ipaddress.ip_network, ("100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32", "fd00:ec2::/32"))
)
"""Where clouds tell secrets to whoever asks from inside, beside the link-local addresses."""

RESOLVE: Final = 5.0
"""Seconds a name may take to be looked up."""


async def check_camera(source: Source, rules: CameraRulesConfig) -> None:
    """Make sure that a camera may be added.

    A name is looked up and all its addresses must be allowed. Whoever controls the name can still change it later, and
    a camera over HTTP can send FFmpeg elsewhere by a redirect: name the hosts in `api.cameras.hosts` where that
    matters.

    Raises:
        RequestError: `camera_refused`.
    """
    if isinstance(source, RtspSource | HttpSource):
        await _check_host(urlsplit(source.url.reveal()).hostname or "", rules)
    elif isinstance(source, DeviceSource):
        if not rules.devices:
            raise _refused("cameras of this machine may not be added; api.cameras.devices allows it")
        device = str(source.device)  # of a pipeline that is a mask, which is neither
        if not (device.isdecimal() or device.startswith("/dev/video")):
            raise _refused("over HTTP a device is a number or /dev/videoN")


async def _check_host(host: str, rules: CameraRulesConfig) -> None:
    names = {each.lower() for each in rules.hosts if "/" not in each}
    networks = [ipaddress.ip_network(each) for each in rules.hosts if "/" in each]
    named = host.lower() in names
    for address in await _addresses(host):
        if named or str(address) in names or any(address in network for network in networks):
            continue
        if rules.hosts:
            raise _refused("cameras may not be there; api.cameras.hosts says where they may be")
        if not _harmless(address):
            raise _refused("cameras may not be at such an address unless api.cameras.hosts names it")


def _harmless(address: _Address) -> bool:
    """Whether it is neither this machine, nor link-local, nor where clouds tell secrets, nor no host's at all."""
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if inner is not None and not _harmless(inner):
        return False
    odd = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    return not (odd or address.is_reserved or any(address in network for network in METADATA))


async def _addresses(host: str) -> list[_Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        async with asyncio.timeout(RESOLVE):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise _refused("the camera's host cannot be found") from None
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _refused(message: str) -> RequestError:
    return RequestError(message, code="camera_refused")
