"""Verdicts in figures.

What is counted, and over which orders:

- Items: units seen against units that lay there, over orders whose one verdict looked (is not `undetermined`).
- Discrepancies: units missing and extra, and items in another number, each with that number; over all orders of the
  truth, for a discrepancy nobody was told of is missed whatever the reason. An `unsure` verdict's are counted: the
  crew is told to look at them.
- Abstaining: orders judged `unsure` or `undetermined`.
- Calibration: of verdicts that are `accurate` or `inaccurate`, confidence against the status being right; of lines
  seen, confidence against the number being right.

An order with no verdict, or with several, is never right.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from orderacc.domain.menus import fold_name
from orderacc.domain.orders import Item
from orderacc.evaluation.calibration import Calibration, calibrate
from orderacc.evaluation.tally import Tally, tally
from orderacc.simulator.scoring import by_time, outcome
from orderacc.simulator.truth import differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from orderacc.domain.menus import Menu
    from orderacc.evaluation.reading import TrueOrder

KINDS: Final = ("missing", "extra", "quantity_mismatch")

TRUE_STATUSES: Final = ("accurate", "inaccurate")

OUTCOMES: Final = ("accurate", "inaccurate", "unsure", "undetermined", "none", "several")
"""What an order came to: its verdict's status, or that it has no verdict or more than one."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How right the verdicts are.

    Attributes:
        orders: Orders in the truth.
        right: Orders whose one verdict has the true status and the true discrepancies.
        abstained: Orders judged `unsure` or `undetermined`.
        let_go: Orders that were inaccurate and judged accurate, the worst that can happen.
        false_alarms: Orders that were accurate and judged inaccurate.
        stray: Verdicts that belong to no order.
        confusion: By true status and what it came to, the number of orders.
        items: By item, units seen against units there.
        kinds: By kind of discrepancy, what was told against what was so.
        verdict_calibration: Confidence of verdicts that decide.
        line_calibration: Confidence of the lines they saw.
        wrong: A line per order that is not right, for a person to look into.
    """

    orders: int
    right: int
    abstained: int
    let_go: int
    false_alarms: int
    stray: int
    confusion: Mapping[str, Mapping[str, int]]
    items: Mapping[str, Tally]
    kinds: Mapping[str, Tally]
    verdict_calibration: Calibration
    line_calibration: Calibration
    wrong: tuple[str, ...]

    @property
    def all_items(self) -> Tally:
        """All items together."""
        return sum(self.items.values(), Tally())

    @property
    def all_kinds(self) -> Tally:
        """All discrepancies together."""
        return sum(self.kinds.values(), Tally())

    @property
    def right_share(self) -> float:
        """Share of orders with the right verdict."""
        return self.right / self.orders

    @property
    def abstain_rate(self) -> float:
        """Share of orders left to a person."""
        return self.abstained / self.orders

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "orders": self.orders,
            "right": self.right,
            "right_share": round(self.right_share, 4),
            "abstained": self.abstained,
            "abstain_rate": round(self.abstain_rate, 4),
            "let_go": self.let_go,
            "false_alarms": self.false_alarms,
            "stray": self.stray,
            "confusion": {status: dict(row) for status, row in self.confusion.items()},
            "items": {name: each.to_dict() for name, each in self.items.items()},
            "all_items": self.all_items.to_dict(),
            "discrepancies": {kind: each.to_dict() for kind, each in self.kinds.items()},
            "all_discrepancies": self.all_kinds.to_dict(),
            "calibration": {"verdicts": self.verdict_calibration.to_dict(), "lines": self.line_calibration.to_dict()},
            "wrong": list(self.wrong),
        }


def evaluate(
    truth: Sequence[TrueOrder],
    verdicts: Iterable[Mapping[str, Any]],
    *,
    epoch: datetime,
    menu: Menu | None = None,
) -> Evaluation:
    """Hold verdicts against the truth.

    A verdict belongs to the order it shares the most time with; where the truth has no times, to the next order whose
    slip has its number.

    Args:
        truth: The orders of one video, at least one.
        verdicts: `Verdict.to_dict()` of each verdict of that video.
        epoch: Wall-clock time of second 0 of the video, aware.
        menu: Resolves names; what it calls occluded or to be ignored is left out of the truth.
    """
    given, stray = _paired(truth, list(verdicts), epoch)
    book = _Book(menu)
    for order, own in zip(truth, given, strict=True):
        book.add(order, own)
    return book.close(len(stray))


def _paired(
    truth: Sequence[TrueOrder], verdicts: list[Mapping[str, Any]], epoch: datetime
) -> tuple[list[list[Mapping[str, Any]]], list[Mapping[str, Any]]]:
    if all(order.opened_s is not None for order in truth):
        return by_time([{"opened_s": order.opened_s, "closed_s": order.closed_s} for order in truth], verdicts, epoch)
    waiting: dict[str | None, list[int]] = defaultdict(list)
    for index, order in enumerate(truth):
        waiting[order.slip_text].append(index)
    given: list[list[Mapping[str, Any]]] = [[] for _ in truth]
    stray: list[Mapping[str, Any]] = []
    for verdict in sorted(verdicts, key=lambda one: one["opened_at"] or ""):
        indexes = waiting.get(verdict["slip_text"]) if verdict["slip_text"] else None
        if not indexes:
            stray.append(verdict)
        else:  # the last order of a number takes all verdicts that are left: it has several then
            given[indexes.pop(0) if len(indexes) > 1 else indexes[0]].append(verdict)
    return given, stray


@dataclass(slots=True)
class _Book:
    """Counts as orders come in."""

    menu: Menu | None
    results: Counter[str] = field(default_factory=Counter)
    confusion: dict[str, Counter[str]] = field(default_factory=lambda: {one: Counter() for one in TRUE_STATUSES})
    items: dict[str, Tally] = field(default_factory=dict)
    kinds: dict[str, Tally] = field(default_factory=lambda: dict.fromkeys(KINDS, Tally()))
    claims: list[tuple[float, bool]] = field(default_factory=list)
    line_claims: list[tuple[float, bool]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)

    def add(self, order: TrueOrder, verdicts: Sequence[Mapping[str, Any]]) -> None:
        there, wanted = self._counted(order.items), self._counted(order.expected)
        true = differences(_lines(wanted), _lines(there))
        verdict = self._renamed(verdicts[0]) if len(verdicts) == 1 else None
        came_to = verdict["status"] if verdict is not None else "several" if verdicts else "none"
        self.results["orders"] += 1
        self.confusion[true["status"]][came_to] += 1
        for kind in KINDS:
            said = _discrepancies(kind, verdict) if verdict is not None else Counter[Any]()
            self.kinds[kind] += tally(said, _discrepancies(kind, true))
        if verdict is not None and came_to != "undetermined":
            self._count_items(verdict["seen"], there)
        if verdict is not None and came_to in TRUE_STATUSES:
            self.claims.append((verdict["confidence"], came_to == true["status"]))
        if verdict is not None and outcome(verdict) == outcome(true):
            self.results["right"] += 1
        else:
            self.wrong.append(_explained(order, true["status"], came_to, verdict, there))

    def close(self, stray: int) -> Evaluation:
        rows = {status: {one: row[one] for one in OUTCOMES} for status, row in self.confusion.items()}
        return Evaluation(
            orders=self.results["orders"],
            right=self.results["right"],
            abstained=sum(row["unsure"] + row["undetermined"] for row in rows.values()),
            let_go=rows["inaccurate"]["accurate"],
            false_alarms=rows["accurate"]["inaccurate"],
            stray=stray,
            confusion=rows,
            items=self._in_menu_order(),
            kinds=self.kinds,
            verdict_calibration=calibrate(self.claims),
            line_calibration=calibrate(self.line_claims),
            wrong=tuple(self.wrong),
        )

    def _count_items(self, seen: Sequence[Mapping[str, Any]], there: Counter[str]) -> None:
        said = Counter[str]()
        for line in seen:
            said[line["name"]] += line["quantity"]
        for name in said | there:
            each = tally(Counter({name: said[name]}), Counter({name: there[name]}))
            self.items[name] = self.items.get(name, Tally()) + each
        self.line_claims += [(line["confidence"], said[line["name"]] == there[line["name"]]) for line in seen]

    def _counted(self, items: tuple[Item, ...]) -> Counter[str]:
        """Units by name, of what a camera can find."""
        counts = Counter[str]()
        for item in items if self.menu is None else self.menu.unpacked(items):
            known = self.menu.find(item.name) if self.menu else None
            if known is None or known.verifiability == "visible":
                counts[self._name(item.name)] += item.quantity
        return counts

    def _renamed(self, verdict: Mapping[str, Any]) -> dict[str, Any]:
        lists = {key: [{**line, "name": self._name(line["name"])} for line in verdict[key]] for key in ("seen", *KINDS)}
        return {**verdict, **lists}

    def _name(self, name: str) -> str:
        """One name for all spellings that the menu, or case and accents, make one."""
        known = self.menu.find(name) if self.menu else None
        return known.name if known else self._names.setdefault(fold_name(name), name)

    def _in_menu_order(self) -> dict[str, Tally]:
        place = {name: index for index, name in enumerate(self.menu.names)} if self.menu else {}
        names = sorted(self.items, key=lambda name: (place.get(name, len(place)), name))
        return {name: self.items[name] for name in names}


def _lines(counts: Counter[str]) -> list[Item]:
    return [Item(name, quantity) for name, quantity in counts.items()]


def _discrepancies(kind: str, judged: Mapping[str, Any]) -> Counter[Any]:
    """Units missing or extra by name; of mismatches the item with both numbers, once."""
    counts = Counter[Any]()
    for line in judged[kind]:
        if kind == "quantity_mismatch":
            counts[line["name"], line["expected"], line["seen"]] += 1
        else:
            counts[line["name"]] += line["quantity"]
    return counts


def _explained(
    order: TrueOrder, status: str, came_to: str, verdict: Mapping[str, Any] | None, there: Counter[str]
) -> str:
    at = "" if order.opened_s is None else f" at {order.opened_s:.0f} s"
    lay = ", ".join(f"{quantity} {name}" for name, quantity in there.items()) or "nothing"
    if verdict is None:
        return f"{order.order_id}{at}: {came_to} instead of one verdict; there were {lay}"
    saw = ", ".join(f"{line['quantity']} {line['name']}" for line in verdict["seen"]) or "nothing"
    why = verdict.get("reason") or verdict.get("sentence") or "no reason"
    return f"{order.order_id}{at}: {came_to} ({why}) instead of {status}; saw {saw}; there were {lay}"
