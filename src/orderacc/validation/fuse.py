"""What the frames of one order say together.

The rule. Frames differ honestly: an item may be hidden, not yet there, or in the bag already. So an item's count is the
largest that one frame shows, and a lower count elsewhere is no contradiction by itself. Names that share a detector
label (look-alikes) are counted together first, because one piece may be called Small here and Large there.

For each group of names, with `said` the model's count of the group in a frame and `boxes` the detector's:

1. A frame supports its count when `said == boxes`: two witnesses that fail in different ways agree.
2. The group's total is the largest `said`, with one exception. A count that a single frame says without support is set
   aside when at least `CLEAR` other frames support a smaller one while the detector saw no fewer pieces there: those
   frames had every chance to show more. The next largest count is then looked at in the same way.
3. The total is split among the names as a frame with that total split it. Where such frames differ, each frame votes
   for the splits it fits into (no name counted higher than in the split). Frames are added up in one case: a supported
   frame counts a name higher, and so many of its pieces do not lie there any more in the frame with the total, or in
   one between them. Those pieces went into the bag before the others came.
4. Confidence is agreement times support. Agreement: the share of the votes that fit the split; a frame without support
   has half a vote. Support: 1 if some frame supports the split; `REPEATED` if none does but two or more frames say it;
   `SINGLE` if only one says it. Where more frames hold more boxes than the total than support it, it is `REPEATED` at
   most, and `OVERRULED` if only one frame says it: the demo model's lists are right in 99.5 % of frames, and a box too
   many on an item at rest stays there from frame to frame, so the model's word given twice weighs more. Where the
   engine tells how probable the model found its own words, the surest frame that says it must have been at least
   `SURE_OF_WORDS`; what is less counts for as much less. Of frames that were added up the least sure counts.
5. A name that some frame claimed and the split leaves out, and every name of a group of which the detector saw a box
   in the same place in at least `CLEAR` frames (or in all) while the model never said it, is listed with quantity 0 and
   a confidence.
6. If no answer came to its end, what is not listed is not known to be absent: every confidence is halved and every
   other name of the menu is listed with quantity 0.

Without a detector label a name is a group of its own and has no second witness: its count is the plain maximum, and its
confidence runs from 0.5 to 1 with the share of frames that show this count.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from operator import le
from typing import TYPE_CHECKING, Final

from orderacc.domain.menus import fold_name
from orderacc.domain.verdicts import SeenItem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orderacc.domain.detections import Box
    from orderacc.domain.menus import Menu
    from orderacc.domain.orders import Item

CLEAR: Final = 2
"""Frames that must support a smaller count before a larger one is set aside."""

REPEATED: Final = 0.7
SINGLE: Final = 0.5
OVERRULED: Final = 0.5
UNFINISHED: Final = 0.5

SURE_OF_WORDS: Final = 0.8
"""Probability the model gave the words of an answer (geometric mean of its tokens) from which they count in full; it
lowered none of the demo model's lines, blurred pictures included (`benchmarks/test_asking.py`)."""

SAME_PLACE: Final = 0.2
"""IoU from which two boxes of a group in two frames are one piece that stayed where it was."""


@dataclass(frozen=True, slots=True)
class FrameAnswer:
    """What one frame shows, by both witnesses.

    Attributes:
        items: The model's answer; repeated names add up.
        detected: The detector's boxes per label in the same frame; a label it saw nothing of may be left out.
        at: Frame time, seconds.
        complete: Whether the model came to the end of its answer.
        probability: The model gave what it wrote, 0 to 1; None where the engine does not tell.
    """

    items: tuple[Item, ...]
    detected: Mapping[str, Sequence[Box]]
    at: float
    complete: bool = True
    probability: float | None = None

    @property
    def sure_of_words(self) -> float:
        """How much its words count for, 0 to 1."""
        return 1.0 if self.probability is None else min(1.0, self.probability / SURE_OF_WORDS)


@dataclass(slots=True, eq=False)
class _View:
    """One frame's say about one group: the model's counts by name, and the detector's boxes if it knows the group."""

    said: tuple[int, ...]
    places: tuple[Box, ...] | None
    at: float
    complete: bool
    sure_of_words: float
    boxes: int | None = field(init=False)
    total: int = field(init=False)
    supported: bool = field(init=False)
    vote: float = field(init=False)

    def __post_init__(self) -> None:
        self.boxes = None if self.places is None else len(self.places)
        self.total = sum(self.said)
        self.supported = self.total == self.boxes and (self.complete or self.total > 0)
        self.vote = 1.0 if self.boxes is None or self.supported else 0.5

    def order(self) -> tuple[float, tuple[int, ...], int]:
        return self.at, self.said, self.boxes or 0

    def has_box_at(self, place: Box) -> bool:
        return any(place.iou(box) >= SAME_PLACE for box in self.places or ())

    def fits(self, split: tuple[int, ...]) -> bool:
        return all(map(le, self.said, split))


