"""A password that sings: it is put where passwords stand, everything is made to speak, and nobody may repeat it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import logging
import time
import traceback
from dataclasses import fields
from typing import TYPE_CHECKING
from urllib.parse import unquote

import av
import pytest
import structlog

import ports
from orderacc import ConfigError, SourceError, load_config
from orderacc.api.routes_stations import station_told
from orderacc.capture import CapturePolicy, StationHealth, StreamSource, SupervisedCapture
from orderacc.cli import main
from orderacc.config import Config
from orderacc.config.references import resolve
from orderacc.service.looks import LatestLook
from orderacc.telemetry import configure_logs, get_logger
from orderacc.telemetry.metrics import exposition
from rtsp_server import encode_clip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

USER = "crew"
CANARY = "c4n4ry%2Fbird"
"""As it stands in the URL; the camera is told it decoded."""

SONGS = (CANARY, unquote(CANARY), "c4n4ry", base64.b64encode(f"{USER}:{unquote(CANARY)}".encode()).decode())
"""In every form in which a library might say it."""


def silent(text: str) -> None:
    assert text
    assert [song for song in SONGS if song in text] == []


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("orderacc")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    structlog.contextvars.clear_contextvars()


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What was logged, at the most talkative level."""
    stream = io.StringIO()
    configure_logs(request.param, level="debug", stream=stream)
    logging.getLogger().setLevel(logging.DEBUG)
    return stream


@pytest.fixture(params=["plain", "environment", "file", "variables"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], tuple[str, dict[str, str]]]:
    """Writes a URL into a configuration in each way there is: what stands there, and the environment."""

    def write(url: str) -> tuple[str, dict[str, str]]:
        if request.param == "environment":
            return url.replace(CANARY, "${CANARY}"), {"CANARY": CANARY}
        if request.param == "variables":
            return "${WHOLE_URL}", {"WHOLE_URL": url}
        if request.param == "file":
            (tmp_path / "url").write_text(url)
            return "file:url", {}
        return url, {}

    return write


def url_at(port: int, path: str = "front") -> str:
    return f"rtsp://{USER}:{CANARY}@127.0.0.1:{port}/{path}"


ELSEWHERE = {
    "path": '{type: rtsp, url: "rtsp://127.0.0.1:PORT/CANARY/live"}',
    "query": '{type: http, url: "http://127.0.0.1:PORT/video.cgi?user=admin&pass=CANARY"}',
    "unnamed": '{type: http, url: "http://127.0.0.1:PORT/video.cgi?CANARY"}',
    "pipeline": "{type: device, device: \"rtspsrc location=rtsp://h/1 user-pw = 'CANARY' ! decodebin ! appsink\"}",
}
"""Cameras with a secret that is no password of a URL."""


def write_config(folder: Path, stations: str, rest: str = "") -> Path:
    (folder / "orders.json").write_text("{}")
    path = folder / "stations.yaml"
    path.write_text(f"stations:\n{stations}\norders: {{file: orders.json}}\n{rest}")
    return path


