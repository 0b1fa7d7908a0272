"""What stations.yaml may say. The texts under the fields are the descriptions in the JSON Schema."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from orderacc.config.api import ApiConfig
from orderacc.config.notify import NotifyConfig
from orderacc.config.orders import OrdersConfig
from orderacc.config.scaling import Scaling, ScalingConfig
from orderacc.config.secrets import SecretText, url_with
from orderacc.config.section import InputFile, Interval, ModelName, OutputFile, Seconds, Section, Share
from orderacc.config.storage import StorageConfig, Upload
from orderacc.config.validation import ValidationConfig
from orderacc.config.vlm import VlmConfig


def _device(value: object) -> object:
    if isinstance(value, SecretText):
        return value
    text = "" if isinstance(value, bool) or not isinstance(value, int | str) else str(value).strip()
    if "!" in text:
        return SecretText(text)
    if not (text.isdecimal() or (text.startswith("/dev/") and ".." not in text)):
        raise PydanticCustomError("device", "should be a number, a path under /dev, or a GStreamer pipeline")
    return value


Hwaccel: TypeAlias = Literal["auto", "none", "vaapi", "qsv"]


class FileSource(Section):
    """A recorded video."""

    type: Literal["file"]
    """A video file."""
    path: InputFile
    """The video, relative to this file."""
    loop: bool = False
    """Start again at the end, for ever."""


class SimulatorSource(Section):
    """A simulated counter; unless told otherwise it brings its own POS orders."""

    type: Literal["simulator"]
    """A simulated counter."""
    seed: Annotated[int, Field(ge=0)] = 7
    """Decides everything that happens. Two stations with one seed show the same."""
    orders: Annotated[int, Field(ge=1)] = 6
    """How many orders come."""
    wrong_share: Share = 0.4
    """Share of orders whose POS lines differ from what is laid on the counter."""
    script: InputFile | None = None
    """Play this script instead of one made from the seed."""
    own_orders: bool = True
    """Whether the script also says what was paid for; otherwise the POS orders do, as for a camera."""
    loop: bool = False
    """Start again at the end, for ever."""


class RtspSource(Section):
    """A network camera."""

    type: Literal["rtsp"]
    """A network camera."""
    url: Annotated[SecretText, url_with("rtsp", "rtsps")]
    """Its stream, `rtsp://user:password@host:port/path`. `file:PATH` or `${NAME}` keep the secret elsewhere."""
    transport: Literal["tcp", "udp"] = "tcp"
    """How the pictures come; `tcp` loses none."""
    hwaccel: Hwaccel = "auto"
    """What decodes them: a kind of hardware, whatever is there, or software. What is not there is replaced."""


class HttpSource(Section):
    """A stream over HTTP."""

    type: Literal["http"]
    """A stream over HTTP."""
    url: Annotated[SecretText, url_with("http", "https")]
    """MPEG-TS, FLV, motion JPEG or raw H.264/H.265, no file and no playlist; secrets as for `rtsp`."""
    hwaccel: Hwaccel = "auto"
    """What decodes it, as for `rtsp`."""


class DeviceSource(Section):
    """A camera plugged into this machine."""

    type: Literal["device"]
    """A camera plugged into this machine."""
    device: Annotated[int | str | SecretText, BeforeValidator(_device)]
    """Number N of `/dev/videoN`, a path under `/dev`, or a GStreamer pipeline ending in `appsink`, which is never
    shown: it may hold passwords."""


Source: TypeAlias = Annotated[
    FileSource | SimulatorSource | RtspSource | HttpSource | DeviceSource, Field(discriminator="type")
]


class StationConfig(Section):
    """One camera over one hand-off counter."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Name of the station: letters, digits, dot, dash and underscore."""
    source: Source
    """Where the pictures come from."""
    fps: Annotated[float, Field(ge=1, le=60)] = 10.0
    """Frames looked at per second."""
    roi: Annotated[tuple[Share, Share, Share, Share] | None, Field(strict=False)] = None
    """Part of the picture that is the counter: left, top, right and bottom as shares of width and height."""
    adaptive: bool | None = None
    """As in `selection`, which counts where this is left out."""
    early_look: bool | None = None
    """Likewise."""
    upload: Upload | None = None
    """As in `storage`, which counts where this is left out."""

    @field_validator("roi")
    @classmethod
    def _not_turned_round(
        cls, roi: tuple[float, float, float, float] | None
    ) -> tuple[float, float, float, float] | None:
        if roi is not None and not (roi[0] < roi[2] and roi[1] < roi[3]):
            raise PydanticCustomError("roi", "should be left, top, right, bottom, with left < right and top < bottom")
        return roi


class CaptureConfig(Section):
    """How patient stations are with their cameras. Times are seconds; a camera that is gone is tried for ever."""

    stall_detection_sec: Interval = 5.0
    """Without a new frame for this long the camera has stalled and is opened anew."""
    circuit_breaker_threshold: Annotated[int, Field(ge=1, le=1000)] = 5
    """Failures within `circuit_breaker_window_sec` after which attempts are spaced by the cooldown."""
    circuit_breaker_window_sec: Interval = 120.0
    """How long a failure counts."""
    circuit_breaker_cooldown_sec: Interval = 10.0
    """While there were too many failures, attempts are this far apart, less 10 to 30 %: a camera that is back gives
    frames within this time."""
    reconnect_interval: Interval = 1.0
    """Longest wait before the first attempt after a failure; doubles with each further one."""
    reconnect_interval_max: Annotated[Interval, Field(validate_default=True)] = 15.0
    """What it doubles up to."""
    healthy_after_sec: Interval = 10.0
    """Frames must have come for this long before the failures behind are forgotten."""
    rtsp_timeout: Interval = 5.0
    """Time a network camera may take to connect, and to answer when it is read."""
    first_frame_timeout: Interval = 15.0
    """Time a network camera may take to its first picture: more than it lets pass from one keyframe to the next."""

    @field_validator("reconnect_interval_max")
    @classmethod
    def _not_shorter(cls, longest: float, info: ValidationInfo) -> float:
        if longest < info.data.get("reconnect_interval", 0):
            raise PydanticCustomError("wait_order", "should not be less than reconnect_interval")
        return longest


