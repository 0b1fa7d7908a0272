"""The door behind encryption: what it says, and who does not get as far as saying anything."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import pytest
from anyio.streams.tls import TLSStream

from door import opened
from orderacc.api import listening
from ports import certificate_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from door import Door

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def encrypted_door(folder: Path, **config: Any) -> AsyncIterator[tuple[Door, ssl.SSLContext]]:
    """A door with tokens and a certificate, and what its clients trust."""
    certificate, key = certificate_in(folder)
    trust = ssl.create_default_context(cafile=str(certificate))
    trust.check_hostname = False
    async with opened(folder, tls={"certificate": str(certificate), "key": str(key)}, **config) as door:
        yield door, trust


def where(door: Door) -> tuple[str, int]:
    host, _, port = door.address.removeprefix("https://").rpartition(":")
    return host, int(port)


async def test_what_is_asked_is_answered_and_the_login_never_goes_unencrypted(tmp_path: Path) -> None:
    async with encrypted_door(tmp_path) as (door, trust):
        assert door.address.startswith("https://")
        answer = await door.get("/v1/stations", ssl=trust)
        assert (answer.status, answer.headers["Strict-Transport-Security"]) == (200, "max-age=31536000")
        login = await door.ask("POST", "/v1/session", {"token": door.tokens["read"]}, scope=None, ssl=trust)
        assert "Secure" in login.headers["Set-Cookie"].split("; ")
        async with door.session.ws_connect(f"{door.address}/v1/events", headers=door.bearer(), ssl=trust) as line:
            assert not line.closed


async def test_who_is_slow_to_agree_and_then_asks_for_nothing_is_shown_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "FIRST_REQUEST", 4.0)
    monkeypatch.setattr(listening, "HANDSHAKE", 3.0)
    monkeypatch.setattr(listening, "SWEEP", 0.05)
    async with encrypted_door(tmp_path) as (door, trust):
        async with await anyio.connect_tcp(*where(door)) as stream:
            await anyio.sleep(0.3)  # who looks after the connections has passed by
            agreed = TLSStream.wrap(stream, server_side=False, ssl_context=trust, standard_compatible=False)
            async with await agreed as inside:
                with anyio.fail_after(20), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    await inside.receive()
        assert (await door.get("/healthz", ssl=trust)).status == 200


async def test_who_never_agrees_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HANDSHAKE", 0.2)
    async with encrypted_door(tmp_path) as (door, _), await anyio.connect_tcp(*where(door)) as stream:
        with anyio.fail_after(20), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()


async def test_those_who_have_not_agreed_yet_count_as_connections(tmp_path: Path) -> None:
    async with encrypted_door(tmp_path, connections=3) as (door, trust), AsyncExitStack() as silent:
        for _ in range(3):
            await silent.enter_async_context(await anyio.connect_tcp(*where(door)))
        with pytest.raises(aiohttp.ClientConnectionError):
            await door.get("/healthz", ssl=trust)
