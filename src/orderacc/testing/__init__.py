"""Stand-ins for tests: a model that says what it is told to, perception that is never wrong, a camera with every fault.

Public because whoever scripts this package wants to stage the same faults. Each is loaded when it is first touched.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orderacc.testing.camera import StagedCamera, StagedSource
    from orderacc.testing.clock import StagedClock
    from orderacc.testing.engine import EngineFault, StagedEngine
    from orderacc.testing.perception import ITEM_SHOWN, LEGIBLE, SHOWN, BlankSource, PerfectObserver

__all__ = [
    "ITEM_SHOWN",
    "LEGIBLE",
    "SHOWN",
    "BlankSource",
    "EngineFault",
    "PerfectObserver",
    "StagedCamera",
    "StagedClock",
    "StagedEngine",
    "StagedSource",
]

_HOMES: Final = {
    "BlankSource": "orderacc.testing.perception",
    "EngineFault": "orderacc.testing.engine",
    "ITEM_SHOWN": "orderacc.testing.perception",
    "LEGIBLE": "orderacc.testing.perception",
    "PerfectObserver": "orderacc.testing.perception",
    "SHOWN": "orderacc.testing.perception",
    "StagedCamera": "orderacc.testing.camera",
    "StagedClock": "orderacc.testing.clock",
    "StagedEngine": "orderacc.testing.engine",
    "StagedSource": "orderacc.testing.camera",
}

# As in `orderacc` itself: a type checker that saw this function would let any misspelt name pass.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a stand-in from its module (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
