"""The books of one order: every unit on either side, and to which name it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from orderacc.domain.findings import Strategy
    from orderacc.validation.likeness import Likeness
    from orderacc.validation.lines import Side
    from orderacc.validation.matching import Matcher


@dataclass(slots=True)
class Account:
    """One name's counts on both sides, and how sure the seen side is.

    Attributes:
        expected: Units ordered that must be seen.
        matched: Of them, those seen.
        beyond: Units seen beyond what was ordered.
        unchecked: Units ordered besides, which cannot be seen and were not.
        confidence: How sure, 0 to 1.
        weakest: The least likeness among what was matched, None as long as nothing was.
        seen_as: The name that has it, where it is another.
    """

    name: str
    expected: int = 0
    matched: int = 0
    beyond: int = 0
    unchecked: int = 0
    confidence: float = 1.0
    weakest: Likeness | None = None
    seen_as: str | None = None

    @property
    def seen(self) -> int:
        """Units seen."""
        return self.matched + self.beyond

    def take(self, likeness: Likeness, name: str, confidence: float) -> None:
        """Note what was seen, and under which name."""
        for limit in (confidence, likeness.score):
            self.confidence = min(self.confidence, limit)
        if self.weakest is None or likeness.score < self.weakest.score:
            self.weakest = likeness
            self.seen_as = None if name == self.name else name


@dataclass(slots=True)
class Ledger:
    """All accounts.

    Attributes:
        ordered: Names that were ordered.
        compared: Those of which something must be seen, or was.
        others: What came on top.
        denied: By name, how sure the frames are that it is not there.
        ignored_ordered: By name, units ordered of what nobody asks about.
        ignored_seen: Likewise, seen.
        strategy: How names were compared.
    """

    strategy: Strategy
    ordered: list[Account]
    compared: list[Account] = field(default_factory=list)
    others: list[Account] = field(default_factory=list)
    denied: dict[str, float] = field(default_factory=dict)
    ignored_ordered: dict[str, int] = field(default_factory=dict)
    ignored_seen: dict[str, int] = field(default_factory=dict)

    @classmethod
    def balance(cls, wanted: Side, there: Side, matcher: Matcher) -> Self:
        """Give every unit seen to the name it belongs to."""
        ledger = cls(matcher.strategy, [Account(line.name, line.quantity) for line in wanted.lines])
        ledger._match(wanted, there, matcher)
        for account, line in zip(ledger.ordered, wanted.lines, strict=True):
            if not line.hidden:
                continue
            account.unchecked = min(line.hidden, max(0, account.expected - account.seen))
            account.expected -= account.unchecked
        ledger.compared = [account for account in ledger.ordered if account.expected or account.seen]
        if there.denied:
            ledger._take_denials(wanted, there)
        ledger.ignored_ordered, ledger.ignored_seen = wanted.ignored, there.ignored
        return ledger

    def _match(self, wanted: Side, there: Side, matcher: Matcher) -> None:
        left = [line.quantity for line in there.lines]
        account_of: dict[int, Account] = {}
        for pair in matcher.match(wanted.lines, there.lines):
            account, line = self.ordered[pair.expected], there.lines[pair.seen]
            account.matched += pair.quantity
            account.take(pair.likeness, line.name, line.confidence)
            left[pair.seen] -= pair.quantity
            account_of.setdefault(pair.seen, account)
        for index, line in enumerate(there.lines):
            if not left[index]:
                continue
            alone = index not in account_of and matcher.strategy != "exact"
            alike = matcher.nearest(line, wanted.lines) if alone else None
            if index in account_of:
                account_of[index].beyond += left[index]
            elif alike is not None:  # more of an ordered thing under another spelling, and all of that is there already
                account = self.ordered[alike[0]]
                account.beyond += left[index]
                account.take(alike[1], line.name, line.confidence)
            else:
                self.others.append(Account(line.name, beyond=left[index], confidence=line.confidence))

    def _take_denials(self, wanted: Side, there: Side) -> None:
        """Denials count for names that had to be seen or were not ordered; of the rest they say nothing new."""
        ordered_as = {line.key: line.name for line in wanted.lines}
        excused = {account.name for account in self.ordered if account.unchecked}
        present = {line.key for line in there.lines}
        self.denied = {
            name: sure
            for key, (said, sure) in there.denied.items()
            if key not in present and (name := ordered_as.get(key, said)) not in excused
        }
