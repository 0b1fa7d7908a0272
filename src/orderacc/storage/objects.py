"""Whoever keeps objects: pictures, clips and verdicts, each under a key.

A key is `kind/visit/name`, such as `selected/drive-1-1795260583/0.jpg`. The kinds are `frames` (an order's clip),
`selected` (the frames it was judged by) and `results` (its verdicts); the visit's own id keeps orders apart whose
numbers repeat.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from orderacc.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from datetime import datetime
    from pathlib import Path

FRAMES: Final = "frames"
SELECTED: Final = "selected"
RESULTS: Final = "results"
KINDS: Final = (FRAMES, SELECTED, RESULTS)

LONGEST_KEY: Final = 200
"""Characters; with it every store and every file system can keep an object under its key."""

SLOWEST: Final = 100_000
"""Bytes per second below which a line to a store is no use."""

_KEY: Final = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*(/[A-Za-z0-9_=-][A-Za-z0-9._=-]*){2}")
_PREFIX: Final = re.compile(r"[A-Za-z0-9._=/-]*")

_TYPES: Final = {".jpg": "image/jpeg", ".json": "application/json", ".mp4": "video/mp4"}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing tells of it.

    Attributes:
        key: Its key.
        size: Bytes.
        modified: When it was stored, UTC.
    """

    key: str
    size: int
    modified: datetime


class ObjectStore(Protocol):
    """Keeps objects. `FolderStore` and `S3Store` are such. All methods may raise `StorageError`."""

    async def check(self) -> None:
        """Make sure that objects can be kept, as far as that can be known.

        Raises:
            StorageError: `storage_denied`, `no_such_bucket`, `storage_full` or `storage_unavailable`.
        """
        ...

    async def put(self, key: str, data: bytes | Path, content_type: str) -> None:
        """Keep an object, whole or not at all; one that was there under the key is replaced.

        Args:
            key: Its key.
            data: Its content, or a file with it.
            content_type: Media type.

        Raises:
            StorageError: The codes of objects. What took too long has the `TimeoutError` as its cause.
        """
        ...

    async def get(self, key: str) -> bytes:
        """An object's content.

        Raises:
            StorageError: `no_such_object`, or `object_corrupt` when it is not what was stored.
        """
        ...

    def list(self, prefix: str = "") -> AsyncIterator[StoredObject]:
        """All objects whose keys begin so, in order of their keys."""
        ...

    async def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are no error."""
        ...

    async def link(self, key: str, seconds: float) -> str:
        """A URL under which an object can be read for so long, without credentials.

        Args:
            key: The object; nobody checks that it is there.
            seconds: How long the URL is good for, where the store can limit that.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


def check_key(key: str) -> str:
    """Make sure that a key can be kept by any store and names no other place.

    Raises:
        StorageError: `bad_key`.
    """
    if len(key) > LONGEST_KEY or not _KEY.fullmatch(key):
        raise StorageError(
            f"{key[:80]!r} is no key: three parts between slashes, none beginning with a dot, "
            f"of letters, digits and ._=-, {LONGEST_KEY} in all",
            code="bad_key",
        )
    return key


def check_prefix(prefix: str) -> str:
    """Likewise for the beginning of keys.

    Raises:
        StorageError: `bad_key`.
    """
    if (
        len(prefix) > LONGEST_KEY
        or not _PREFIX.fullmatch(prefix)
        or any(part.startswith(".") for part in prefix.split("/"))
    ):
        raise StorageError(f"{prefix[:80]!r} begins no key", code="bad_key")
    return prefix


def visit_key(kind: str, visit_id: str, name: str = "") -> str:
    """The key of an object of a visit, or without a name what the keys of all of them begin with.

    Args:
        kind: One of `KINDS`.
        visit_id: The visit, which is the verdict's id too. What no key may hold is written as `=XX`.
        name: The object's name, such as `0.jpg`.
    """
    return f"{kind}/{key_part(visit_id)}/{name}"


def content_type_of(key: str) -> str:
    """Media type by the key's ending."""
    dot = key.rfind(".")
    return _TYPES.get(key[dot:], "application/octet-stream")


def key_part(text: str) -> str:
    """A text as part of a key; distinct texts give distinct parts, so `=` itself is escaped too."""
    quoted = re.sub(r"[^A-Za-z0-9._-]", lambda one: "".join(f"={byte:02X}" for byte in one[0].encode()), text)
    return f"=2E{quoted[1:]}" if quoted.startswith(".") else quoted


def text_of_part(part: str) -> str:
    """What `key_part` was made from."""
    return re.sub(r"(?:=[0-9A-F]{2})+", lambda run: bytes.fromhex(run[0].replace("=", "")).decode(), part)
