"""Why a verdict says what it says: the rule behind every line, and what the frames show of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from orderacc.domain.findings import LineFinding, Sighting
from orderacc.validation.likeness import Likeness, compare
from orderacc.validation.lines import identify
from orderacc.validation.matching import KIN, kin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orderacc.domain.findings import Rule, Strategy
    from orderacc.domain.menus import Menu
    from orderacc.domain.verdicts import Verdict
    from orderacc.validation.fuse import FrameAnswer
    from orderacc.validation.ledger import Account, Ledger
    from orderacc.validation.matching import Swap


def explain(
    ledger: Ledger, sure_of: Mapping[str, float], swapped: Sequence[Swap], menu: Menu | None
) -> tuple[LineFinding, ...]:
    """A finding for every name: what was compared, then what was not.

    Args:
        ledger: The books.
        sure_of: How sure each compared name is.
        swapped: Which extra item stands in for which missing one.
        menu: Knows which items look alike.
    """
    strategy = ledger.strategy
    wanted = [account.name for account in ledger.compared]
    there = [account.name for account in (*ledger.others, *ledger.compared) if account.seen]
    found: list[LineFinding] = []
    for account in ledger.compared:
        sure = sure_of[account.name]
        if account.seen:
            found.append(_matched(account, sure, strategy))
        else:
            near = [pair.seen for pair in swapped if pair.expected == account.name] or there
            found.append(_alone(account, sure, strategy, _apart(account.name, near, menu)))
    for account in ledger.others:
        near = [pair.expected for pair in swapped if pair.seen == account.name] or wanted
        found.append(_alone(account, sure_of[account.name], strategy, _apart(account.name, near, menu)))
    found += [
        LineFinding("not_checked", account.name, account.unchecked, 0, "not_visible", 0.0, 0.0, strategy)
        for account in ledger.ordered
        if account.unchecked
    ]
    for name in {**ledger.ignored_ordered, **ledger.ignored_seen}:
        counts = ledger.ignored_ordered.get(name, 0), ledger.ignored_seen.get(name, 0)
        found.append(LineFinding("ignored", name, *counts, "not_asked", 0.0, 0.0, strategy))
    return tuple(found)


def with_sightings(verdict: Verdict, looks: Mapping[int, FrameAnswer], menu: Menu | None) -> Verdict:
    """Add to every finding what the frames show of it.

    Args:
        verdict: From `judge`.
        looks: By their place among the verdict's frames, the frames that were looked at.
        menu: Says which detector label covers which item.
    """
    counted = {place: _counts(look, menu) for place, look in looks.items()}
    findings = []
    for finding in verdict.findings:
        keys = {identify(name, menu)[0] for name in (finding.name, _seen_name(finding))}
        label = menu.group_of(finding.name) if menu else None
        sightings = tuple(
            Sighting(
                place,
                sum(counted[place].get(key, 0) for key in keys),
                None if label is None else tuple(look.detected.get(label, ())),
            )
            for place, look in sorted(looks.items())
        )
        findings.append(replace(finding, frames=tuple(one for one in sightings if one.count or one.boxes)))
    return replace(verdict, findings=tuple(findings))


def reason(finding: LineFinding) -> str:
    """Why, for a person: `another size (large / small): Small Fries`."""
    text = _SAID[finding.rule]
    if finding.rule in ("spelling", "opinion", "below_threshold"):
        text += f", {finding.score:.2f}"
    if finding.detail:
        text += f" ({finding.detail})"
    return f"{text}: {finding.other_name}" if finding.other_name else text


def _seen_name(finding: LineFinding) -> str:
    """What a line was seen as; of a missing or extra one the other name is another thing."""
    matched = finding.outcome in ("matched", "quantity_mismatch")
    return finding.other_name if matched and finding.other_name else finding.name


def _counts(look: FrameAnswer, menu: Menu | None) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in look.items:
        key = identify(item.name, menu)[0]
        counts[key] = counts.get(key, 0) + item.quantity
    return counts


def _matched(account: Account, sure: float, strategy: Strategy) -> LineFinding:
    likeness = account.weakest or Likeness(1.0, "same_name")
    return LineFinding(
        outcome="matched" if account.seen == account.expected else "quantity_mismatch",
        name=account.name,
        expected=account.expected,
        seen=account.seen,
        rule=likeness.rule,
        score=likeness.score,
        confidence=sure,
        strategy=strategy,
        other_name=account.seen_as,
        detail=likeness.detail,
    )


def _alone(account: Account, sure: float, strategy: Strategy, apart: tuple[str | None, Likeness]) -> LineFinding:
    """A name without a partner."""
    other, likeness = apart
    return LineFinding(
        outcome="extra" if account.seen else "missing",
        name=account.name,
        expected=account.expected,
        seen=account.seen,
        rule=likeness.rule,
        score=likeness.score,
        confidence=sure,
        strategy=strategy,
        other_name=other,
        detail=likeness.detail,
    )


def _apart(name: str, near: Iterable[str], menu: Menu | None) -> tuple[str | None, Likeness]:
    """The nearest name on the other side, and what tells the two apart."""
    kinships = [(kin(name, other, menu), other) for other in near]
    likest = max((score for score, _ in kinships), default=0.0)
    other = next((other for score, other in kinships if score == likest and score >= KIN), None)
    if other is None:
        return None, Likeness(0.0, "nothing_near")
    found = compare(name, other)
    if not found.score:
        return other, found
    on_menu = menu is not None and menu.find(name) is not None and menu.find(other) is not None
    return other, Likeness(found.score, "other_item" if on_menu else "below_threshold")


_SAID: Final[dict[Rule, str]] = {
    "same_name": "the same name",
    "same_item": "the same item of the menu",
    "spelling": "another spelling",
    "container_unsaid": "the container is not said",
    "opinion": "held to be the same",
    "size": "another size",
    "count": "another piece count",
    "trait": "another kind",
    "left_out": "with or without something",
    "container": "another container",
    "words": "another thing",
    "other_item": "another item of the menu",
    "below_threshold": "not alike enough",
    "nothing_near": "nothing like it",
    "not_visible": "cannot be seen",
    "not_asked": "not asked about",
}
