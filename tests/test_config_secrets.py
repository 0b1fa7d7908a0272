"""Texts with credentials: where they come from, and that nobody can read them off by accident."""

from __future__ import annotations

import copy
import io
import json
import pickle
import traceback
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orderacc import ConfigError, load_config
from orderacc.config import DeviceSource, RtspSource, SecretText, json_schema
from orderacc.config.secrets import url_problem, url_with
from orderacc.config.section import Section
from orderacc.telemetry import configure_logs, get_logger, redact

URL = "rtsp://crew:hunter2@10.0.0.7:8554/stream1"
SHOWN = "rtsp://***@10.0.0.7:8554"


class Camera(Section):
    """A section with secrets."""

    url: Annotated[SecretText, url_with("rtsp", "rtsps")]
    """A URL."""
    token: SecretText | None = None
    """Anything."""


@pytest.fixture
def load(tmp_path):
    def from_text(url, **environment):
        (tmp_path / "orders.json").write_text("{}")
        path = tmp_path / "stations.yaml"
        path.write_text(
            f"stations:\n  - id: a\n    source: {{type: rtsp, url: {json.dumps(url)}}}\norders: {{file: orders.json}}"
        )
        return load_config(path, environment=environment).stations[0].source

    return from_text


def findings(load, url, **environment):
    with pytest.raises(ConfigError) as caught:
        load(url, **environment)
    return [str(found).partition("stations.yaml")[2] for found in caught.value.findings]


class TestReferences:
    def test_a_url_as_it_is(self, load):
        assert load(URL).url.reveal() == URL

    def test_a_password_in_the_environment(self, load):
        assert load("rtsp://crew:${PW}@10.0.0.7:8554/stream1", PW="hunter2").url.reveal() == URL
        assert load("rtsp://${USER}:${PW}@10.0.0.7:8554/stream1", USER="crew", PW="hunter2") == load(URL)

    def test_a_url_in_a_file(self, load, tmp_path):
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets" / "drive-1").write_text(URL + "\n")
        assert load("file:secrets/drive-1").url.reveal() == URL
        assert load(f"file:{tmp_path}/secrets/drive-1").url.reveal() == URL

    def test_what_is_not_there_is_named_with_its_place_and_told_once(self, load, tmp_path):
        assert findings(load, "rtsp://crew:${NO_PW}@h/1") == [
            ":3:26 stations[0].source.url: the environment variable 'NO_PW' is not set"
        ]
        assert findings(load, "file:none") == [
            f":3:26 stations[0].source.url: {tmp_path}/none cannot be read: No such file or directory"
        ]

    def test_a_password_that_takes_the_url_apart_is_told_with_the_way_out(self, load):
        (found,) = findings(load, "rtsp://crew:${PW}@10.0.0.7/1", PW="hunt/er2")
        assert found.startswith(":3:26 stations[0].source.url: should be a URL such as rtsp://10.0.0.7:554/stream1; ")
        assert "user:password@, and in these write %2F for /, %40 for @" in found
        assert "er2" not in found


def test_nothing_that_writes_it_shows_it():
    camera = Camera(url=URL, token="hunter2")
    assert str(camera.url) == f"{camera.url}" == SHOWN
    assert repr(camera.url) == f"SecretText('{SHOWN}')"
    assert (str(camera.token), repr(camera.token)) == ("***", "SecretText('***')")
    assert camera.model_dump() == camera.model_dump(mode="json") == {"url": SHOWN, "token": "***"}
    assert json.loads(camera.model_dump_json()) == {"url": SHOWN, "token": "***"}
    assert redact({"camera": camera, "url": camera.url})["url"] == SHOWN
    assert "hunter2" not in f"{camera} {camera!r} {redact({'camera': camera})}"
    assert not hasattr(camera.url, "__dict__")


def test_a_bad_text_is_shown_as_nothing():
    assert str(SecretText("rtsp://crew:hunt/er2@10.0.0.7/1")) == "***"
    assert str(SecretText("hunter2://")) == "***"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://10.0.0.7/hunter2/live.m3u8", "http://10.0.0.7"),
        ("http://10.0.0.7/video.cgi?user=admin&pass=hunter2", "http://10.0.0.7"),
        ("RTSP://hunter2@[fe80::1]:554?hunter2#hunter2", "rtsp://***@[fe80::1]:554"),
        ('rtspsrc location=rtsp://10.0.0.7/s user-id=a user-pw="hunter2" ! decodebin ! appsink', "***"),
    ],
)
def test_of_a_url_only_the_place_is_shown(text, shown):
    assert str(SecretText(text)) == shown


