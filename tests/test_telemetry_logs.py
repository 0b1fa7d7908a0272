"""Log lines as an operator and a log collector get them."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from orderacc.telemetry import configure_logs, get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("orderacc")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_is_one_object_a_line_with_time_level_and_logger() -> None:
    stream = io.StringIO()
    configure_logs("json", stream=stream)
    get_logger("orderacc.service").info("order_closed", station_id="drive-1", name="Käse\n", took_s=1.5)
    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("timestamp")))
    assert line == {
        "event": "order_closed",
        "level": "info",
        "logger": "orderacc.service",
        "station_id": "drive-1",
        "name": "Käse\n",
        "took_s": 1.5,
    }


def test_other_libraries_speak_in_the_same_form_from_warning_on() -> None:
    stream = io.StringIO()
    configure_logs("json", level="debug", stream=stream)
    logging.getLogger("aiohttp.access").info("GET /")
    logging.getLogger("botocore").warning("retrying %s", "https://u:p@s3/x", extra={"attempt": 2})
    (line,) = lines(stream)
    assert line["event"] == "retrying https://***@s3/x"
    assert line["attempt"] == 2
    assert line["level"] == "warning"


def open_camera(url: str) -> None:
    raise OSError(f"cannot open {url}")


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_gets_out_whatever_carries_it(form: str) -> None:
    stream = io.StringIO()
    configure_logs(form, stream=stream)
    log = get_logger("orderacc.capture").bind(url="rtsp://u:hunter2@h/1")
    try:
        open_camera("rtsp://u:hunter2@h/1")
    except OSError:
        log.exception("failed for rtsp://u:hunter2@h/1", password="hunter2", headers={"Authorization": "hunter2"})
    text = stream.getvalue()
    assert "hunter2" not in text
    assert "Traceback" in text
    assert "rtsp://***@h/1" in text


def test_values_bound_to_the_task_are_in_every_line() -> None:
    stream = io.StringIO()
    configure_logs("json", stream=stream)
    structlog.contextvars.bind_contextvars(station_id="drive-2")
    get_logger("orderacc.x").info("a")
    logging.getLogger("other").warning("b")
    assert [line["station_id"] for line in lines(stream)] == ["drive-2", "drive-2"]


def test_console_is_for_people() -> None:
    stream = io.StringIO()
    configure_logs("console", stream=stream)
    get_logger("orderacc.x").info("order_closed", station_id="drive-1")
    text = stream.getvalue()
    assert "order_closed" in text
    assert "station_id=drive-1" in text
    assert "\x1b" not in text


def test_configuring_again_replaces() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logs("json", level="error", stream=first)
    configure_logs("json", level="debug", stream=second)
    get_logger("orderacc.x").debug("once")
    assert first.getvalue() == ""
    assert len(lines(second)) == 1


def test_levels_and_forms_are_checked() -> None:
    with pytest.raises(ValueError, match="loud"):
        configure_logs("json", level="loud")
    with pytest.raises(ValueError, match="xml"):
        configure_logs("xml")


def test_a_library_is_silent_until_somebody_listens() -> None:
    code = "from orderacc.telemetry import get_logger; get_logger('orderacc.x').error('boo', token='t')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