class PictureConfig(Section):
    """When a station warns that its picture is of no use. Times are seconds of the video."""

    warn_after: Interval = 5.0
    """The picture must be black, overexposed or blurred for so long."""
    clear_after: Interval = 2.0
    """A warning goes when the picture has been good for so long."""
    frozen_after: Interval = 60.0
    """No new picture for so long is a frozen one; more than the camera's longest keyframe interval."""
    moved_after: Interval = 20.0
    """Another view must stay for so long."""
    accept_view_after: Interval = 900.0
    """A new view that stays for so long is taken for the right one."""


class MenuConfig(Section):
    """What the items are called."""

    file: InputFile
    """Menu as JSON or YAML: `{"items": [{"id", "name", "category", "aliases", "group"}]}`, and what else docs/menu.md
    tells; `orderacc menu check` looks for what is wrong with it."""


class ModelsConfig(Section):
    """Which models look; each an id that `orderacc models list` knows, or a folder."""

    vlm: ModelName = "demo-vlm"
    """Vision language model."""
    detector: ModelName = "demo-detector"
    """Object detector, YOLO11 layout."""
    slip_reader: Literal["rapidocr", "easyocr"] = "rapidocr"
    """Reads the number on the slip. `easyocr` needs the extra of that name."""
    slip_reader_weights: OutputFile | None = None
    """Folder with the weights of `easyocr`."""
    device: Literal["AUTO", "CPU", "GPU", "NPU"] = "CPU"
    """Where the detector and the slip reader run."""
    detector_threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU threads of the detector: it looks at one frame on each at a time. By default a quarter of the cores, at
    least one."""


class SelectionConfig(Section):
    """Which frames an order is judged by."""

    frames: Annotated[int, Field(ge=1, le=8)] = 3
    """Most frames of an order that the model is asked about."""
    adaptive: bool = True
    """Ask about the best frame first, and about others only where that leaves something open."""
    early_look: bool = True
    """Ask already when an order seems about to end, so that the verdict is there when it does."""


class TrackingConfig(Section):
    """When an order begins and ends. Times are seconds of the video."""

    occupied_after: Seconds = 0.2
    """The counter counts as occupied when items or a slip were seen this long."""
    empty_after: Seconds = 1.0
    """It counts as empty this long after the last item, slip or hand was seen."""
    idle_after: Seconds = 20.0
    """A visit ends when the picture has not changed for this long."""
    change_threshold: Share = 0.005
    """Change between two frames above which something happened."""
    max_visit: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 300.0
    """A visit ends after this long; what goes on is a visit of its own."""
    confident: Share = 0.9
    """A number read once with this confidence is believed; below, two readings must agree."""
    clutter_after: Seconds = 2.0
    """Items without a slip in view for less are clutter, not a visit."""
    glimpse: Seconds = 0.5
    """A look at a slip shorter than this decides nothing."""
    settle: Seconds = 1.0
    """A number corrected within this time was misread, not swapped."""
    unread_after: Seconds = 3.0
    """A slip in clear view for this long without giving its number is a slip of its own."""


class ResultsConfig(Section):
    """Where verdicts go."""

    file: OutputFile
    """Every verdict is added to this file as a line of JSON."""


class TelemetryConfig(Section):
    """What the process says of itself."""

    log_format: Literal["json", "console"] = "json"
    """Log lines as JSON, or for a person."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level shown."""


class JudgingConfig(Section):
    """The part that has nothing to do with where pictures and orders come from; a recording needs no more."""

    models: ModelsConfig = ModelsConfig()
    """The models."""
    vlm: VlmConfig = VlmConfig()
    """The vision language model's engine."""
    selection: SelectionConfig = SelectionConfig()
    """Evidence frames."""
    tracking: TrackingConfig = TrackingConfig()
    """Orders' beginnings and ends."""
    validation: ValidationConfig = ValidationConfig()
    """Judgement."""


class Config(JudgingConfig):
    """The whole file.

    Raises:
        pydantic.ValidationError: If made from wrong values; `load_config` turns that into findings with their lines.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    """Version of this format."""
    stations: Annotated[tuple[StationConfig, ...], Field(strict=False, min_length=1)]
    """The cameras."""
    capture: CaptureConfig = CaptureConfig()
    """Patience with cameras."""
    picture: PictureConfig = PictureConfig()
    """Warnings about useless pictures."""
    scaling: Scaling = ScalingConfig()
    """What is given up when there is too much to do: `fixed`, `auto`, or the section."""
    orders: OrdersConfig | None = None
    """POS orders. Simulated stations bring their own."""
    menu: MenuConfig | None = None
    """The menu; by default the demo menu, which is all the demo models know."""
    results: ResultsConfig | None = None
    """Output of verdicts besides the log."""
    api: ApiConfig | None = None
    """Orders, verdicts, stations and health over HTTP; nothing listens without it."""
    storage: StorageConfig | None = None
    """What is kept beyond the verdicts; nothing when left out."""
    notify: NotifyConfig | None = None
    """Who is told of verdicts; nobody when left out."""
    telemetry: TelemetryConfig = TelemetryConfig()
    """Logs."""
    shutdown_grace: Seconds = 10.0
    """Seconds that orders in flight have to finish when the process is told to stop."""