def test_a_pipeline_is_never_shown():
    camera = DeviceSource(type="device", device="rtspsrc location=rtsp://h/1 user-pw = 'hunter2' ! appsink")
    assert "hunter2" not in f"{camera} {camera!r} {camera.model_dump()} {camera.model_dump_json()} {redact(camera)}"
    assert "hunter2" in camera.device.reveal()
    assert DeviceSource(type="device", device=camera.device) == camera


def test_it_is_not_written_to_where_others_read_it():
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(SecretText(URL))
    with pytest.raises(AttributeError):
        SecretText(URL).other = 1


def test_two_are_equal_when_their_texts_are():
    assert SecretText(URL) == SecretText(URL)
    assert SecretText(URL) != SecretText(URL.replace("hunter2", "hunter3"))
    assert SecretText(URL) != URL
    assert len({SecretText(URL), SecretText(URL), SecretText("x")}) == 2
    camera = Camera(url=SecretText(URL))
    assert camera == Camera(url=URL)
    assert camera.model_copy(deep=True).url.reveal() == copy.copy(camera.url).reveal() == URL


@pytest.mark.parametrize("url", ["", 7, None, ["rtsp://crew:hunter2@h"], {"rtsp": "hunter2"}])
def test_what_is_no_text_is_told_without_it(url):
    with pytest.raises(ValidationError, match="should be text, not empty") as caught:
        Camera(url=url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "rtsps://10.0.0.7/1",
        "RTSP://10.0.0.7",
        "rtsp://crew:p%40ss%2F@camera.local:554/a?b=c&d=e",
        "rtsp://[fe80::1]:554/1",
        "rtsp://crew:99999999@10.0.0.7/1",
        "rtsp://crew:a@b@10.0.0.7/1",
    ],
)
def test_urls_that_are_right(url):
    assert Camera(url=url).url.reveal() == url


@pytest.mark.parametrize(
    "url",
    [
        "10.0.0.7/1",
        "http://10.0.0.7",
        "rtsp://",
        "rtsp:///1",
        "rtsp://10.0.0.7:port/1",
        "rtsp://10.0.0.7:99999/1",
        "rtsp://10.0.0.7:0/1",
        "rtsp://crew:hunt/er2@10.0.0.7/1",
        "rtsp://crew:hunt#er2@10.0.0.7/1",
        "rtsp://crew:12/34@10.0.0.7/1",
        "rtsp://crew:hunt er2@10.0.0.7/1",
        "rtsp://10.0.0.7/1\n",
        "rtsp://[fe80::1/1",
    ],
)
def test_urls_that_are_wrong(url):
    with pytest.raises(ValidationError, match="should be"):
        Camera(url=url)


SECRET = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4).map(lambda text: f"S3cr3t{text}")


@given(
    SECRET, st.sampled_from(["rtsp://u:{}@h/1", "rtsp://{}@h:554/1", "{}", "x://{}", "rtsp://h/{}@x", "rtsp://h:{}"])
)
def test_no_text_gets_its_secret_out(secret, form):
    text = form.format(secret)
    assert "S3cr3t" not in (url_problem(text, ("rtsp",)) or "")
    assert "S3cr3t" not in str(SecretText(text)) or "@" not in text
    try:
        shown = repr(Camera(url=text))
    except ValidationError as error:
        shown = "".join(traceback.format_exception(error))
    assert "S3cr3t" not in shown or "@" not in text


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_log_shows_it_masked(form):
    stream = io.StringIO()
    configure_logs(form, stream=stream)
    camera = RtspSource(type="rtsp", url=URL)
    get_logger("orderacc.test").warning("opening", camera=camera, url=camera.url, dump=camera.model_dump())
    assert "hunter2" not in stream.getvalue()
    assert SHOWN in stream.getvalue()


def test_the_schema_says_that_it_is_secret():
    source = json_schema()["$defs"]["RtspSource"]["properties"]["url"]
    assert (source["type"], source["writeOnly"], source["format"]) == ("string", True, "password")
    assert source["description"]
