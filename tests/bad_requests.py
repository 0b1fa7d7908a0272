"""Requests that look like ones, and are not right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

PATHS = (
    "/v1/orders/till/7",
    "/v1/stations",
    "/v1/stations/front",
    "/v1/verdicts/front-000001/review",
    "/v1/session",
    "/v1/verdicts",
    "/v1/events",
    "/v1/stations/front/live",
    "/v1/stations/front/snapshot.jpg",
    "/nowhere",
)
ODD = ("\x00", "\r\n", "%00", "%0d%0a", "..%2f", "'\"<>", "\u202e", "%ff%fe", "${jndi:x}", "a" * 3000, "{}", "%")


def deep(chance: random.Random) -> bytes:
    return b'{"items":' * chance.choice((10, 1000, 50_000)) + b"["


def large(chance: random.Random) -> bytes:
    return b'{"items":[' + b'{"name":"x"},' * chance.choice((1000, 90_000)) + b"{}]}"


def noise(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(1, 4000))


def numbers(chance: random.Random) -> bytes:
    return chance.choice(
        (b"1" * 5000, b"-", b"1e999999", b"NaN", b'{"version":%s}' % (b"9" * 4000), b"[" + b"0," * 9999)
    )


def half(chance: random.Random) -> bytes:
    whole = b'{"items":[{"name":"Burger","quantity":2,"modifiers":[{"name":"\\ud800","kind":"add"}]}],"state":"open"}'
    return whole[: chance.randrange(len(whole))]


def twice(chance: random.Random) -> bytes:
    return b'{"items":[],"items":%s,"opinion":"open","opinion":7}' % chance.choice((b"[]", b"null", b'"x"'))


def kinds(chance: random.Random) -> bytes:
    value = chance.choice((b"null", b"true", b"[[[]]]", b'""', b"{}", b"-1", b'{"type":"rtsp","url":{}}'))
    return b'{"id":%s,"source":%s,"items":%s,"token":%s,"opinion":%s}' % ((value,) * 5)


def polyglot(chance: random.Random) -> bytes:
    return chance.choice((b"\xff\xd8\xff\xe0", b"GIF89a", b"%PDF-1.7", b"PK\x03\x04", b"\x7fELF")) + b'{"items":[]}'


BODIES: tuple[Callable[[random.Random], bytes], ...] = (deep, large, noise, numbers, half, twice, kinds, polyglot)


def bad_request(chance: random.Random) -> bytes:
    """Bytes that a connection begins with: something that looks like a request, and is not right."""
    method = chance.choice(("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get", ""))
    path = chance.choice(PATHS) + chance.choice(
        ("", "", f"?{chance.choice(ODD)}=1", f"/{chance.choice(ODD)}", "?limit=x")
    )
    body = chance.choice(BODIES)(chance)
    headers = [f"Host: {chance.choice(('localhost', 'localhost:1', 'evil.example', ''))}"]
    headers.append(
        chance.choice(("Content-Type: application/json", "Content-Type: text/plain", f"X: {chance.choice(ODD)}"))
    )
    headers.append(
        chance.choice(
            (
                f"Content-Length: {len(body)}",
                f"Content-Length: {len(body)}",
                "Content-Length: -1",
                "Content-Length: 5\r\nContent-Length: 6",
                "Transfer-Encoding: chunked",
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x",
                f"Authorization: Bearer {chance.choice(ODD)}",
                "Content-Encoding: gzip",
                "\r\n".join(f"X-{n}: y" for n in range(200)),
            )
        )
    )
    end = chance.choice(("Connection: close\r\n\r\n", "Connection: close\r\n\r\n", ""))
    text = f"{method} {path} {chance.choice(('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/9', ''))}\r\n"
    return (text + "\r\n".join(headers) + "\r\n" + end).encode(errors="surrogatepass") + body
