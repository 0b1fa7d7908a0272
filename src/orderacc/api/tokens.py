"""Who may come in: tokens, of which the box keeps fingerprints only."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from orderacc.api.routes import Scope
from orderacc.errors import ConfigError, Finding
from orderacc.telemetry import get_logger

_log = get_logger(__name__)

PREFIX: Final = "oa"
"""Tokens begin with it, so that whoever finds one knows what it opens."""

SECRET_BYTES: Final = 32
"""Chance in a token. So much cannot be guessed, and a plain fingerprint is as safe as a slow one."""


class Token(BaseModel):
    """What is kept of a token.

    Attributes:
        token_id: The part of it that may be shown.
        name: Who bears it.
        scopes: What they may do.
        fingerprint: SHA-256 of the secret part, hexadecimal.
        created_at: When it was made.
        expires_at: When it ends; None when never.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    token_id: str
    name: str
    scopes: frozenset[Scope]
    fingerprint: str
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether its bearer may do such things."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class _TokensFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tokens: list[Token] = []


class TokenFile:
    """The tokens of one box, in a file that is read again whenever it changes.

    A file that turned bad lets nobody in who was not in before, and is logged once per change.

    Args:
        path: The file; it need not exist yet.

    Raises:
        ConfigError: If it exists and is bad.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._tokens = {token.token_id: token for token in read_tokens(path)}

    def __len__(self) -> int:
        return len(self._tokens)

    def refresh(self) -> None:
        """Read the file again if it has changed. Blocks for as long as it takes to read a small file."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._tokens = {token.token_id: token for token in read_tokens(self._path)}
        except ConfigError as error:
            _log.error("tokens_file_bad", file=str(self._path), findings=[str(found) for found in error.findings])
        else:
            _log.info("tokens_file_read", file=str(self._path), tokens=len(self._tokens))

    def find(self, text: str) -> Token | None:
        """The token somebody shows; None if it is none of ours, or not any more."""
        prefix, _, rest = text.partition("_")
        token_id, _, secret = rest.partition("_")
        token = self._tokens.get(token_id) if prefix == PREFIX else None
        fingerprint = _fingerprint(secret)
        # In constant time: the time taken must not tell how much of it was right.
        if not hmac.compare_digest(fingerprint, token.fingerprint if token else _fingerprint("")) or token is None:
            return None
        return token if token.expires_at is None or token.expires_at > datetime.now(UTC) else None

    def holds(self, token: Token) -> bool:
        """Whether a token that was let in is still good."""
        now = self._tokens.get(token.token_id)
        return now == token and (token.expires_at is None or token.expires_at > datetime.now(UTC))


def read_tokens(path: Path) -> list[Token]:
    """The tokens in a file; none when there is no file.

    Raises:
        ConfigError: If it is bad, or cannot be read.
    """
    try:
        return _TokensFile.model_validate_json(path.read_bytes()).tokens
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError([Finding(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from error
    except ValidationError as error:
        raise ConfigError(
            [
                Finding(str(path), 0, 0, ".".join(map(str, detail["loc"])), detail["msg"])
                for detail in error.errors(include_url=False, include_input=False)
            ]
        ) from None


def create_token(
    path: Path, name: str, scopes: frozenset[Scope], expires_at: datetime | None = None
) -> tuple[Token, str]:
    """Make a token and add it to a file.

    Returns:
        What was kept of it, and the whole of it, which nobody can tell again.

    Raises:
        ConfigError: If the file is bad.
        OSError: If it cannot be written.
    """
    secret = secrets.token_urlsafe(SECRET_BYTES)
    token = Token(
        token_id=secrets.token_hex(4),
        name=name,
        scopes=scopes,
        fingerprint=_fingerprint(secret),
        created_at=datetime.now(UTC),
        expires_at=expires_at,
    )
    write_tokens(path, [*read_tokens(path), token])
    return token, f"{PREFIX}_{token.token_id}_{secret}"


def write_tokens(path: Path, tokens: list[Token]) -> None:
    """Replace a file's tokens in one go; only its owner can read it.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(_TokensFile(tokens=tokens).model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _fingerprint(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
