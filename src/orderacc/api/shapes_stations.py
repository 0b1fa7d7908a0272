"""The shapes of stations: how they are, what they should be, and their pictures."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from orderacc.api.shapes import Given, Told
from orderacc.config.schema import DeviceSource, HttpSource, RtspSource
from orderacc.config.section import Share


class ErrorTold(Told):
    """What went wrong last at a station."""

    code: str
    """Stable code."""
    message: str
    """For people; credentials masked."""
    age_s: float
    """Seconds ago."""


class MoveTold(Told):
    """A step of a station's life."""

    phase: str
    """Where it went."""
    reason: str
    """Why."""
    age_s: float
    """Seconds ago."""


class StationTold(Told):
    """A station and how it is."""

    id: str
    """Its name."""
    source: dict[str, Any]
    """Where its pictures come from; credentials masked."""
    fps: float
    """Frames looked at per second, at most."""
    roi: tuple[float, float, float, float] | None
    """Part of the picture that is the counter: left, top, right, bottom as shares."""
    phase: str
    """`starting`, `running`, `stalled`, `restarting`, `circuit_open`, `half_open`, `shutting_down` or `stopped`."""
    phase_s: float
    """Seconds it has been so."""
    warnings: list[str]
    """What is wrong with its picture."""
    open_order: str | None
    """Number of the order on the counter, when it is known."""
    frames_in: int
    """Frames that came."""
    frames_kept: int
    """Frames that were looked at."""
    frames_dropped: dict[str, int]
    """Frames that were not, by cause."""
    measured_fps: float
    """Frames a second of late."""
    frame_age_s: float | None
    """Seconds since the last frame came."""
    restarts: int
    """How often its camera was opened again."""
    failures: dict[str, int]
    """What failed, by code."""
    uptime_s: float
    """Seconds in which frames came."""
    last_error: ErrorTold | None
    """What went wrong last."""
    moves: list[MoveTold]
    """The last steps of its life, oldest first."""


class StationsTold(Told):
    """All stations."""

    stations: list[StationTold]
    """In the order they came."""


class SimulatedCamera(Given):
    """A simulated counter made from a seed; scripts are for the configuration file."""

    type: Literal["simulator"]
    """A simulated counter."""
    seed: Annotated[int, Field(ge=0, le=2**31)] = 7
    """Decides everything that happens."""
    orders: Annotated[int, Field(ge=1, le=1000)] = 6
    """How many orders come."""
    wrong_share: Share = 0.4
    """Share of orders whose POS lines differ from what is laid on the counter."""
    loop: bool = False
    """Start again at the end, for ever."""


CameraGiven: TypeAlias = Annotated[
    RtspSource | HttpSource | DeviceSource | SimulatedCamera, Field(discriminator="type")
]


class StationChange(Given):
    """What a station should be. Files are for the configuration file."""

    source: CameraGiven
    """Where the pictures come from."""
    fps: Annotated[float, Field(ge=1, le=60)] = 10.0
    """Frames looked at per second."""
    roi: tuple[Share, Share, Share, Share] | None = None
    """Part of the picture that is the counter: left, top, right, bottom as shares of width and height."""
    adaptive: bool | None = None
    """Ask the model about the best frame first; as the configuration says when left out."""
    early_look: bool | None = None
    """Ask when an order seems about to end; likewise."""


class StationGiven(StationChange):
    """A station to be added."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Its name: letters, digits, dot, dash and underscore."""


class SnapshotQuery(Given):
    """How large."""

    width: Annotated[int, Field(ge=16, le=3840)] | None = None
    """Most pixels across; as the camera has it when left out."""


class LiveQuery(Given):
    """How large and how often."""

    width: Annotated[int, Field(ge=16, le=3840)] = 960
    """Most pixels across."""
    fps: Annotated[float, Field(ge=0.1, le=30)] = 10.0
    """Most pictures a second."""
