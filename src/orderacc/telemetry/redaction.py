"""The one place that keeps secrets out of what the program says.

Names decide first (a field called `password` is never shown), then texts are searched for credentials inside URLs, for
secrets with a name (`pass=...`) and for authorization headers. Every pattern takes time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

MASK: Final = "***"

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""Values every renderer writes as they are."""

_LONG: Final = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|authorization|credentials?|cookie|loginpass?"
    r"|(?:api|access|secret|private)_?key)"
)
"""Whatever stands before these: `password`, `rtspPassword`."""
_SHORT: Final = r"(?:pass|pw|jwt|auth|sig|signature)"
"""A name of their own, or the last word of one: `compass` is none."""
_WORD: Final = r"(?:(?<![a-z0-9])|(?-i:(?<=[a-z0-9])(?=[A-Z])))"
"""Where a word of a name begins."""
_SECRET_NAME: Final = re.compile(rf"(?:{_LONG}|{_WORD}{_SHORT})$", re.IGNORECASE)
_URL_USERINFO: Final = re.compile(r"(?<![a-z0-9+.\-])([a-z0-9+.\-]+://)[^/?#\s\"'<>]*@", re.IGNORECASE)
_URL_PASSWORD: Final = re.compile(
    r"(?<![a-z0-9+.\-])([a-z0-9+.\-]+://)[^/?#\s\"'<>@:]*:(?!\d{1,5}(?:[/\s\"'<>]|$))(?:(?!://)\S){0,256}@",
    re.IGNORECASE,
)
"""A password with a slash or a quote, which should have been written `%2F`: what stands behind the colon is no port."""
_BARE: Final = r"[^&;#\s\"'<>]"
_VALUE: Final = rf"(?:\\*(?:\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?){_BARE}*|{_BARE}+)"
_NAMED_SECRET: Final = re.compile(rf"((?:{_LONG}|{_WORD}{_SHORT})[ \t]{{0,4}}=[ \t]{{0,4}}){_VALUE}", re.IGNORECASE)
"""In a query, in a path (`/user=admin_password=...` of some cameras), or on its own (`user-pw="..."` of GStreamer)."""
_QUERY_SECRET: Final = re.compile(
    rf"([?&;][a-z0-9_\-]{{0,32}}(?:key|session|session_?id|sid|sign)=){_BARE}+", re.IGNORECASE
)
"""Secrets in a query; elsewhere these are the names of harmless things."""
_SIGNATURE: Final = re.compile(r"([?&]X-Amz-(?:Signature|Credential|Security-Token)=)[^&#\s\"'<>]+", re.IGNORECASE)
_HEADER: Final = re.compile(r"\b((?:proxy-)?authorization\b[\"']?\s{0,4}[:=]\s{0,4}[\"']?)[^\r\n\"']+", re.IGNORECASE)
_BEARER: Final = re.compile(r"\b(bearer)\s+[a-z0-9._~+/=\-]{8,}", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether a field of this name holds a secret: `token` and `s3_secret_key` do, `new_tokens` does not."""
    return _SECRET_NAME.search(name) is not None


def redact_text(text: str) -> str:
    """Mask credentials in free text.

    `rtsp://user:pass@camera/1` becomes `rtsp://***@camera/1`; so do secrets with a name, as in query strings and
    pipelines, and authorization headers. One that only stands in a path cannot be told from the path: `SecretText` is
    for those.
    """
    text = _URL_PASSWORD.sub(rf"\1{MASK}@", text)
    text = _URL_USERINFO.sub(rf"\1{MASK}@", text)
    text = _NAMED_SECRET.sub(rf"\1{MASK}", text)
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
