"""A camera with every fault."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from orderacc.capture.source import SourceStats
from orderacc.domain.frames import Frame

if TYPE_CHECKING:
    from collections.abc import Generator


class StagedCamera:
    """A camera with every fault: hands out a source for each attempt and decides what they do.

    Sources open at once and wait for `give`. A failure lasts, for the source that is open and for all further ones,
    until `mend`.

    Attributes:
        station_id: The station its frames are for.
        opened: How many sources have begun.
        open: How many of them have not ended.
        deaf: Whether sources ignore `close`, as one does that hangs in a driver; looked at while they wait.
    """

    def __init__(self, station_id: str = "counter") -> None:
        self.station_id = station_id
        self.opened = 0
        self.open = 0
        self.deaf = False
        self._changed = threading.Condition()
        self._given = 0
        self._failure: Exception | None = None
        self._over = False

    def make(self) -> StagedSource:
        """A source for one attempt."""
        return StagedSource(self)

    def give(self, frames: int = 1) -> None:
        """Let so many frames come, from whichever source is open; the first frame time of each source is 0."""
        with self._changed:
            self._given += frames
            self._changed.notify_all()

    def fail(self, failure: Exception) -> None:
        """Break it: every source raises this."""
        with self._changed:
            self._failure = failure
            self._changed.notify_all()

    def end(self) -> None:
        """Let every source end without an error."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def mend(self) -> None:
        """Nothing fails and nothing ends any more; sources listen again."""
        with self._changed:
            self._failure, self._over, self.deaf = None, False, False
            self._changed.notify_all()

    def play(self, source: StagedSource) -> Generator[Frame, None, None]:
        """What a source of this camera delivers."""
        picture = np.zeros((4, 4, 3), np.uint8)
        with self._changed:
            self.opened += 1
            self.open += 1
        try:
            while self._turn(source):
                source.delivered += 1
                yield Frame(self.station_id, source.delivered - 1, (source.delivered - 1) / 10, picture)
        finally:
            with self._changed:
                self.open -= 1

    def wake(self) -> None:
        """A source was closed."""
        with self._changed:
            self._changed.notify_all()

    def _turn(self, source: StagedSource) -> bool:
        """Wait for a frame; False when there will be none."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._given or self._failure or self._over or (source.closed and not self.deaf)
            )
            if source.closed and not self.deaf:
                return False
            if self._failure is not None:
                raise self._failure
            if not self._given:
                return False
            self._given -= 1
            return True


class StagedSource:
    """One pass of a `StagedCamera`.

    Args:
        camera: Decides what it does.

    Attributes:
        closed: Whether it was told to end.
        delivered: Frames it gave.
    """

    def __init__(self, camera: StagedCamera) -> None:
        self.station_id = camera.station_id
        self.closed = False
        self.delivered = 0
        self._camera = camera

    def frames(self) -> Generator[Frame, None, None]:
        """See `FrameSource.frames`; frames are 0.1 s apart."""
        return self._camera.play(self)

    def close(self) -> None:
        """See `FrameSource.close`."""
        self.closed = True
        self._camera.wake()

    def stats(self) -> SourceStats:
        """See `FrameSource.stats`."""
        return SourceStats(decoded=self.delivered, kept=self.delivered)
