"""From a station's configuration to its camera and to what knows its orders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from orderacc.capture import LoopedSource, VideoFileSource
from orderacc.capture.policy import FIRST_FRAME
from orderacc.config import SecretText, finding_in
from orderacc.errors import ConfigError, Finding
from orderacc.orders import FixedOrders
from orderacc.service.till import NO_ORDERS, PosOrders
from orderacc.simulator.random_script import random_script
from orderacc.simulator.script_file import load_script
from orderacc.simulator.source import SimulatorSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orderacc.capture import FrameSource
    from orderacc.config import Config, RtspSource, StationConfig
    from orderacc.config import HttpSource as HttpConfig
    from orderacc.config import SimulatorSource as SimulatorConfig
    from orderacc.orders import OrderBook


@dataclass(frozen=True, slots=True)
class Camera:
    """Where a station's frames come from.

    Attributes:
        make: Builds a source; each makes one pass.
        live: Whether frames never end: a camera, or a recording that starts over.
        paced: Whether they have to be held back to the speed of life: a recording's.
        script_orders: What was paid for, when a script says so; otherwise the POS knows.
    """

    make: Callable[[], FrameSource]
    live: bool
    paced: bool
    script_orders: OrderBook | None = None


def camera(station: StationConfig, *, timeout: float, first_frame_timeout: float = FIRST_FRAME) -> Camera:
    """The camera of a station.

    Args:
        station: Its configuration.
        timeout: Seconds a network camera may take to answer.
        first_frame_timeout: Seconds it may take to its first picture.

    Raises:
        ConfigError: If its script is wrong.
    """
    entry = station.source
    if entry.type == "simulator":
        return _simulated(entry, station)
    if entry.type == "file":
        make = partial(VideoFileSource, entry.path, station.id, station.fps)
        return Camera(_looped(make) if entry.loop else make, live=entry.loop, paced=True)
    if entry.type == "device":
        from orderacc.capture.device import DeviceSource

        device = entry.device.reveal() if isinstance(entry.device, SecretText) else entry.device
        return Camera(partial(DeviceSource, device, station.id, station.fps), live=True, paced=False)
    stream = partial(_stream, entry, station, timeout, first_frame_timeout)
    return Camera(stream, live=True, paced=False)


def check_cameras(config: Config) -> None:
    """Make sure that the cameras of a configuration can be made, before anything that takes time.

    Raises:
        ConfigError: With all that is wrong: in a script, in the orders' file, or a station without orders.
    """
    findings: list[Finding] = []
    try:
        PosOrders(config.orders)
    except ConfigError as error:
        findings += error.findings
    findings += findings_of_cameras(config)
    if findings:
        raise ConfigError(findings)


def findings_of_cameras(config: Config, file: Path | None = None) -> Iterator[Finding]:
    """What keeps cameras from being made, and stations without orders.

    Args:
        config: The configuration.
        file: The file it was read from, where that is known.
    """
    for number, station in enumerate(config.stations):
        try:
            seen_by = camera(station, timeout=config.capture.rtsp_timeout)
        except ConfigError as error:
            yield from error.findings
        else:
            if seen_by.script_orders is None and config.orders is None:
                yield _finding(station, number, file, NO_ORDERS)


def findings_of_pipelines(config: Config, file: Path) -> Iterator[Finding]:
    """Stations with a pipeline where OpenCV has no GStreamer: they stay without pictures, and the others go on.

    Args:
        config: The configuration.
        file: The file it was read from.
    """
    for number, station in enumerate(config.stations):
        if station.source.type == "device" and isinstance(station.source.device, SecretText):
            from orderacc.capture.device import NO_GSTREAMER, has_gstreamer

            if not has_gstreamer():
                yield _finding(station, number, file, NO_GSTREAMER)


def _finding(station: StationConfig, number: int, file: Path | None, message: str) -> Finding:
    if file is None:
        return Finding("configuration", 0, 0, f"station {station.id}", message)
    return finding_in(file, ("stations", number), f"station {station.id}: {message}")


def _simulated(entry: SimulatorConfig, station: StationConfig) -> Camera:
    script = (
        load_script(entry.script)
        if entry.script
        else random_script(entry.seed, entry.orders, fps=station.fps, wrong_share=entry.wrong_share)
    )
    make = partial(SimulatorSource, script, station.id)
    book = FixedOrders({order.order_id: order.paid for order in script.orders}) if entry.own_orders else None
    return Camera(_looped(make) if entry.loop else make, live=entry.loop, paced=True, script_orders=book)


def _looped(make: Callable[[], FrameSource]) -> Callable[[], FrameSource]:
    return partial(LoopedSource, make)


def _stream(
    entry: RtspSource | HttpConfig, station: StationConfig, timeout: float, first_frame_timeout: float
) -> FrameSource:
    from orderacc.capture.stream import StreamSource

    return StreamSource(
        entry.url.reveal(),
        station.id,
        station.fps,
        timeout=timeout,
        first_frame_timeout=first_frame_timeout,
        transport=getattr(entry, "transport", "tcp"),
        hwaccel=entry.hwaccel,
    )
