"""The spool's files: what is held for an order that has no verdict yet, and what waits for the store, in order.

```
spool/held/VISIT/KEY       belongs to an order without a verdict
spool/waiting/NUMBER.KEY   goes to the store, lowest number first
spool/refused/NUMBER.KEY   the store refused it for good; for a person to look at, the newest of them
```
A file appears under its name only when all of it is on the disk. Everything here blocks: call it from worker threads.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orderacc.storage.folder import storage_errors, sync_folder, write_whole
from orderacc.storage.objects import check_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

_SLASH: Final = "!"
"""Stands for the slash in names of files; no key holds one."""

_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """An object that waits.

    Attributes:
        number: Its place in the line.
        key: Its key.
        path: Its file.
        size: Bytes.
        since: When it was written, seconds since 1970.
    """

    number: int
    key: str
    path: Path
    size: int
    since: float


class SpoolFolder:
    """A spool's files.

    Args:
        root: The folder; made if missing.
    """

    def __init__(self, root: Path) -> None:
        self._held = root / "held"
        self._waiting = root / "waiting"
        self._refused = root / "refused"

    def prepare(self) -> list[SpoolFile]:
        """Make the folders and clear away what was being written when the last process ended.

        Returns:
            What waits, in order.

        Raises:
            StorageError: `storage_full` or `storage_unavailable`.
        """
        with storage_errors("the spool cannot be read"):
            for folder in (self._held, self._waiting, self._refused):
                folder.mkdir(parents=True, exist_ok=True)
            for unfinished in [*self._waiting.glob(".*"), *self._held.glob("*/.*")]:
                unfinished.unlink()
            return list(self.waiting())

    def hold(self, visit_id: str, key: str, data: bytes) -> int:
        """Write what belongs to an order without a verdict.

        Returns:
            Bytes written.

        Raises:
            StorageError: `storage_full`, `storage_unavailable` or `bad_key`.
        """
        with storage_errors(f"{key} could not be held"):
            write_whole(self._visit(visit_id) / _name(key), data)
        return len(data)

    def held(self, visit_id: str) -> dict[str, Path]:
        """What is held for an order, by key."""
        with storage_errors(f"what is held for {visit_id} cannot be read"):
            folder = self._visit(visit_id)
            files = sorted(folder.iterdir()) if folder.is_dir() else []
            return {_key(path.name): path for path in files if not path.name.startswith(".")}

    def visits(self) -> list[str]:
        """Orders for which something is held, as keys name them."""
        with storage_errors("the spool cannot be read"):
            return sorted(folder.name for folder in self._held.iterdir()) if self._held.is_dir() else []

    def write(self, number: int, key: str, data: bytes) -> SpoolFile:
        """Write what goes to the store.

        Raises:
            StorageError: `storage_full`, `storage_unavailable` or `bad_key`.
        """
        check_key(key)
        path = self._waiting / _numbered(number, key)
        with storage_errors(f"{key} could not be spooled"):
            write_whole(path, data)
            return _file(path)

    def release(self, visit_id: str, numbered: Sequence[tuple[int, str]]) -> list[SpoolFile]:
        """Let what is held for an order go to the store.

        Args:
            visit_id: The order.
            numbered: Place in the line and key of each.

        Raises:
            StorageError: `storage_full` or `storage_unavailable`.
        """
        folder = self._visit(visit_id)
        moved: list[SpoolFile] = []
        with storage_errors(f"what is held for {visit_id} could not be spooled"):
            for number, key in numbered:
                path = self._waiting / _numbered(number, key)
                with suppress(FileNotFoundError):  # let go before a crash, and named again behind it
                    (folder / _name(key)).rename(path)
                    moved.append(_file(path))
            sync_folder(self._waiting)
        return moved

    def drop(self, visit_id: str) -> None:
        """Throw away what is held for an order."""
        shutil.rmtree(self._visit(visit_id), ignore_errors=True)

    def waiting(self, prefix: str = "") -> Iterator[SpoolFile]:
        """What waits and has a key that begins so, in order."""
        if not self._waiting.is_dir():
            return
        for path in sorted(self._waiting.iterdir()):
            if path.name[:_DIGITS].isdecimal() and _key(path.name[_DIGITS + 1 :]).startswith(prefix):
                with suppress(FileNotFoundError):  # stored meanwhile
                    yield _file(path)

    def find(self, prefix: str) -> dict[str, Path]:
        """Files that wait and whose keys begin so, by key; the newest where a key waits more than once."""
        return {file.key: file.path for file in self.waiting(prefix)}

    def done(self, file: SpoolFile) -> None:
        """The store has it."""
        with storage_errors(f"{file.key} cannot be removed from the spool"):
            file.path.unlink(missing_ok=True)

    def refuse(self, file: SpoolFile, most_bytes: int) -> None:
        """The store will never have it: set it aside.

        Args:
            file: What waited.
            most_bytes: Bytes that all refused files may take; the oldest go.
        """
        with storage_errors(f"{file.key} cannot be set aside"), suppress(FileNotFoundError):
            file.path.rename(self._refused / file.path.name)
            refused = [(path.stat(), path) for path in self._refused.iterdir()]
            size = sum(status.st_size for status, _ in refused)
            for status, path in sorted(refused, key=lambda one: one[0].st_mtime):
                if size <= most_bytes:
                    return
                path.unlink(missing_ok=True)
                size -= status.st_size

    def forget_refused(self, keys: Collection[str]) -> None:
        """Remove files that the store refused."""
        with storage_errors("the spool cannot be read"):
            for path in self._refused.iterdir() if self._refused.is_dir() else ():
                if _key(path.name[_DIGITS + 1 :]) in keys:
                    path.unlink(missing_ok=True)

    def _visit(self, visit_id: str) -> Path:
        return self._held / visit_id


def _name(key: str) -> str:
    return check_key(key).replace("/", _SLASH)


def _key(name: str) -> str:
    return name.replace(_SLASH, "/")


def _numbered(number: int, key: str) -> str:
    return f"{number:0{_DIGITS}d}.{_name(key)}"


def _file(path: Path) -> SpoolFile:
    number, _, name = path.name.partition(".")
    status = path.stat()
    return SpoolFile(int(number), _key(name), path, status.st_size, status.st_mtime)
