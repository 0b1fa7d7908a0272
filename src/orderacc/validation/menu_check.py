"""What is wrong with a menu although it can be read: names that mean two things, and items nothing can see."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from orderacc.domain.menus import fold_name
from orderacc.validation.likeness import likeness
from orderacc.validation.normalise import take_apart

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from orderacc.domain.menus import Menu, MenuItem
    from orderacc.validation.normalise import Phrase

__all__ = ["MenuProblem", "check_coverage", "check_names"]

ProblemCode: TypeAlias = Literal["alias_shared", "alias_taken", "id_taken", "alike", "label_unknown", "name_unknown"]

_WAY_OUT: Final = "write them further apart"


@dataclass(frozen=True, slots=True)
class MenuProblem:
    """One thing wrong with a menu.

    Attributes:
        code: `alias_shared` by two items names neither, `alias_taken` is another item's name or id, `id_taken` is
            another item's name, `alike` are names the matcher cannot tell apart, `label_unknown` is a group the
            detector has no class for, `name_unknown` is a name the model cannot say.
        item: The item it is about.
        message: What is wrong and what to do.
        spelling: The alias it is about, if it is about one.
        others: Items it is about too.
    """

    code: ProblemCode
    item: str
    message: str
    spelling: str = ""
    others: tuple[str, ...] = ()


def check_names(menu: Menu, threshold: float = 0.85) -> list[MenuProblem]:
    """Names, ids and aliases that do not lead to one item.

    Args:
        menu: The menu.
        threshold: Least likeness, 0 to 1, at which two names are the same thing; an item's own comes first.

    Returns:
        Problems in menu order, each pair of items once for each kind.
    """
    return [*_collisions(menu), *_alike(menu, threshold)]


def check_coverage(
    menu: Menu, *, labels: Sequence[str] | None = None, vocabulary: Sequence[str] | None = None
) -> list[MenuProblem]:
    """Items that a detector's classes or a model's names do not cover.

    Args:
        menu: The menu.
        labels: The detector's classes; None to leave it out.
        vocabulary: All names the model can say; None for a model that knows words in general. It is not asked about
            what a camera cannot find.
    """
    problems: list[MenuProblem] = []
    visible = frozenset(menu.visible_names)
    for item in menu.items:
        if labels is not None and item.group is not None and item.group not in labels:
            message = f"the detector has no class {item.group!r}{_near(item.group, labels)}"
            problems.append(MenuProblem("label_unknown", item.name, message))
        if vocabulary is not None and item.name in visible and item.name not in vocabulary:
            message = f"the model cannot say {item.name!r}{_near(item.name, vocabulary)}"
            problems.append(MenuProblem("name_unknown", item.name, message))
    return problems


def _near(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; it knows {', '.join(sorted(known)[:8])}"


def _collisions(menu: Menu) -> Iterator[MenuProblem]:
    owners: dict[str, list[str]] = defaultdict(list)
    for item in menu.items:
        for key in {fold_name(alias) for alias in item.aliases}:
            owners[key].append(item.name)
    for item in menu.items:
        holder = menu.find(item.item_id) if item.item_id else item
        if holder is not item:
            assert holder is not None  # noqa: S101  an id is found at least as the id of this item
            message = f"the id {item.item_id!r} finds {holder.name!r} instead: give one of them another"
            yield MenuProblem("id_taken", item.name, message, item.item_id, (holder.name,))
        for alias in dict.fromkeys(item.aliases):
            found = menu.find(alias)
            others = tuple(name for name in owners[fold_name(alias)] if name != item.name)
            if found is not None and found is not item:
                message = f"the alias {alias!r} finds {found.name!r} instead: leave it out here"
                yield MenuProblem("alias_taken", item.name, message, alias, (found.name,))
            elif found is None and others:
                message = f"{alias!r} is an alias of {_listed(others)} too, so it finds neither: leave all but one out"
                yield MenuProblem("alias_shared", item.name, message, alias, others)


def _alike(menu: Menu, threshold: float) -> Iterator[MenuProblem]:
    """Pairs of items of which one spelling is, to the matcher, one of the other's; with their closest spellings."""
    kinds: dict[frozenset[str], list[tuple[str, MenuItem]]] = defaultdict(list)
    for item in menu.items:
        for spelling in dict.fromkeys((item.name, *item.aliases)):
            if menu.find(spelling) is item:
                kinds[_phrase(menu, spelling).guards].append((spelling, item))
    closest: dict[tuple[str, str], tuple[float, str, str]] = {}
    for spellings in kinds.values():  # names of other guards are never alike
        for (mine, one), (yours, other) in combinations(spellings, 2):
            if one is other:
                continue
            score = likeness(menu.in_own_words(mine), menu.in_own_words(yours))
            pair = (one.name, other.name)
            if score >= _least(one, other, threshold) and score > closest.get(pair, (0.0,))[0]:
                closest[pair] = (score, mine, yours)
    place = {item.name: index for index, item in enumerate(menu.items)}
    for (name, other_name), (score, mine, yours) in sorted(closest.items(), key=lambda entry: place[entry[0][1]]):
        way_out = _WAY_OUT if score == 1 else f"{_WAY_OUT}, or raise the threshold of both above {score:.2f}"
        message = f"the matcher takes {yours!r} for {mine!r} of {name!r} (likeness {score:.2f}): {way_out}"
        yield MenuProblem("alike", other_name, message, yours, (name,))


def _phrase(menu: Menu, spelling: str) -> Phrase:
    return take_apart(menu.in_own_words(spelling))


def _least(one: MenuItem, other: MenuItem, threshold: float) -> float:
    """The likeness at which a spelling of one could be the other: the laxer of the two."""
    return min(threshold if item.threshold is None else item.threshold for item in (one, other))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
