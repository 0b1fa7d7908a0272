"""Scripts out of a seed: ordinary evenings at the counter, with their share of wrong bags."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from orderacc.domain.orders import Item
from orderacc.simulator.menu import LOOK_ALIKES, NAMES
from orderacc.simulator.script import Action, Script, ScriptedOrder

if TYPE_CHECKING:
    from numpy.random import Generator

MAX_PIECES: Final = 7
"""Most pieces of one order; more would not lie side by side."""


def random_script(seed: int, orders: int, *, fps: float = 10.0, wrong_share: float = 0.4) -> Script:
    """Make a script.

    For each kind of item, some moment before the hand-off shows all its pieces; often no single frame shows everything,
    because a kind went into the bag before the next was laid down.

    Args:
        seed: Decides everything.
        orders: How many.
        fps: Frames per second of the video.
        wrong_share: Share of orders whose POS lines differ from what is laid down.
    """
    rng = np.random.default_rng([seed, 1])
    numbers = _numbers(rng, orders)
    scripted: list[ScriptedOrder] = []
    at, swap = 1.0, False
    for number in numbers:
        pieces = _pieces(rng)
        actions, end = _actions(rng, pieces, at, slip_first=swap or rng.random() < 0.7)
        laid = tuple(Item(name, pieces.count(name)) for name in NAMES if name in pieces)
        paid = _mutated(rng, laid) if rng.random() < wrong_share else laid
        scripted.append(ScriptedOrder(number, paid, tuple(sorted(actions, key=lambda action: action.at))))
        swap = rng.random() < 0.25
        at = end - 0.3 if swap else end + float(rng.uniform(2.0, 3.5))
    return Script(seed, tuple(scripted), fps, round(at + 1.5, 1))


def _numbers(rng: Generator, count: int) -> list[str]:
    numbers: dict[str, None] = {}
    while len(numbers) < count:
        digits = int(rng.choice([2, 3, 3, 4, 4, 4]))
        numbers[str(rng.integers(10 ** (digits - 1), 10**digits))] = None
    return list(numbers)


def _pieces(rng: Generator) -> list[str]:
    kinds = [str(name) for name in rng.permutation(NAMES)[: rng.integers(1, 5)]]
    if rng.random() < 0.2 and kinds[0] in LOOK_ALIKES:
        kinds.append(LOOK_ALIKES[kinds[0]])
    pieces = [name for name in dict.fromkeys(kinds) for _ in range(int(rng.choice([1, 1, 1, 2, 2, 3])))]
    return pieces[:MAX_PIECES]


def _actions(rng: Generator, pieces: list[str], start: float, *, slip_first: bool) -> tuple[list[Action], float]:
    """Lay everything down, some of it into the bag early, and hand over. Returns the actions and the end's time.

    Where the counter was never empty the slip comes first: nobody could tell whose the pieces before it are.
    """
    actions: list[Action] = []
    names = list(dict.fromkeys(pieces))
    bags_early = len(names) > 1 and rng.random() < 0.3
    early = set(names[: int(rng.integers(1, len(names)))]) if bags_early else set()
    if bags_early or rng.random() < 0.5:
        actions.append(Action(start - 0.2, "stand_bag"))
    slip_after = 0 if slip_first else int(rng.integers(1, min(3, len(pieces)) + 1))
    at, laid = start + 0.6, 0
    keys: dict[str, list[str]] = {}

    def lay(batch: list[str]) -> None:
        nonlocal at, laid
        for name in batch:
            if laid == slip_after:
                actions.append(Action(at, "slip"))
                at += float(rng.uniform(0.9, 1.3))
            actions.append(Action(at, "lay", name))
            keys.setdefault(name, []).append(f"{name}#{len(keys.get(name, ())) + 1}")
            laid += 1
            at += float(rng.uniform(0.9, 1.5))

    lay([name for name in pieces if name in early])
    if early:
        at += float(rng.uniform(1.0, 1.6))
        for key in [key for name in early for key in keys[name]]:
            actions.append(Action(at, "bag", key))
            at += 0.9
    lay([name for name in pieces if name not in early])
    if laid == slip_after:
        actions.append(Action(at, "slip"))
        at += 1.2
    remaining = [key for name in names if name not in early for key in keys[name]]
    at = _incidents(rng, actions, remaining, at)
    at += float(rng.uniform(1.7, 3.0))
    actions.append(Action(at, "take"))
    return actions, at + 0.9 + 0.25 * len(remaining)


def _incidents(rng: Generator, actions: list[Action], remaining: list[str], at: float) -> float:
    if rng.random() < 0.2:
        actions.append(Action(at, "move", str(rng.choice(remaining))))
        at += 1.0
    if rng.random() < 0.15:
        actions.append(Action(at, "move", "slip"))
        at += 1.0
    if rng.random() < 0.25:
        actions.append(Action(at, "cross", seconds=float(rng.uniform(0.8, 1.4))))
        at += 1.2
    if rng.random() < 0.2:
        what = "slip" if rng.random() < 0.5 else str(rng.choice(remaining))
        actions.append(Action(at, "cover", what, seconds=float(rng.uniform(0.5, 1.0))))
        at += 1.4
    return at


def _mutated(rng: Generator, laid: tuple[Item, ...]) -> tuple[Item, ...]:
    """POS lines that differ from the counter: something missing, extra, in a wrong number, or a look-alike."""
    paid = Counter({item.name: item.quantity for item in laid})
    kind = str(rng.choice(["missing", "extra", "quantity", "swap"]))
    present = [item.name for item in laid]
    absent = [name for name in NAMES if name not in paid]
    victim = str(rng.choice(present))
    if kind == "extra" and len(present) > 1:
        del paid[victim]
    elif kind == "quantity":
        paid[victim] += 1 if paid[victim] == 1 or rng.random() < 0.5 else -1
    elif kind == "swap":
        victim = next((name for name in present if name in LOOK_ALIKES), victim)
        other = LOOK_ALIKES.get(victim, str(rng.choice(absent)))
        paid[other] += paid.pop(victim)
    else:
        paid[str(rng.choice(absent))] += 1
    return tuple(Item(name, paid[name]) for name in NAMES if paid[name] > 0)
