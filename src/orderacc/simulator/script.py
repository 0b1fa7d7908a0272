"""What happens at the counter and when: a script a person can write, or a seed can make."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from orderacc.domain.orders import Item
from orderacc.simulator.menu import NAMES

Verb = Literal["slip", "lay", "stand_bag", "bag", "move", "cover", "cross", "take"]


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
        """The script as JSON-ready values, as `script_file.load_script` reads them."""
        return asdict(self)