class TestConfiguration:
    def test_one_that_is_right(self, written, tmp_path, log):
        url, environment = written(url_at(554))
        path = write_config(tmp_path, f"  - {{id: a, source: {{type: rtsp, url: {json.dumps(url)}}}}}")
        config = load_config(path, environment=environment)
        assert config.stations[0].source.url.reveal() == url_at(554)
        silent(f"{config} {config!r} {config.stations[0]} {vars(config)} {config.model_dump()} {list(config)}")
        silent(config.model_dump_json())
        get_logger("orderacc.test").info("loaded", config=config, source=config.stations[0].source, all=vars(config))
        silent(log.getvalue())

    @pytest.mark.parametrize("where", ELSEWHERE)
    @pytest.mark.parametrize("said", [CANARY, "${CANARY}"])
    def test_secrets_in_other_places(self, where, said, tmp_path, log):
        entry = ELSEWHERE[where].replace("PORT", "554").replace("CANARY", said)
        path = write_config(tmp_path, f"  - {{id: a, source: {entry}}}")
        config = load_config(path, environment={"CANARY": CANARY})
        station = config.stations[0]
        told = station_told(station, StationHealth("a"), LatestLook())
        silent(f"{config} {config!r} {vars(station)} {config.model_dump()} {list(config)} {told} {told.model_dump()}")
        silent(config.model_dump_json() + told.model_dump_json())
        get_logger("orderacc.test").info("loaded", config=config, source=station.source, told=told, all=vars(station))
        silent(log.getvalue())

    @pytest.mark.parametrize(
        "station",
        [
            "{id: a, source: {type: rtsp, url: URL, trans: udp}}",
            "{id: a, source: {type: rtps, url: URL}}",
            "{id: a, source: {type: http, url: URL}}",
            "{id: a, source: {type: URL}}",
            "{id: a, source: {type: rtsp, url: [URL]}}",
            "{id: a, source: {type: rtsp, url: {url: URL}}}",
            "{id: a, source: {type: rtsp, url: '  URL  '}}",
            "{id: a, source: URL}",
            "{id: URL, source: {type: rtsp, url: URL}}",
            "{id: a, source: {type: rtsp, url: rtsp://h/1, transport: URL, hwaccel: URL}}",
            "{id: a, source: {type: rtsp, url: rtsp://h/1}, fps: URL, roi: [URL]}",
            "{id: a, source: {type: device, device: URL}}",
            "{id: a, source: {type: file, path: URL}}",
            "{id: a, URL: 1}",
            "{id: a, ? URL : 1, ? URL : 2}",
            "URL",
        ],
    )
    def test_one_that_is_wrong(self, written, tmp_path, log, capsys, monkeypatch, station):
        url, environment = written(url_at(554))
        path = write_config(tmp_path, f"  - {station.replace('URL', json.dumps(url))}", f"telemetry: {json.dumps(url)}")
        with pytest.raises(ConfigError) as caught:
            load_config(path, environment=environment)
        silent(f"{caught.value} {caught.value!r} {caught.value.findings!r}")
        silent("".join(traceback.format_exception(caught.value)))
        get_logger("orderacc.test").error("refused", exc_info=caught.value, findings=caught.value.findings)
        silent(log.getvalue())
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for command in ("check", "probe", "run"):
            silent(self.output(capsys, command, "--stations", str(path)))

    def test_made_by_hand(self):
        for wrong in ({"id": 7}, {"source": {"type": "rtps", "url": url_at(1)}}, {"fps": url_at(1)}, {"x": url_at(1)}):
            station = {"id": "a", "source": {"type": "rtsp", "url": url_at(1)}, **wrong}
            with pytest.raises(ValueError, match="validation error") as caught:
                Config.model_validate({"stations": [station]})
            silent(f"{caught.value!r} {''.join(traceback.format_exception(caught.value))}")

    def test_what_is_resolved_is_never_in_a_complaint(self, tmp_path):
        said: list[str] = []
        resolve(f"${{{CANARY[:6]}}}x", tmp_path, {"OTHER": CANARY}, lambda _, message: said.append(message))
        assert said == ["the environment variable 'c4n4ry' is not set"]  # a name is no secret: it is what to look for

    def output(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 1
        out, err = capsys.readouterr()
        return out + err


def collapsed(source: StreamSource) -> SourceError:
    with pytest.raises(SourceError) as caught:
        list(source.frames())
    return caught.value


NOBODY = {
    "refused": lambda: ports.answering(ports.hang_up),
    "garbage": lambda: ports.answering(ports.garbage),
    "unauthorized": lambda: ports.answering(ports.saying("401 Unauthorized")),
    "forbidden": lambda: ports.answering(ports.saying("403 Forbidden")),
    "not_found": lambda: ports.answering(ports.saying("404 Not Found")),
    "moved": lambda: ports.answering(ports.saying(f"302 Moved\r\nLocation: {url_at(9)}")),
    "web": lambda: ports.answering(ports.web_page),
    "silent": ports.silent,
}


class TestCameras:
    @pytest.mark.parametrize("nobody", NOBODY)
    def test_one_that_fails(self, nobody, log, capfd):
        """Our errors, FFmpeg's own words on stderr, and tracebacks in the log."""
        with NOBODY[nobody]() as port:
            error = collapsed(StreamSource(url_at(port), "drive-1", timeout=1.0))
        silent(f"{error} {error!r} {error.args} {error.message} {error.code}")
        silent("".join(traceback.format_exception(error)))
        get_logger("orderacc.test").error("broken", url=url_at(port), exc_info=error)
        logging.getLogger("aiohttp").error("broken at %s", url_at(port), exc_info=error)
        assert "Traceback" in log.getvalue()
        silent(log.getvalue())
        out, err = capfd.readouterr()
        silent(f"nothing else: {out}{err}")

    def test_ffmpegs_own_errors_and_log_lines_do_sing_and_are_silenced(self, log):
        """What the log does when somebody else passes them on."""
        with ports.answering(ports.saying("401 Unauthorized")) as port, pytest.raises(av.error.FFmpegError) as caught:
            av.open(url_at(port), timeout=2.0)
        error = caught.value
        assert CANARY in str(error)
        get_logger("orderacc.test").error("failed", error=error, errors=[error], where=error.filename, exc_info=error)
        logging.getLogger("libav.rtsp").error("method DESCRIBE failed for %s", url_at(port))
        assert log.getvalue().count("127.0.0.1") >= 4
        silent(log.getvalue())

    @pytest.mark.parametrize("name", ["password", "X-Auth-Token", "x-api-key", "Cookie", "Set-Cookie", "Authorization"])
    def test_what_libraries_show_of_a_request(self, name, log):
        value = f"session={CANARY}" if "Cookie" in name else CANARY
        for shown in (f"{name}: {value}", {name: value}, json.dumps({name: value}), [f"{name}: {value}\r\nHost: h"]):
            logging.getLogger("aiohttp").debug("sent %s", shown)
        assert log.getvalue().count("sent") == 4
        silent(log.getvalue())

    def test_a_password_that_is_no_part_of_a_url_for_ffmpeg(self, log):
        """One with a slash in it: half of it would be the path."""
        bad = f"rtsp://{USER}:{unquote(CANARY)}@127.0.0.1:9/front"
        with pytest.raises(ValueError, match="address begins with") as caught:
            StreamSource(bad, "drive-1")
        get_logger("orderacc.test").error("failed", exc_info=caught.value, url=bad)
        silent(f"{caught.value} {log.getvalue()}")

    @pytest.mark.parametrize("auth", [USER, "somebody-else"])
    def test_one_that_is_real(self, rtsp_camera, tmp_path, log, capfd, auth):
        """With Digest, and with a wrong password; the whole station is asked how it is."""
        camera = rtsp_camera({"front": encode_clip(tmp_path / "clip")}, auth=(auth, unquote(CANARY)))
        health = asyncio.run(self.watch(url_at(camera.port), frames=3 if auth == USER else 0))
        assert health.failures == ({} if auth == USER else {"unauthorized": 2})
        self.check(health, log, capfd)

    def test_a_source_with_a_fault_of_its_own(self, log, capfd):
        class Faulty(StreamSource):
            def frames(self):
                raise OSError(5, "Input/output error", url_at(9))

        health = asyncio.run(self.watch(url_at(9), frames=0, make=lambda: Faulty(url_at(9), "drive-1")))
        assert sum(health.failures.values()) == 2
        self.check(health, log, capfd)

    def check(self, health, log, capfd):
        everything = {field.name: getattr(health, field.name) for field in fields(health)}
        silent(f"{health} {everything}")
        silent(exposition(lambda: [health]).decode())
        get_logger("orderacc.test").info("health", health=health, all=everything)
        assert "drive-1" in log.getvalue()
        silent(log.getvalue())
        out, err = capfd.readouterr()
        silent(f"nothing else: {out}{err}")

    async def watch(self, url, *, frames, make=None):
        """Health of a station that was restarted and stopped with the address as the reason, or that failed twice."""
        policy = CapturePolicy(reconnect_interval=0.05, reconnect_interval_max=0.1)
        capture = SupervisedCapture("drive-1", make or (lambda: StreamSource(url, "drive-1")), policy)

        async def until(condition: Callable[[], bool]) -> None:
            deadline = time.monotonic() + 30
            while not condition():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)

        async with capture as pictures:
            if frames:
                await anext(pictures)
                capture.restart(f"asked to look at {url} again")
                await until(lambda: any(move.reason.startswith("asked") for move in capture.health().moves))
                capture.stop(f"done with {url}")
            else:
                await until(lambda: sum(capture.health().failures.values()) >= 2)
        if frames:
            assert any(move.reason.startswith("done") for move in capture.health().moves)
        return capture.health()


