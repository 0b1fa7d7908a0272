"""The service that knows more words: asked once, never waited for long, left alone when it fails."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc import ConfigError, load_config
from orderacc.config import SecretText, SemanticServiceConfig
from orderacc.validation.semantic_service import LONGEST_ANSWER, SemanticService, _scores, _UnfitAnswerError

pytestmark = pytest.mark.anyio

PAIR = ("Zorbo Wrap", "Plimfy Wrap")
OTHER = ("Zorbo Pie", "Plimfy Pie")


@dataclass
class Knowing:
    """A service that answers what it is told to."""

    answer: Any = None
    status: int = 200
    bodies: list[Any] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    silent: bool = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.tokens.append(request.headers.get("Authorization"))
        if self.silent:
            await asyncio.Event().wait()
        if isinstance(self.answer, str):
            return web.Response(text=self.answer, status=self.status)
        answer = {"scores": [0.9] * len(body["pairs"])} if self.answer is None else self.answer
        return web.json_response(answer, status=self.status)


@asynccontextmanager
async def serving(knowing, **changes):
    application = web.Application()
    application.router.add_post("/likeness", knowing.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    config = SemanticServiceConfig(url=SecretText(f"http://127.0.0.1:{port}/likeness"), **changes)
    service = SemanticService(config, Random(1))
    try:
        yield service
    finally:
        await service.aclose()
        await runner.cleanup()


async def test_pairs_are_asked_about_once():
    knowing = Knowing()
    async with serving(knowing, timeout_sec=5.0, token=SecretText("canary")) as service:
        assert await service.opinions([PAIR, PAIR]) == {PAIR: 0.9}
        assert await service.opinions([PAIR, OTHER]) == {PAIR: 0.9, OTHER: 0.9}
    assert knowing.bodies == [
        {"pairs": [{"ordered": "Zorbo Wrap", "seen": "Plimfy Wrap"}]},
        {"pairs": [{"ordered": "Zorbo Pie", "seen": "Plimfy Pie"}]},
    ]
    assert knowing.tokens == ["Bearer canary"] * 2
    assert (service.statistics.answered, service.statistics.remembered) == (2, 1)


async def test_no_opinion_is_remembered_too():
    knowing = Knowing({"scores": [None]})
    async with serving(knowing, timeout_sec=5.0) as service:
        assert await service.opinions([PAIR]) == {}
        assert await service.opinions([PAIR]) == {}
    assert len(knowing.bodies) == 1


async def test_only_so_many_pairs_are_remembered():
    async with serving(Knowing(), timeout_sec=5.0, cache_size=1) as service:
        for pair in (PAIR, OTHER, PAIR):
            await service.opinions([pair])
        assert service.statistics.remembered == 0
        await service.opinions([PAIR])
        assert service.statistics.remembered == 1


@pytest.mark.parametrize(
    "knowing",
    [
        Knowing("no JSON"),
        Knowing("[" * 100_000),
        Knowing({"scores": []}),
        Knowing({"scores": ["0.9"]}),
        Knowing({"scores": [True]}),
        Knowing({"scores": [1.5]}),
        Knowing('{"scores": [NaN]}'),
        Knowing([0.9]),
        Knowing(None, status=500),
        Knowing(None, status=302),
        Knowing('{"scores": [0.9]}' + " " * LONGEST_ANSWER),
    ],
    ids=lambda knowing: f"{knowing.status} {str(knowing.answer)[:20]}",
)
async def test_a_bad_answer_is_no_opinion(knowing):
    async with serving(knowing, timeout_sec=5.0) as service:
        assert await service.opinions([PAIR]) == {}
        assert service.statistics.failed == 1


async def test_nobody_waits_for_a_silent_service_and_it_is_left_alone():
    knowing = Knowing(silent=True)
    changes = {"timeout_sec": 0.05, "circuit_breaker_threshold": 2, "circuit_breaker_cooldown_sec": 60.0}
    async with serving(knowing, **changes) as service, asyncio.timeout(10):
        for _ in range(4):
            assert await service.opinions([PAIR]) == {}
        assert (service.statistics.failed, service.statistics.spared) == (2, 2)


async def test_a_service_that_is_back_is_asked_again():
    knowing = Knowing(status=503)
    changes = {"timeout_sec": 5.0, "circuit_breaker_threshold": 1, "circuit_breaker_cooldown_sec": 0.05}
    async with serving(knowing, **changes) as service, asyncio.timeout(10):
        assert await service.opinions([PAIR]) == {}
        knowing.status = 200
        while not await service.opinions([PAIR]):  # noqa: ASYNC110  nothing tells when the cooldown is over
            await asyncio.sleep(0.02)
        assert await service.opinions([OTHER]) == {OTHER: 0.9}


async def test_whoever_goes_away_leaves_no_doubt_behind():
    knowing = Knowing(silent=True)
    async with serving(knowing, timeout_sec=30.0, circuit_breaker_threshold=1) as service, asyncio.timeout(10):
        asking = asyncio.create_task(service.opinions([PAIR]))
        while not knowing.bodies:  # noqa: ASYNC110  nor when the question has arrived
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait([asking])
        knowing.silent = False
        assert await service.opinions([PAIR]) == {PAIR: 0.9}


async def test_a_service_that_is_not_there_or_closed_has_no_opinion():
    service = SemanticService(SemanticServiceConfig(url=SecretText("http://127.0.0.1:9/x"), timeout_sec=5.0))
    assert await service.opinions([PAIR]) == {}
    await service.aclose()
    assert await service.opinions([PAIR]) == {}
    assert service.statistics.spared == 1


@given(st.binary(max_size=60), st.integers(0, 3))
@settings(max_examples=60)
def test_whatever_comes_is_scores_or_unfit(body, count):
    with suppress(_UnfitAnswerError):
        assert len(_scores(body, count)) == count


class TestConfiguration:
    BASE = "stations: [{id: one, source: {type: simulator}}]\n"

    def test_it_is_read_and_its_secrets_are_not_shown(self, tmp_path):
        path = tmp_path / "stations.yaml"
        path.write_text(
            self.BASE
            + "validation: {semantic_service: {url: 'http://names.test/likeness', token: '${TOKEN}', timeout_sec: 0.5}}"
        )
        service = load_config(path, environment={"TOKEN": "canary"}).validation.semantic_service
        assert (service.timeout_sec, service.token.reveal()) == (0.5, "canary")
        assert "canary" not in repr(service)

    @pytest.mark.parametrize("wrong", ["{}", "{url: 'ftp://a/b'}", "{url: 'http://a/b', timeout_sec: 0}"])
    def test_mistakes_are_named_with_their_line(self, tmp_path, wrong):
        path = tmp_path / "stations.yaml"
        path.write_text(self.BASE + f"validation:\n  semantic_service: {wrong}\n")
        with pytest.raises(ConfigError, match=r"stations.yaml:3:\d+ validation.semantic_service"):
            load_config(path)
