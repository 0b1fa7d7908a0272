"""One thread that does jobs in turn and never keeps the process alive."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class EngineThread:
    """Runs jobs one after the other.

    Unlike an executor's threads it is not waited for when the interpreter ends: native code that hangs must not keep a
    daemon from stopping.

    Args:
        name: What it is called.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Do a job when those before it are done; cancelling its future takes it out of the line."""
        future: Future[T] = Future()

        def do() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001  it belongs to whoever waits for the job
                future.set_exception(error)
            else:
                future.set_result(result)

        self._jobs.put(do)
        return future

    def stop(self) -> None:
        """End when the jobs so far are done; nothing may be submitted any more."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            # The last job holds its answers, and pictures of megabytes; the next one may be hours away.
            del job
