"""A door over staged stations, and somebody who knocks."""

from __future__ import annotations

import io
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio

from orderacc.api.routes import Scope
from orderacc.api.tokens import create_token
from orderacc.config import ApiConfig
from orderacc.domain.orders import Item
from orderacc.domain.verdicts import Verdict
from orderacc.orders.memory import OrderStore
from orderacc.service.ledger import RecentLedger
from orderacc.service.serving import Serving
from staged_stations import DEADLINE, StagedBuilder, config_of, staged, station_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from staged_stations import Stage

CANARY = "c4n4ry-in-the-mine"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The problem's code; None when it is no problem."""
        if not self.headers["Content-Type"].startswith("application/problem+json"):
            return None
        problem = self.json
        assert problem["type"] == f"urn:orderacc:problem:{problem['code']}"
        assert problem["status"] == self.status
        return str(problem["code"])


@dataclass
class Door:
    """A door that is open.

    Attributes:
        address: Where.
        serving: What it shows.
        stage: The stations behind it.
        tokens: By the names of their scopes, `read`, `submit`, `admin`; empty where there are none.
    """

    address: str
    serving: Serving
    stage: Stage
    session: aiohttp.ClientSession
    tokens: dict[str, str] = field(default_factory=dict)
    close: Callable[[], None] = lambda: None

    async def ask(
        self, method: str, path: str, body: Any = None, *, scope: str | None = "admin", **more: Any
    ) -> Answer:
        headers = {**self.bearer(scope), **more.pop("headers", {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        data = None if body is None else io.BytesIO(body)
        async with self.session.request(method, self.address + path, data=data, headers=headers, **more) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    def bearer(self, scope: str | None = "admin") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[scope]}"} if scope in self.tokens else {}


def verdict(number: int, **changes: Any) -> Verdict:
    values: dict[str, Any] = {
        "status": "inaccurate",
        "sentence": f"Order {number}: 1 x Cola is missing.",
        "expected": (Item("Burger"), Item("Cola")),
        "verdict_id": f"front-{number:06d}",
        "station_id": "front",
        "order_id": str(number),
        "slip_text": str(number),
    }
    return Verdict(**(values | changes))


@asynccontextmanager
async def opened(
    folder: Path | None = None,
    *,
    ledger: Any = None,
    objects: Any = None,
    detector: Any = None,
    videos: Any = None,
    stations: tuple[str, ...] = ("front",),
    deadline: float = 2 * DEADLINE,
    **config: Any,
) -> AsyncIterator[Door]:
    """A door; with a folder it has tokens, one for each scope."""
    tokens: dict[str, str] = {}
    if folder is not None:
        path = folder / "tokens.json"
        tokens = {str(scope): create_token(path, f"a {scope}er", frozenset({scope}))[1] for scope in Scope}
        config["tokens"] = str(path)
    builder = StagedBuilder()
    async with staged(builder, config_of(*map(station_config, stations)), deadline=deadline) as stage:
        api = ApiConfig.model_validate({"port": 0, **config})
        ledger = ledger or RecentLedger(api.keep_verdicts)
        serving = Serving(api, stage.stations, OrderStore(), ledger, objects=objects, detector=detector)
        serving.videos = videos
        async with anyio.create_task_group() as group, aiohttp.ClientSession() as session:
            address = await group.start(lambda *, task_status: serving.run(task_status=task_status))
            yield Door(address, serving, stage, session, tokens, group.cancel_scope.cancel)
            group.cancel_scope.cancel()
