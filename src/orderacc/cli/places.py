"""What a configuration needs of this machine: cameras, tokens, a certificate, and where things are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderacc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orderacc.config import ApiConfig, Config
    from orderacc.errors import Finding


def check_places(config: Config, file: Path) -> None:
    """Make sure that the daemon can use all of it, before anything that takes time.

    Args:
        config: The configuration.
        file: The file it was read from.

    Raises:
        ConfigError: With all that is wrong.
    """
    if findings := list(findings_of_places(config, file)):
        raise ConfigError(findings)


def findings_of_places(config: Config, file: Path) -> Iterator[Finding]:
    """What keeps the daemon from using it; see `check_places`."""
    from orderacc.config import finding_in
    from orderacc.service.cameras import findings_of_cameras

    yield from findings_of_cameras(config, file)
    if config.api is not None:
        yield from _findings_of_api(config.api, file)
    if config.results is not None:
        results = config.results.file
        if results.is_dir():
            yield finding_in(file, ("results", "file"), f"{results} is a folder; should be a file")
        elif obstacle := _no_folder(results.parent):
            yield finding_in(file, ("results", "file"), f"{obstacle} is no folder")
    if config.storage is not None and (obstacle := _no_folder(config.storage.data_dir)):
        yield finding_in(file, ("storage", "data_dir"), f"{obstacle} is no folder")


def _findings_of_api(config: ApiConfig, file: Path) -> Iterator[Finding]:
    from orderacc.api.tls import tls_context
    from orderacc.api.tokens import read_tokens
    from orderacc.config import finding_in

    if config.tokens is not None and config.tokens.is_dir():
        yield finding_in(file, ("api", "tokens"), f"{config.tokens} is a folder; should be a file")
    elif config.tokens is not None:
        try:
            read_tokens(config.tokens)
        except ConfigError as error:
            yield from error.findings
    if config.tls is not None:
        try:
            tls_context(config.tls)
        except ConfigError as error:
            for found in error.findings:
                yield finding_in(file, ("api", "tls"), found.message)


def _no_folder(path: Path) -> Path | None:
    """What is in the way of a folder, there or to be made; None if nothing is."""
    there = next(one for one in (path, *path.parents) if one.exists())
    return None if there.is_dir() else there
