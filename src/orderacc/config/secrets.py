"""Texts that carry credentials: used by what must have them, shown by nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError, core_schema

from orderacc.telemetry.redaction import MASK

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

ENCODED: Final = (
    "before the host may stand user:password@, and in these write "
    "%2F for /, %40 for @, %3A for :, %23 for #, %3F for ? and %25 for %"
)
"""The way out when a password takes a URL apart."""


class SecretText:
    """A text with credentials in it, such as a camera's URL.

    Whatever writes it - `str`, `repr`, a format, a dump, a log - gets it masked: of a URL the scheme, the host and the
    port, since paths and queries hold secrets too, and of any other text nothing. Only `reveal` gives the real one. Two
    are equal when the real texts are.

    Args:
        text: The real text.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The real text, for the library that opens the connection."""
        return self._text

    def __str__(self) -> str:
        if url_problem(self._text) is not None:
            return MASK
        parts = urlsplit(self._text)
        _, at, place = parts.netloc.rpartition("@")
        return f"{parts.scheme}://{MASK if at else ''}{at}{place}"

    def __repr__(self) -> str:
        return f"SecretText({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, SecretText) else NotImplemented

    def __hash__(self) -> int:
        return hash((SecretText, self._text))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SecretText is not written to where others can read it")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Made from a text, or taken as it is; dumped masked."""
        del source, handler
        return core_schema.union_schema(
            [
                core_schema.is_instance_schema(cls),
                core_schema.no_info_after_validator_function(cls, core_schema.str_schema(min_length=1, strict=True)),
            ],
            mode="left_to_right",
            custom_error_type="secret_type",
            custom_error_message="should be text, not empty",
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """A text that is only ever written."""
        del schema, handler
        return {"type": "string", "minLength": 1, "writeOnly": True, "format": "password"}


def url_with(*schemes: str) -> AfterValidator:
    """Make pydantic check that a text is a URL; annotates fields of the type `SecretText`.

    Args:
        schemes: Those that are right, in small letters.
    """

    def check(value: SecretText) -> SecretText:
        problem = url_problem(value.reveal(), schemes)
        if problem is not None:
            raise PydanticCustomError("bad_url", "{problem}", {"problem": problem})
        return value

    return AfterValidator(check)


def url_problem(text: str, schemes: tuple[str, ...] = ()) -> str | None:
    """What is wrong with a URL, without saying any of it; None when nothing is.

    A password with a slash in it would make its first half the host's port and the rest the path, and then be shown as
    such. So an `@` behind the host is refused too: a URL that says one has to write it as `%40`.

    Args:
        text: The URL.
        schemes: Those that are right, in small letters; any when empty.
    """
    scheme, separator, _ = text.partition("://")
    if not separator or (schemes and scheme.lower() not in schemes):
        return f"should begin with {' or '.join(f'{each}://' for each in schemes or ('scheme',))}"
    if any(character.isspace() or not character.isprintable() for character in text):
        return "should be a URL, without spaces or line breaks"
    try:
        parts = urlsplit(text)
        sound = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number, a bracket that is not closed
        sound = False
    if not sound or "@" in text[len(scheme) + 3 + len(parts.netloc) :]:
        return f"should be a URL such as {schemes[0] if schemes else 'scheme'}://10.0.0.7:554/stream1; {ENCODED}"
    return None