class TestCommands:
    @pytest.mark.parametrize("where", ELSEWHERE)
    def test_secrets_in_other_places(self, where, tmp_path, capfd, monkeypatch):
        monkeypatch.setenv("CANARY", CANARY)
        with ports.answering(ports.saying("404 Not Found")) as port:
            entry = ELSEWHERE[where].replace("PORT", str(port)).replace("CANARY", "${CANARY}")
            path = write_config(tmp_path, f"  - {{id: a, source: {entry}}}")
            for options in ([], ["--json"]):
                with pytest.raises(SystemExit) as caught:
                    main(["probe", "--stations", str(path), *options])
                assert caught.value.code == 1
                out, err = capfd.readouterr()
                silent(f"{out}{err}")

    @pytest.mark.parametrize("nobody", ["garbage", "unauthorized"])
    def test_probe_and_check(self, written, tmp_path, capfd, monkeypatch, nobody):
        with NOBODY[nobody]() as port:
            url, environment = written(url_at(port))
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            monkeypatch.chdir(tmp_path)
            path = write_config(tmp_path, f"  - {{id: a, source: {{type: rtsp, url: {json.dumps(url)}}}}}")
            for arguments in (
                ["check", "--stations", path],
                ["probe", "--stations", path],
                ["probe", "--stations", path, "--json"],
                ["probe", url],
            ):
                with pytest.raises(SystemExit):
                    main(list(map(str, arguments)))
                out, err = capfd.readouterr()
                silent(f"{out}{err}")

    def test_probe_of_a_camera_that_answers(self, rtsp_camera, tmp_path, capfd):
        camera = rtsp_camera({"front": encode_clip(tmp_path / "clip")}, auth=(USER, unquote(CANARY)))
        with pytest.raises(SystemExit) as caught:
            main(["probe", url_at(camera.port), "--json", "--save", str(tmp_path)])
        out, err = capfd.readouterr()
        assert (caught.value.code or 0, json.loads(out)["ok"]) == (0, True)
        silent(f"{out}{err}")
        assert not any(song.encode() in (tmp_path / "camera.jpg").read_bytes() for song in SONGS)


def test_the_canary_can_be_heard():
    """A test of the tests."""
    for song in (url_at(1), unquote(url_at(1)), SONGS[-1]):
        with pytest.raises(AssertionError):
            silent(f"somewhere {song} is said")
    silent(hashlib.sha256(CANARY.encode()).hexdigest())
