"""Orders as others write them: JSON values in, orders out, or everything that is wrong with them.

This is the neutral schema, `Order.to_dict`. Keys it does not know are left aside and never kept: a till sends who
ordered, and that is nobody's business here.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from orderacc.domain.orders import Item, Modifier, Order, OrderLine
from orderacc.errors import BadOrderError

if TYPE_CHECKING:
    from orderacc.documents import FieldPath

HIGHEST_VERSION: Final = 2**53 - 2

_HARMLESS: Final = dict.fromkeys(map(ord, "\u00a0\u00ad\u2007\u2009\u200b\u200c\u200d\u202f\u3000\ufeff"), " ")
"""Spaces of other widths, and joiners within words and emoji: nothing to be seen of them, and tills write them."""


def _moment(value: object) -> object:
    if value is None or isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        raise PydanticCustomError("moment", "should be a time with its zone, such as 2026-11-21T12:30:00Z")
    return moment


def on_one_line(text: str) -> bool:
    """Whether a text can be shown and written: not empty, no control characters, no half of a character."""
    text = text.strip()
    return bool(text) and (text.isprintable() or text.translate(_HARMLESS).isprintable())


def _words(text: str) -> str:
    if not on_one_line(text):
        raise PydanticCustomError("words", "should be text on one line, not empty")
    return text.strip()


Words: TypeAlias = Annotated[str, Field(max_length=256), AfterValidator(_words)]
Quantity: TypeAlias = Annotated[int, Field(ge=1, le=1000)]
Moment: TypeAlias = Annotated[datetime | None, BeforeValidator(_moment)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, use_attribute_docstrings=True)


class ModifierIn(_Part):
    """How a line differs from what the menu says."""

    name: Words
    """What is added, left out or taken instead, or the size."""
    kind: Literal["add", "remove", "swap", "size"] = "add"
    """What is done with it."""
    quantity: Quantity = 1
    """How many of it in one of the line."""


class LineIn(_Part):
    """A line of an order."""

    name: Words
    """What the POS calls it."""
    quantity: Quantity = 1
    """How many; of a part of a combo, how many in one combo."""
    line_id: Words | None = None
    """Its key within the order; by default its place in the list, counted from 1."""
    parent_line_id: Words | None = None
    """The combo it is a part of."""
    sku: Annotated[str, Field(max_length=256)] = ""
    """The POS's key for the thing."""
    aliases: Annotated[tuple[Words, ...], Field(strict=False, max_length=64)] = ()
    """Other names of it."""
    modifiers: Annotated[tuple[ModifierIn, ...], Field(strict=False, max_length=64)] = ()
    """How it differs from the menu."""
    verifiability: Literal["visible", "occluded", "ignore"] = "visible"
    """Whether a camera can see it, and whether anybody cares."""
    voided: bool = False
    """Whether it was taken back."""

    @property
    def plain(self) -> bool:
        """Whether it is a name and a number, and no more."""
        return self.model_fields_set <= {"name", "quantity"}


class TableLineIn(_Part):
    """A line in a table of orders, of which no more is read."""

    name: Words
    """What the POS calls it."""
    quantity: Quantity = 1
    """How many."""


