"""`orderacc probe`: whether cameras can be seen, and what to do where they cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orderacc.capture import CapturePolicy, FrameSource
    from orderacc.capture.probing import Probe
    from orderacc.config import StationConfig
    from orderacc.errors import SourceError

app = typer.Typer()

AT_ONCE: Final = 8
"""Sources opened at a time; more would slow each other down and tell wrong rates."""

LONG_KEYFRAMES: Final = 4.0
"""Seconds between keyframes from which it is worth a hint: without one a camera that comes back shows nothing."""

SLOW: Final = 0.8
"""Share of the pictures asked for below which it is worth a hint."""


@app.command()
def probe(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A URL (rtsp, rtsps, http, https), a video file, or a device such as /dev/video0. "
            "'${NAME}' in it stands for an environment variable, and file:PATH for what is in that file.",
            show_default=False,
        ),
    ] = None,
    stations: Annotated[
        Path | None,
        typer.Option(help="Every station of this configuration.", exists=True, dir_okay=False, show_default=False),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Save a picture of each in this folder.", metavar="DIR", show_default=False)
    ] = None,
    seconds: Annotated[float, typer.Option(help="Longest to watch each.", min=1, max=120)] = 10,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per source and line.")] = False,
) -> None:
    """Open cameras once: say what they send, or why they cannot be seen and what to do.

    Exit code 0 if all of them can be seen, 1 if one cannot.

    Example: orderacc probe 'rtsp://admin:${CAMERA_PASSWORD}@10.0.0.7/stream1' --save pictures
    """
    if (source is None) == (stations is None):
        raise typer.BadParameter("name one source, or a configuration with --stations", param_hint="SOURCE")
    from orderacc.capture import CapturePolicy
    from orderacc.capture.policy import FIRST_FRAME
    from orderacc.config import load_config
    from orderacc.telemetry import configure_logs

    configure_logs("console", level="error")
    if stations is not None:
        config = load_config(stations)
        entries, policy = config.stations, CapturePolicy(**config.capture.model_dump())
    else:
        # Who watches for longer also waits for longer: that is how to find out how far keyframes are apart.
        entries, policy = (_station_of(source or ""),), CapturePolicy(first_frame_timeout=max(seconds, FIRST_FRAME))
    failed = False
    for station, found in _probed(entries, policy, seconds):
        picture = _saved(found, station.id, save) if save is not None else None
        report = _report(station, found, picture)
        failed = failed or not report["ok"]
        print(_json_line(report) if json else "\n".join(_lines(report)), flush=True)
    if failed:
        raise typer.Exit(1)


def _station_of(text: str) -> StationConfig:
    """A station with this source."""
    import os

    from pydantic import ValidationError

    from orderacc.capture.failures import PORTS
    from orderacc.config import StationConfig
    from orderacc.config.references import resolve

    mistakes: list[str] = []
    text = resolve(text, Path.cwd(), os.environ, lambda _, message: mistakes.append(message))
    scheme = _scheme(text)
    if scheme is not None and scheme not in PORTS:
        mistakes.append(f"should begin with {' or '.join(f'{each}://' for each in PORTS)}")
    try:
        station = StationConfig.model_validate({"id": "camera", "source": _entry(text)}, context={"base": Path.cwd()})
    except ValidationError as error:
        mistakes += [f"{detail['msg']}" for detail in error.errors(include_url=False, include_input=False)]
    if mistakes:
        raise typer.BadParameter(mistakes[0], param_hint="SOURCE")
    return station


def _entry(text: str) -> dict[str, Any]:
    if (scheme := _scheme(text)) is not None:
        return {"type": "http" if scheme in {"http", "https"} else "rtsp", "url": text}
    if text.isdecimal() or "!" in text or text.startswith("/dev/"):
        return {"type": "device", "device": int(text) if text.isdecimal() else text}
    return {"type": "file", "path": text}


def _scheme(text: str) -> str | None:
    """Of a URL, in small letters; None for what is no URL, though a pipeline may hold one."""
    scheme, separator, _ = text.partition("://")
    pipeline = "!" in text and " " in scheme.strip()
    return scheme.lower() if separator and not pipeline else None


def _probed(
    stations: Sequence[StationConfig], policy: CapturePolicy, seconds: float
) -> Iterator[tuple[StationConfig, Probe]]:
    from orderacc.capture.probing import probe_each

    for start in range(0, len(stations), AT_ONCE):
        some = stations[start : start + AT_ONCE]
        sources = [_source_of(station, policy) for station in some]
        yield from zip(some, probe_each(sources, seconds, policy.opening_sec), strict=True)


def _source_of(station: StationConfig, policy: CapturePolicy) -> FrameSource:
    """One pass of a station's source: a recording in a loop once."""
    from orderacc.service.cameras import camera

    if station.source.type in {"file", "simulator"}:
        once = station.source.model_copy(update={"loop": False})
        station = station.model_copy(update={"source": once})
    seen_by = camera(station, timeout=policy.rtsp_timeout, first_frame_timeout=policy.first_frame_timeout)
    return seen_by.make()


