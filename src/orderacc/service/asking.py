"""Which of an order's frames the model is asked about, in which order, and when it has said enough.

The model costs more than everything else together, so it is asked about one frame first, the one that shows most. The
detector has looked at all of them and is the second witness:

- One answer is enough when it is sure, its pieces are as many, label by label, as the most boxes that one chosen frame
  shows, and they are what was paid for. Pieces no detector label covers have no second witness; they need a second
  answer.
- Where several names share a detector label, boxes cannot tell them apart. So every such piece must lie where one lay
  in a frame that was asked about: one look-alike may have been bagged before another came.
- One answer is enough as well for pieces too many, where each label concerned is that of one name: what model and boxes
  both see is there. What both do not see may yet be in another frame, so a missing piece needs a second answer.
- Everything else needs a second answer at least, and ends there when both answers and all boxes agree.
- Whatever is then still in doubt gets all answers there are.

Where it can be foreseen that one answer will not do, the first two questions leave together. The model is not told what
was paid for; that decides only how many frames it is shown, and when.

A frame in which the detector counts the same and no cell of the picture has changed since one that is asked about adds
nothing (the model said the same of all 8 such pairs in the first 16 orders of seed 905000). It is asked about last, if
the others have left something open: one answer is not two because two frames look alike.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orderacc.perception.appearance import change_between
from orderacc.validation.fuse import SAME_PLACE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from orderacc.domain.evidence import Candidate
    from orderacc.domain.menus import Menu
    from orderacc.domain.orders import Item
    from orderacc.domain.verdicts import SeenItem, Verdict

SURE: Final = 0.9
"""Confidence of every line seen from which no further answer is asked for. How well the order's names match the menu's
is no part of it, for answers do not change that."""

PRESSED: Final = (0.5, 0.75, 1.0)
"""Pressure on the queue from which an order gets at most 2, 1 and 0 answers more."""

HOLD_BACK: Final = 0.25
"""Pressure from which nothing is asked ahead of time."""


@dataclass(frozen=True, slots=True)
class AskPolicy:
    """How a station's orders are asked about.

    Attributes:
        adaptive: Whether fewer than all chosen frames do when the answers leave nothing open.
        early_look: Whether frames are asked about before the order ends, when it seems about to.
        hurried: Whether frames are given up when too many questions wait; a recording can wait, a counter cannot.
    """

    adaptive: bool = True
    early_look: bool = True
    hurried: bool = False


DEFAULT_POLICY: Final = AskPolicy()


def asking_order(frames: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The frames, each followed by the one that adds most to those before.

    Args:
        frames: In time order.

    Returns:
        All of them; first the one that shows most pieces of what any of them shows, last those that look like another.
    """
    left, covered = list(frames), Counter[str]()
    out: list[Candidate] = []
    while left:
        best = max(left, key=lambda one: (_beyond(one.pieces, covered), one.pieces.total(), one.score))
        left.remove(best)
        covered |= best.pieces
        out.append(best)
    different = different_ones(out)
    return (*different, *(one for one in out if one not in different))


