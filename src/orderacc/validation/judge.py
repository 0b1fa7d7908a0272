"""The verdict on an order: what was seen against what was paid for.

When a verdict is `unsure`. Every line seen has a confidence (from the frames; a name matched by likeness has at most
the likeness's score). A line is doubtful below `DOUBT_BELOW`. The rule asks whether doubtful lines decide:

- Everything in order: every line decides, for any of them, were it wrong, would turn the verdict. One doubtful line
  (listed with quantity 0 or more) makes it `unsure`. The verdict's confidence is the lowest of all.
- Something amiss: one discrepancy that is beyond doubt is enough. Only if every discrepancy is doubtful is the verdict
  `unsure`. The verdict's confidence is the highest among the discrepancies. A surplus, a shortfall and an extra are as
  sure as their line. A missing item is sure, unless the frames list it with quantity 0 (then it is as sure as that
  line), or an extra of the same kind may be it (then it is at most as sure as that extra).

What cannot be seen (the order says so, or the menu: `occluded`) is matched as far as it is seen; the rest of it is
neither missing nor expected, and decides nothing. What nobody asks about (`ignore`) is left out on both sides. If an
order holds nothing else and nothing speaks against it, the verdict is `unsure` with the reason `nothing_to_check`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orderacc.domain.orders import Item
from orderacc.domain.verdicts import QuantityMismatch, SeenItem, Substitution, Verdict
from orderacc.validation.findings import explain
from orderacc.validation.ledger import Ledger
from orderacc.validation.lines import ordered_side, seen_side
from orderacc.validation.matching import Matcher, Opinions, substitutions
from orderacc.validation.sentence import crew_sentence, with_unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orderacc.domain.findings import Strategy
    from orderacc.domain.menus import Menu
    from orderacc.validation.ledger import Account
    from orderacc.validation.matching import Swap

DOUBT_BELOW: Final = 0.6

NO_OPINIONS: Final[Opinions] = {}


def judge(
    expected: Iterable[Item],
    seen: Iterable[Item | SeenItem],
    *,
    menu: Menu | None = None,
    strategy: Strategy = "hybrid",
    threshold: float = 0.85,
    hidden: Iterable[Item] = (),
    opinions: Opinions = NO_OPINIONS,
) -> Verdict:
    """Compare an order with what was seen.

    Args:
        expected: The order's lines; repeated lines add up, and open combos of the menu are their contents.
        seen: What was on the counter; repeated lines add up. `fuse` makes these from frames.
        menu: Resolves ids and aliases; two names of different menu items are never the same thing.
        strategy: `exact` takes names that are equal once normalised; `semantic` matches all lines by likeness at once;
            `hybrid` takes equal names first and matches the rest by likeness.
        threshold: Least likeness, 0 to 1, at which two names are the same thing; a menu item may have its own.
        hidden: Further lines of the order, which cannot be seen.
        opinions: What somebody else holds of pairs that the words known here leave in doubt (`pairs_in_doubt`): by the
            name ordered and the name seen, 0 to 1.

    Returns:
        `accurate`, `inaccurate` or `unsure`, with every unit on either side accounted for in `findings`.

    Raises:
        ValueError: If the strategy is unknown or the threshold not within 0 to 1.
    """
    if strategy not in ("exact", "semantic", "hybrid"):
        raise ValueError(f"strategy must be exact, semantic or hybrid, not {strategy!r}")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be within 0 to 1, not {threshold!r}")
    matcher = Matcher(strategy, threshold, opinions)
    ledger = Ledger.balance(ordered_side(expected, hidden, menu), seen_side(seen, menu), matcher)
    return _conclude(ledger, menu)


def _conclude(ledger: Ledger, menu: Menu | None) -> Verdict:
    ordered, extra = ledger.compared, ledger.others
    missing = [account for account in ordered if not account.seen]
    mismatch = [account for account in ordered if account.seen and account.seen != account.expected]
    swapped = substitutions(
        [(account.name, account.expected) for account in missing],
        [(account.name, account.beyond) for account in extra],
        menu,
    )
    sure_of = _confidences(ledger, missing, swapped)
    amiss = [account.name for account in (*missing, *mismatch, *extra)]
    if amiss:
        confidence = max(sure_of[name] for name in amiss)
        doubtful = amiss
    else:
        deciding = sure_of | ledger.denied
        confidence = min(deciding.values(), default=1.0)
        doubtful = [name for name, sure in deciding.items() if sure < DOUBT_BELOW]
    unseen = tuple(Item(account.name, account.unchecked) for account in ledger.ordered if account.unchecked)
    nothing = not ordered and not extra and bool(unseen or ledger.ignored_ordered)
    unsure = nothing or confidence < DOUBT_BELOW
    matched = tuple(Item(account.name, account.matched) for account in ordered if account.seen)
    lost = tuple(Item(account.name, account.expected) for account in missing)
    added = tuple(Item(account.name, account.beyond) for account in extra)
    counts = tuple(QuantityMismatch(each.name, each.expected, each.seen) for each in mismatch)
    return Verdict(
        status="unsure" if unsure else "inaccurate" if amiss else "accurate",
        reason="nothing_to_check" if nothing else "low_confidence" if unsure else None,
        sentence=(
            "Please check: nothing of this order can be seen."
            if nothing
            else with_unseen(crew_sentence(matched, lost, added, counts, doubtful if unsure else ()), unseen)
        ),
        expected=tuple(Item(account.name, account.expected) for account in ordered),
        seen=tuple(
            SeenItem(account.name, account.seen, account.confidence) for account in (*ordered, *extra) if account.seen
        ),
        matched=matched,
        missing=lost,
        extra=added,
        quantity_mismatch=counts,
        substituted=tuple(Substitution(pair.expected, pair.seen, pair.quantity) for pair in swapped),
        findings=explain(ledger, sure_of, swapped, menu),
        confidence=0.0 if nothing else confidence,
    )


def _confidences(ledger: Ledger, missing: Sequence[Account], swapped: Sequence[Swap]) -> dict[str, float]:
    """How sure each compared name is; the module's text is the rule."""
    sure_of = {account.name: account.confidence for account in (*ledger.compared, *ledger.others) if account.seen}
    for account in missing:
        stand_ins = (sure_of[pair.seen] for pair in swapped if pair.expected == account.name)
        sure_of[account.name] = min((ledger.denied.get(account.name, 1.0), *stand_ins))
    return sure_of
