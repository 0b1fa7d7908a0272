"""Making stations out of their configuration, on the models that are loaded."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

from orderacc.capture import CapturePolicy, Delivery, SupervisedCapture
from orderacc.perception.picture import PictureHealth, PictureSettings
from orderacc.service.cameras import camera
from orderacc.service.film import Film
from orderacc.service.runtime import ask_policy
from orderacc.service.station import Station
from orderacc.service.thinning import Thinner, Throttle
from orderacc.service.till import PosOrders

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderacc.config import CaptureConfig, Config, PictureConfig, StationConfig
    from orderacc.service.cameras import Camera
    from orderacc.service.runtime import Runtime
    from orderacc.service.station import Eyes


class StationBuilder:
    """Makes stations; what they share is loaded once.

    Args:
        runtime: The models.
        config: How patient stations are with their cameras, when they warn of pictures, and where the POS orders are.
        throttle: What cameras are held to when there is too much to do; recordings are looked at in full.
        fast: Whether recordings and simulated counters go as fast as they can be looked at, every frame of them,
            instead of at the speed of life.

    Attributes:
        orders: The POS orders of all stations whose script does not say them.

    Raises:
        ConfigError: If the orders' file is bad.
    """

    def __init__(
        self, runtime: Runtime, config: Config, throttle: Throttle | None = None, *, fast: bool = False
    ) -> None:
        self._runtime = runtime
        self._throttle = throttle or Throttle()
        self._fast = fast
        self._policy = capture_policy(config.capture)
        self._picture = picture_settings(config.picture)
        self._clips = config.storage.clips if config.storage else None
        self.orders = PosOrders(config.orders)

    def follow(self, config: Config) -> None:
        """Take the POS orders from where another configuration says they are, for the stations there are too.

        Raises:
            ConfigError: If the orders' file is bad; then nothing has changed.
        """
        self.orders.follow(config.orders)

    def plan(self, station: StationConfig) -> Callable[[int], Station]:
        """Read whatever a station needs. Blocks: call it from a worker thread.

        Returns:
            Makes the station, any number of times, given the number of its first visit.

        Raises:
            ConfigError: If a file it needs is wrong, or it has no orders to compare with.
        """
        patience = self._policy
        seen_by = camera(station, timeout=patience.rtsp_timeout, first_frame_timeout=patience.first_frame_timeout)
        if seen_by.script_orders is None:
            self.orders.need(station.id)
        return partial(self._make, station, seen_by)

    def _make(self, config: StationConfig, seen_by: Camera, first_visit: int) -> Station:
        def new_eyes(first_visit: int) -> Eyes:
            return self._runtime.eyes(config.id, first_visit, picture=PictureHealth(self._picture))

        hurried = self._fast and seen_by.paced
        return Station(
            reader=SupervisedCapture(
                config.id,
                seen_by.make,
                self._policy,
                delivery=Delivery.LOSSLESS if hurried else Delivery.LATEST,
                live=seen_by.live,
                paced=seen_by.paced and not hurried,
            ),
            eyes=new_eyes(first_visit),
            book=seen_by.script_orders or self.orders,
            epoch=None,
            paced=not hurried,
            roi=config.roi,
            new_eyes=new_eyes,
            live=seen_by.live,
            policy=ask_policy(self._runtime.config.selection, config, live=seen_by.live),
            thinner=Thinner(config.fps, self._throttle) if seen_by.live else None,
            upload=config.upload,
            film=Film(clips.fps, clips.width, clips.max_sec) if (clips := self._clips) else None,
        )


def capture_policy(config: CaptureConfig) -> CapturePolicy:
    """The stations' patience out of the configuration's section of the same names."""
    return CapturePolicy(**{field.name: getattr(config, field.name) for field in fields(CapturePolicy)})


def picture_settings(config: PictureConfig) -> PictureSettings:
    """When stations warn, out of the configuration's section of the same names."""
    return PictureSettings(**{field.name: getattr(config, field.name) for field in fields(PictureSettings)})