def fuse(answers: Sequence[FrameAnswer], menu: Menu | None = None) -> tuple[SeenItem, ...]:
    """Fuse the answers about one order's frames; the module's text is the rule.

    Args:
        answers: One per frame, in any order.
        menu: Says which names are one item and which detector label covers it.

    Returns:
        Items in menu order, then names the menu does not have by name.
    """
    if not answers:
        return ()
    spelling = _spellings(answers, menu)
    counts = [_count(answer, spelling) for answer in answers]
    second_witness = any(answer.detected for answer in answers)
    said = set[str]().union(*counts)
    boxed = {label for answer in answers for label, boxes in answer.detected.items() if boxes}
    fused: dict[str, SeenItem] = {}
    for label, names in _groups(said, menu):
        if label not in boxed and said.isdisjoint(names):
            continue
        knows = label is not None and second_witness
        views = [
            _View(
                tuple(count[name] for name in names),
                tuple(answer.detected.get(label, ())) if knows and label else None,
                answer.at,
                answer.complete,
                answer.sure_of_words,
            )
            for answer, count in zip(answers, counts, strict=True)
        ]
        for name, quantity, confidence in _judge_group(names, views):
            fused[name] = SeenItem(name, quantity, confidence)
    if not any(answer.complete for answer in answers):
        fused = {
            item.name: SeenItem(item.name, item.quantity, item.confidence * UNFINISHED) for item in fused.values()
        } | {name: SeenItem(name, 0, UNFINISHED) for name in (menu.names if menu else ()) if name not in fused}
    order = {name: index for index, name in enumerate(menu.names if menu else ())}
    return tuple(sorted(fused.values(), key=lambda item: (order.get(item.name, len(order)), item.name)))


def _spellings(answers: Sequence[FrameAnswer], menu: Menu | None) -> dict[str, str]:
    """What each name said is listed as: the menu's name, else one of its own spellings whatever the frames' order."""
    listed: dict[str, str] = {}
    own: dict[str, str] = {}
    for name in sorted({item.name for answer in answers for item in answer.items}):
        known = menu.find(name) if menu else None
        listed[name] = known.name if known else own.setdefault(fold_name(name), name)
    return listed


def _count(answer: FrameAnswer, spelling: Mapping[str, str]) -> Counter[str]:
    count: Counter[str] = Counter()
    for item in answer.items:
        count[spelling[item.name]] += item.quantity
    return count


def _groups(said: set[str], menu: Menu | None) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """Each group's detector label and its names: the menu's groups, then every other name said, alone."""
    groups = menu.groups if menu else {}
    yield from groups.items()
    for name in sorted(said.difference(*groups.values())):
        yield None, (name,)


def _judge_group(names: tuple[str, ...], views: Sequence[_View]) -> Iterator[tuple[str, int, float]]:
    if not any(view.total for view in views):
        steady = (sum(other.has_box_at(place) for other in views) for view in views for place in view.places or ())
        if max(steady, default=0) >= min(CLEAR, len(views)):
            yield from ((name, 0, OVERRULED) for name in names)
        return
    shown, split, added = _decide(views)
    words = min(max(view.sure_of_words for view in views if view.said == one) for one in (shown, *added))
    confidence = _agreement(split, views) * _support(shown, views) * words
    for index, name in enumerate(names):
        if split[index] or any(view.said[index] for view in views):
            yield name, split[index], confidence


def _decide(views: Sequence[_View]) -> tuple[tuple[int, ...], tuple[int, ...], list[tuple[int, ...]]]:
    """What one frame with the total said; the same with what was added to it; what was said in the frames added."""
    said = views[0].said
    if all(view.said == said for view in views):
        return said, said, []
    standing = _without_outvoted(views)
    total = max(view.total for view in standing)
    full = [view for view in standing if view.total == total]
    shown = _choose_split(full, views)
    return shown, *_with_bagged(shown, min((view for view in full if view.said == shown), key=_View.order), views)


def _without_outvoted(views: Sequence[_View]) -> list[_View]:
    standing = list(views)
    while standing:
        most = max(view.total for view in standing)
        claims = [view for view in standing if view.total == most]
        claim = claims[0]
        if len(claims) > 1 or claim.boxes is None or claim.supported:
            break
        against = [view for view in standing if view.supported and (view.boxes or 0) >= claim.boxes]
        if len(against) < CLEAR:
            break
        standing.remove(claim)
    return standing


def _choose_split(full: Sequence[_View], views: Sequence[_View]) -> tuple[int, ...]:
    def strength(split: tuple[int, ...]) -> tuple[float, float, tuple[int, ...]]:
        said_so = sum(view.vote for view in full if view.said == split)
        return sum(view.vote for view in views if view.fits(split)), said_so, split

    return max({view.said for view in full}, key=strength)


def _with_bagged(
    split: tuple[int, ...], shown: _View, views: Sequence[_View]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Add what only earlier or later frames show, pieces that are not there in the frame with the total.

    Returns:
        The split, and what was said in the frames that were added to it.
    """
    added: list[tuple[int, ...]] = []
    for view in sorted(views, key=_View.order):
        if not view.supported or view.places is None or view.fits(split):
            continue
        first, last = sorted((view.at, shown.at))
        between = [shown, *(other for other in views if first < other.at < last)]
        gone = sum(not all(other.has_box_at(place) for other in between) for place in view.places)
        merged = tuple(map(max, view.said, split))
        if sum(merged) - sum(split) <= gone:
            split = merged
            added.append(view.said)
    return split, added


def _agreement(split: tuple[int, ...], views: Sequence[_View]) -> float:
    speaking = [view for view in views if view.total or not any(split)]
    return sum(view.vote for view in speaking if view.fits(split)) / sum(view.vote for view in speaking)


def _support(split: tuple[int, ...], views: Sequence[_View]) -> float:
    total = sum(split)
    say_so = [view for view in views if view.said == split]
    if views[0].boxes is None:
        return 0.5 + 0.5 * len(say_so) / len(views)
    supporting = sum(view.supported for view in views if view.total == total)
    if sum((view.boxes or 0) > total for view in views) > supporting:
        return REPEATED if len(say_so) > 1 else OVERRULED
    if any(view.supported for view in say_so):
        return 1.0
    return REPEATED if len(say_so) > 1 else SINGLE
