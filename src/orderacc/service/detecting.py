"""What is asked of the detector beside the stations' own frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orderacc.domain.detections import Detection
    from orderacc.domain.frames import Image
    from orderacc.perception.request_pool import PoolStatistics


class Detecting(Protocol):
    """Finds things in pictures; `Detector` is one. All of it may be asked from any thread."""

    @property
    def model_id(self) -> str:
        """Id and version of the model."""
        ...

    @property
    def labels(self) -> Sequence[str]:
        """Class names in the order of their numbers."""
        ...

    def detect_now(self, image: Image) -> tuple[Detection, ...]:
        """See `Detector.detect_now`."""
        ...

    def statistics(self) -> PoolStatistics:
        """See `Detector.statistics`."""
        ...
