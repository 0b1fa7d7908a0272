"""One line for the crew: what to do about the bag."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orderacc.domain.orders import Item
    from orderacc.domain.verdicts import QuantityMismatch


def crew_sentence(
    matched: Iterable[Item],
    missing: Sequence[Item],
    extra: Sequence[Item],
    mismatch: Sequence[QuantityMismatch],
    doubtful: Sequence[str],
) -> str:
    """Say what is wrong with the bag.

    Args:
        matched: What is there as ordered.
        missing: What is wholly absent.
        extra: What nobody ordered.
        mismatch: What is there in another number.
        doubtful: Names that decide and are in doubt; with any of them the sentence asks for a look.
    """
    absent = [f"{item.quantity} {_spoken(item.name)}" for item in missing]
    absent += [_off_by(each, each.expected - each.seen) for each in mismatch if each.seen < each.expected]
    surplus = [f"{item.quantity} {_spoken(item.name)}" for item in extra]
    surplus += [_off_by(each, each.seen - each.expected) for each in mismatch if each.seen > each.expected]
    parts = []
    if absent:
        parts.append(f"Missing: {', '.join(absent)}.")
    if surplus:
        parts.append(f"Extra: {', '.join(surplus)}.")
    if doubtful:
        asked = ", ".join(_spoken(name) for name in doubtful)
        return " ".join(["Please check:", *(parts or [f"{asked}."])])
    if parts:
        return " ".join(parts)
    total = sum(item.quantity for item in matched)
    return f"Complete: {total} item{'' if total == 1 else 's'}."


def with_unseen(sentence: str, unseen: Sequence[Item]) -> str:
    """Add what was ordered and cannot be seen."""
    listed = ", ".join(f"{item.quantity} {_spoken(item.name)}" for item in unseen)
    return f"{sentence} Not visible: {listed}." if listed else sentence


def _off_by(mismatch: QuantityMismatch, count: int) -> str:
    return f"{count} {_spoken(mismatch.name)} ({mismatch.expected} ordered, {mismatch.seen} seen)"


def _spoken(name: str) -> str:
    """A name within a sentence: `Large Fries` becomes `large fries`, `BBQ Wings` stays `BBQ wings`."""
    return " ".join(word.lower() if word.istitle() else word for word in name.split())
