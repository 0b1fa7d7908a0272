"""What was paid for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from orderacc.domain.order_lines import Item, Modifier, OrderLine, must_be_seen, need_not_be_seen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Item", "Modifier", "Order", "OrderLine", "OrderState"]

OrderState: TypeAlias = Literal["open", "ready", "closed", "cancelled"]

SCHEMA: Final = 1
"""Version of an order's JSON; grows when a field changes its meaning or goes."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the POS knows it. Nothing in it tells who ordered.

    Attributes:
        order_id: The POS's key for it, unique within its source.
        items: What must be seen on the counter. Where there are `lines` it follows from them: the parts of combos,
            without what is voided or cannot be seen, equal names added up. Without them it is what the POS sent.
        version: Grows when the POS amends the order. 0 says that its source does not number versions; the store then
            does.
        source: Which feed it came from; order ids of two sources have nothing to do with each other.
        location_id: The restaurant, where a POS serves several.
        display_id: The number printed on the slip, which may come again during a day; the order id when left out.
        state: How far it is. `closed` may be long before it is handed out: many tills close what is paid.
        channel: How it was ordered, in the POS's words: `drive`, `counter`, `delivery`.
        placed_at: When it was placed, aware; kept in UTC to the millisecond.
        due_at: When it should be handed out; likewise.
        lines: Its lines in full.

    Raises:
        ValueError: If an id is blank, the version negative, a time naive, or the lines do not hang together.
    """

    order_id: str
    items: tuple[Item, ...] = ()
    version: int = 1
    source: str = ""
    location_id: str = ""
    display_id: str = ""
    state: OrderState = "open"
    channel: str = ""
    placed_at: datetime | None = None
    due_at: datetime | None = None
    lines: tuple[OrderLine, ...] = ()

    def __post_init__(self) -> None:
        if not self.order_id.strip():
            raise ValueError("an order needs an id")
        if isinstance(self.version, bool) or not isinstance(self.version, int) or self.version < 0:
            raise ValueError(f"version of order {self.order_id!r} must be a whole number from 0, not {self.version!r}")
        object.__setattr__(self, "display_id", self.display_id or self.order_id)
        object.__setattr__(self, "placed_at", _in_utc(self.placed_at, "placed_at"))
        object.__setattr__(self, "due_at", _in_utc(self.due_at, "due_at"))
        if self.lines:
            object.__setattr__(self, "items", must_be_seen(self.lines))

    @property
    def live(self) -> bool:
        """Whether it is yet to be handed out, as far as the POS knows."""
        return self.state in ("open", "ready")

    @property
    def hidden(self) -> tuple[Item, ...]:
        """What was paid for besides the items and need not be seen: what is in a closed box or of no interest."""
        return need_not_be_seen(self.lines)

    def to_dict(self) -> dict[str, Any]:
        """The order as JSON values, every key always present; `from_dict` reads it back."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "location_id": self.location_id,
            "order_id": self.order_id,
            "display_id": self.display_id,
            "version": self.version,
            "state": self.state,
            "channel": self.channel,
            "placed_at": _written(self.placed_at),
            "due_at": _written(self.due_at),
            "items": [line.to_dict() for line in self.lines]
            or [{"name": item.name, "quantity": item.quantity} for item in self.items],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Order:
        """Read what `to_dict` wrote. What others wrote goes through `orderacc.orders.schema`.

        Raises:
            ValueError: If a value is wrong.
            KeyError: If one is missing.
        """
        entries = content["items"]
        full = any("line_id" in entry for entry in entries)
        return cls(
            order_id=content["order_id"],
            items=() if full else tuple(Item(entry["name"], entry["quantity"]) for entry in entries),
            version=content["version"],
            source=content["source"],
            location_id=content["location_id"],
            display_id=content["display_id"],
            state=content["state"],
            channel=content["channel"],
            placed_at=_read(content["placed_at"]),
            due_at=_read(content["due_at"]),
            lines=tuple(OrderLine.from_dict(entry) for entry in entries) if full else (),
        )


def _in_utc(moment: datetime | None, field: str) -> datetime | None:
    if moment is None:
        return None
    if moment.utcoffset() is None:
        raise ValueError(f"{field} must say its time zone: {moment.isoformat()}Z, or with an offset")
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{field} is beyond any calendar: {moment.isoformat()}") from None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _read(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
