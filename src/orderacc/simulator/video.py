"""Writes a script as a recorded video with its truth beside it."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from orderacc.simulator.render import HEIGHT, WIDTH, CounterCamera
from orderacc.simulator.script_file import save_script
from orderacc.simulator.truth import VisibilityLog, inventory, pos_orders, truth_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orderacc.simulator.script import Script

_TICKS: Final = 90_000
"""Time base of the video stream, ticks a second (MPEG's usual clock)."""

_X264: Final = {"preset": "veryfast", "crf": "21", "bf": "0", "g": "20", "x264-params": "sliced-threads=0:scenecut=0"}


def record(script: Script, out: Path, *, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Render a script into a folder.

    Writes `station.mp4` (H.264, single slice), `truth.json`, `orders.json`, `inventory.json` and `script.json`.

    Args:
        script: What happens.
        out: The folder; made if missing.
        progress: Called with frames done and frames in all.

    Returns:
        The content of truth.json.
    """
    out.mkdir(parents=True, exist_ok=True)
    camera = CounterCamera(script)
    log = VisibilityLog()
    _encode(script, camera, log, out / "station.mp4", progress)
    truth = truth_of(script, camera.timeline, log, (WIDTH, HEIGHT))
    _write(out / "truth.json", truth)
    _write(out / "orders.json", pos_orders(script))
    _write(out / "inventory.json", inventory())
    save_script(script, out / "script.json")
    return truth


def frame_times(script: Script) -> list[float]:
    """When the script's frames are taken, in seconds."""
    return [index / script.fps for index in range(round(script.seconds * script.fps))]


def _encode(
    script: Script,
    camera: CounterCamera,
    log: VisibilityLog,
    path: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    import av

    times = frame_times(script)
    with av.open(str(path), "w") as container:
        rate = Fraction(script.fps).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options=dict(_X264))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.codec_context.thread_count = 1
        for done, at in enumerate(times, 1):
            picture, sightings = camera.picture_and_sightings(at)
            log.note(at, sightings, 1 / script.fps)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = round(at * _TICKS)
            frame.time_base = Fraction(1, _TICKS)
            container.mux(stream.encode(frame))
            if progress:
                progress(done, len(times))
        container.mux(stream.encode(None))


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
