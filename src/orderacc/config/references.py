"""Values that stand elsewhere: `${NAME}` in the environment, `file:PATH` in a file (one secret, one file)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orderacc.documents import FieldPath

LONGEST_SECRET: Final = 65536
_NAME: Final = re.compile(r"\$\{([^}]*)\}")


def resolve(
    data: Any,  # noqa: ANN401  parsed text
    base: Path,
    environment: Mapping[str, str],
    complain: Callable[[FieldPath, str], None],
) -> Any:  # noqa: ANN401  likewise
    """Replace every reference in every text of a document.

    Args:
        data: Parsed YAML.
        base: What relative paths are relative to.
        environment: Environment variables.
        complain: Called with the place and the message for each reference that leads nowhere; it stays as written.
    """

    def text(value: str, path: FieldPath) -> str:
        try:
            if value.startswith("file:"):
                return _from_file(base / Path(value.removeprefix("file:")).expanduser())
            return _NAME.sub(lambda match: _from_environment(match[1], environment), value)
        except (ValueError, RuntimeError) as error:  # a text that leads nowhere, or the home directory of nobody
            complain(path, str(error))
            return value

    def walk(value: Any, path: FieldPath) -> Any:  # noqa: ANN401  likewise
        if isinstance(value, str):
            return text(value, path)
        if isinstance(value, dict):
            return {key: walk(inner, (*path, str(key))) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner, (*path, index)) for index, inner in enumerate(value)]
        return value

    return walk(data, ())


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        raise ValueError(f"the environment variable {name!r} is not set")
    return environment[name]


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(LONGEST_SECRET + 1)
        if len(content) > LONGEST_SECRET:
            raise ValueError(f"{path} is too large for a secret")
        return content.decode().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