class OrderIn(_Part):
    """An order of any till. Keys beyond these are not read."""

    order_id: Words
    """The POS's key for it."""
    items: Annotated[tuple[LineIn, ...], Field(strict=False, max_length=1000)]
    """Its lines."""
    version: Annotated[int, Field(ge=1, le=HIGHEST_VERSION)] | None = None
    """Grows when it is amended; where a till does not count, we do."""
    source: Annotated[str, Field(max_length=64)] = ""
    """Which feed it came from."""
    location_id: Annotated[str, Field(max_length=256)] = ""
    """The restaurant."""
    display_id: Words | None = None
    """The number printed on the slip; by default the order id."""
    state: Literal["open", "ready", "closed", "cancelled"] = "open"
    """How far it is."""
    channel: Annotated[str, Field(max_length=64)] = ""
    """How it was ordered."""
    placed_at: Moment = None
    """When it was placed."""
    due_at: Moment = None
    """When it should be handed out."""

    def order(self, source: str | None = None) -> Order:
        """The order.

        Args:
            source: Its source, whatever it says itself.

        Raises:
            ValueError: If its lines do not hang together, or a time is beyond the calendar.
        """
        plain = all(line.plain for line in self.items)
        return Order(
            order_id=self.order_id,
            items=tuple(Item(line.name, line.quantity) for line in self.items) if plain else (),
            version=self.version or 0,
            source=self.source if source is None else source,
            location_id=self.location_id,
            display_id=self.display_id or "",
            state=self.state,
            channel=self.channel,
            placed_at=self.placed_at,
            due_at=self.due_at,
            lines=() if plain else tuple(_line(line, index) for index, line in enumerate(self.items, 1)),
        )


def read_order(data: object, *, source: str | None = None) -> Order:
    """Read one order out of JSON values.

    Args:
        data: What `json.loads` gave.
        source: The order's source, whatever it says itself; None believes it.

    Returns:
        The order; version 0 where it has none.

    Raises:
        BadOrderError: With all that is wrong.
    """
    try:
        return OrderIn.model_validate(data).order(source)
    except ValidationError as error:
        raise _bad(error) from None
    except ValueError as error:
        raise BadOrderError([((), str(error))]) from None


def read_table_line(data: object) -> Item:
    """Read a line of a table of orders.

    Args:
        data: What `json.loads` gave.

    Raises:
        BadOrderError: With all that is wrong.
    """
    try:
        line = TableLineIn.model_validate(data)
    except ValidationError as error:
        raise _bad(error) from None
    return Item(line.name, line.quantity)


def read_each(data: list[Any], source: str | None = None) -> tuple[list[Order], list[tuple[FieldPath, str]]]:
    """Read many orders.

    Args:
        data: What `json.loads` gave for each.
        source: As in `read_order`.

    Returns:
        The good ones, and what is wrong with the others: the place in the list and within the order, and the message.
    """
    orders: list[Order] = []
    problems: list[tuple[FieldPath, str]] = []
    for index, entry in enumerate(data):
        try:
            orders.append(read_order(entry, source=source))
        except BadOrderError as error:
            problems += [((index, *path), message) for path, message in error.problems]
    return orders, problems


def read_answer(data: Any, source: str) -> tuple[list[Order], list[tuple[FieldPath, str]]]:  # noqa: ANN401  JSON
    """Read what a till answers in this schema: a list of orders, the same under the key `orders`, or one order."""
    entries = data.get("orders") if isinstance(data, dict) and "orders" in data else data
    return read_each(entries if isinstance(entries, list) else [entries], source)


def _line(line: LineIn, index: int) -> OrderLine:
    return OrderLine(
        line_id=line.line_id or str(index),
        name=line.name,
        quantity=line.quantity,
        parent_line_id=line.parent_line_id,
        sku=line.sku,
        aliases=line.aliases,
        modifiers=tuple(Modifier(one.name, one.kind, one.quantity) for one in line.modifiers),
        verifiability=line.verifiability,
        voided=line.voided,
    )


_PLAIN: Final = {
    "missing": "is required",
    "string_type": "should be text",
    "int_type": "should be a whole number",
    "bool_type": "should be true or false",
    "model_type": "should be a table of keys",
    "tuple_type": "should be a list",
    "string_too_long": "should be shorter",
    "too_long": "should be a shorter list",
    "string_unicode": "should be text without halves of characters",
}


def _bad(error: ValidationError) -> BadOrderError:
    return BadOrderError([(detail["loc"], _problem(detail)) for detail in error.errors(include_url=False)])


def _problem(detail: Any) -> str:  # noqa: ANN401  a pydantic error
    """What is wrong with a value, which may be anything and is not repeated."""
    message = _PLAIN.get(detail["type"], detail["msg"])
    return str(message[0].lower() + message[1:])
