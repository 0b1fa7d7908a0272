"""The API against its own document: requests made from it by the hundred, one by one and in chains.

`ORDERACC_API_EXAMPLES` sets how many. Where it is not set they are the same in every run.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from schema_door import STATIONS, VERDICTS, asked_from_outside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import SearchStrategy
    from schemathesis import BaseSchema, Case, HookContext, Response

    from schema_door import SchemaDoor

EXAMPLES = int(os.environ.get("ORDERACC_API_EXAMPLES", "1000"))
"""Requests made from the document; about half of them in chains, each with what an answer before it told."""

CHAIN = 10
"""Requests of a chain at most."""

FIRST_VERDICT = "$response.body#/verdicts/0/verdict/verdict_id"

KNOWN = {
    "station_id": STATIONS,
    "verdict_id": [f"front-{number:06d}" for number in range(VERDICTS)],
}
"""Names of what there is."""

LASTING = (
    "GET /v1/events",
    "GET /stream/events/{client_id}",
    "GET /stream/detection",
    "GET /v1/stations/{station_id}/live",
)
"""What does not end by itself; its own tests look at it, and so does the last test here."""

PARTICULAR = ("positive_data_acceptance",)
"""Checks that hold where everything that is asked of a request stands in the document. Of bodies and of orders' keys
more is asked: that an order's lines hang together, that a camera may be looked at, that text is on one line."""

FRANK = ("not_a_server_error",)
"""What does not hold where 503 is what is asked for: health, when no station sees anything."""

LINKS = (
    ("$response.body#/client_id", "post_stream_sessions", "post_stream_process_client_id"),
    ("$response.body#/client_id", "post_stream_sessions", "get_stream_sessions_client_id_stats"),
    ("$response.body#/client_id", "post_stream_sessions", "patch_stream_sessions_client_id_config"),
    (FIRST_VERDICT, "get_v1_verdicts", "get_v1_verdicts_verdict_id"),
    (FIRST_VERDICT, "get_v1_verdicts", "get_v1_verdicts_verdict_id_frames_number"),
    (FIRST_VERDICT, "get_v1_verdicts", "get_v1_verdicts_verdict_id_frames_number_crops_place"),
    (FIRST_VERDICT, "get_v1_verdicts", "get_v1_verdicts_verdict_id_replay_mp4"),
    (FIRST_VERDICT, "get_v1_verdicts", "post_v1_verdicts_verdict_id_review"),
)
"""Ids, which operation tells them, and which takes them, where that does not show in their names."""

ALIKE = settings(
    derandomize="ORDERACC_API_EXAMPLES" not in os.environ,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Asking:
    """Asks a door what the document says may be asked, and looks at the answers.

    Attributes:
        statuses: How many answers had which.
    """

    def __init__(self, door: SchemaDoor) -> None:
        self._door = door
        self._session = requests.Session()
        self.statuses: Counter[int] = Counter()

    @property
    def how(self) -> dict[str, Any]:
        return {"base_url": self._door.address, "session": self._session, "timeout": 30}

    def judge(self, case: Case, answer: Response, **more: Any) -> None:
        self.statuses[answer.status_code] += 1
        particular = case.operation.body or "{order_id}" in case.operation.path
        excluded = PARTICULAR if particular else FRANK if case.operation.path in ("/health", "/readyz") else ()
        case.validate_response(answer, excluded_checks=[CHECKS.get_one(name) for name in excluded], **more)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SchemaDoor]:
    with asked_from_outside(tmp_path_factory.mktemp("door")) as door:
        yield door


@pytest.fixture
def schema(door: SchemaDoor) -> BaseSchema:
    document = requests.get(f"{door.address}/openapi.json", timeout=30).json()
    del document["components"]["securitySchemes"]  # this door has no tokens
    for methods in document["paths"].values():
        for one in methods.values():
            del one["security"]
    by_id = {one["operationId"]: one for methods in document["paths"].values() for one in methods.values()}
    for expression, teller, taker in LINKS:
        (name,) = (one["name"] for one in by_id[taker]["parameters"] if one["name"] in ("client_id", "verdict_id"))
        links = by_id[teller]["responses"]["200"].setdefault("links", {})
        links[taker] = {"operationId": taker, "parameters": {f"path.{name}": expression}}
    schema = schemathesis.openapi.from_dict(document).exclude(lambda ctx: ctx.operation.label in LASTING)
    schema.hook(before_generate_path_parameters)
    schema.hook(map_body)
    return schema


