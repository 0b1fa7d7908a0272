"""Routes of orders: a till hands them in, amends them and cancels them."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import ConfigDict, Field
from pydantic_core import from_json

from orderacc.api.limits import Turns
from orderacc.api.routes import BODY_TIME, Route, Scope, dotted, json_answer, read_query
from orderacc.api.shapes import Given, Told
from orderacc.errors import BadOrderError, RequestError
from orderacc.orders.memory import Put
from orderacc.orders.schema import HIGHEST_VERSION, OrderIn, read_order

if TYPE_CHECKING:
    from orderacc.domain.orders import Order
    from orderacc.orders.memory import OrderStore

TAG: Final = "Orders"
NAMED: Final = {
    "source": "The feed it comes from: letters, digits, dot, dash and underscore.",
    "order_id": "The till's key for it, unique within its source.",
}


def _path_says_which(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema["required"] if name != "order_id"]


class OrderBody(OrderIn):
    """An order of any till, whose path says which it is. Keys beyond these are not read."""

    model_config = ConfigDict(json_schema_extra=_path_says_which)


class OrderTold(Told):
    """An order and what became of it."""

    result: Literal["created", "updated", "unchanged", "known"]
    """`known` where nothing was handed in."""
    order: dict[str, Any]
    """The order, `schema: 1`; `items` are its lines."""


class OrdersTold(Told):
    """Orders."""

    orders: list[dict[str, Any]]
    """Those put last come first."""


class OrdersQuery(Given):
    """Which orders."""

    source: Annotated[str, Field(max_length=64)] | None = None
    """From this feed."""
    state: Literal["open", "ready", "closed", "cancelled"] | None = None
    """In this state."""
    number: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """With this number on the slip."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """Most orders."""


class CancelQuery(Given):
    """What is cancelled."""

    version: Annotated[int, Field(ge=1, le=HIGHEST_VERSION)] | None = None
    """The version that is cancelled; for good when left out."""


class OrderRoutes:
    """The routes' handlers.

    Args:
        orders: All orders the box knows.
    """

    def __init__(self, orders: OrderStore) -> None:
        self._orders = orders
        self._turns = Turns()

    def routes(self) -> tuple[Route, ...]:
        """The table's part."""
        one = "/v1/orders/{source:[A-Za-z0-9._-]+}/{order_id}"
        return (
            Route(
                "GET", "/v1/orders", self.list, "Orders the box knows.", TAG, Scope.READ, OrdersTold, query=OrdersQuery
            ),
            Route(
                "GET",
                one,
                self.get,
                "One order.",
                TAG,
                Scope.READ,
                OrderTold,
                problems=("not_found", "invalid"),
                parameters=NAMED,
            ),
            Route(
                "PUT",
                one,
                self.put,
                "Hand in an order, or a later version of it. It is kept when this is answered, and may be sent again.",
                TAG,
                Scope.SUBMIT,
                OrderTold,
                others=(201,),
                body=OrderBody,
                problems=("conflict", "gone", "unavailable"),
                parameters=NAMED,
            ),
            Route(
                "DELETE",
                one,
                self.cancel,
                "Cancel an order, also one that is not known yet.",
                TAG,
                Scope.SUBMIT,
                status=204,
                media=None,
                query=CancelQuery,
                problems=("conflict", "unavailable"),
                parameters=NAMED,
            ),
        )

    async def list(self, request: web.Request) -> web.Response:
        """`GET /v1/orders`."""
        query = read_query(request, OrdersQuery)
        fitting = (
            order.to_dict()
            for order in reversed(self._orders.orders())
            if (query.source is None or order.source == query.source)
            and (query.state is None or order.state == query.state)
            and (query.number is None or order.display_id == query.number)
        )
        async with self._turns.turn():
            return json_answer(OrdersTold(orders=list(islice(fitting, query.limit))))

    async def get(self, request: web.Request) -> web.Response:
        """`GET /v1/orders/{source}/{order_id}`."""
        source, order_id = _key(request)
        order = self._orders.get(source, order_id)
        if order is None:
            raise RequestError(f"there is no order {order_id!r} of {source!r}", code="not_found")
        return json_answer(OrderTold(result="known", order=order.to_dict()))

    async def put(self, request: web.Request) -> web.Response:
        """`PUT /v1/orders/{source}/{order_id}`."""
        source, order_id = _key(request)
        order = await _read(request, source, order_id)
        result = await self._orders.put(order)
        if result is Put.STALE:
            raise RequestError("a later version is known, or this one with other contents", code="conflict")
        if result is Put.TOMBSTONED:
            raise RequestError("the order is cancelled", code="gone")
        kept = self._orders.get(source, order_id) or order
        told = OrderTold.model_validate({"result": str(result), "order": kept.to_dict()})
        return json_answer(told, 201 if result is Put.CREATED else 200)

    async def cancel(self, request: web.Request) -> web.Response:
        """`DELETE /v1/orders/{source}/{order_id}`."""
        source, order_id = _key(request)
        query = read_query(request, CancelQuery)
        if await self._orders.cancel(source, order_id, query.version) is Put.STALE:
            raise RequestError("a later version is known", code="conflict")
        return web.Response(status=204)


def _key(request: web.Request) -> tuple[str, str]:
    source, order_id = request.match_info["source"], request.match_info["order_id"]
    if len(source) > 64:
        raise RequestError(
            "the path is not as it should be", code="invalid", details=[("source", "should be at most 64 characters")]
        )
    if not order_id.strip() or not order_id.isprintable() or len(order_id) > 256:
        wrong = ("order_id", "should be text on one line, at most 256 characters")
        raise RequestError("the path is not as it should be", code="invalid", details=[wrong])
    return source, order_id.strip()


async def _read(request: web.Request, source: str, order_id: str) -> Order:
    """The order in a body; the path says whose it is and which.

    Raises:
        RequestError: `unsupported_media_type`, `timeout`, `bad_request`, or `invalid`.
    """
    if request.content_type != "application/json":
        raise RequestError(
            "the body should be JSON, with Content-Type: application/json", code="unsupported_media_type"
        )
    try:
        async with asyncio.timeout(BODY_TIME):
            data = from_json(await request.read(), allow_inf_nan=False)
    except TimeoutError:
        raise RequestError("the body did not arrive in time", code="timeout") from None
    except ValueError:
        raise RequestError("the body is not JSON", code="bad_request") from None
    if isinstance(data, dict):
        for name, value in (("order_id", order_id), ("source", source)):
            if data.setdefault(name, value) != value:
                wrong = (name, "differs from what the path says")
                raise RequestError("the body is not as it should be", code="invalid", details=[wrong])
    try:
        return read_order(data, source=source)
    except BadOrderError as error:
        details = [(dotted(path), message) for path, message in error.problems]
        raise RequestError("the body is not an order", code="invalid", details=details) from None
