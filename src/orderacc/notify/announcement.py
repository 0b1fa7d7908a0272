"""What the outside is told of a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orderacc.domain.verdicts import Verdict
    from orderacc.notify.sink import Sink


@dataclass(frozen=True, slots=True)
class Announcement:
    """A message that is to be put into the outbox.

    Attributes:
        sink: Name of the receiver.
        station_id: The station it is about; messages about one station arrive in their order.
        key: Idempotency key.
        body: JSON values.
    """

    sink: str
    station_id: str
    key: str
    body: Mapping[str, Any]


class Announcer:
    """Turns verdicts into messages.

    Args:
        store: Name of the restaurant, so that one receiver can serve many; part of every key.
        sinks: The receivers.
    """

    def __init__(self, store: str, sinks: Sequence[Sink]) -> None:
        self._store = store
        self._sinks = tuple(sinks)

    def announce(self, verdict: Verdict, moment: str) -> tuple[Announcement, ...]:
        """A message for every receiver that wants to know.

        Args:
            verdict: Signed: with its id and station.
            moment: When it was reached, ISO 8601 UTC.
        """
        interested = [sink.name for sink in self._sinks if sink.wants(verdict)]
        if not interested:
            return ()
        key = f"{self._store}/{verdict.verdict_id}/{verdict.revision}"
        body = self._body(verdict, key, moment)
        return tuple(Announcement(name, verdict.station_id or "", key, body) for name in interested)

    def _body(self, verdict: Verdict, key: str, moment: str) -> dict[str, Any]:
        return {
            "type": "verdict.reached" if verdict.revision == 1 else "verdict.revised",
            "timestamp": moment,
            "key": key,
            "store": self._store,
            "data": verdict.to_dict(),
        }
