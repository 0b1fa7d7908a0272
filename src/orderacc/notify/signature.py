"""Signatures after the Standard Webhooks specification, version 1.0.0 (symmetric, `v1`)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOLERANCE: Final = 300.0
"""Seconds a message may be away from the receiver's clock."""


def message_id(key: str) -> str:
    """The id under which a message is sent, the same at every attempt.

    Args:
        key: The message's idempotency key. Stations' names may hold full stops, which an id must not.
    """
    return f"msg_{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def sign(keys: Sequence[bytes], identifier: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`.

    Args:
        keys: One signature for each; two while a secret is being replaced.
        identifier: The header `webhook-id`.
        timestamp: The header `webhook-timestamp`, seconds since 1970.
        body: What is sent, byte for byte.
    """
    content = b"%s.%d.%s" % (identifier.encode(), timestamp, body)
    digests = (hmac.new(key, content, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode('ascii')}" for digest in digests)


def verify(headers: Mapping[str, str], body: bytes, *, keys: Sequence[bytes], now: float) -> bool:
    """Whether a message is what its sender sent, and not an old one sent again; for receivers.

    Args:
        headers: Of the request, their names in small letters or in a mapping that does not care.
        body: What came, byte for byte.
        keys: Any of them will do.
        now: Seconds since 1970.
    """
    identifier, timestamp, signature = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 16):
        return False
    if abs(int(timestamp) - now) > TOLERANCE:
        return False
    ours = [one.encode() for one in sign(keys, identifier, int(timestamp), body).split()]
    theirs = [one.encode() for one in signature.split()]
    return any(hmac.compare_digest(one, other) for one in ours for other in theirs)
