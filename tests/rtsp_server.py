"""Real RTSP cameras for the tests, as child processes that can be made to fail in every way a camera does."""

from __future__ import annotations

import mmap
import os
import signal
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import av
import numpy as np
import pytest

from video_files import brightness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SYSTEM_PYTHON = "/usr/bin/python3"
CAMERA = Path(__file__).parent / "rtsp_camera.py"
NUMBERS = 32
"""Different pictures in a clip: their number can be read back with `video_files.number_of`."""


@dataclass(frozen=True)
class Clip:
    """A video in the camera's format.

    Attributes:
        path: Access units, each behind its length in 4 bytes, big-endian.
        fps: Frames a second.
    """

    path: Path
    fps: float


@cache
def missing() -> str | None:
    """What keeps the camera from running here; None when nothing does."""
    if not Path(SYSTEM_PYTHON).exists():
        return f"there is no {SYSTEM_PYTHON}"
    check = subprocess.run([SYSTEM_PYTHON, CAMERA, "--check"], capture_output=True, text=True, check=False)
    if check.returncode:
        return f"the RTSP test camera needs gst-rtsp-server: {check.stderr.strip().splitlines()[-1]}"
    return None


def need_rtsp() -> None:
    """Skip the test where the camera cannot run; fail it where ORDERACC_REQUIRE_RTSP=1 says that it must."""
    reason = missing()
    if reason and os.environ.get("ORDERACC_REQUIRE_RTSP") == "1":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def encode_clip(
    path: Path,
    *,
    size: tuple[int, int] = (320, 180),
    fps: float = 10,
    gop: int = 5,
    codec: str = "libx264",
    noise: int = 0,
    frames: int = NUMBERS,
) -> Clip:
    """Encode pictures whose number can be read off their brightness, one slice a frame as cameras do.

    Args:
        path: The clip's file.
        size: Width and height in pixels.
        fps: Frames a second.
        gop: Frames from one keyframe to the next.
        codec: `libx264` or `libx265`.
        noise: Strength of the noise in the lower left, in grey levels: what makes decoding cost what it costs.
        frames: How many; a whole multiple of `NUMBERS` keeps the numbers running when the clip starts over.
    """
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
    encoder.framerate = round(fps)
    encoder.time_base = 1 / encoder.framerate
    encoder.gop_size = gop
    encoder.max_b_frames = 0
    encoder.thread_count = 1
    parameters = {"libx264": "sliced-threads=0:scenecut=0", "libx265": "log-level=none:pools=none:frame-threads=1"}
    encoder.options = {"preset": "ultrafast", "crf": "21", f"{codec.removeprefix('lib')}-params": parameters[codec]}
    rng = np.random.default_rng(1)
    height, width = size[1], size[0]
    with path.open("wb") as file:

        def write(packets: Sequence[av.Packet]) -> None:
            for packet in packets:
                unit = bytes(packet)
                file.write(struct.pack(">I", len(unit)) + unit)

        for number in range(frames):
            image = np.full((height, width, 3), brightness(number), np.uint8)
            image[: height // 2, : width // 2, 2] = 255
            if noise:
                image[:, : width // 2] ^= rng.integers(0, noise, (height, width // 2, 1), np.uint8)
            picture = av.VideoFrame.from_ndarray(image, format="bgr24")
            picture.pts = number
            write(encoder.encode(picture))
        write(encoder.encode(None))
    return Clip(path, fps)


def clip_of(video: Path, path: Path) -> Clip:
    """Take the H.264 out of a video file as it is, for instance a simulator's recording."""
    with av.open(str(video)) as container, path.open("wb") as file:
        stream = container.streams.video[0]
        annexb = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in container.demux(stream):
            for unit in map(bytes, annexb.filter(packet) if packet.size else ()):
                file.write(struct.pack(">I", len(unit)) + unit)
        assert stream.average_rate
        return Clip(path, float(stream.average_rate))


class RtspServer:
    """A camera, or several at one address.

    ```python
    with RtspServer({"front": encode_clip(tmp_path / "front")}) as camera:
        StreamSource(camera.url("front"), "drive-1")
    ```
    """

    def __init__(
        self,
        mounts: Mapping[str, Clip | Sequence[Clip]],
        *,
        auth: tuple[str, str] | None = None,
        codec: str = "h264",
        once: bool = False,
    ) -> None:
        """Start it; it is listening when this returns.

        Args:
            mounts: Clip of each path; of several, `switch` goes on with the next.
            auth: User and password it asks for (Digest).
            codec: `h264` or `h265`, of all its clips.
            once: End each stream behind its last frame instead of starting over. It begins when the first viewer comes.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="rtsp-camera-")
        self._auth = auth
        self._stamps: dict[str, memoryview] = {}
        self.port = 0
        self._start(mounts, codec=codec, once=once)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the camera's process."""
        return self._process.pid

    def url(self, name: str, *, credentials: bool = True) -> str:
        """Address of a mount, with user and password when it asks for them and `credentials` does not say otherwise."""
        login = f"{self._auth[0]}:{self._auth[1]}@" if self._auth and credentials else ""
        return f"rtsp://{login}127.0.0.1:{self.port}/{name}"

    def kill(self) -> None:
        """Pull the plug. `restart` brings it back."""
        self._process.kill()
        self._reap()

    def pause(self) -> None:
        """Freeze the whole process; the kernel still answers for its connections."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        self._process.send_signal(signal.SIGCONT)

    def stall(self, *names: str) -> None:
        """Send no more pictures, with connections open and RTSP answered; of all mounts when none is named."""
        for name in names or self._mounts:
            self._order(f"stall {name}")

    def unstall(self, *names: str) -> None:
        """Undo `stall`."""
        for name in names or self._mounts:
            self._order(f"unstall {name}")

    def switch(self, name: str) -> None:
        """Go on with the mount's next clip, for those who are watching too."""
        self._order(f"switch {name}")

    def clients(self) -> int:
        """Connections open."""
        return int(self._order("clients").split()[1])

    def sent_at(self, name: str, number: int) -> float:
        """When the newest frame with this number was sent, seconds by `time.monotonic`."""
        if name not in self._stamps:
            with (Path(self._folder.name) / f"{name}.stamps").open("rb") as file:
                self._stamps[name] = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).cast("d")
        return self._stamps[name][number]

    def restart(
        self,
        mounts: Mapping[str, Clip | Sequence[Clip]] | None = None,
        *,
        auth: tuple[str, str] | None = None,
        codec: str | None = None,
        once: bool | None = None,
    ) -> None:
        """Kill it if it runs and start it at the same port, with whatever is given changed."""
        if self._process.poll() is None:
            self.kill()
        self._auth = auth or self._auth
        self._stamps.clear()
        self._start(mounts or self._mounts, codec=codec or self._codec, once=self._once if once is None else once)

    def close(self) -> None:
        """Stop it for good."""
        if self._process.poll() is None:
            self.kill()
        self._folder.cleanup()

    def _start(self, mounts: Mapping[str, Clip | Sequence[Clip]], *, codec: str, once: bool) -> None:
        self._mounts, self._codec, self._once = mounts, codec, once
        command = [SYSTEM_PYTHON, str(CAMERA), f"--port={self.port}", f"--codec={codec}"]
        command += [f"--stamps={self._folder.name}", *(["--once"] if once else [])]
        command += [f"--auth={self._auth[0]}:{self._auth[1]}"] if self._auth else []
        for name, clips in mounts.items():
            several = [clips] if isinstance(clips, Clip) else clips
            command.append(f"{name}={','.join(f'{clip.fps}:{clip.path}' for clip in several)}")
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        answer = self._answer().split()
        assert answer[:1] == ["listening"], answer
        self.port = int(answer[1])

    def _order(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._reap()
            raise RuntimeError(f"the RTSP camera ended with exit status {self._process.returncode}")
        return line

    def _reap(self) -> None:
        """Wait for the process's end and close the pipes."""
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