def _saved(found: Probe, name: str, folder: Path) -> Path | None:
    if found.picture is None:
        return None
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.jpg"
    path.write_bytes(cv2.imencode(".jpg", found.picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
    return path


def _report(station: StationConfig, found: Probe, picture: Path | None) -> dict[str, Any]:
    """What is said about a source, as `--json` says it."""
    from orderacc.perception.picture import look_once

    info, image, error = found.info, found.picture, found.error
    wrong = look_once(image) if image is not None else None
    return {
        "station_id": station.id,
        "source": _place(station),
        "ok": error is None and image is not None,
        "codec": info.codec if info else None,
        "width": image.shape[1] if image is not None else None,
        "height": image.shape[0] if image is not None else None,
        "fps": round(found.fps, 2) if found.fps else None,
        "declared_fps": round(info.fps, 2) if info and info.fps else None,
        "first_frame_s": round(info.first_frame_s, 3) if info and info.first_frame_s is not None else None,
        "keyframe_interval_s": round(info.keyframe_interval_s, 3) if info and info.keyframe_interval_s else None,
        "transport": info.transport if info else None,
        "hwaccel": info.hwaccel if info else None,
        "picture": str(picture) if picture else None,
        "warnings": [str(wrong)] if wrong else [],
        "hints": list(_hints(station, found)),
        "error": _failure(error, station) if error else None,
    }


def _failure(error: SourceError, station: StationConfig) -> dict[str, str]:
    from orderacc.capture.failures import remedy

    return {"code": error.code, "message": error.message, "remedy": remedy(error.code, station.source.type)}


def _hints(station: StationConfig, found: Probe) -> Iterator[str]:
    """What works but could be better."""
    from orderacc.perception.picture import ADVICE, look_once

    live = station.source.type not in {"file", "simulator"}
    wrong = look_once(found.picture) if found.picture is not None else None
    if wrong:
        yield ADVICE[wrong]
    interval = found.info.keyframe_interval_s if found.info else None
    if live and interval is not None and interval >= LONG_KEYFRAMES:
        yield (
            f"a keyframe only every {interval:.0f} s: whenever the camera is opened anew it shows nothing for as long; "
            "choose 1 or 2 s in the camera (also called I-frame interval or GOP)"
        )
    if live and found.fps and found.fps < SLOW * station.fps:
        yield f"{found.fps:.1f} pictures a second come, {station.fps:g} are asked for: raise the camera's frame rate"


def _place(station: StationConfig) -> str:
    """Where a source is, without anything secret."""
    from orderacc.capture.failures import Place

    entry = station.source
    if entry.type in {"rtsp", "http"}:
        return str(Place.of(entry.url.reveal()))
    if entry.type == "file":
        return str(entry.path)
    if entry.type == "device":
        return f"device {entry.device}" if isinstance(entry.device, int | str) else "GStreamer pipeline"
    return "simulator"


def _lines(report: dict[str, Any]) -> Iterator[str]:
    error = report["error"]
    yield f"{report['station_id']}  {report['source']}  {'ok' if report['ok'] else 'failed'}"
    if report["width"]:
        declared = report["declared_fps"]
        said = f" (declared: {declared:g})" if declared else ""
        rate = f", {report['fps']:g} frames a second{said}" if report["fps"] else said
        through = f", {report['transport']}" if report["transport"] else ""
        yield f"  {report['codec'] or 'pictures'} {report['width']}x{report['height']}{rate}{through}"
    if report["first_frame_s"] is not None:
        interval = report["keyframe_interval_s"]
        keyframes = f"every {interval:g} s" if interval else "no second one came in this time"
        decoder = {"none": "the processor"}.get(report["hwaccel"], report["hwaccel"])
        yield f"  first picture after {report['first_frame_s']:.2f} s; keyframes: {keyframes}; decoded by {decoder}"
    if report["picture"]:
        yield f"  saved {report['picture']}"
    for hint in report["hints"]:
        yield f"  hint: {hint}"
    if error:
        yield f"  {error['code']}: {error['message']}"
        yield f"  {error['remedy']}"


def _json_line(report: dict[str, Any]) -> str:
    return json.dumps(report, ensure_ascii=False)
