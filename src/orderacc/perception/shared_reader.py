"""One slip reader for several stations."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orderacc.domain.detections import SlipReading
    from orderacc.perception.paper import SlipView
    from orderacc.perception.slip import SlipReader


class SharedSlipReader:
    """Lets threads take turns: slips are read seldom, and a recogniser of its own per station costs 100 MB.

    Args:
        reader: The reader shared.
    """

    def __init__(self, reader: SlipReader) -> None:
        self._reader = reader
        self._turn = threading.Lock()

    @property
    def model_id(self) -> str:
        """The reader's."""
        return self._reader.model_id

    def read(self, slip: SlipView) -> SlipReading | None:
        """See `SlipReader.read`; waits for its turn."""
        with self._turn:
            return self._reader.read(slip)