def different_ones(sequence: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The frames that do not look like one before them.

    Args:
        sequence: As they are to be asked about.
    """
    different: list[Candidate] = []
    for one in sequence:
        if not any(one.pieces == other.pieces and _unchanged(other, one) for other in different):
            different.append(one)
    return tuple(different)


def rounds(sequence: Sequence[Candidate], expected: Iterable[Item], menu: Menu) -> Iterator[tuple[Candidate, ...]]:
    """Which frames to ask about together, one round after the other.

    Args:
        sequence: From `asking_order`.
        expected: What was paid for.
        menu: Says which detector label covers which item.

    Yields:
        One frame or two, then what is left of two, then the others; last, one by one, those that look like another.
    """
    alone = one_may_do(sequence, expected, menu)
    if alone:
        yield tuple(sequence[:1])
    different = different_ones(sequence)
    yield from filter(None, (different[int(alone) : 2], different[2:]))
    yield from ((one,) for one in sequence if one not in different)


def all_at_once(sequence: Sequence[Candidate]) -> Iterator[tuple[Candidate, ...]]:
    """All frames that differ, to be asked about together; then, one by one, those that look like another.

    Args:
        sequence: From `asking_order`.
    """
    different = different_ones(sequence)
    if different:
        yield different
    yield from ((one,) for one in sequence if one not in different)


def all_there(sequence: Sequence[Candidate], expected: Iterable[Item], menu: Menu) -> bool:
    """Whether the detector saw in the first frame, and nowhere more than, what was paid for.

    Where a name is not on the menu nothing can be told: then it counts as there.
    """
    counts = _paid_and_shown(sequence, expected, menu)
    return counts is not None and counts[0] == counts[1]


def one_may_do(sequence: Sequence[Candidate], expected: Iterable[Item], menu: Menu) -> bool:
    """Whether one answer may be enough: the first frame shows what was paid for, and no look-alikes besides.

    Where a name is not on the menu nothing can be told: then it may.
    """
    counts = _paid_and_shown(sequence, expected, menu)
    if counts is None:
        return False
    paid, shown = counts
    return paid <= shown and all(_names_of(label, menu) == 1 for label in shown - paid)


def says_enough(
    verdict: Verdict, seen: Iterable[SeenItem], frames: Sequence[Candidate], menu: Menu, *, asked: Collection[Candidate]
) -> bool:
    """Whether further answers would change nothing; see the text of this module.

    Args:
        verdict: By the answers so far.
        seen: The fused answers it was made from.
        frames: All chosen frames, those not asked about included.
        menu: Says which detector label covers which item.
        asked: The frames the answers are about.
    """
    if verdict.status == "unsure":
        return False
    if len(asked) < 2 and not _only_too_many(verdict, menu):
        return False
    said = Counter[str]()
    for line in seen:
        if line.confidence < SURE:
            return False
        label = menu.group_of(line.name)
        if label is not None:
            said[label] += line.quantity
        elif len(asked) < 2:
            return False
    return +said == _most_shown(frames, menu) and not _other_look_alikes(frames, menu, asked)


def frames_affordable(pressure: float) -> int | None:
    """How many frames an order that cannot wait may ask about; None for any number.

    Args:
        pressure: Of the queue, 0 to 1.
    """
    two, one, none = PRESSED
    if pressure >= none:
        return 0
    if pressure >= one:
        return 1
    return 2 if pressure >= two else None


def _paid_and_shown(
    sequence: Sequence[Candidate], expected: Iterable[Item], menu: Menu
) -> tuple[Counter[str], Counter[str]] | None:
    """By label, how many pieces were paid for and how many the first frame shows; the same where a name is unknown.

    Returns:
        None if the first frame does not show all that any shows, or no label covers something that was paid for.
    """
    shown = _most_shown(sequence, menu)
    if not sequence or _beyond(shown, sequence[0].pieces):
        return None
    paid, unknown = Counter[str](), False
    for item in expected:
        known = menu.find(item.name)
        if known is None:
            unknown = True
        elif known.group is None:
            return None
        else:
            paid[known.group] += item.quantity
    return (shown if unknown else paid), shown


def _only_too_many(verdict: Verdict, menu: Menu) -> bool:
    """Whether nothing is wrong but pieces too many, each of which its detector label tells from all others."""
    if verdict.missing or any(line.seen < line.expected for line in verdict.quantity_mismatch):
        return False
    names = [item.name for item in verdict.extra] + [line.name for line in verdict.quantity_mismatch]
    return all(_names_of(menu.group_of(name), menu) == 1 for name in names)


def _names_of(label: str | None, menu: Menu) -> int:
    """How many names of the menu share a label; none share what is no label."""
    return 0 if label is None else len(menu.groups.get(label, ()))


def _unchanged(one: Candidate, other: Candidate) -> bool:
    """Whether no cell of the picture differs, as far as is known."""
    return one.look is not None and other.look is not None and change_between(one.look, other.look) == 0


def _other_look_alikes(frames: Iterable[Candidate], menu: Menu, asked: Collection[Candidate]) -> bool:
    """Whether a frame that was not asked about shows a piece, one of several names, that may be in none that was."""
    known = [found for frame in asked for found in frame.detections]
    return any(
        len(menu.groups.get(found.label, ())) > 1
        and not any(one.label == found.label and one.box.iou(found.box) >= SAME_PLACE for one in known)
        for frame in frames
        if frame not in asked
        for found in frame.detections
    )


def _most_shown(frames: Iterable[Candidate], menu: Menu) -> Counter[str]:
    """Of every label of the menu, the most pieces that one frame shows."""
    shown = Counter[str]()
    for frame in frames:
        for label, count in frame.pieces.items():
            if label in menu.groups and count > shown.get(label, 0):
                shown[label] = count
    return shown


def _beyond(pieces: Counter[str], others: Counter[str]) -> int:
    """How many of some pieces are not among others."""
    return sum(count - others[label] for label, count in pieces.items() if count > others[label])