def before_generate_path_parameters(context: HookContext, strategy: SearchStrategy) -> SearchStrategy:
    """Let half of the requests ask for what there is."""
    known = {name: those for name, those in KNOWN.items() if f"{{{name}}}" in context.operation.path}
    if not known:
        return strategy
    some = st.fixed_dictionaries({name: st.sampled_from(those) for name, those in known.items()})
    return strategy | st.tuples(strategy, some).map(lambda both: {**both[0], **both[1]} if both[0] else both[0])


def map_body(context: HookContext, body: Any) -> Any:
    """Let cameras' addresses begin as they should: what comes behind is looked at only then."""
    del context
    source = body.get("source") if isinstance(body, dict) else None
    if isinstance(source, dict) and source.get("type") in ("rtsp", "http") and isinstance(source.get("url"), str):
        return {**body, "source": {**source, "url": f"{source['type']}://{source['url']}"}}
    return body


def test_requests_one_by_one(door: SchemaDoor, schema: BaseSchema) -> None:
    asking = Asking(door)
    operations = [found.ok() for found in schema.get_all_operations()]
    asked = [
        (operation, mode)
        for operation in operations
        for mode in GenerationMode
        if mode.is_positive or operation.query or operation.body  # of the others nothing can be wrong
    ]
    for operation, mode in asked:

        @settings(ALIKE, max_examples=ceil(EXAMPLES * 2 / 3 / len(asked)))
        @given(operation.as_strategy(generation_mode=mode))
        def one(case: Case) -> None:
            asking.judge(case, case.call(**asking.how))

        one()
        door.tidy()
    print(f"{asking.statuses.total()} requests: {dict(sorted(asking.statuses.items()))}")


def test_requests_in_chains(door: SchemaDoor, schema: BaseSchema) -> None:
    asking = Asking(door)

    class Chain(schema.as_state_machine()):
        def teardown(self) -> None:
            super().teardown()
            door.tidy()

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            del case
            return asking.how

        def validate_response(self, response: Response, case: Case, *_: Any, **more: Any) -> None:
            asking.judge(case, response, transport_kwargs=more, recorder=self.recorder)

    while asking.statuses.total() < EXAMPLES / 2:
        before = asking.statuses.total()
        # What may come next depends on answers, which the machine that draws it takes for a fault after a while.
        with suppress(FlakyStrategyDefinition):
            Chain.run(
                settings=settings(ALIKE, max_examples=ceil(EXAMPLES / 2 / (CHAIN - 1)), stateful_step_count=CHAIN)
            )
        assert asking.statuses.total() > before
    print(f"{asking.statuses.total()} requests in chains: {dict(sorted(asking.statuses.items()))}")


@settings(ALIKE, max_examples=ceil(EXAMPLES / 20))
@given(st.sampled_from(LASTING), st.text(max_size=80), st.text(max_size=80), st.sampled_from(("after", "width", "fps")))
def test_what_lasts_begins_or_is_refused(door: SchemaDoor, which: str, one: str, other: str, name: str) -> None:
    path = which.removeprefix("GET ").replace("{client_id}", quote(one, safe="")).replace("{station_id}", "front")
    headers = {"Last-Event-ID": other.encode("ascii", "ignore").decode().strip()} if other.isprintable() else {}
    with requests.get(door.address + path, params={name: one}, headers=headers, stream=True, timeout=30) as answer:
        assert answer.status_code < 500
        if answer.status_code != 200:
            assert answer.headers["Content-Type"].startswith("application/problem+json")
            assert answer.json()["status"] == answer.status_code
        else:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            assert next(answer.iter_lines()).startswith(b"retry:")
