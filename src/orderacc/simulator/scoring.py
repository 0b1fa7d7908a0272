"""Verdicts held against the ground truth."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Score:
    """How the verdicts of one video compare with its truth.

    Attributes:
        orders: Orders in the truth.
        right: Orders whose single verdict has the true status, missing, extra and quantity mismatches.
        slips_read: Orders whose verdict carries the number printed on the slip.
        single: Orders with exactly one verdict.
        unsure: Orders judged `unsure`.
        undetermined: Orders judged `undetermined`.
        stray: Verdicts that belong to no order.
        foreign_frames: Evidence frames taken outside the order's stay at the counter.
        wrong: A line per order that is not right, for a person to look into.
    """

    orders: int = 0
    right: int = 0
    slips_read: int = 0
    single: int = 0
    unsure: int = 0
    undetermined: int = 0
    stray: int = 0
    foreign_frames: int = 0
    wrong: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready figures, by field."""
        return asdict(self)

    def __add__(self, other: Score) -> Score:
        """Both videos together."""
        return Score(
            *(getattr(self, name) + getattr(other, name) for name in self.__slots__)  # fields in order
        )


def score(truth: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]], epoch: datetime) -> Score:
    """Compare.

    Args:
        truth: The content of truth.json.
        verdicts: `Verdict.to_dict()` of every verdict of that video.
        epoch: The wall-clock time given to frame time 0.
    """
    orders = truth["orders"]
    given, stray = by_time(orders, verdicts, epoch)
    total = Score(stray=len(stray))
    for order, own in zip(orders, given, strict=True):
        total += _score_order(order, own, epoch)
    return total


def by_time(
    orders: Sequence[Mapping[str, Any]], verdicts: Iterable[Mapping[str, Any]], epoch: datetime
) -> tuple[list[list[Mapping[str, Any]]], list[Mapping[str, Any]]]:
    """Give every verdict to the order it shares the most time with.

    Args:
        orders: Each with `opened_s` and `closed_s`, in seconds from the epoch.
        verdicts: Each with `opened_at` and `closed_at`; without these it belongs to no order.
        epoch: The wall-clock time of second 0.

    Returns:
        The verdicts of each order, and those that belong to none.
    """
    given: list[list[Mapping[str, Any]]] = [[] for _ in orders]
    stray: list[Mapping[str, Any]] = []
    for verdict in verdicts:
        opened, closed = (verdict["opened_at"], verdict["closed_at"])
        shared = (
            [_overlap(_seconds(opened, epoch), _seconds(closed, epoch), order) for order in orders]
            if opened and closed
            else []
        )
        best = max(range(len(shared)), key=shared.__getitem__, default=None)
        if best is None or shared[best] <= 0:
            stray.append(verdict)
        else:
            given[best].append(verdict)
    return given, stray


def _overlap(opened: float, closed: float, order: Mapping[str, Any]) -> float:
    shared: float = min(closed, order["closed_s"]) - max(opened, order["opened_s"])
    return shared


def _score_order(order: Mapping[str, Any], own: Sequence[Mapping[str, Any]], epoch: datetime) -> Score:
    if len(own) != 1:
        return Score(orders=1, wrong=(f"{order['order_id']}: {len(own)} verdicts",))
    verdict = own[0]
    right = outcome(verdict) == outcome(order)
    times = [_seconds(frame["at"], epoch) for frame in verdict["frames"]]
    return Score(
        orders=1,
        right=int(right),
        slips_read=int(verdict["slip_text"] == order["slip_text"]),
        single=1,
        unsure=int(verdict["status"] == "unsure"),
        undetermined=int(verdict["status"] == "undetermined"),
        foreign_frames=sum(not order["opened_s"] <= at <= order["closed_s"] for at in times),
        wrong=() if right else (_explanation(order, verdict),),
    )


def outcome(judged: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a verdict or a truth says of an order: equal for two that say the same."""
    return (
        judged["status"],
        _counts(judged["missing"]),
        _counts(judged["extra"]),
        sorted((line["name"], line["expected"], line["seen"]) for line in judged["quantity_mismatch"]),
    )


def _counts(lines: Iterable[Mapping[str, Any]]) -> Counter[str]:
    counts = Counter[str]()
    for line in lines:
        counts[line["name"]] += line["quantity"]
    return counts


def _explanation(order: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    seen = ", ".join(f"{line['quantity']} {line['name']}" for line in verdict["seen"])
    true = ", ".join(f"{line['quantity']} {line['name']}" for line in order["items"])
    return (
        f"{order['order_id']} at {order['opened_s']:.0f}-{order['closed_s']:.0f} s: {verdict['status']}"
        f" ({verdict['reason'] or verdict['sentence']}) instead of {order['status']};"
        f" slip {verdict['slip_text']}; saw {seen or 'nothing'}; there were {true}"
    )


def _seconds(moment: str, epoch: datetime) -> float:
    return (datetime.fromisoformat(moment) - epoch).total_seconds()
