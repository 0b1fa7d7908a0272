"""Events of what changes at the stations."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio

from orderacc.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orderacc.capture import StationHealth
    from orderacc.service.ledger import Ledger

LOOK_EVERY: Final = 0.25
"""Seconds between looks at the stations."""


async def tell_of_stations(ledger: Ledger, health: Callable[[], Mapping[str, StationHealth]]) -> None:
    """Tell a ledger of every change of a station's phase or warnings, until cancelled.

    Args:
        ledger: Keeps the events.
        health: Gives how every station is.
    """
    known: dict[str, tuple[str, tuple[str, ...]]] = {}
    while True:
        now = {name: (str(one.phase), tuple(map(str, one.warnings))) for name, one in health().items()}
        gone = dict.fromkeys(known.keys() - now.keys(), ("removed", ()))
        for name, (phase, warnings) in (now | gone).items():
            if known.get(name) != (phase, warnings):
                # A ledger that refuses now is told later; it says itself what is wrong with it.
                with suppress(StorageError):
                    await ledger.station_event(name, {"phase": phase, "warnings": list(warnings)})
                    known[name] = (phase, warnings)
        for name in gone:
            del known[name]
        await anyio.sleep(LOOK_EVERY)
