"""A camera for the tests: serves pre-encoded H.264 or H.265 over RTSP in real time, with faults on command.

Runs by the system's Python (`python3-gi` is a Debian package), as a child of `rtsp_server.RtspServer`. Access units are
sent as they are, nothing is encoded here, so a camera costs next to no CPU.

Commands come as lines on standard input and each is answered by a line: `stall NAME`, `unstall NAME`, `switch NAME`
(go on with the next clip of that mount) and `clients`. The camera ends when standard input does.
"""

from __future__ import annotations

import argparse
import mmap
import sys
import threading
import time
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402  the versions come first

NEEDED = ("appsrc", "h264parse", "h265parse", "rtph264pay", "rtph265pay", "rtpbin")
STAMPS = 32  # as many frame numbers as the tests' pictures can show
PIPELINE = (
    "( appsrc name=src is-live=true format=time block=false max-bytes=0 "
    "caps=video/x-{codec},stream-format=byte-stream,alignment=au "
    "! {codec}parse config-interval=-1 ! video/x-{codec},stream-format=byte-stream,alignment=au "
    "! rtp{codec}pay name=pay0 pt=96 config-interval=-1 aggregate-mode=zero-latency )"
)


class Clip:
    """Access units of one encoded video: a file of 4-byte big-endian lengths, each followed by so many bytes."""

    def __init__(self, fps: float, path: str) -> None:
        self.fps = fps
        self.units = []
        data = Path(path).read_bytes()
        start = 0
        while start < len(data):
            end = start + 4 + int.from_bytes(data[start : start + 4], "big")
            self.units.append(data[start + 4 : end])
            start = end


class Mount:
    """What one path of the server shows, and to which state its commands have brought it."""

    def __init__(self, clips: list[Clip], stamps: Path, *, loop: bool) -> None:
        self.clips = clips
        self.loop = loop
        self.playing = 0
        self.flowing = threading.Event()
        self.flowing.set()
        with stamps.open("w+b") as file:
            file.truncate(STAMPS * 8)
            self.stamps = memoryview(mmap.mmap(file.fileno(), STAMPS * 8)).cast("d")

    def feed(self, source) -> None:
        """Push frames at their time until the last viewer leaves; runs in a thread of its own."""
        clip, index = self.clips[self.playing], 0
        due = started = time.monotonic()
        running = source.get_clock().get_time() - source.get_base_time()
        while True:
            if not self.flowing.is_set():
                self.flowing.wait()
                due = time.monotonic()
            if clip is not self.clips[self.playing]:
                clip, index = self.clips[self.playing], 0
            buffer = Gst.Buffer.new_wrapped(clip.units[index])
            buffer.pts = running + round((due - started) * Gst.SECOND)
            self.stamps[index % STAMPS] = time.monotonic()
            if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return
            index += 1
            if index == len(clip.units):
                if not self.loop:
                    source.emit("end-of-stream")
                    return
                index = 0
            due += 1 / clip.fps
            time.sleep(max(0.0, due - time.monotonic()))


class Factory(GstRtspServer.RTSPMediaFactory):
    """Gives every viewer of a mount the same live stream, as a camera does."""

    def __init__(self, mount: Mount, codec: str) -> None:
        super().__init__()
        self._mount = mount
        self.set_shared(True)
        self.set_latency(0)
        self.set_protocols(GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP)
        self.set_launch(PIPELINE.format(codec=codec))
        self.connect("media-configure", self._configure)

    def _configure(self, _factory, media) -> None:
        begun = threading.Event()

        def begin(source, _length) -> None:
            if not begun.is_set():
                begun.set()
                threading.Thread(target=self._mount.feed, args=(source,), daemon=True).start()

        media.get_element().get_by_name_recurse_up("src").connect("need-data", begin)


def require_password(server, factories: list[Factory], user: str, password: str) -> None:
    """Let nobody in who does not say these; asked for as Digest and as Basic."""
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role("viewer")
    for action in ("access", "construct"):
        permissions.add_permission_for_role("viewer", f"media.factory.{action}", True)  # noqa: FBT003  GStreamer's own
    for factory in factories:
        factory.set_permissions(permissions)


def obey(mounts: dict[str, Mount], clients: set[object]) -> None:
    """Carry out commands until there are no more."""
    for line in sys.stdin:
        match line.split():
            case ["stall", name]:
                mounts[name].flowing.clear()
            case ["unstall", name]:
                mounts[name].flowing.set()
            case ["switch", name]:
                mounts[name].playing = (mounts[name].playing + 1) % len(mounts[name].clips)
            case ["clients"]:
                pass
        print("done", len(clients), flush=True)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only see whether everything needed is installed")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--auth", help="USER:PASSWORD")
    parser.add_argument("--codec", default="h264", choices=["h264", "h265"])
    parser.add_argument("--once", action="store_true", help="end the stream behind the last frame")
    parser.add_argument("--stamps", type=Path, default=Path(), help="folder for the times at which frames were sent")
    parser.add_argument("mounts", nargs="*", help="NAME=FPS:FILE[,FPS:FILE...]")
    options = parser.parse_args()

    Gst.init(None)
    missing = [name for name in NEEDED if Gst.ElementFactory.find(name) is None]
    if missing:
        sys.exit(f"GStreamer lacks {', '.join(missing)}")
    if options.check:
        return

    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(options.port))
    mounts: dict[str, Mount] = {}
    factories = []
    for mount in options.mounts:
        name, clips = mount.split("=", 1)
        parts = (clip.split(":", 1) for clip in clips.split(","))
        mounts[name] = Mount(
            [Clip(float(fps), path) for fps, path in parts], options.stamps / f"{name}.stamps", loop=not options.once
        )
        factories.append(Factory(mounts[name], options.codec))
        server.get_mount_points().add_factory(f"/{name}", factories[-1])
    if options.auth:
        require_password(server, factories, *options.auth.split(":", 1))

    clients: set[object] = set()

    def joined(_server, client) -> None:
        clients.add(client)
        client.connect("closed", clients.discard)

    server.connect("client-connected", joined)
    if not server.attach(None):
        sys.exit(f"port {options.port} is taken")
    print("listening", server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (obey(mounts, clients), loop.quit()), daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
