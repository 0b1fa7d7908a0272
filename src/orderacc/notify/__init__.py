"""Telling the outside of verdicts: webhooks and MQTT, out of an outbox that forgets nothing."""

from __future__ import annotations

from orderacc.notify.announcement import Announcer
from orderacc.notify.pump import Outbox, Pending, Pump, PumpPolicy
from orderacc.notify.sink import Delivery, Outcome, Sink
from orderacc.notify.statistics import SinkState, SinkStatistics

__all__ = [
    "Announcer",
    "Delivery",
    "Outbox",
    "Outcome",
    "Pending",
    "Pump",
    "PumpPolicy",
    "Sink",
    "SinkState",
    "SinkStatistics",
]
