"""Scripts as files: YAML or JSON that a person writes, with every mistake named by its line."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, ValidationError

from orderacc.config.messages import did_you_mean, explain
from orderacc.config.section import Section
from orderacc.documents import read_document
from orderacc.domain.orders import Item
from orderacc.errors import ConfigError
from orderacc.simulator.menu import NAMES
from orderacc.simulator.script import Action, Script, ScriptedOrder, Verb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from orderacc.documents import FieldPath

Time = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]

TAIL: Final = 4.0
"""Seconds of video behind the last action where the script does not say how long it is."""

NAMED: Final = ("bag", "move", "cover")
"""Actions that need to be told what they are done to."""


class _Line(Section):
    name: Annotated[str, Field(pattern=r"\S")]
    quantity: Annotated[int, Field(ge=1)] = 1


class _Action(Section):
    at: Time
    do: Verb
    what: str = ""
    x: Number | None = None
    y: Number | None = None
    angle: Number | None = None
    look: Annotated[int, Field(ge=0, le=2)] | None = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class _Order(Section):
    order_id: Annotated[str, Field(min_length=1)] | int
    paid: Annotated[tuple[_Line, ...], Field(strict=False)] = ()
    actions: Annotated[tuple[_Action, ...], Field(strict=False, min_length=1)]


class _Script(Section):
    seed: Annotated[int, Field(ge=0)] = 0
    orders: Annotated[tuple[_Order, ...], Field(strict=False, min_length=1)]
    fps: Annotated[float, Field(ge=1, le=60)] = 10.0
    seconds: Time = 0.0


def load_script(path: Path) -> Script:
    """Read a script from YAML or JSON.

    Args:
        path: The file; the keys are the fields of `Script`, `ScriptedOrder`, `Item` and `Action`.

    Raises:
        ConfigError: With everything that is wrong: keys and values, items that are not on the menu, actions on things
            that do not lie there, and numbers paid for in two ways.
    """
    document = read_document(path)
    try:
        written = _Script.model_validate(document.data)
    except ValidationError as error:
        schema = _Script.model_json_schema()
        raise ConfigError(
            [
                document.finding(detail["loc"], explain(detail, detail["input"], schema))
                for detail in error.errors(include_url=False)
                # pydantic counts the sound elements only; the others have findings of their own
                if not (detail["type"] == "too_short" and detail["input"])
            ]
        ) from None
    orders = tuple(
        ScriptedOrder(
            order_id=str(order.order_id),
            paid=tuple(Item(line.name, line.quantity) for line in order.paid),
            actions=tuple(Action(**action.model_dump()) for action in order.actions),
        )
        for order in written.orders
    )
    findings = [
        document.finding(("orders", index, *place), message)
        for index, order in enumerate(orders)
        for place, message in _impossible(order.actions)
    ]
    findings += [document.finding(("orders", *place), message) for place, message in _paid_twice(orders)]
    if findings:
        raise ConfigError(findings)
    last = max(action.at for order in orders for action in order.actions)
    return Script(written.seed, orders, written.fps, written.seconds or last + TAIL)


def save_script(script: Script, path: Path) -> None:
    """Write a script as JSON."""
    path.write_text(json.dumps(script.to_dict(), indent=1) + "\n", encoding="utf-8")


def _paid_twice(orders: Sequence[ScriptedOrder]) -> Iterator[tuple[FieldPath, str]]:
    """Numbers that come again for something else: the POS knows one order of a number, so no truth could hold both."""
    first: dict[str, tuple[int, Counter[str]]] = {}
    for index, order in enumerate(orders):
        paid = Counter[str]()
        for item in order.paid:
            paid[item.name] += item.quantity
        earlier, known = first.setdefault(order.order_id, (index, paid))
        if paid != known:
            yield (
                (index, "order_id"),
                f"{order.order_id!r} is the number of orders[{earlier}] already, which paid for something else",
            )


def _impossible(actions: Sequence[Action]) -> Iterator[tuple[FieldPath, str]]:
    """What cannot happen on the counter, each with its place within the order."""
    there: set[str] = set()
    laid: Counter[str] = Counter()
    for index, action in sorted(enumerate(actions), key=lambda entry: entry[1].at):
        place: FieldPath = ("actions", index, "what")
        what = action.what
        if action.do == "lay":
            if what not in NAMES:
                near = did_you_mean(what, NAMES) or f"; there are: {', '.join(NAMES)}"
                yield place, f"there is no {what!r} on the demo menu{near}"
            laid[what] += 1
            there.add(f"{what}#{laid[what]}")
        elif action.do == "slip":
            if "slip" in there:
                yield place[:-1], "the slip lies there already: move it, or lay the next one in an order of its own"
            there.add("slip")
        elif (action.do in NAMED or (action.do == "take" and what)) and what not in there:
            lying = f"; there are: {', '.join(sorted(there))}" if there else ": nothing does"
            yield place, f"at {action.at:g} s no {what!r} lies there to {action.do}{lying}"
        elif action.do == "bag" and what == "slip":
            yield place, "the slip does not go into the bag; take it away"
        elif action.do == "bag" or (action.do == "take" and what):
            there.discard(what)
        elif action.do == "take":
            there.clear()
    if not laid and not any(action.do == "slip" for action in actions):
        yield ("actions",), "should lay a slip or an item down"
