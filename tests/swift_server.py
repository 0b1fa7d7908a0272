"""A real S3 server for the tests: OpenStack Swift behind its S3 door, as processes that can be killed and frozen."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import Final, Self

import pytest

SERVERS: Final = ("account", "container", "object", "proxy")
BUILDER: Final = "swift-ring-builder"
USER: Final = "test:tester"
SECRET: Final = "testing"
PATIENCE: Final = 60.0
"""Seconds a start may take on a machine that is busy with other tests."""

PART_BYTES: Final = 5 * 1024 * 1024
"""Smallest part of an object that goes up in parts; S3's own limit."""

_STORAGE = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
mount_check = false
user = {user}
swift_dir = {root}/etc
devices = {root}/srv
log_udp_host = 127.0.0.1
log_udp_port = 9
fallocate_reserve = 0
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""

_PROXY = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {root}/etc
log_udp_host = 127.0.0.1
log_udp_port = 9
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats bulk s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:9
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
check_bucket_owner = false
min_segment_size = {part_bytes}
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""


@cache
def missing() -> str | None:
    """What keeps the server from running here; None when nothing does."""
    absent = [name for name in (BUILDER, *(f"swift-{one}-server" for one in SERVERS)) if not _program(name)]
    if absent:
        return f"the S3 server needs OpenStack Swift: there is no {', '.join(absent)}"
    with tempfile.NamedTemporaryFile() as file:
        try:
            os.setxattr(file.name, "user.orderacc", b"1")
        except OSError as error:
            return f"the S3 server keeps extended attributes, which {tempfile.gettempdir()} does not: {error.strerror}"
    return None


def need_s3() -> None:
    """Skip the test where the server cannot run; fail it where ORDERACC_REQUIRE_S3=1 says that it must."""
    reason = missing()
    if reason and os.environ.get("ORDERACC_REQUIRE_S3") == "1":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


class SwiftServer:
    """The server; everything it took stays when it is killed and started again.

    ```python
    with SwiftServer() as server:
        S3Settings("bucket", endpoint=SecretText(server.url), access_key=..., secret_key=...)
    ```

    Attributes:
        url: Its address.
    """

    def __init__(self) -> None:
        """Start it; it answers when this returns."""
        self._root = Path(tempfile.mkdtemp(prefix="swift-"))
        self._ports = dict(zip(SERVERS, _free_ports(len(SERVERS)), strict=True))
        self.url = f"http://127.0.0.1:{self._ports['proxy']}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._configure()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start what does not run; returns when it answers."""
        for name in SERVERS:
            if name not in self._processes:
                with (self._root / f"{name}.log").open("ab") as log:
                    self._processes[name] = subprocess.Popen(
                        [_program(f"swift-{name}-server"), self._root / "etc" / f"{name}-server.conf"],
                        env={**os.environ, "SWIFT_DIR": str(self._root / "etc")},
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
        for name, port in self._ports.items():
            self._await(name, port)

    def kill(self, *names: str) -> None:
        """Pull the plug of all of it, or of some of its parts: `account`, `container`, `object`, `proxy`."""
        for name in names or tuple(self._processes):
            process = self._processes.pop(name)
            process.kill()
            process.wait()

    def pause(self) -> None:
        """Freeze the door; the kernel still takes its connections."""
        self._processes["proxy"].send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        self._processes["proxy"].send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop it for good."""
        self.kill()
        shutil.rmtree(self._root, ignore_errors=True)

    def _configure(self) -> None:
        folder = self._root / "etc"
        folder.mkdir()
        (self._root / "srv" / "d1").mkdir(parents=True)
        salt = "[swift-hash]\nswift_hash_path_suffix = orderacc\nswift_hash_path_prefix = test\n"
        (folder / "swift.conf").write_text(f"{salt}[storage-policy:0]\nname = default\ndefault = yes\n")
        for name, port in self._ports.items():
            text = (_PROXY if name == "proxy" else _STORAGE).format(
                name=name,
                port=port,
                root=self._root,
                user=getpass.getuser(),
                secret=SECRET,
                part_bytes=PART_BYTES,
            )
            (folder / f"{name}-server.conf").write_text(text)
            if name != "proxy":
                for order in (["create", "6", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"]):
                    command = [_program(BUILDER), folder / f"{name}.builder", *order]
                    subprocess.run(command, check=True, capture_output=True)

    def _await(self, name: str, port: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=1).close()
            except urllib.error.HTTPError:
                return  # it answers, if only that there is no such thing
            except OSError:
                if self._processes[name].poll() is not None or time.monotonic() > deadline:
                    log = (self._root / f"{name}.log").read_text()[-2000:]
                    raise RuntimeError(f"swift-{name}-server does not run:\n{log}") from None
                time.sleep(0.1)
            else:
                return


def _program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/sbin") or ""


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens at now; all are held until all are known."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
