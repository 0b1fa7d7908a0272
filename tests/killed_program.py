"""`orderacc run --fast` in processes of its own: simulated pictures, the models that ship, orders put over HTTP.

Nothing in it is staged, and all that is known of it is what it told others: the till that puts orders, a listener to
its events that comes back where it left off, and the receiver of a webhook.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp

from orderacc.domain.orders import Item
from orderacc.simulator.menu import NAMES
from orderacc.simulator.script import Action, Script, ScriptedOrder
from ports import free_port
from receivers import SECRET, receiver

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

STORE = "store-17"
STATIONS = ("left", "right")
ORDERS = 2
"""Shown at each station in a life."""

FIRST_NUMBER = 1000
FPS = 5.0

PAUSE = 0.05
"""Seconds between two orders that the till puts."""


def short_script(seed: int, numbers: Sequence[int]) -> Script:
    """One or two pieces of every order, five seconds each."""
    chance, orders, at = random.Random(seed), [], 0.5
    for number in numbers:
        names = chance.sample(NAMES, chance.choice((1, 2)))
        actions = [Action(at + 0.6, "slip")]
        actions += [Action(at + 1.6 + 0.8 * place, "lay", name) for place, name in enumerate(names)]
        at += 4.0 + 0.8 * len(names)
        actions.append(Action(at, "take"))
        orders.append(ScriptedOrder(str(number), tuple(Item(name, 1) for name in names), tuple(actions)))
        at += 2.5
    return Script(seed, tuple(orders), FPS, at + 1.0)


class Program:
    """The program, one life after the other.

    Args:
        folder: Where it keeps everything.

    Attributes:
        shown: Numbers of the orders that the last life saw.
        received: What the webhook was sent and took.
        forged: How much of it was not signed as it should be.
        missed: Events the listener was not told.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: list[tuple] = []
        self._lives = 0
        self._known = "0"
        self._seconds: list[float] = []
        self.shown: list[str] = []
        self.received: list[dict] = []
        self.forged = 0
        self.missed: list[str] = []

    def life(self, seed: int, kill_after: float | None) -> int:
        return asyncio.run(self._life(seed, kill_after))

    def told(self) -> Iterable[Sequence]:
        return self._told

    def print_figures(self) -> None:
        keys = {body["key"] for body in self.received}
        print(
            f"{self._lives} lives of {sum(self._seconds) / self._lives:.1f} s in the middle; the webhook took"
            f" {len(keys)} messages, {len(self.received) - len(keys)} of them again; events missed {len(self.missed)}"
        )

    async def _life(self, seed: int, kill_after: float | None) -> int:
        loop = asyncio.get_running_loop()
        scripts = self._scripts(seed)
        self.shown = [order.order_id for script in scripts for order in script.orders]
        async with receiver() as hook:
            address = self._configure(hook.url)
            started = loop.time()
            with (self._folder / "log.ndjson").open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-c", "from orderacc.cli import main; main()"),
                    *("run", "--fast", "--stations", str(self._folder / "stations.yaml")),
                    stdout=log,
                    stderr=log,
                )
            killing = None if kill_after is None else loop.call_later(kill_after, _kill, process)
            async with aiohttp.ClientSession(address) as session:
                others = [asyncio.create_task(self._put_orders(session, scripts))]
                others.append(asyncio.create_task(self._listen(session)))
                status = await process.wait()
                if killing is not None:
                    killing.cancel()
                for task in others:
                    task.cancel()
                for task in others:
                    with suppress(asyncio.CancelledError):
                        await task
            self._seconds.append(loop.time() - started)
        self.received += hook.received
        self.forged += hook.forged
        return status

    def _scripts(self, seed: int) -> list[Script]:
        """What the stations of a life show; no two orders of all lives have one number."""
        scripts = []
        for place, name in enumerate(STATIONS):
            first = FIRST_NUMBER + (self._lives * len(STATIONS) + place) * ORDERS
            scripts.append(short_script(2 * seed + place, range(first, first + ORDERS)))
            (self._folder / f"{name}.json").write_text(json.dumps(scripts[-1].to_dict()))
        self._lives += 1
        return scripts

    def _configure(self, hook: str) -> str:
        """Write the configuration of a life; the address of its door."""
        port = free_port()
        webhook = {"name": "pos", "url": hook, "secrets": [SECRET], "retry_max_sec": 0.2}
        config = {
            "schema": 1,
            "stations": [
                {"id": name, "source": {"type": "simulator", "script": f"{name}.json", "own_orders": False}}
                for name in STATIONS
            ],
            "orders": {},
            "api": {"port": port},
            "storage": {"data_dir": "data"},
            "notify": {"store": STORE, "webhooks": [webhook]},
            "results": {"file": "verdicts.ndjson"},
        }
        (self._folder / "stations.yaml").write_text(json.dumps(config))
        return f"http://127.0.0.1:{port}"

    async def _put_orders(self, session: aiohttp.ClientSession, scripts: Sequence[Script]) -> None:
        """A till: the orders of this life, then others that nobody collects, to the end."""
        lines = {
            order.order_id: [{"name": item.name, "quantity": item.quantity} for item in order.paid]
            for script in scripts
            for order in script.orders
        }
        for order_id, items in lines.items():
            await self._put(session, order_id, items)
        number = 0
        while True:
            await self._put(session, f"later-{self._lives}-{number}", [{"name": "Burger"}])
            number += 1
            await asyncio.sleep(PAUSE)

    async def _put(self, session: aiohttp.ClientSession, order_id: str, items: list[dict]) -> None:
        """Put an order until it is acknowledged."""
        while True:
            with suppress(aiohttp.ClientError):
                body = {"version": 1, "items": items}
                async with session.put(f"/v1/orders/till/{order_id}", json=body) as answer:
                    if answer.status in {200, 201}:
                        self._told.append(("order", "till", order_id, 1))
                        return
            await asyncio.sleep(PAUSE)

    async def _listen(self, session: aiohttp.ClientSession) -> None:
        """Hear everything once, from where the life before was cut off."""
        while True:
            with suppress(aiohttp.ClientError):
                headers = {"Last-Event-ID": self._known}
                async with session.get("/v1/events", headers=headers, timeout=aiohttp.ClientTimeout()) as answer:
                    await self._hear(answer.content)
            await asyncio.sleep(PAUSE)

    async def _hear(self, lines: aiohttp.StreamReader) -> None:
        event: dict[str, str] = {}
        async for line in lines:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                event[name] = value
                continue
            if "event" in event:
                self._take(event["id"], event["event"], json.loads(event["data"])["data"])
            event = {}

    def _take(self, name: str, kind: str, body: dict) -> None:
        number = int(name.rpartition("-")[2])
        if kind == "missed" or number != int(self._known.rpartition("-")[2]) + 1:
            self.missed.append(f"{kind} {name} behind {self._known}")
        self._known = name
        if kind == "opened":
            self._told.append(("opened", body["visit_id"]))
        elif kind == "verdict":
            self._told.append(("verdict", body["verdict_id"], body["revision"], body["status"], True))


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):  # it has ended this moment
        process.kill()
