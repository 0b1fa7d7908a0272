"""One process at a time in a data directory."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from orderacc.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

FILE_NAME = "lock"


class DataLock:
    """Holds a data directory for this process; the system lets go of it when the process ends, however it ends.

    Args:
        folder: The data directory, made if missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take it.

        Raises:
            StorageError: `storage_locked` if another process has it; `storage_failed` if it cannot be made.
        """
        path = self._folder / FILE_NAME
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            message = f"storage.data_dir {self._folder} cannot be used: {error.strerror}"
            raise StorageError(message, code="storage_failed") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise StorageError(
                f"{self._folder} is used by another orderacc{f' (process {holder})' if holder else ''}: "
                "stop that one, or give this one a storage.data_dir of its own",
                code="storage_locked",
            ) from error
        self._descriptor = descriptor
        with suppress(OSError):  # a full disk: it is held all the same, only nobody is told by whom
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
