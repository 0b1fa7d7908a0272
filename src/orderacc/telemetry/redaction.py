"""The one place that keeps secrets out of what the program says.

Names decide first (a field called `password` is never shown), then texts are searched for credentials inside URLs, for
secrets with a name (`pass=...`, `"password": "..."`) and for headers that log somebody in. Every pattern takes time
linear in the text.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final, TypeAlias

MASK: Final = "***"

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""Values every renderer writes as they are."""

_LONG: Final = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|authorization|credentials?|cookie|loginpass?"
    r"|(?:api|access|secret|private)[_\-]?key)"
)
"""Whatever stands before these: `password`, `rtspPassword`."""
_SHORT: Final = r"(?:pass|pw|jwt|auth|sig|signature)"
"""A name of their own, or the last word of one: `compass` is none."""
_WORD: Final = r"(?:(?<![a-z0-9])|(?-i:(?<=[a-z0-9])(?=[A-Z])))"
"""Where a word of a name begins."""
_IN_NAMES: Final = ("pas", "pw", "secret", "token", "auth", "credential", "cookie", "key", "jwt", "sig")
"""One of these is in every name: most texts hold none, and looking for the names themselves takes longer."""
_SECRET_NAME: Final = re.compile(rf"(?:{_LONG}|{_WORD}{_SHORT})$", re.IGNORECASE)
_URL_USERINFO: Final = re.compile(r"(?<![a-z0-9+.\-])([a-z0-9+.\-]+://)[^/?#\s\"'<>]*@", re.IGNORECASE)
_URL_PASSWORD: Final = re.compile(
    r"(?<![a-z0-9+.\-])([a-z0-9+.\-]+://)[^/?#\s\"'<>@:]*:(?!\d{1,5}(?:[/\s\"'<>]|$))(?:(?!://)\S){0,256}@",
    re.IGNORECASE,
)
"""A password with a slash or a quote, which should have been written `%2F`: what stands behind the colon is no port."""
_USER_AT_HOST: Final = re.compile(
    r"(?<![\w.\-+%:/@])(?!mailto:)[\w.\-+%]{1,64}:[^\s/?#\"'<>@]{1,256}@(?=[\[a-z0-9])", re.IGNORECASE
)
"""As proxies and addresses without a scheme are written."""
_BARE: Final = r"[^&;#\s\"'<>]"
_VALUE: Final = rf"(?:\\*[bru]?(?:\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?){_BARE}*|{_BARE}+)"
_NAMED_SECRET: Final = re.compile(rf"((?:{_LONG}|{_WORD}{_SHORT})[ \t]{{0,4}}=[ \t]{{0,4}}){_VALUE}", re.IGNORECASE)
"""In a query, in a path (`/user=admin_password=...` of some cameras), or on its own (`user-pw="..."` of GStreamer)."""
_COLON: Final = r"[ \t]{0,4}:[ \t]{0,4}"
_CLOSING: Final = r",)}\]"
_GIVEN: Final = (
    r"(?:(\\*[bru]?\")(?:[^\"\\]|\\.)*|(\\*[bru]?')(?:[^'\\]|\\.)*"
    rf"|(?!\\*[bru]?[\"']){_BARE}*[^&;#\s\"'<>{_CLOSING}])"
)
"""A value behind a colon; of one in quotes these stay, and brackets that close around it."""
_NO_DISH: Final = r"(?<!cookie)"
"""A cookie may be on the menu; those of a browser are known by what is in them."""
_QUOTED_NAME: Final = re.compile(
    rf"((?:{_LONG}|{_WORD}{_SHORT}){_NO_DISH}\\{{0,4}}[\"']\s{{0,8}}[:=]\s{{0,8}}[\[({{]?){_GIVEN}", re.IGNORECASE
)
"""In JSON, and in Python's dictionaries."""
_TOLD_PASSWORD: Final = re.compile(
    r"(?<![a-z0-9_.\-])([a-z0-9_\-]{0,64}"
    r"(?:pass(?:word|wd|phrase)|pwd|loginpass?|(?:api|access|secret|private)[_\- ]?key"
    rf"|(?<![a-z0-9])x-[a-z0-9\-]{{0,32}}(?:token|secret|auth|signature)|{_WORD}(?:pw|jwt)){_COLON}){_GIVEN}",
    re.IGNORECASE,
)
"""In YAML, in a header, in a sentence; not at the end of a path, where it is said what is wrong with a setting."""
_TOLD_SECRET: Final = re.compile(
    rf"((?:{_LONG}|{_WORD}{_SHORT}){_NO_DISH}{_COLON})(?=\S{{0,64}}\d)(?=\S{{0,64}}[a-z])"
    rf"(?=[^\s{_CLOSING}]{{6}}){_GIVEN}",
    re.IGNORECASE,
)
"""Names that are words of any sentence (`unexpected token: for`): what follows has to look like a secret."""
_COOKIE: Final = re.compile(
    r"\b(cookie[\"']?\s{0,4}[:=]\s{0,4}[\[(]?[\"']?)(?=[^\s=;\"']{1,64}=)[^\r\n\"']+", re.IGNORECASE
)
_QUERY_SECRET: Final = re.compile(
    rf"([?&;][a-z0-9_\-]{{0,32}}(?:key|session|session_?id|sid|sign)=){_BARE}+", re.IGNORECASE
)
"""Secrets in a query; elsewhere these are the names of harmless things."""
_SIGNATURE: Final = re.compile(r"([?&]X-Amz-(?:Signature|Credential|Security-Token)=)[^&#\s\"'<>]+", re.IGNORECASE)
_HEADER: Final = re.compile(r"\b((?:proxy-)?authorization\b[\"']?\s{0,4}[:=]\s{0,4}[\"']?)[^\r\n\"']+", re.IGNORECASE)
_BEARER: Final = re.compile(r"\b(bearer)\s+[a-z0-9._~+/=\-]{8,}", re.IGNORECASE)
_BASIC: Final = re.compile(r"\b(basic)\s+([a-z0-9+/_\-]{4,}={0,2})", re.IGNORECASE)
"""Of a header whose name was lost. The word is one of any sentence: what follows has to hold a user and a password."""
_OF_URLS: Final = str.maketrans("-_", "+/")


