"""The remote engine on real servers: what it asks, what it makes of the answers, and every fault there is."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import time
import traceback
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import cv2
import numpy as np
import pytest
from aiohttp import web

import ports
from chat_servers import breaking_off, completion, good, saying, silent, staged
from orderacc.config import SecretText
from orderacc.errors import EngineError
from orderacc.vlm.engine import Priority, VlmRequest
from orderacc.vlm.openai import EXTRAS, OpenAiEngine, RemoteSettings
from orderacc.vlm.prompt import answer_grammar, answer_schema, build_prompt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


pytestmark = pytest.mark.anyio

TOKEN = "hunter2-sesame"
NAMES = ("Burger", "Cola")


def request_for(name: str = "r", **changes: Any) -> VlmRequest:
    picture = np.random.default_rng(0).integers(0, 255, (56, 84, 3), np.uint8)
    fields = {"image": picture, "prompt": build_prompt(NAMES), "grammar": answer_grammar(NAMES), "max_new_tokens": 80}
    return VlmRequest(name, **{**fields, **changes})


@asynccontextmanager
async def engine_on(*urls: str, patient: bool = True, **settings: Any) -> AsyncIterator[OpenAiEngine]:
    engine = OpenAiEngine(
        RemoteSettings(tuple(map(SecretText, urls)), "a-model", **{"timeout_sec": 30.0, **settings}),
        schema=answer_schema(NAMES),
        patient=patient,
        rng=Random(1),
    )
    try:
        yield engine
    finally:
        await engine.aclose()


async def code_of(engine: OpenAiEngine, request: VlmRequest | None = None) -> str:
    with pytest.raises(EngineError) as caught:
        await engine.generate([request or request_for()])
    assert TOKEN not in caught.value.message
    return caught.value.code


async def until(condition: Any, seconds: float = 20.0) -> None:
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110  what servers and processes do sets no event of ours
            await anyio.sleep(0.01)


async def persist(engine: OpenAiEngine) -> None:
    """Ask until the circuit closes."""
    while True:
        try:
            await engine.generate([request_for()])
        except EngineError as error:
            if error.code != "circuit_open":
                raise
            await anyio.sleep(0.02)
        else:
            return


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"


# What is asked and what is read.


async def test_a_question_holds_the_picture_at_its_own_size_between_the_texts() -> None:
    async with staged() as server, engine_on(server.url) as engine:
        picture = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 255, (84, 140, 3), np.uint8), (0, 0), 4)
        await engine.generate([request_for(image=picture, prompt="Menu\n<ov_genai_image_0>What?")])
    (body,) = server.questions
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("a-model", 80, 0)
    (message,) = body["messages"]
    before, image, after = message["content"]
    assert (message["role"], before["text"], after["text"]) == ("user", "Menu\n", "What?")
    head, _, content = image["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    sent = cv2.cvtColor(cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), 1), cv2.COLOR_BGR2RGB)
    assert sent.shape == picture.shape
    assert np.abs(sent.astype(int) - picture).mean() < 2
    shape = body["response_format"]["json_schema"]
    assert (body["response_format"]["type"], shape["strict"]) == ("json_schema", True)
    assert shape["schema"]["properties"]["items"]["items"]["properties"]["name"]["enum"] == list(NAMES)


async def test_a_large_picture_arrives_whole() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (1400, 2240, 3), np.uint8)
    async with staged() as server, engine_on(server.url) as engine:
        await engine.generate([request_for(image=picture)])
    content = server.questions[0]["messages"][0]["content"][1]["image_url"]["url"].partition(",")[2]
    assert len(content) > 2**20
    assert cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), 1).shape == picture.shape


async def test_who_asks_and_how_urgently_goes_along() -> None:
    async with staged() as server, engine_on(server.url, token=SecretText(TOKEN)) as engine:
        await engine.generate([request_for(station_id="drive-1", priority=Priority.SPECULATIVE)])
        await engine.generate([request_for(station_id="Küche\n")])
    first, second = server.headers
    assert (first["X-Orderacc-Station"], first["X-Orderacc-Priority"]) == ("drive-1", "1")
    assert first["Authorization"] == f"Bearer {TOKEN}"
    assert "X-Orderacc-Station" not in second


async def test_credentials_in_the_url_are_sent_as_such() -> None:
    async with staged() as server, engine_on(f"http://box:{TOKEN}@127.0.0.1:{server.port}") as engine:
        await engine.generate([request_for()])
        assert TOKEN not in repr(engine._endpoints.all)
    assert base64.b64decode(server.headers[0]["Authorization"].removeprefix("Basic ")) == f"box:{TOKEN}".encode()


async def test_answers_come_in_order_with_what_the_server_counted() -> None:
    async def counting(request: web.Request, body: dict[str, Any]) -> web.Response:
        del request
        logs = [{"token": "a", "logprob": math.log(0.25)}, {"token": "b", "logprob": 0.0001}]
        reply = completion(str(body["max_tokens"]))
        reply["choices"][0] |= {"finish_reason": "length", "logprobs": {"content": logs}}
        return web.json_response(reply)

    async with staged(counting) as server, engine_on(server.url) as engine:
        answers = await engine.generate([request_for(f"r{n}", max_new_tokens=n) for n in range(20, 30)])
    assert [answer.request_id for answer in answers] == [f"r{n}" for n in range(20, 30)]
    assert [answer.text for answer in answers] == [str(n) for n in range(20, 30)]
    answer = answers[0]
    assert (answer.finish_reason, answer.prompt_tokens, answer.new_tokens, answer.visual_tokens) == (
        "length",
        90,
        10,
        6,
    )
    assert answer.token_confidence == pytest.approx(0.5)
    assert (answer.engine, answer.engine_ms > 0) == ("remote", True)


async def test_no_more_are_on_their_way_than_allowed() -> None:
    async with staged() as server, engine_on(server.url, max_in_flight=3) as engine:
        assert len(await engine.generate([request_for(f"r{n}") for n in range(12)])) == 12
    assert server.most_held <= 3


# Optional parts.


@pytest.mark.parametrize("taken", EXTRAS)
async def test_a_server_gets_only_the_optional_parts_it_takes(taken: tuple[str, ...]) -> None:
    async def picky(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if {"response_format", "logprobs"} & set(body) <= set(taken):
            return await good(request, body)
        return web.json_response({"error": {"message": "unknown field"}}, status=422)

    async with staged(picky) as server, engine_on(server.url) as engine:
        await engine.generate([request_for()])
        tried = len(server.questions)
        assert tried == EXTRAS.index(taken) + 1
        await engine.generate([request_for()])
        assert len(server.questions) == tried + 1


async def test_a_question_that_is_refused_whatever_is_left_out_teaches_nothing() -> None:
    async with staged(saying(400, '{"error": {"message": "too long"}}')) as server, engine_on(server.url) as engine:
        with pytest.raises(EngineError, match=r"answered 400: too long") as caught:
            await engine.generate([request_for()])
        assert caught.value.code == "refused"
        server.answer = good
        await engine.generate([request_for()])
    assert "response_format" in server.questions[-1]
    assert len(server.questions) == len(EXTRAS) + 1


@pytest.mark.parametrize(
    ("fails", "code"),
    [
        (saying(429, Retry_After="30"), "busy"),
        (saying(500), "engine_failed"),
        (saying(503, Retry_After="30"), "busy"),
        (saying(401), "unauthorized"),
        (breaking_off, "bad_answer"),
        (silent, "timeout"),
    ],
)
async def test_a_server_that_fails_at_what_is_left_of_a_question_has_failed(
    fails: Callable[..., Awaitable[web.StreamResponse]], code: str
) -> None:
    async def picky(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await (saying(400) if "logprobs" in body else fails)(request, body)

    patience = {"timeout_sec": 1.0 if fails is silent else 30.0, "retries": 0}
    async with staged(picky) as bad, engine_on(bad.url, **patience) as alone:
        assert await code_of(alone) == code
        async with staged() as well, engine_on(bad.url, well.url, **patience) as engine:
            await engine.generate([request_for()])
            assert (len(bad.questions), len(well.questions)) == (4, 1)


async def test_free_text_is_asked_for_without_a_schema() -> None:
    async with staged() as server, engine_on(server.url) as engine:
        await engine.generate([request_for(grammar=None)])
    assert "response_format" not in server.questions[0]


# Faults.

STATUSES = {
    400: "refused",
    401: "unauthorized",
    403: "unauthorized",
    404: "not_found",
    413: "refused",
    418: "refused",
    429: "busy",
    500: "engine_failed",
    501: "refused",
    502: "unreachable",
    503: "busy",
    504: "unreachable",
    507: "engine_failed",
    204: "bad_answer",
    302: "not_found",
}


@pytest.mark.parametrize("status", STATUSES)
async def test_every_status_has_its_code(status: int) -> None:
    text = "" if status == 204 else json.dumps({"error": {"message": f"the key {TOKEN} is wrong"}})
    headers = {"Location": "http://elsewhere.example/v1"} if status == 302 else {}
    settings = {"token": SecretText(TOKEN), "retries": 1}
    async with staged(saying(status, text, **headers)) as server, engine_on(server.url, **settings) as engine:
        assert await code_of(engine) == STATUSES[status]
    rounds = 2 if status in (429, 502, 503, 504) else len(EXTRAS) if status in (400, 501) else 1
    assert len(server.questions) == rounds


ANSWERS = {
    "no json": "surprise",
    "a list": "[]",
    "nothing": "",
    "no choices": "{}",
    "empty choices": '{"choices": []}',
    "choices of text": '{"choices": ["x"]}',
    "no content": '{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}',
    "unfinished": '{"choices": [{"message": {"content": "x"}, "finish_reason": null}]}',
    "filtered": '{"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}',
    "an error in a 200": '{"error": {"message": "no memory"}}',
    "deep": "[" * 100_000,
    "long number": f'{{"a": {"9" * 10_000}}}',
    "bytes": "\udcff",
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_what_is_no_answer_is_told_as_such(kind: str) -> None:
    async def answer(request: web.Request, body: dict[str, Any]) -> web.Response:
        del request, body
        return web.Response(body=ANSWERS[kind].encode(errors="surrogateescape"), content_type="application/json")

    async with staged(answer) as server, engine_on(server.url) as engine:
        assert await code_of(engine) == "bad_answer"
    assert len(server.questions) == 1


@pytest.mark.parametrize(
    "figures",
    [
        '{"prompt_tokens": NaN, "completion_tokens": -1}',
        '{"prompt_tokens": "9", "completion_tokens": true}',
        '{"prompt_tokens": 1e400, "completion_tokens": 99999999999999999999999}',
        "null",
        "[]",
    ],
)
async def test_figures_that_are_none_are_left_out(figures: str) -> None:
    reply = json.dumps(completion()).replace('{"prompt_tokens": 90, "completion_tokens": 10}', figures)
    reply = reply[:-1] + ', "orderacc": {"visual_tokens": Infinity, "ttft_ms": NaN, "token_confidence": -1}}'
    async with staged(saying(200, reply)) as server, engine_on(server.url) as engine:
        (answer,) = await engine.generate([request_for()])
    assert (answer.prompt_tokens, answer.new_tokens, answer.visual_tokens) == (0, 0, 6)
    assert (answer.ttft_ms, answer.token_confidence) == (None, None)


@pytest.mark.parametrize("log", ["NaN", "-Infinity", "1.0", '"x"', "null"])
async def test_probabilities_that_are_none_give_no_confidence(log: str) -> None:
    reply = completion()
    reply["choices"][0]["logprobs"] = {"content": [{"logprob": -0.1}, {"logprob": "@"}]}
    async with staged(saying(200, json.dumps(reply).replace('"@"', log))) as server, engine_on(server.url) as engine:
        (answer,) = await engine.generate([request_for()])
    assert answer.token_confidence is None


async def test_an_answer_without_end_is_cut_off() -> None:
    async def endless(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        del body
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65_536)

    async with staged(endless) as server, engine_on(server.url) as engine:
        with pytest.raises(EngineError, match="more than") as caught:
            await engine.generate([request_for()])
        assert caught.value.code == "bad_answer"


async def test_an_answer_that_breaks_off_is_none() -> None:
    async with staged(breaking_off) as server, engine_on(server.url) as engine:
        assert await code_of(engine) == "bad_answer"


async def test_a_server_that_says_nothing_or_only_trickles_times_out() -> None:
    async def trickling(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        del body
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    for answer in (silent, trickling):
        async with staged(answer) as server, engine_on(server.url, timeout_sec=0.3) as engine:
            assert await code_of(engine) == "timeout"
        assert len(server.questions) == 1


def test_ports_that_are_no_servers() -> None:
    async def codes(*ports_: int) -> list[str]:
        async with engine_on(*map(url, ports_), retries=0, timeout_sec=2.0, connect_timeout_sec=0.5) as engine:
            return [await code_of(engine)]

    with ports.answering(ports.hang_up) as port:
        assert anyio.run(codes, port) == ["unreachable"]
    assert anyio.run(codes, port) == ["unreachable"]
    with ports.answering(ports.garbage) as port:
        assert anyio.run(codes, port) == ["bad_answer"]
    with ports.silent() as port:
        assert anyio.run(codes, port) == ["timeout"]
    with ports.black_hole() as port:
        assert anyio.run(codes, port) == ["unreachable"]


async def test_a_name_nobody_knows_and_a_tls_that_is_none() -> None:
    async with engine_on("http://nobody.invalid/v1", retries=0) as engine:
        assert await code_of(engine) == "unreachable"
    async with staged() as server, engine_on(server.url.replace("http", "https"), retries=0) as engine:
        assert await code_of(engine) == "unreachable"


# Patience.


async def test_a_busy_server_is_asked_again_when_it_says() -> None:
    asked: list[float] = []

    async def busy_once(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        asked.append(time.monotonic())
        return await (good(request, body) if len(asked) > 1 else saying(429, Retry_After="1")(request, body))

    async with staged(busy_once) as server, engine_on(server.url) as engine:
        assert len(await engine.generate([request_for()])) == 1
        assert asked[1] - asked[0] >= 1
        assert (await engine.generate([request_for()]))[0].complete


async def test_a_server_that_wants_to_be_left_alone_for_long_is() -> None:
    async with staged(saying(429, Retry_After="50")) as server, engine_on(server.url) as engine:
        began = time.monotonic()
        assert await code_of(engine) == "busy"
        assert await code_of(engine) == "busy"
        assert time.monotonic() - began < 5
    assert len(server.questions) == 1


@pytest.mark.parametrize(
    ("patience", "priority", "outcome"),
    [
        ("patient", Priority.CLOSING, "answered"),
        ("patient", Priority.SPECULATIVE, "busy"),
        ("impatient", Priority.CLOSING, "busy"),
    ],
)
async def test_who_waits_for_a_verdict_waits_for_a_busy_server_as_long_as_it_may(
    patience: str, priority: Priority, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orderacc.vlm.openai.LONGEST_PAUSE", 0.35)
    rests = ["0", "0", "1"]

    async def busy(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await (saying(429, Retry_After=rests.pop(0)) if rests else good)(request, body)

    async with staged(busy) as server, engine_on(server.url, patient=patience == "patient", retries=0) as engine:
        question = request_for(priority=priority, deadline=time.monotonic() + 60)
        if outcome == "busy":
            assert await code_of(engine, question) == "busy"
            assert len(server.questions) == 1
        else:
            assert (await engine.generate([question]))[0].complete
            assert len(server.questions) == 4


async def test_nobody_waits_for_a_busy_server_that_will_be_free_too_late() -> None:
    async with staged(saying(429, Retry_After="50")) as server, engine_on(server.url) as engine:
        began = time.monotonic()
        assert await code_of(engine, request_for(deadline=began + 40)) == "busy"
        assert time.monotonic() - began < 10
    assert len(server.questions) == 1


async def test_a_deadline_ends_waiting_and_asking() -> None:
    async with staged(silent) as server, engine_on(server.url) as engine:
        assert await code_of(engine, request_for(deadline=time.monotonic() + 0.3)) in ("deadline", "timeout")
        assert await code_of(engine, request_for(deadline=time.monotonic() - 1)) == "deadline"
        assert len(server.questions) == 1
        server.answer = saying(503)
        assert await code_of(engine, request_for(deadline=time.monotonic() + 0.05)) in ("busy", "deadline", "timeout")


async def test_a_server_that_fails_too_often_is_left_alone_and_tried_again() -> None:
    async with staged(saying(500)) as server, engine_on(server.url, circuit_breaker_cooldown_sec=0.2) as engine:
        assert [await code_of(engine) for _ in range(3)] == ["engine_failed"] * 3
        assert await code_of(engine) == "circuit_open"
        assert len(server.questions) == 3
        server.answer = good

        with anyio.fail_after(20):
            await persist(engine)
        assert len(server.questions) == 4


async def test_one_failure_among_answers_trips_nothing() -> None:
    async with staged() as server, engine_on(server.url) as engine:
        for number in range(12):
            server.answer = saying(500) if number % 3 else good
            if number % 3:
                assert await code_of(engine) == "engine_failed"
            else:
                await engine.generate([request_for()])


async def test_a_batch_fails_with_its_members_error_when_all_have_ended() -> None:
    async def one_bad(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body["max_tokens"] == 13:
            return await saying(413)(request, body)
        await asyncio.sleep(0.05)
        return await good(request, body)

    async with staged(one_bad) as server, engine_on(server.url) as engine:
        with pytest.raises(EngineError) as caught:
            await engine.generate([request_for(f"r{n}", max_new_tokens=n) for n in range(10, 16)])
        assert (caught.value.code, server.held) == ("refused", 0)


# Several servers.


async def test_the_server_with_the_fewest_questions_is_asked() -> None:
    async with staged(silent) as slow, staged() as quick, engine_on(slow.url, quick.url) as engine:
        answered = []

        async def first(request_id: str) -> None:
            answered.extend(await engine.generate([request_for(request_id)]))

        async with anyio.create_task_group() as group:
            for number in range(2):
                group.start_soon(first, f"first-{number}")
            await until(lambda: slow.held and answered)
            for number in range(6):
                await engine.generate([request_for(f"r{number}")])
            assert slow.held == len(slow.questions) == 1
            assert len(quick.questions) >= 6
            group.cancel_scope.cancel()
        await until(lambda: not slow.held)


@pytest.mark.parametrize("status", [302, 401, 404, 429, 500, 502, 503, 504])
async def test_another_server_answers_when_one_fails(status: int) -> None:
    headers = {"Retry_After": "30"} if status in (429, 503) else {}
    async with staged(saying(status, **headers)) as bad, staged() as well, engine_on(bad.url, well.url) as engine:
        began = time.monotonic()
        for number in range(8):
            await engine.generate([request_for(f"r{number}")])
        assert time.monotonic() - began < 10
        assert len(well.questions) == 8
        assert 1 <= len(bad.questions) <= 4


async def test_another_server_answers_when_one_hangs_or_is_gone_and_it_is_used_again_when_it_is_back() -> None:
    async with staged() as well:
        async with staged(silent) as sick:
            port = sick.port
            async with engine_on(sick.url, well.url, timeout_sec=0.3) as engine:
                for number in range(8):
                    await engine.generate([request_for(f"r{number}")])
                assert len(sick.questions) <= 4
        async with engine_on(url(port), well.url, circuit_breaker_cooldown_sec=0.3) as engine:
            for number in range(8):
                await engine.generate([request_for(f"r{number}")])
            async with staged(port=port) as back:
                with anyio.fail_after(20):
                    while not back.questions:
                        await engine.generate([request_for()])
                        await anyio.sleep(0.02)


async def test_a_refused_question_is_not_taken_elsewhere() -> None:
    async with staged(saying(413)) as first, staged(saying(413)) as second, engine_on(first.url, second.url) as engine:
        assert await code_of(engine) == "refused"
    assert len(first.questions) + len(second.questions) == 1


# Its end.


async def test_closing_ends_questions_on_their_way_and_refuses_others() -> None:
    async with staged(silent) as server, engine_on(server.url) as engine:
        codes: list[str] = []

        async def ask() -> None:
            codes.append(await code_of(engine))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await until(lambda: server.held)
            await engine.aclose()
        await engine.aclose()
        assert codes == ["engine_closed"]
        assert await code_of(engine) == "engine_closed"


async def test_an_asker_that_goes_away_takes_its_question_along() -> None:
    async with staged(silent) as server, engine_on(server.url) as engine:
        async with anyio.create_task_group() as group:
            group.start_soon(engine.generate, [request_for()])
            await until(lambda: server.held)
            group.cancel_scope.cancel()
        await until(lambda: not server.held)
        server.answer = good
        await engine.generate([request_for()])


async def test_a_probe_whose_asker_goes_away_leaves_nothing_in_doubt() -> None:
    async with staged(saying(500)) as server, engine_on(server.url, circuit_breaker_cooldown_sec=0.1) as engine:
        for _ in range(3):
            await code_of(engine)
        server.answer = silent
        async with anyio.create_task_group() as group:
            group.start_soon(persist, engine)
            await until(lambda: server.held)
            group.cancel_scope.cancel()
        server.answer = good
        with anyio.fail_after(20):
            await persist(engine)


async def test_a_bad_picture_is_not_sent() -> None:
    async with staged() as server, engine_on(server.url) as engine:
        assert await code_of(engine, request_for(image=np.zeros((0, 28, 3), np.uint8))) == "bad_image"
    assert not server.questions


async def test_no_error_shows_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    echo = saying(500, json.dumps({"error": {"message": f"Authorization: Bearer {TOKEN} / box:{TOKEN}@"}}))
    texts: list[str] = []
    async with staged(echo) as server:
        for address, token in ((server.url, SecretText(TOKEN)), (f"http://box:{TOKEN}@127.0.0.1:{server.port}", None)):
            async with engine_on(address, token=token) as engine:
                for _ in range(4):
                    try:
                        await engine.generate([request_for()])
                    except EngineError as error:
                        texts += [repr(error), "".join(traceback.format_exception(error))]
                texts += [repr(engine), repr(engine._settings), repr(vars(engine))]
    async with engine_on(f"http://box:{TOKEN}@127.0.0.1:1", retries=0) as engine:
        try:
            await engine.generate([request_for()])
        except EngineError as error:
            texts += [repr(error), "".join(traceback.format_exception(error))]
    assert len(texts) > 16
    assert not any(TOKEN in text for text in [*texts, *capsys.readouterr()])
