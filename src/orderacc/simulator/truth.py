"""Ground truth: what was really on the counter, when it could be seen, and what the POS claims."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from orderacc.simulator.menu import DEMO_ITEMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orderacc.domain.orders import Item
    from orderacc.simulator.render import Sighting
    from orderacc.simulator.script import Script, ScriptedOrder
    from orderacc.simulator.timeline import Timeline

SCHEMA: Final = 1
"""Version of truth.json."""

VISIBLE: Final = 0.5
"""A piece counts as visible while at least this share of it is."""


@dataclass(slots=True)
class VisibilityLog:
    """Collects from frame to frame when each piece could be seen.

    Attributes:
        spans: Per order index and piece, the spans of seconds in which it was visible.
    """

    spans: dict[int, dict[str, list[list[float]]]] = field(default_factory=lambda: defaultdict(dict))
    _last: dict[tuple[int, str], float] = field(default_factory=dict)

    def note(self, at: float, sightings: Iterable[Sighting], period: float) -> None:
        """Add one frame, which stands for `period` seconds."""
        for seen in sightings:
            if seen.order < 0 or seen.label == "bag" or seen.visible < VISIBLE:
                continue
            key = (seen.order, seen.key)
            spans = self.spans[seen.order].setdefault(seen.key, [])
            if key in self._last and at - self._last[key] < 1.5 * period:
                spans[-1][1] = round(at, 3)
            else:
                spans.append([round(at, 3), round(at, 3)])
            self._last[key] = at


def differences(expected: Iterable[Item], laid: Iterable[Item]) -> dict[str, Any]:
    """Compare two lists of menu names, counted as the verdict format counts."""
    want, have = Counter[str](), Counter[str]()
    for item in expected:
        want[item.name] += item.quantity
    for item in laid:
        have[item.name] += item.quantity
    both = [name for name in want if have[name] and have[name] != want[name]]
    missing = [{"name": name, "quantity": count} for name, count in want.items() if not have[name]]
    extra = [{"name": name, "quantity": count} for name, count in have.items() if not want[name]]
    mismatch = [{"name": name, "expected": want[name], "seen": have[name]} for name in both]
    return {
        "status": "inaccurate" if missing or extra or mismatch else "accurate",
        "missing": missing,
        "extra": extra,
        "quantity_mismatch": mismatch,
    }


def truth_of(script: Script, timeline: Timeline, log: VisibilityLog, size: tuple[int, int]) -> dict[str, Any]:
    """The content of truth.json."""
    return {
        "schema": SCHEMA,
        "seed": script.seed,
        "fps": script.fps,
        "size": list(size),
        "orders": [_order(index, order, timeline, log) for index, order in enumerate(script.orders)],
    }


def _order(index: int, order: ScriptedOrder, timeline: Timeline, log: VisibilityLog) -> dict[str, Any]:
    opened, closed = timeline.span(index)
    has_slip = any(action.do == "slip" for action in order.actions)
    return {
        "order_id": order.order_id,
        "slip_text": order.order_id if has_slip else None,
        "opened_s": round(opened, 3),
        "closed_s": round(closed, 3),
        "items": _lines(order.laid),
        "expected": _lines(order.paid),
        **differences(order.paid, order.laid),
        "visible": log.spans.get(index, {}),
    }


def _lines(items: Iterable[Item]) -> list[dict[str, Any]]:
    return [{"name": item.name, "quantity": item.quantity} for item in items]


def pos_orders(script: Script) -> dict[str, list[dict[str, Any]]]:
    """The content of orders.json: what the POS claims, by order number."""
    return {order.order_id: _lines(order.paid) for order in script.orders}


def inventory() -> dict[str, list[dict[str, Any]]]:
    """The content of inventory.json: the demo menu."""
    return {
        "items": [
            {
                "id": item.item_id,
                "name": item.name,
                "category": item.category,
                "aliases": list(item.aliases),
                "group": item.group,
            }
            for item in DEMO_ITEMS
        ]
    }
