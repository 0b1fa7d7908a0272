"""What the menu knows about an order that the POS does not say: which parts of a combo lie in a closed box."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orderacc.domain.order_lines import OrderLine, combos_above

if TYPE_CHECKING:
    from orderacc.domain.menus import Menu
    from orderacc.domain.orders import Order


def packed(order: Order, menu: Menu) -> Order:
    """The order as it lies on the counter: a closed box is looked for in place of what is in it.

    Parts that the menu does not put into the box (the drink beside it) are looked for as before. Only orders in full
    lines tell what belongs to which combo; others come back as they are.

    Args:
        order: As the POS sent it.
        menu: Knows what is packed how.
    """
    known = {line.line_id: line for line in order.lines}
    boxes: dict[str, OrderLine] = {}
    lines: list[OrderLine] = []
    for line in order.lines:
        box = next((one for one in combos_above(line, known) if menu.encloses(one.seen_as, line.seen_as)), None)
        if box is None:
            lines.append(line)
            continue
        lines.append(line if line.verifiability == "ignore" else replace(line, verifiability="occluded"))
        boxes.setdefault(box.line_id, box)
    if not boxes:
        return order
    # A combo is looked for as its parts, so the box becomes one of them, unless the POS lists it there already.
    lines += [_box(box, known) for box in boxes.values() if not _lists_itself(box, lines, menu)]
    return replace(order, lines=tuple(lines))


def _lists_itself(combo: OrderLine, lines: list[OrderLine], menu: Menu) -> bool:
    own = menu.find(combo.seen_as)
    return any(one.parent_line_id == combo.line_id and menu.find(one.seen_as) is own for one in lines)


def _box(combo: OrderLine, known: dict[str, OrderLine]) -> OrderLine:
    line_id = f"{combo.line_id}/box"
    while line_id in known:
        line_id += "/box"
    return OrderLine(line_id, combo.seen_as, parent_line_id=combo.line_id)