def is_secret(name: str) -> bool:
    """Whether a field of this name holds a secret: `token` and `s3_secret_key` do, `new_tokens` does not."""
    return _SECRET_NAME.search(name) is not None


def redact_text(text: str) -> str:
    """Mask credentials in free text.

    `rtsp://user:pass@camera/1` becomes `rtsp://***@camera/1`; so do secrets with a name, as in query strings,
    pipelines and JSON, and headers that log somebody in. One that only stands in a path cannot be told from the path:
    `SecretText` is for those.
    """
    if "@" in text:
        text = _URL_PASSWORD.sub(rf"\1{MASK}@", text)
        text = _URL_USERINFO.sub(rf"\1{MASK}@", text)
        text = _USER_AT_HOST.sub(f"{MASK}@", text)
    folded = text.casefold()
    if any(part in folded for part in _IN_NAMES):
        text = _NAMED_SECRET.sub(rf"\1{MASK}", text)
        for told in (_QUOTED_NAME, _TOLD_PASSWORD, _TOLD_SECRET):
            text = told.sub(rf"\1\2\3{MASK}", text)
        text = _COOKIE.sub(rf"\1{MASK}", text)
        text = _HEADER.sub(rf"\1{MASK}", text)
    if "=" in text:
        text = _QUERY_SECRET.sub(rf"\1{MASK}", text)
        text = _SIGNATURE.sub(rf"\1{MASK}", text)
    if "bearer" in folded:
        text = _BEARER.sub(rf"\1 {MASK}", text)
    if "basic" in folded:
        text = _BASIC.sub(_masked_login, text)
    return text


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


def _masked_login(found: re.Match[str]) -> str:
    word, given = found.groups()
    letters = given.rstrip("=").translate(_OF_URLS)
    login = base64.b64decode(letters[: len(letters) - (len(letters) % 4 == 1)] + "===").decode(errors="surrogateescape")
    return f"{word} {MASK}" if ":" in login and login.isprintable() else found.group()
