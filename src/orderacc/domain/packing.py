"""What the menu knows about an order that the POS does not say: its own names, and what lies in a closed box."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orderacc.domain.order_lines import OrderLine, combos_above

if TYPE_CHECKING:
    from orderacc.domain.menus import Menu
    from orderacc.domain.orders import Order


def packed(order: Order, menu: Menu) -> Order:
    """The order as it lies on the counter: by the menu's names, and a closed box in place of what is in it.

    A line whose name the menu does not have is what its SKU is on the menu, else what the first of its aliases is.
    Parts that the menu does not put into the box (the drink beside it) are looked for as before. Only orders in full
    lines tell what belongs to which combo; others come back as they are.

    Args:
        order: As the POS sent it.
        menu: Knows what is packed how.
    """
    called = [_called(line, menu) for line in order.lines]
    known = {line.line_id: line for line in called}
    boxes: dict[str, OrderLine] = {}
    lines: list[OrderLine] = []
    for line in called:
        box = next((one for one in combos_above(line, known) if menu.encloses(one.seen_as, line.seen_as)), None)
        if box is None:
            lines.append(line)
            continue
        lines.append(line if line.verifiability == "ignore" else replace(line, verifiability="occluded"))
        boxes.setdefault(box.line_id, box)
    if not boxes and all(line is sent for line, sent in zip(called, order.lines, strict=True)):
        return order
    # A combo is looked for as its parts, so the box becomes one of them, unless the POS lists it there already.
    lines += [_box(box, known) for box in boxes.values() if not _lists_itself(box, lines, menu)]
    return replace(order, lines=tuple(lines))


def _called(line: OrderLine, menu: Menu) -> OrderLine:
    """The line by the menu's name. What came instead of it (a swap) is a name of its own, and no SKU tells of it."""
    swapped = any(one.kind == "swap" for one in line.modifiers)
    if swapped or menu.find(line.seen_as) is not None or menu.find(line.name) is not None:
        return line
    found = (menu.find(name) for name in (line.sku, *line.aliases) if name)
    item = next((one for one in found if one is not None), None)
    return line if item is None else replace(line, name=item.name)


def _lists_itself(combo: OrderLine, lines: list[OrderLine], menu: Menu) -> bool:
    own = menu.find(combo.seen_as)
    return any(one.parent_line_id == combo.line_id and menu.find(one.seen_as) is own for one in lines)


def _box(combo: OrderLine, known: dict[str, OrderLine]) -> OrderLine:
    line_id = f"{combo.line_id}/box"
    while line_id in known:
        line_id += "/box"
    return OrderLine(line_id, combo.seen_as, parent_line_id=combo.line_id)
