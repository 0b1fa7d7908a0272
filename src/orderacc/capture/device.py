"""Cameras plugged into this machine, read by OpenCV.

Industrial cameras (GigE Vision, USB3 Vision) come in as a GStreamer pipeline, for instance through Aravis:
`aravissrc camera-name=... ! bayer2rgb ! videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1`, or as
a v4l2 device where their driver makes one. Pipelines need an OpenCV that was built with GStreamer.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from orderacc.capture.source import SourceStats, StreamInfo
from orderacc.capture.timing import Decimator, LiveClock
from orderacc.domain.frames import Frame
from orderacc.errors import SourceError
from orderacc.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Generator

    import cv2

    from orderacc.domain.frames import Image

_log = get_logger(__name__)

NO_GSTREAMER: Final = (
    "this OpenCV was built without GStreamer: install one that was built with it, or use the camera's v4l2 device"
)


class DeviceSource:
    """A local camera.

    Every frame is taken out of the driver's queue, so that none grows old there; what is left out to come down to the
    rate is not converted. Frame time is the time between arrivals.
    """

    def __init__(self, device: int | str, station_id: str, fps: float | None = None) -> None:
        """Name the camera; nothing is opened yet.

        Args:
            device: Number N of `/dev/videoN`, a path under `/dev`, or a GStreamer pipeline that ends in `appsink`.
                A pipeline can do all that GStreamer can: never take one from whoever does not own this machine.
            station_id: The station its frames are for.
            fps: Frames a second to deliver, at most what the camera has; None delivers all.

        Raises:
            ValueError: If it is none of these, or `fps` is not positive.
        """
        text = str(device).strip()
        self._pipeline = text if "!" in text else None
        self._path = Path(f"/dev/video{text}" if text.isdecimal() else text)
        if not self._pipeline and (".." in self._path.parts or not self._path.is_relative_to("/dev")):
            raise ValueError("a device is a number, a path under /dev, or a GStreamer pipeline")
        self._station_id = station_id
        self._decimator = Decimator(fps, live=True)
        self._closing = threading.Event()
        self._info: StreamInfo | None = None
        self._decoded = 0
        self._kept = 0
        self._decode_s = 0.0
        self._resolution_changes = 0

    @property
    def station_id(self) -> str:
        """The station the frames belong to."""
        return self._station_id

    @property
    def info(self) -> StreamInfo | None:
        """What is known of the camera; None until its first frame. May be taken from any thread."""
        return self._info

    def close(self) -> None:
        """Make `frames()` end at the next frame, or when the driver gives up waiting for one."""
        self._closing.set()

    def stats(self) -> SourceStats:
        """Frames so far; `decode_s` is processor time."""
        return SourceStats(self._decoded, self._kept, 0, self._decode_s, self._resolution_changes)

    def frames(self) -> Generator[Frame, None, None]:
        """Open the camera and deliver its frames as they come.

        Yields:
            Frames as BGR uint8 [H, W, 3]; `at` is 0 for the first.

        Raises:
            SourceError: `not_found`, `unauthorized`, `refused` (in use elsewhere), `bad_stream` (no camera) or
                `unsupported_codec` (no GStreamer here) when it cannot be opened; `end_of_stream` (unplugged) or
                `stalled` when it breaks.
        """
        began = time.monotonic()
        if self._closing.is_set():
            return
        camera = self._open_pipeline(self._pipeline) if self._pipeline else self._open_device()
        try:
            opened_s = time.monotonic() - began
            clock = LiveClock(None)
            while camera.grab():
                if self._closing.is_set():
                    return
                self._decoded += 1
                at = clock.at(None, time.monotonic())
                if self._decimator.keeps(at):
                    image = self._retrieve(camera)
                    self._note(camera, image, opened_s, began)
                    yield Frame(self._station_id, self._kept, float(at), image, wall=time.time())
                    self._kept += 1
        finally:
            # In the thread that reads: released from another one, OpenCV crashes the process.
            camera.release()
        if not self._closing.is_set():
            raise self._broken()

    def _open_device(self) -> cv2.VideoCapture:
        import cv2

        if not self._path.exists():
            raise SourceError(f"{self._path}: there is no such device", code="not_found")
        if not os.access(self._path, os.R_OK | os.W_OK):
            raise SourceError(f"{self._path}: this process may not use it", code="unauthorized")
        camera = open_capture(str(self._path), cv2.CAP_V4L2)
        if camera.isOpened():
            return camera
        camera.release()
        if Path("/sys/class/video4linux", self._path.resolve().name).exists():
            raise SourceError(f"{self._path}: another program uses it, or it gives no video", code="refused")
        raise SourceError(f"{self._path}: not a camera", code="bad_stream")

    def _open_pipeline(self, pipeline: str) -> cv2.VideoCapture:
        import cv2

        if not has_gstreamer():
            raise SourceError(NO_GSTREAMER, code="unsupported_codec")
        camera = open_capture(pipeline, cv2.CAP_GSTREAMER)
        if camera.isOpened():
            return camera
        camera.release()
        raise SourceError("the GStreamer pipeline does not start", code="bad_pipeline")

    def _retrieve(self, camera: cv2.VideoCapture) -> Image:
        import cv2

        started = time.thread_time()
        _, image = camera.retrieve()
        if image is None:
            raise SourceError(f"{self._name}: a frame cannot be decoded", code="bad_stream")
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        self._decode_s += time.thread_time() - started
        return cast("Image", image)

    def _note(self, camera: cv2.VideoCapture, image: Image, opened_s: float, began: float) -> None:
        """Keep what is known of the camera up to date."""
        import cv2

        height, width = image.shape[:2]
        if self._info is not None and (self._info.width, self._info.height) == (width, height):
            return
        if self._info is not None:
            self._resolution_changes += 1
            self._info = replace(self._info, width=width, height=height)
            return
        code = int(camera.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
        fps = camera.get(cv2.CAP_PROP_FPS)
        self._info = StreamInfo(
            codec=code.decode("ascii", "replace").strip("\0 ").lower() or "raw",
            width=width,
            height=height,
            fps=fps if fps > 0 else None,
            hwaccel="none",
            transport="gstreamer" if self._pipeline else "v4l2",
            opened_s=opened_s,
            first_frame_s=time.monotonic() - began,
        )
        _log.info("device_opened", station_id=self._station_id, device=self._name, size=(width, height), fps=fps)

    @property
    def _name(self) -> str:
        return "GStreamer pipeline" if self._pipeline else str(self._path)

    def _broken(self) -> SourceError:
        if self._pipeline:
            return SourceError("the GStreamer pipeline ended", code="end_of_stream")
        if not self._path.exists():
            return SourceError(f"{self._path}: the camera was unplugged", code="end_of_stream")
        return SourceError(f"{self._path}: no more frames came", code="stalled")


def has_gstreamer() -> bool:
    """Whether pipelines can be opened here."""
    import cv2

    # The list of backends names GStreamer wherever its plugin could be put.
    return cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER)


def open_capture(name: str, backend: int) -> cv2.VideoCapture:
    """OpenCV's capture of a device or pipeline; where a test puts a recording in its place."""
    import cv2

    # It writes to stderr by itself, pipelines with their passwords too; what failed is told by our own errors.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2.VideoCapture(name, backend)
