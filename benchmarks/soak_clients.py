"""Who uses a daemon in a soak: a till, a screen and a listener."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from soaked_daemon import FIRST_NUMBER, NUMBERS, order_number

if TYPE_CHECKING:
    from collections import Counter

AHEAD = 4
"""Orders of a counter that the till has handed in before they are laid down."""

AMENDED = 10
"""The till amends one order of so many behind its verdict."""


class Till:
    """Hands in orders ahead of their bags, and amends some behind their verdicts.

    Args:
        session: To the daemon.
        counters: How many counters there are.
        told: What its webhook is told of verdicts.
    """

    def __init__(self, session: aiohttp.ClientSession, counters: int, told: list[dict]) -> None:
        self._session = session
        self._told = told
        self._next = [0] * counters
        self.handed_in = self.amended = 0

    async def run(self):
        for counter in range(len(self._next)):
            for _ in range(AHEAD):
                await self._hand_in(counter)
        seen = 0
        while True:
            while seen < len(self._told):
                message, seen = self._told[seen], seen + 1
                if message["type"] == "verdict.reached" and message["data"]["slip_text"]:
                    await self._answer(message["data"]["slip_text"])
            await asyncio.sleep(0.1)

    async def _answer(self, number: str):
        counter, serial = divmod(int(number) - FIRST_NUMBER, NUMBERS)
        if serial % AMENDED == 0:
            await self._put(number, ["Burger", "Cola", "Donut"], 2)
            self.amended += 1
        while self._next[counter] <= serial + AHEAD:
            await self._hand_in(counter)

    async def _hand_in(self, counter: int):
        serial = self._next[counter]
        self._next[counter] += 1
        await self._put(order_number(counter, serial), ["Burger"] if serial % 3 else ["Burger", "Cola"], 1)
        self.handed_in += 1

    async def _put(self, number: str, names: list[str], version: int):
        order = {"version": version, "items": [{"name": name} for name in names]}
        async with self._session.put(f"/v1/orders/till/{number}", json=order) as answer:
            assert answer.status in {200, 201}, await answer.text()


async def look_around(session: aiohttp.ClientSession, address: str):
    """A screen that asks for everything every second, on connections that last and on new ones."""
    while True:
        for path in ("/health", "/metrics", "/v1/verdicts?limit=20", "/v1/stations", "/v1/orders?limit=20"):
            async with session.get(path) as answer:
                assert answer.status == 200, (path, await answer.text())
                await answer.read()
        async with aiohttp.request("GET", f"{address}/healthz") as answer:
            assert answer.status == 200
        await asyncio.sleep(1)


async def listen(session: aiohttp.ClientSession, heard: Counter):
    """A listener that comes back every minute."""
    while True:
        try:
            async with asyncio.timeout(60), session.get("/v1/events", timeout=aiohttp.ClientTimeout()) as answer:
                async for line in answer.content:
                    heard.update([line.split(b":")[0].decode() or "comment"])
        except TimeoutError:
            heard["connections"] += 1
