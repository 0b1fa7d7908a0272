"""Names that the words known here leave in doubt, and whoever may be asked about them.

Only names of which nothing says yet that they are two things are in doubt: both were left without a partner, neither
sizes, counts, diets nor what is left out tell them apart, not both are on the menu, and at least one word of those
that differ is unknown here. No opinion turns a chicken burger into a beef burger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from orderacc.validation.likeness import in_doubt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orderacc.domain.menus import Menu
    from orderacc.domain.verdicts import Verdict

MOST_PAIRS: Final = 64
"""About one order; further ones are left as they are."""


class Semantics(Protocol):
    """Somebody who knows more words."""

    async def opinions(self, pairs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], float]:
        """How alike names are, 0 to 1. Never raises for what is wrong with the other side.

        Args:
            pairs: A name ordered and a name seen each.

        Returns:
            What is known in time; pairs without an opinion are left out.
        """
        ...


def pairs_in_doubt(verdict: Verdict, menu: Menu | None) -> list[tuple[str, str]]:
    """Pairs of a name ordered and a name seen that somebody could be asked about.

    Args:
        verdict: From `judge`.
        menu: Two of its items are two things whatever anybody thinks.
    """
    short = [item.name for item in verdict.missing]
    short += [each.name for each in verdict.quantity_mismatch if each.seen < each.expected]
    pairs = ((name, item.name) for name in short for item in verdict.extra)
    doubtful = [pair for pair in pairs if in_doubt(*pair) and not _both_on(menu, pair)]
    return doubtful[:MOST_PAIRS]


def _both_on(menu: Menu | None, pair: tuple[str, str]) -> bool:
    return menu is not None and all(menu.find(name) is not None for name in pair)
