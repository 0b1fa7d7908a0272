"""The certificate the API shows, and its key."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from orderacc.errors import ConfigError, Finding

if TYPE_CHECKING:
    from orderacc.config import TlsConfig


def tls_context(config: TlsConfig) -> ssl.SSLContext:
    """What encrypts connections. Reads both files.

    Raises:
        ConfigError: If the certificate or its key is of no use.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without this a key that has a password would have it asked for on the terminal.
        context.load_cert_chain(config.certificate, config.key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise ConfigError([Finding(str(config.certificate), 0, 0, "", _mistake(config, error))]) from error
    return context


def _mistake(config: TlsConfig, error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return f"{config.key} is the key of another certificate than {config.certificate}"
    return f"{config.certificate} and {config.key} are no PEM certificate and its key without a password"
