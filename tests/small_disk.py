"""A disk of a few MB that a test can fill."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def small_disk(place, megabytes: int):
    """Mount a tmpfs at a folder. Where that is not allowed the test skips, unless it must not."""
    place.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    mounted = subprocess.run(asked, capture_output=True, text=True, check=False)
    if mounted.returncode:
        reason = f"no small disk: {mounted.stderr.strip()}"
        if os.environ.get("ORDERACC_REQUIRE_TMPFS"):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place, leave: int = 0) -> None:
    """Leave no more than so many bytes on a disk."""
    with (place / "ballast").open("ab", buffering=0) as ballast:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    ballast.write(b"\0" * size)
            except OSError:
                continue
        ballast.truncate(ballast.tell() - leave)


def make_room(place) -> None:
    """Give it all back."""
    (place / "ballast").unlink()
