"""Watches the hand-off counter and says whether each bag holds what was paid for.

Everything public is named in `__all__` and loaded when it is first touched, so that `import orderacc` costs next to
nothing and pulls in no model runtime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from orderacc._version import __version__

if TYPE_CHECKING:
    from orderacc.config import Config, load_config
    from orderacc.domain.menus import Menu, MenuItem
    from orderacc.domain.orders import Item, Order
    from orderacc.domain.verdicts import Verdict
    from orderacc.errors import (
        ConfigError,
        EngineError,
        Finding,
        ModelError,
        OrderAccError,
        OrdersError,
        SourceError,
        StationError,
        StorageError,
    )
    from orderacc.service.daemon import run_daemon
    from orderacc.service.replay import replay
    from orderacc.validation import judge
    from orderacc.vlm.answer import parse_answer

__all__ = [
    "Config",
    "ConfigError",
    "EngineError",
    "Finding",
    "Item",
    "Menu",
    "MenuItem",
    "ModelError",
    "Order",
    "OrderAccError",
    "OrdersError",
    "SourceError",
    "StationError",
    "StorageError",
    "Verdict",
    "__version__",
    "judge",
    "load_config",
    "parse_answer",
    "replay",
    "run_daemon",
]

_HOMES: Final = {
    "Config": "orderacc.config",
    "ConfigError": "orderacc.errors",
    "EngineError": "orderacc.errors",
    "Finding": "orderacc.errors",
    "Item": "orderacc.domain.orders",
    "Menu": "orderacc.domain.menus",
    "MenuItem": "orderacc.domain.menus",
    "ModelError": "orderacc.errors",
    "Order": "orderacc.domain.orders",
    "OrderAccError": "orderacc.errors",
    "OrdersError": "orderacc.errors",
    "SourceError": "orderacc.errors",
    "StationError": "orderacc.errors",
    "StorageError": "orderacc.errors",
    "Verdict": "orderacc.domain.verdicts",
    "judge": "orderacc.validation",
    "load_config": "orderacc.config",
    "parse_answer": "orderacc.vlm.answer",
    "replay": "orderacc.service.replay",
    "run_daemon": "orderacc.service.daemon",
}

# A type checker reads the imports above; were it to see this function, it would let any misspelt name pass.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name from its room (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
