"""The one place that keeps secrets out of what the program says.

Names decide first (a field called `password` is never shown), then texts are searched for credentials inside URLs, for
secrets in query strings and for authorization headers. Every pattern takes time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

MASK: Final = "***"

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""Values every renderer writes as they are."""

_NAMES: Final = (
    r"(?:password|passwd|pwd|pw|secret|token|authorization|credentials?|cookie|api_?key|access_?key|secret_?key)"
)
_SECRET_NAME: Final = re.compile(rf"(?:^|[_\-.\s]){_NAMES}$", re.IGNORECASE)
_URL_USERINFO: Final = re.compile(r"(?<![a-z0-9+.\-])([a-z0-9+.\-]+://)[^/?#\s\"'<>]*@", re.IGNORECASE)
_URL_PASSWORD: Final = re.compile(
    r"(?<![a-z0-9+.\-])([a-z0-9+.\-]+://)[^/?#\s\"'<>@:]*:(?!\d{1,5}(?:[/\s\"'<>]|$))(?:(?!://)\S){0,256}@",
    re.IGNORECASE,
)
"""A password with a slash or a quote, which should have been written `%2F`: what stands behind the colon is no port."""
_QUERY_SECRET: Final = re.compile(rf"([?&;/\s](?:[a-z0-9=]{{1,32}}[_\-]){{0,3}}{_NAMES}=)[^&;#\s\"'<>]+", re.IGNORECASE)
"""In a query, in a path (`/user=admin_password=...` of some cameras), or on its own (`user-pw=...` of GStreamer)."""
_SIGNATURE: Final = re.compile(r"([?&]X-Amz-(?:Signature|Credential|Security-Token)=)[^&#\s\"'<>]+", re.IGNORECASE)
_HEADER: Final = re.compile(r"\b((?:proxy-)?authorization\b[\"']?\s{0,4}[:=]\s{0,4}[\"']?)[^\r\n\"']+", re.IGNORECASE)
_BEARER: Final = re.compile(r"\b(bearer)\s+[a-z0-9._~+/=\-]{8,}", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether a field of this name holds a secret: `token` and `s3_secret_key` do, `new_tokens` does not."""
    return _SECRET_NAME.search(name) is not None


def redact_text(text: str) -> str:
    """Mask credentials in free text.

    `rtsp://user:pass@camera/1` becomes `rtsp://***@camera/1`; so do secrets in query strings and authorization headers.
    """
    text = _URL_PASSWORD.sub(rf"\1{MASK}@", text)
    text = _URL_USERINFO.sub(rf"\1{MASK}@", text)
    text = _QUERY_SECRET.sub(rf"\1{MASK}", text)
    text = _SIGNATURE.sub(rf"\1{MASK}", text)
    text = _HEADER.sub(rf"\1{MASK}", text)
    return _BEARER.sub(rf"\1 {MASK}", text)


def redact(value: object) -> Plain:
    """Make a value fit to be shown.

    Args:
        value: Anything. Objects become their text first, because what a renderer would write is what must be clean.

    Returns:
        The same shape made of plain values, secrets masked.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): MASK if is_secret(str(key)) and item else redact(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    return redact_text(str(value))
