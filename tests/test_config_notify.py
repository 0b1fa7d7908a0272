"""The section `notify`: what it takes, what it refuses, and that it keeps its secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from orderacc.config import NotifyConfig, load_config
from orderacc.errors import ConfigError
from orderacc.notify import SinkState, SinkStatistics
from orderacc.service.notifying import Notifying
from orderacc.telemetry.notify_metrics import NotifyMetrics
from receivers import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOOK = f"{{name: pos, url: 'https://crew:c4n4ry@pos.example/hooks', secrets: [{SECRET}]}}"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(notify: str) -> Path:
        path = tmp_path / "stations.yaml"
        text = "stations: [{id: a, source: {type: simulator}}]\nstorage: {data_dir: data}\nnotify: "
        path.write_text(f"{text}{notify}\n")
        return path

    return write


def test_what_it_says_when_little_is_written(write):
    notify = load_config(write(f"{{webhooks: [{HOOK}], mqtt: {{host: broker.example}}}}")).notify
    assert notify is not None
    assert notify.webhooks[0].statuses == ("accurate", "inaccurate", "unsure", "undetermined")
    assert notify.mqtt is not None
    assert (notify.mqtt.name, notify.mqtt.topic, notify.mqtt.retry_max_sec) == ("mqtt", "orderacc", 15.0)


def test_secrets_from_elsewhere_and_shown_nowhere(write, tmp_path):
    (tmp_path / "secret").write_text(SECRET + "\n")
    hook = HOOK.replace(f"[{SECRET}]", '["file:secret", "${OTHER}"]')
    mqtt = "{host: b, user: crew, password: '${PASSWORD}'}"
    environment = {"OTHER": "whsec_" + "B" * 32, "PASSWORD": "s3cr3t-w0rd"}
    config = load_config(write(f"{{webhooks: [{hook}], mqtt: {mqtt}}}"), environment=environment)
    assert config.notify is not None
    assert [one.reveal() for one in config.notify.webhooks[0].secrets] == [SECRET, environment["OTHER"]]
    for said in (repr(config), config.model_dump_json(), str(config.notify)):
        for song in ("c4n4ry", "MfKQ9r8G", "BBBBBB", "s3cr3t-w0rd"):
            assert song not in said


@pytest.mark.parametrize(
    ("notify", "complaint"),
    [
        ("{webhooks: [{name: pos, url: 'https://a/'}]}", "notify.webhooks[0].secrets: is required"),
        ("{webhooks: [{name: pos, url: 'https://a/', secrets: [hunter2]}]}", "24 to 64 bytes in base64; make one with"),
        ("{webhooks: [{name: pos, url: 'ftp://a/', secrets: []}]}", "should begin with http:// or https://"),
        ("{webhooks: [{name: 'a b', url: 'http://a/', secrets: []}]}", "should be letters, digits"),
        (f"{{webhooks: [{HOOK}, {HOOK}]}}", "two receivers are called 'pos'"),
        (f"{{webhooks: [{HOOK}], mqtt: {{host: b, name: pos}}}}", "two receivers are called 'pos'"),
        ("{mqtt: {host: b, password: hunter2}}", "notify.mqtt.password: needs a user"),
        ("{mqtt: {host: b, ca_file: stations.yaml}}", "notify.mqtt.ca_file: needs tls: true"),
        ("{mqtt: {host: b, topic: 'a/#'}}", "notify.mqtt.topic"),
        ("{mqtt: {hst: b}}", "did you mean 'host'?"),
        (
            "{webhooks: [{name: pos, url: 'https://a/', statuses: [wrong]}]}",
            "notify.webhooks[0].statuses[0]: should be",
        ),
    ],
)
def test_mistakes(write, notify, complaint):
    with pytest.raises(ConfigError) as caught:
        load_config(write(notify))
    assert complaint in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_secret_that_is_not_there_is_all_that_is_said(write):
    hook = "{name: pos, url: 'https://a/', secrets: ['file:none', '${NONE}', hunter2]}"
    with pytest.raises(ConfigError) as caught:
        load_config(write(f"{{webhooks: [{hook}]}}"), environment={})
    said = [(found.path.rpartition(".")[2], found.message) for found in caught.value.findings]
    assert [place for place, _ in said] == ["secrets[0]", "secrets[1]", "secrets[2]"]
    assert "cannot be read: No such file" in said[0][1]
    assert "'NONE' is not set" in said[1][1]
    assert said[2][1].startswith("should be whsec_")


def test_certificates_that_are_none(tmp_path):
    (tmp_path / "ca.pem").write_text("not a certificate")
    mqtt = {"host": "b", "tls": True, "ca_file": str(tmp_path / "ca.pem")}
    with pytest.raises(ConfigError, match=r"notify.mqtt.ca_file: .* holds no certificates"):
        Notifying.load(NotifyConfig.model_validate({"mqtt": mqtt}))


def test_without_the_extra(monkeypatch):
    monkeypatch.setattr("orderacc.service.notifying.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="needs the extra mqtt") as caught:
        Notifying.load(NotifyConfig.model_validate({"mqtt": {"host": "b"}}))
    assert caught.value.code == "extra_missing"


def test_metrics_of_receivers():
    snapshots = [
        SinkStatistics("pos", SinkState.RESTING, delivered=7, failed=2, dead=1, pending=3, oldest_s=4.5),
        SinkStatistics("mqtt"),
    ]
    registry = CollectorRegistry()
    registry.register(NotifyMetrics(lambda: snapshots))
    lines = set(generate_latest(registry).decode().splitlines())
    assert {
        'orderacc_notify_delivered_total{sink="pos"} 7.0',
        'orderacc_notify_failed_total{sink="pos"} 2.0',
        'orderacc_notify_dead_total{sink="pos"} 1.0',
        'orderacc_notify_pending{sink="pos"} 3.0',
        'orderacc_notify_oldest_seconds{sink="pos"} 4.5',
        'orderacc_notify_state{sink="pos",state="resting"} 1.0',
        'orderacc_notify_state{sink="pos",state="ready"} 0.0',
        'orderacc_notify_state{sink="mqtt",state="ready"} 1.0',
    } <= lines
