"""What is said on a stream: the shapes of what clients send and of what they are told."""

from __future__ import annotations

import json
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, ValidationError
from pydantic_core import from_json

from orderacc.api.shapes import Given, Told
from orderacc.errors import OrderAccError
from orderacc.perception.detector import MAX_COUNT

if TYPE_CHECKING:
    from orderacc.api.routes import Model

LARGEST_PICTURE: Final = 8 * 1024 * 1024
"""Bytes of a picture as it is sent, before base64."""

LARGEST_MESSAGE: Final = LARGEST_PICTURE * 4 // 3 + 64 * 1024
"""Bytes of a message with such a picture as base64."""

LARGEST_METADATA: Final = 4096
"""Characters of metadata as JSON; it is sent back with the result."""

QualityMode: TypeAlias = Literal["speed", "balanced", "quality"]


class StreamErrorCode(StrEnum):
    """What went wrong with a message or a frame."""

    INVALID_MESSAGE = "INVALID_MESSAGE"
    """It is no message that is understood."""
    INVALID_CONFIG = "INVALID_CONFIG"
    """A setting is out of bounds; none of the message's has been taken."""
    INVALID_IMAGE = "INVALID_IMAGE"
    """The picture cannot be decoded."""
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    """The picture has too many bytes or pixels, and was not decoded."""
    RATE_LIMITED = "RATE_LIMITED"
    """Frames come faster than `fps_limit`, or than what there is power for; this one was dropped."""
    FRAME_DROPPED = "FRAME_DROPPED"
    """Newer frames took the place of this one in the queue."""
    INFERENCE_ERROR = "INFERENCE_ERROR"
    """Looking at the picture failed."""
    SESSION_TIMEOUT = "SESSION_TIMEOUT"
    """Nothing was said for too long, and the session has ended."""


class StreamError(OrderAccError):
    """A message or frame that is refused; `code` is a `StreamErrorCode`."""

    def __init__(self, code: StreamErrorCode, message: str, frame_id: str | None = None) -> None:
        super().__init__(message, code=code)
        self.frame_id = frame_id


class StreamSettings(Given):
    """What a client may ask for; what it leaves out stays as it is."""

    model_config = ConfigDict(extra="ignore")

    fps_limit: Annotated[int, Field(ge=1, le=30)] | None = None
    """Most frames a second; faster ones are dropped."""
    confidence_threshold: Annotated[float, Field(ge=0.1, le=1.0)] | None = None
    """Things less sure than this are left out. What the detector itself leaves out never comes."""
    iou_threshold: Annotated[float, Field(ge=0.1, le=1.0)] | None = None
    """Of two boxes of one class that overlap more than this, the weaker is left out."""
    enable_tracking: bool | None = None
    """Whether a thing keeps its number, `track_id`, from frame to frame."""
    batch_processing: bool | None = None
    """Whether frames that wait are looked at together, as many as the detector takes, and not one after the other: more
    frames a second, each result a little later."""
    quality_mode: QualityMode | None = None
    """What is given up under load: `speed` starts with half the picture, `quality` gives up frames only."""
    max_detections: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = None
    """Most things of a frame; the surest stay."""


class StreamConfig(Told):
    """How a session is set."""

    fps_limit: int
    """Most frames a second."""
    confidence_threshold: float
    """Things less sure than this are left out."""
    iou_threshold: float
    """Of two boxes of one class that overlap more than this, the weaker is left out."""
    enable_tracking: bool
    """Whether a thing keeps its number."""
    batch_processing: bool
    """Whether frames that wait are looked at together."""
    quality_mode: QualityMode
    """What is given up under load."""
    max_detections: int
    """Most things of a frame."""


class FrameGiven(Given):
    """A picture to be looked at."""

    model_config = ConfigDict(extra="ignore")

    image_data: Annotated[str, Field(min_length=1, max_length=LARGEST_MESSAGE)]
    """JPEG, PNG or WebP as base64; the beginning of a `data:` URL may stand before it."""
    frame_id: Annotated[str, Field(max_length=128)] | None = None
    """Comes back with the result."""
    timestamp: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """When it was taken, by the client's clock; comes back likewise."""
    metadata: dict[str, Any] | None = None
    """Whatever the client wants back; at most 4096 characters of JSON."""


class FrameHeader(Given):
    """What stands before the picture in a binary message."""

    model_config = ConfigDict(extra="ignore")

    frame_id: Annotated[str, Field(max_length=128)] | None = None
    """Comes back with the result."""
    timestamp: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """When it was taken, by the client's clock; comes back likewise."""
    metadata: dict[str, Any] | None = None
    """Whatever the client wants back."""


class DetectionTold(Told):
    """A thing in a picture."""

    bbox: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels of the picture that was sent."""
    confidence: float
    """How sure it is, 0 to 1."""
    class_id: int
    """Number of its class."""
    class_name: str
    """Name of its class."""
    track_id: int | None
    """Its number as long as it stays in sight; null where nothing is tracked."""


class QualityTold(Told):
    """What is given up under load."""

    level: int
    """0 when nothing is."""
    scale: int
    """The picture is decoded at one so-manieth of its width and height."""
    fps_limit: float
    """Most frames a second for now."""


class ResultTold(Told):
    """What was seen in a frame."""

    frame_id: str
    """As it was sent, or the frame's number in the session."""
    detections: list[DetectionTold]
    """The surest first."""
    processing_time_ms: float
    """From the frame's arrival to its result."""
    inference_time_ms: float
    """Decoding it and looking at it."""
    timestamp: float
    """As it was sent, or when the frame came, seconds since 1970."""
    image_size: tuple[int, int]
    """Width and height of the picture."""
    quality: QualityTold
    """What was given up."""
    metadata: dict[str, Any] | None = None
    """As it was sent."""


def parse(content: str | bytes) -> dict[str, Any]:
    """A message's JSON.

    Raises:
        StreamError: `INVALID_MESSAGE`.
    """
    try:
        data = from_json(content, allow_inf_nan=False)
    except ValueError:
        raise StreamError(StreamErrorCode.INVALID_MESSAGE, "the message is not JSON") from None
    if not isinstance(data, dict):
        raise StreamError(StreamErrorCode.INVALID_MESSAGE, "a message is a JSON object with a type")
    return data


def read(data: Any, model: type[Model], code: StreamErrorCode) -> Model:  # noqa: ANN401  parsed JSON
    """A part of a message as a model; the error names what is wrong, not what was sent."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        told = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in found[:5])
        frame_id = data.get("frame_id") if isinstance(data, dict) else None
        raise StreamError(code, told, frame_id[:128] if isinstance(frame_id, str) else None) from None


def check_metadata(metadata: dict[str, Any] | None, frame_id: str | None) -> None:
    """Make sure that metadata is small enough to be sent back.

    Raises:
        StreamError: `INVALID_MESSAGE`.
    """
    if metadata and len(json.dumps(metadata)) > LARGEST_METADATA:
        message = f"metadata: should be at most {LARGEST_METADATA} characters of JSON"
        raise StreamError(StreamErrorCode.INVALID_MESSAGE, message, frame_id)


def error_message(error: StreamError) -> dict[str, Any]:
    """An error as it is told."""
    return {
        "type": "error",
        "error": error.message,
        "error_code": str(error.code),
        "frame_id": error.frame_id,
        "timestamp": time.time(),
    }


def as_text(message: dict[str, Any]) -> str:
    """A message as it is sent."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
