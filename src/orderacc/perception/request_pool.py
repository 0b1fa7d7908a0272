"""A network's inference requests, shared by every thread that has a picture for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from orderacc.models.runtime import import_openvino

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import openvino
    from numpy.typing import NDArray

    from orderacc.domain.frames import Image

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """What a pool has done since it was made.

    Attributes:
        streams: Pictures the device works on at a time.
        inferences: Pictures answered, failures included.
        busy_s: Seconds its streams were at work, added up; divided by `streams` and the time passed it is the share of
            the device that is taken.
        waiting: Threads that wait for a request now.
    """

    streams: int
    inferences: int
    busy_s: float
    waiting: int


class RequestPool:
    """Made once, taken in turns.

    One request more than the device has streams, so that the next picture is there when a stream ends: Python needs
    longer to hand a request over than the device to begin with one. Threads are served in the order they came, which
    lets a station with many frames take no other's turn.

    Args:
        compiled: The network.
        streams: Pictures the device works on at a time.
    """

    def __init__(self, compiled: openvino.CompiledModel, streams: int) -> None:
        self._tensor = import_openvino().Tensor
        self._streams = streams
        self._free = [compiled.create_infer_request() for _ in range(streams + 1)]
        self._line: deque[SimpleQueue[openvino.InferRequest]] = deque()
        self._lock = threading.Lock()
        self._working = 0
        self._inferences = 0
        self._busy_s = 0.0
        self._since = time.monotonic()

    def infer(self, picture: Image, read: Callable[[NDArray[np.float32]], T]) -> T:
        """Run the network in the calling thread; the interpreter is free meanwhile.

        Args:
            picture: uint8 [1, H, W, 3] as the network takes it, contiguous.
            read: Gets the network's first output, which is valid until it returns.

        Returns:
            What `read` made of it.
        """
        request = self._take()
        try:
            self._step(1)
            try:
                # Begun and waited for, not `infer`: that would run in this thread, on a stream its thread is tied to,
                # and leave another one idle.
                request.set_input_tensor(self._tensor(picture, shared_memory=True))
                request.start_async()
                request.wait()
            finally:
                self._step(-1)
            return read(request.get_output_tensor(0).data)
        finally:
            self._give_back(request)

    def statistics(self) -> PoolStatistics:
        """A snapshot."""
        with self._lock:
            self._count()
            return PoolStatistics(self._streams, self._inferences, self._busy_s, len(self._line))

    def _take(self) -> openvino.InferRequest:
        with self._lock:
            if self._free:
                return self._free.pop()
            turn: SimpleQueue[openvino.InferRequest] = SimpleQueue()
            self._line.append(turn)
        return turn.get()

    def _give_back(self, request: openvino.InferRequest) -> None:
        with self._lock:
            if self._line:
                self._line.popleft().put(request)
            else:
                self._free.append(request)

    def _step(self, change: int) -> None:
        with self._lock:
            self._count()
            self._working += change
            self._inferences += change < 0

    def _count(self) -> None:
        now = time.monotonic()
        self._busy_s += min(self._working, self._streams) * (now - self._since)
        self._since = now
