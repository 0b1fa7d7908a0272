"""The verdict on an order: what was seen against what was paid for.

When a verdict is `unsure`. Every line seen has a confidence (from the frames; a name matched by likeness has at most
the likeness's score). A line is doubtful below `DOUBT_BELOW`. The rule asks whether doubtful lines decide:

- Everything in order: every line decides, for any of them, were it wrong, would turn the verdict. One doubtful line
  (listed with quantity 0 or more) makes it `unsure`. The verdict's confidence is the lowest of all.
- Something amiss: one discrepancy that is beyond doubt is enough. Only if every discrepancy is doubtful is the verdict
  `unsure`. The verdict's confidence is the highest among the discrepancies. A surplus, a shortfall and an extra are as
  sure as their line. A missing item is sure, unless the frames list it with quantity 0 (then it is as sure as that
  line), or an extra of the same kind may be it (then it is at most as sure as that extra).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from orderacc.domain.orders import Item
from orderacc.domain.verdicts import QuantityMismatch, SeenItem, Substitution, Verdict
from orderacc.validation.matching import Line, Strategy, identify, match_lines, nearest_line, substitutions
from orderacc.validation.sentence import crew_sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orderacc.domain.menus import Menu

DOUBT_BELOW: Final = 0.6


@dataclass(slots=True)
class _Account:
    """One name's counts on both sides, and how sure the seen side is."""

    name: str
    expected: int = 0
    matched: int = 0
    beyond: int = 0
    confidence: float = 1.0

    @property
    def seen(self) -> int:
        return self.matched + self.beyond


@dataclass(slots=True)
class _Ledger:
    """All accounts: ordered ones first, then what came on top; and what the frames deny with a confidence."""

    ordered: list[_Account]
    others: list[_Account] = field(default_factory=list)
    denied: dict[str, float] = field(default_factory=dict)


def judge(
    expected: Iterable[Item],
    seen: Iterable[Item | SeenItem],
    *,
    menu: Menu | None = None,
    strategy: Strategy = "hybrid",
    threshold: float = 0.85,
) -> Verdict:
    """Compare an order with what was seen.

    Args:
        expected: The order's lines; repeated lines add up.
        seen: What was on the counter; repeated lines add up. `fuse` makes these from frames.
        menu: Resolves ids and aliases; two names of different menu items are never the same thing.
        strategy: `exact` takes names that are equal once normalised; `semantic` matches all lines by likeness at once;
            `hybrid` takes equal names first and matches the rest by likeness.
        threshold: Least likeness, 0 to 1, at which two names are the same thing.

    Returns:
        `accurate`, `inaccurate` or `unsure`, with every unit on either side accounted for.

    Raises:
        ValueError: If the strategy is unknown or the threshold not within 0 to 1.
    """
    if strategy not in ("exact", "semantic", "hybrid"):
        raise ValueError(f"strategy must be exact, semantic or hybrid, not {strategy!r}")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be within 0 to 1, not {threshold!r}")
    wanted, _ = _collect(expected, menu)
    there, denied = _collect(seen, menu)
    ledger = _balance(wanted, there, strategy, threshold)
    ordered_as = {line.key: line.name for line in wanted}
    present = {line.key for line in there}
    ledger.denied = {ordered_as.get(key, name): sure for key, (name, sure) in denied.items() if key not in present}
    return _conclude(ledger, menu)


def _collect(items: Iterable[Item | SeenItem], menu: Menu | None) -> tuple[list[Line], dict[str, tuple[str, float]]]:
    """Add repeated lines up. Also: by key, the name and confidence of lines with quantity 0."""
    lines: dict[str, Line] = {}
    none_seen: dict[str, tuple[str, float]] = {}
    for item in items:
        key, name = identify(item.name, menu)
        confidence = item.confidence if isinstance(item, SeenItem) else 1.0
        if not item.quantity:
            none_seen[key] = (name, min(confidence, none_seen.get(key, (name, 1.0))[1]))
        elif (line := lines.get(key)) is None:
            lines[key] = Line(key, name, item.quantity, confidence)
        else:
            lines[key] = Line(key, line.name, line.quantity + item.quantity, min(line.confidence, confidence))
    return list(lines.values()), none_seen


def _balance(wanted: Sequence[Line], there: Sequence[Line], strategy: Strategy, threshold: float) -> _Ledger:
    ledger = _Ledger([_Account(line.name, line.quantity) for line in wanted])
    left = [line.quantity for line in there]
    account_of: dict[int, _Account] = {}
    for pair in match_lines(wanted, there, strategy, threshold):
        account = ledger.ordered[pair.expected]
        account.matched += pair.quantity
        account.confidence = min(account.confidence, there[pair.seen].confidence, pair.score)
        left[pair.seen] -= pair.quantity
        account_of.setdefault(pair.seen, account)
    for index, line in enumerate(there):
        if not left[index]:
            continue
        alike = nearest_line(line, wanted, threshold) if index not in account_of and strategy != "exact" else None
        if index in account_of:
            account_of[index].beyond += left[index]
        elif alike is not None:  # more of an ordered thing under another spelling, and all of that is there already
            account = ledger.ordered[alike[0]]
            account.beyond += left[index]
            account.confidence = min(account.confidence, line.confidence, alike[1])
        else:
            ledger.others.append(_Account(line.name, beyond=left[index], confidence=line.confidence))
    return ledger


def _conclude(ledger: _Ledger, menu: Menu | None) -> Verdict:
    missing = [account for account in ledger.ordered if not account.seen]
    mismatch = [account for account in ledger.ordered if account.seen and account.seen != account.expected]
    extra = ledger.others
    swapped = substitutions(
        [(account.name, account.expected) for account in missing],
        [(account.name, account.beyond) for account in extra],
        menu,
    )
    sure_of = {account.name: account.confidence for account in (*ledger.ordered, *extra) if account.seen}
    for account in missing:
        stand_ins = (sure_of[pair.seen] for pair in swapped if pair.expected == account.name)
        sure_of[account.name] = min((ledger.denied.get(account.name, 1.0), *stand_ins))
    amiss = [account.name for account in (*missing, *mismatch, *extra)]
    if amiss:
        confidence = max(sure_of[name] for name in amiss)
        doubtful = amiss
    else:
        confidence = min((*sure_of.values(), *ledger.denied.values()), default=1.0)
        doubtful = [name for name, sure in (sure_of | ledger.denied).items() if sure < DOUBT_BELOW]
    unsure = confidence < DOUBT_BELOW
    matched = tuple(Item(account.name, account.matched) for account in ledger.ordered if account.seen)
    lost = tuple(Item(account.name, account.expected) for account in missing)
    added = tuple(Item(account.name, account.beyond) for account in extra)
    counts = tuple(QuantityMismatch(each.name, each.expected, each.seen) for each in mismatch)
    return Verdict(
        status="unsure" if unsure else "inaccurate" if amiss else "accurate",
        reason="low_confidence" if unsure else None,
        sentence=crew_sentence(matched, lost, added, counts, doubtful if unsure else ()),
        expected=tuple(Item(account.name, account.expected) for account in ledger.ordered),
        seen=tuple(
            SeenItem(account.name, account.seen, account.confidence)
            for account in (*ledger.ordered, *extra)
            if account.seen
        ),
        matched=matched,
        missing=lost,
        extra=added,
        quantity_mismatch=counts,
        substituted=tuple(Substitution(pair.expected, pair.seen, pair.quantity) for pair in swapped),
        confidence=confidence,
    )
