"""What a message goes out by: the protocol of webhooks, brokers and whatever else there will be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from orderacc.domain.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way.

    Attributes:
        key: Idempotency key: whoever gets a message with this key twice has got it once.
        station_id: The station it is about.
        body: JSON, UTF-8, the same bytes at every attempt.
    """

    key: str
    station_id: str
    body: bytes


class Result(StrEnum):
    """How an attempt ended."""

    DELIVERED = "delivered"
    """The receiver has it."""
    FAILED = "failed"
    """The receiver does not have it, or did not say so; it is tried again."""
    REFUSED = "refused"
    """The receiver has looked at this one message and does not take it; trying again is unlikely to help."""
    GONE = "gone"
    """The receiver asks not to be sent anything any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        result: The kind of end.
        error: Why it was not delivered, for a person; without secrets.
        rest: Seconds the receiver asked to be left alone.
    """

    result: Result
    error: str = ""
    rest: float = 0.0


DELIVERED: Final = Outcome(Result.DELIVERED)


class Sink(Protocol):
    """A receiver of messages."""

    @property
    def name(self) -> str:
        """Its name in the configuration, the log and the outbox."""
        ...

    def wants(self, verdict: Verdict) -> bool:
        """Whether it is told of such a verdict."""
        ...

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Keep its connections until cancelled, then let them go. Never raises for what is wrong with the receiver.

        Args:
            task_status: Told when `deliver` may be called; there need be no connection yet.
        """
        ...

    async def deliver(self, message: Delivery) -> Outcome:
        """Make one attempt, within bounded time. Never raises for what is wrong with the receiver.

        Args:
            message: What to send; may have been sent before.
        """
        ...
