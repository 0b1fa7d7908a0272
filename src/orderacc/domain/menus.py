"""The menu: what the items are called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One thing on the menu.

    Attributes:
        name: The name verdicts use.
        item_id: The POS's key for it; the name where there is none.
        category: E.g. `burger`, `drink`.
        aliases: Other names the POS or the model may use.
        group: The detector label that covers it (look-alikes share one), or None when the detector has none.
    """

    name: str
    item_id: str = ""
    category: str = ""
    aliases: tuple[str, ...] = ()
    group: str | None = None
