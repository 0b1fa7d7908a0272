"""Objects as files of this machine."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zlib import crc32

from orderacc.errors import StorageError
from orderacc.storage.objects import StoredObject, check_key, check_prefix

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

SHARDS: Final = 256
"""Folders that share the visits of a kind, so that none holds more than file systems and people can cope with."""

_UNFINISHED: Final = ".part"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PATIENCE: Final = 5
"""Attempts at a folder that somebody who empties it may take away again before there is a file in it."""

_names = count()


class FolderStore:
    """Keeps every object in a file of its own, `root/kind/shard/visit/name`.

    An object appears under its key only when all of it is on the disk, whatever happens before.

    Args:
        root: The folder; made with the first object.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def check(self) -> None:
        """See `ObjectStore.check`: the folder is made."""
        with storage_errors(f"{self._root} cannot be made"):
            await asyncio.to_thread(self._root.mkdir, parents=True, exist_ok=True)

    async def put(self, key: str, data: bytes | Path, content_type: str) -> None:
        """See `ObjectStore.put`.

        Raises:
            StorageError: `storage_full`, `storage_unavailable` or `bad_key`.
        """
        del content_type  # the key's ending says it
        await asyncio.to_thread(self._put, check_key(key), data)

    async def get(self, key: str) -> bytes:
        """See `ObjectStore.get`."""
        return await asyncio.to_thread(self._get, check_key(key))

    async def list(self, prefix: str = "") -> AsyncIterator[StoredObject]:
        """See `ObjectStore.list`."""
        for found in await asyncio.to_thread(self._list, check_prefix(prefix)):
            yield found

    async def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStore.delete`."""
        await asyncio.to_thread(self._delete, [check_key(key) for key in keys])

    async def link(self, key: str, seconds: float) -> str:
        """The file's URL; it is good for as long as the file is there."""
        del seconds
        return self._path(check_key(key)).absolute().as_uri()

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _path(self, key: str) -> Path:
        kind, visit, name = key.split("/")
        return self._root / kind / _shard(visit) / visit / name

    def _put(self, key: str, data: bytes | Path) -> None:
        path = self._path(key)
        with storage_errors(f"{key} could not be stored in {self._root}"):
            write_whole(path, data)

    def _get(self, key: str) -> bytes:
        with storage_errors(f"{key} could not be read from {self._root}"):
            try:
                return self._path(key).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise StorageError(f"there is no object {key}", code="no_such_object") from None

    def _list(self, prefix: str) -> Sequence[StoredObject]:
        with storage_errors(f"{self._root} could not be listed"):
            return sorted(self._walk(prefix), key=lambda found: found.key)

    def _walk(self, prefix: str) -> Iterator[StoredObject]:
        """Looks into no folder that cannot hold such keys."""
        kind, slash, rest = prefix.partition("/")
        visit, inner, _ = rest.partition("/")
        start = self._root / kind if slash else self._root
        if inner:
            start = start / _shard(visit) / visit
        for folder, _, names in os.walk(start):
            for name in names:
                path = Path(folder, name)
                key = self._key(path)
                if key is None or not key.startswith(prefix):
                    continue
                with suppress(FileNotFoundError):  # deleted meanwhile
                    status = path.stat()
                    yield StoredObject(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def _key(self, path: Path) -> str | None:
        """The key of a file; None for what is not finished, or was not put here by a store."""
        parts = path.relative_to(self._root).parts
        return None if len(parts) != 4 or path.name.startswith(".") else "/".join((parts[0], *parts[2:]))

    def _delete(self, keys: Sequence[str]) -> None:
        with storage_errors(f"objects could not be removed from {self._root}"):
            for key in keys:
                path = self._path(key)
                with suppress(FileNotFoundError, NotADirectoryError):
                    path.unlink()
                with suppress(OSError):  # others lie there, or it is gone already
                    path.parent.rmdir()


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn what the system says of files into errors of the store.

    Args:
        what: What was being done, the beginning of a message.

    Raises:
        StorageError: `storage_full`, or `storage_unavailable` for whatever else the system refuses.
    """
    try:
        yield
    except OSError as error:
        code = "storage_full" if error.errno in _FULL else "storage_unavailable"
        raise StorageError(f"{what}: {error.strerror or error}", code=code) from error


def write_whole(path: Path, data: bytes | Path) -> None:
    """Write a file that is there as a whole or not at all, whenever the power goes.

    Args:
        path: The file; its folders are made.
        data: Its content, or a file with it; one on the same file system is linked instead of copied.

    Raises:
        OSError: If it cannot be; then nothing is left of it.
    """
    unfinished = path.with_name(f".{path.name[:100]}.{os.getpid()}-{next(_names)}{_UNFINISHED}")
    try:
        _fill(unfinished, path, data)
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make sure that a folder's names are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fill(unfinished: Path, path: Path, data: bytes | Path) -> None:
    for _ in range(_PATIENCE):
        try:
            _copy(unfinished, data)
        except FileNotFoundError:
            if isinstance(data, Path) and not data.exists():
                raise
            _make_folders(path.parent)
        else:
            return
    _copy(unfinished, data)


def _make_folders(folder: Path) -> None:
    """Make folders whose names are on the disk too."""
    missing = [folder, *folder.parents]
    missing = missing[: next(index for index, one in enumerate(missing) if one.is_dir())]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync_folder(one.parent)


def _copy(target: Path, data: bytes | Path) -> None:
    if isinstance(data, Path):
        try:
            os.link(data, target)
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one without links
            pass
        else:
            return
    with target.open("wb") as file:
        if isinstance(data, bytes):
            file.write(data)
        else:
            with data.open("rb") as source:
                shutil.copyfileobj(source, file)
        file.flush()
        os.fsync(file.fileno())


def _shard(visit: str) -> str:
    return f"{crc32(visit.encode()) % SHARDS:02x}"
