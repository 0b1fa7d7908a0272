"""What happens at the counter and when: a script a person can write, or a seed can make."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from orderacc.domain.orders import Item
from orderacc.errors import ConfigError, Finding
from orderacc.simulator.menu import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Verb = Literal["slip", "lay", "stand_bag", "bag", "move", "cover", "cross", "take"]
VERBS: Final = get_args(Verb)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that happens.

    Attributes:
        at: Seconds into the video.
        do: `slip` lays the slip down; `lay` puts a piece down; `stand_bag` stands a bag beside; `bag` puts a piece into
            the bag; `move` shifts a piece or the slip; `cover` rests a hand on it; `cross` sends a hand across; `take`
            carries one thing away, or everything of the order.
        what: A menu name for `lay`; a piece such as `Burger#2`, or `slip`, for `bag`, `move`, `cover` and `take`.
        x: Target in pixels of a 1280x720 picture; chosen by the seed when None.
        y: Likewise.
        angle: Degrees, counter-clockwise; chosen by the seed when None.
        look: Which look of the item, 0 to 2; chosen by the seed when None.
        seconds: How long a `cover` or `cross` lasts.
    """

    at: float
    do: Verb
    what: str = ""
    x: float | None = None
    y: float | None = None
    angle: float | None = None
    look: int | None = None
    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class ScriptedOrder:
    """One order's stay at the counter.

    Attributes:
        order_id: The number printed on the slip.
        paid: What the POS says was paid for.
        actions: What happens, in any order of time.
    """

    order_id: str
    paid: tuple[Item, ...]
    actions: tuple[Action, ...]

    @property
    def laid(self) -> tuple[Item, ...]:
        """What is really put on the counter, in menu order."""
        names = [action.what for action in self.actions if action.do == "lay"]
        return tuple(Item(name, names.count(name)) for name in NAMES if name in names)


@dataclass(frozen=True, slots=True)
class Script:
    """A whole video.

    Attributes:
        seed: Decides all that the actions leave open: places, looks, scenery, light, noise.
        orders: In the order of their time.
        fps: Frames per second.
        seconds: Length; the last frame lies before it.
    """

    seed: int
    orders: tuple[ScriptedOrder, ...]
    fps: float = 10.0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The script as JSON-ready values, for `load_script`."""
        return asdict(self)


def load_script(path: Path) -> Script:
    """Read a script from YAML or JSON.

    Args:
        path: The file; the keys are the fields of `Script`, `ScriptedOrder`, `Item` and `Action`.

    Raises:
        ConfigError: If the file is missing, is not YAML, or does not fit; names the place.
    """
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([Finding(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise ConfigError([Finding(str(path), line, column, "", "is not YAML or JSON")]) from error
    try:
        return _script(raw)
    except (KeyError, TypeError, ValueError) as error:
        message = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigError([Finding(str(path), 0, 0, "", message)]) from error


def save_script(script: Script, path: Path) -> None:
    """Write a script as JSON."""
    path.write_text(json.dumps(script.to_dict(), indent=1) + "\n", encoding="utf-8")


def _script(raw: Mapping[str, Any]) -> Script:
    orders = tuple(
        ScriptedOrder(
            order_id=str(order["order_id"]),
            paid=tuple(Item(**_known(Item, line)) for line in order.get("paid", ())),
            actions=tuple(_action(action) for action in order["actions"]),
        )
        for order in raw["orders"]
    )
    last = max((action.at for order in orders for action in order.actions), default=0.0)
    return Script(int(raw.get("seed", 0)), orders, float(raw.get("fps", 10.0)), float(raw.get("seconds") or last + 4.0))


def _action(raw: Mapping[str, Any]) -> Action:
    action = Action(**_known(Action, raw))
    if action.do not in VERBS:
        raise ValueError(f"an action's 'do' is one of {', '.join(VERBS)}, not {action.do!r}")
    if action.do == "lay" and action.what not in NAMES:
        raise ValueError(f"there is no {action.what!r} on the demo menu: {', '.join(NAMES)}")
    return action


def _known(kind: type, raw: Mapping[str, Any]) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    for key in raw:
        if key not in names:
            raise ValueError(f"unknown key {key!r}: a {kind.__name__.lower()} has {', '.join(names)}")
    return dict(raw)
