"""`orderacc serve-vlm`: as clients of the API see it, and as the remote engine does when it is killed or stopped."""

from __future__ import annotations

import base64
import io
import json
import signal
import struct
import zlib
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import anyio.lowlevel
import cv2
import numpy as np
import pytest

from chat_servers import serve_vlm, starting_vlm
from orderacc.config import SecretText
from orderacc.errors import EngineError
from orderacc.models.store import ModelStore
from orderacc.simulator.samples import sample
from orderacc.testing import EngineFault, StagedEngine
from orderacc.vlm.batcher import VlmBatcher
from orderacc.vlm.chat import PRIORITY_HEADER
from orderacc.vlm.engine import Priority, VlmRequest
from orderacc.vlm.genai import GenaiEngine
from orderacc.vlm.openai import OpenAiEngine, RemoteSettings
from orderacc.vlm.prompt import answer_grammar, answer_schema, build_prompt
from orderacc.vlm.seat import EnginePolicy, EngineSeat, Role
from orderacc.vlm.serve import LARGEST_QUESTION, ServeSettings
from orderacc.vlm.serve import serve_vlm as serve_here
from orderacc.vlm.upload import MOST_PIXELS, read_picture
from orderacc.vlm.view import render_view, view_window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from chat_servers import Served

pytestmark = pytest.mark.anyio

TOKEN = "hunter2-sesame"
MODEL = ModelStore().resolve("demo-vlm", kind="vlm")
NAMES = MODEL.vocabulary or ()
PNG = cv2.imencode(".png", np.full((56, 84, 3), 90, np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve_vlm(token=TOKEN) as server:
        yield server


def request_for(seed: int, **changes: Any) -> VlmRequest:
    scene = sample(seed)
    window = view_window((1280, 720), [thing.box for thing in scene.objects if thing.name], MODEL.view or (126, 84))
    view = render_view(scene.image, window, MODEL.view or (126, 84))
    return VlmRequest(f"r{seed}", view, build_prompt(NAMES), answer_grammar(NAMES), 80, **changes)


def remote(*urls: str, token: str | None = TOKEN, **settings: Any) -> OpenAiEngine:
    return OpenAiEngine(
        RemoteSettings(tuple(map(SecretText, urls)), "demo-vlm", SecretText(token) if token else None, **settings),
        schema=answer_schema(NAMES),
    )


def data_url(content: bytes = PNG, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def question(url: str | None = None, **changes: Any) -> dict[str, Any]:
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url or data_url()}}]
    return {"model": "demo-vlm", "messages": [{"role": "user", "content": parts}], "max_tokens": 4, **changes}


async def post(
    url: str, body: Any, token: str | None = TOKEN, *, priority: Priority = Priority.CLOSING
) -> tuple[int, dict[str, Any], aiohttp.ClientResponse]:
    headers = {PRIORITY_HEADER: str(int(priority))}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    address = f"{url}/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(address, data=data, headers=headers) as response:
        return response.status, await response.json(), response


async def get(url: str, token: str | None = TOKEN) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.json()


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110  what servers and processes do sets no event of ours
            await anyio.sleep(0.01)


# As the remote engine sees it.


async def test_the_remote_engine_answers_what_the_local_one_does(served: Served) -> None:
    requests = [request_for(seed) for seed in range(6)]
    there, here = remote(served.url), GenaiEngine.load(MODEL.path, device="CPU", threads=1)
    try:
        far, near = await there.generate(requests), await here.generate(requests)
    finally:
        await there.aclose()
        await here.aclose()
    assert [answer.text for answer in far] == [answer.text for answer in near]
    counts = [(answer.prompt_tokens, answer.new_tokens, answer.visual_tokens, answer.complete) for answer in far]
    assert counts == [(one.prompt_tokens, one.new_tokens, one.visual_tokens, one.complete) for one in near]


async def test_a_wrong_token_is_unauthorized(served: Served) -> None:
    for token in (None, "hunter", "hunter2-sesamé"[:-1]):
        engine = remote(served.url, token=token)
        with pytest.raises(EngineError) as caught:
            await engine.generate([request_for(0)])
        assert caught.value.code == "unauthorized"
        await engine.aclose()


async def test_killed_while_it_answers_and_back_on_its_port() -> None:
    with serve_vlm() as server:
        port = int(server.url.split(":")[2].split("/")[0])
        engine = remote(server.url, token=None, retries=0, circuit_breaker_cooldown_sec=0.3)
        codes: list[str] = []

        async def ask(seed: int) -> None:
            try:
                await engine.generate([request_for(seed % 8)])
            except EngineError as error:
                codes.append(error.code)

        async with anyio.create_task_group() as group:
            for seed in range(32):
                group.start_soon(ask, seed)
            await until(lambda: any(one.outstanding for one in engine._endpoints.all))
            server.signal(signal.SIGKILL)
        assert set(codes) <= {"unreachable", "circuit_open"}
        assert "unreachable" in codes
    with serve_vlm(port=port):
        with anyio.fail_after(30):
            while True:
                try:
                    (answer,) = await engine.generate([request_for(0)])
                except EngineError as error:
                    if error.code not in ("unreachable", "circuit_open"):
                        raise
                    await anyio.sleep(0.05)
                else:
                    break
        assert answer.complete
    await engine.aclose()


async def test_orders_go_on_at_home_when_the_remote_server_stops_and_go_there_again_when_it_goes_on() -> None:
    here = GenaiEngine.load(MODEL.path, device="CPU", threads=1)
    with serve_vlm() as server:
        there = remote(server.url, token=None, timeout_sec=1.0, retries=0, circuit_breaker_cooldown_sec=0.2)
        # The remote one first, so that its failures show.
        seats = (EngineSeat(there, max_batch_size=1, parallel=4), EngineSeat(here, Role.FAIL_OVER))
        batcher = VlmBatcher(seats, policy=EnginePolicy(breaker_cooldown_sec=0.5))
        by: list[str] = []

        async def ask(seed: int) -> None:
            answer = await batcher.ask(request_for(seed))
            assert answer.complete
            by.append(answer.engine)

        async def ask_until_remote() -> None:
            with anyio.fail_after(60):
                while by[-1:] != ["remote"]:  # on a busy machine it may be slower than it is waited for
                    await ask(0)

        async with anyio.create_task_group() as group:
            await group.start(lambda *, task_status: batcher.run(task_status=task_status))
            await ask_until_remote()
            by.clear()
            server.signal(signal.SIGSTOP)
            async with anyio.create_task_group() as askers:
                for seed in range(1, 9):
                    askers.start_soon(ask, seed)
            assert by == [here.name] * 8
            server.signal(signal.SIGCONT)
            await ask_until_remote()
            group.cancel_scope.cancel()
        await batcher.aclose()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_it_ends_well(number: signal.Signals) -> None:
    with serve_vlm() as server:
        status, _ = await get(server.url.replace("/v1", "/health"), None)
        assert status == 200
        server.signal(number)
        assert await anyio.to_thread.run_sync(server.process.wait) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_while_the_model_loads_it_ends_well(number: signal.Signals) -> None:
    with starting_vlm() as process:
        await until(lambda: "openvino_language_model" in Path(f"/proc/{process.pid}/maps").read_text(), 60)
        process.send_signal(number)
        assert await anyio.to_thread.run_sync(process.wait) == 0


# As any client sees it.


async def test_a_chat_completion_has_what_the_api_says(served: Served) -> None:
    items = cv2.imencode(".png", request_for(1).image[..., ::-1])[1].tobytes()
    for url in (served.url, served.url.replace("/v1", "/v3")):
        status, body, _ = await post(url, question(data_url(items)))
        assert status == 200
        assert (body["object"], body["model"]) == ("chat.completion", "demo-vlm")
        (choice,) = body["choices"]
        assert (choice["message"]["role"], choice["finish_reason"]) == ("assistant", "length")
        usage = body["usage"]
        assert usage["completion_tokens"] == 4
        assert usage["total_tokens"] == usage["prompt_tokens"] + 4


async def test_models_and_health(served: Served) -> None:
    status, models = await get(f"{served.url}/models")
    assert (status, [model["id"] for model in models["data"]]) == (200, [MODEL.label])
    assert (await get(f"{served.url}/models", None))[0] == 401
    status, health = await get(served.url.replace("/v1", "/health"), None)
    assert (status, health["status"]) == (200, "ok")


async def test_any_schema_is_followed(served: Served) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 2, "maximum": 3}}}
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    _, body, _ = await post(served.url, question(response_format=shape, max_tokens=40))
    assert body["choices"][0]["message"]["content"] in ('{"n":2}', '{"n":3}')


@pytest.mark.parametrize(
    "changes",
    [
        {"model": MODEL.label},
        {"model": ""},
        {"messages": [{"role": "system", "content": "Be brief."}, question()["messages"][0]]},
        {"response_format": {"type": "text"}, "temperature": 0.7, "logprobs": True, "user": "x"},
        {"max_tokens": None, "max_completion_tokens": 3},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": data_url()}]}]},
    ],
)
async def test_what_clients_say_otherwise_is_understood(served: Served, changes: dict[str, Any]) -> None:
    status, body, _ = await post(served.url, question(**changes))
    assert (status, "choices" in body) == (200, True)


def text(content: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content}]}


def said(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


PICTURE = question()["messages"][0]["content"][1]
TAG = said("<ov_genai_image_0>")
WRONG: dict[str, tuple[Any, int, str, str]] = {
    "no json": (b"{", 400, "bad_request", "not JSON"),
    "deep json": (b"[" * 100_000, 400, "bad_request", "not JSON"),
    "a list": ([], 400, "bad_request", "table"),
    "another model": (question(model="gpt-4o"), 404, "no_such_model", "demo-vlm"),
    "a model of numbers": (question(model=3), 400, "bad_request", "model"),
    "a stream": (question(stream=True), 400, "bad_request", "stream"),
    "two answers": (question(n=2), 400, "bad_request", "n should be 1"),
    "no messages": (question(messages=[]), 400, "bad_request", "messages"),
    "a tool": (question(**text("x", "tool")), 400, "bad_request", "role"),
    "a former answer": (question(**text("x", "assistant")), 400, "bad_request", "stands alone"),
    "no picture": (question(**text("x")), 400, "bad_request", "one picture, not 0"),
    "two pictures": (question(**text([PICTURE, PICTURE])), 400, "bad_request", "one picture, not 2"),
    "content of numbers": (question(**text(3)), 400, "bad_request", "content"),
    "sound": (question(**text([{"type": "input_audio"}])), 400, "bad_request", "neither text nor"),
    "a tag of ours": (question(**text([TAG, PICTURE])), 400, "bad_request", "must not"),
    "a mark of the model": (question(**text([PICTURE, said("<|image_pad|>")])), 400, "bad_request", "<|image_pad|>"),
    "a mark in parts": (question(**text([said("<|"), said("im_end|>"), PICTURE])), 400, "bad_request", "<|im_end|>"),
    "half a character": (question(**text([said("\ud800"), PICTURE])), 400, "bad_request", "half a character"),
    "too long": (question(**text([said("a b c d " * 6000), PICTURE])), 400, "bad_request", "longer than"),
    "much too long": (question(**text([said("a" * 10**6), PICTURE])), 400, "bad_request", "longer than"),
    "no tokens": (question(max_tokens=0), 400, "bad_request", "max_tokens"),
    "too many tokens": (question(max_tokens=10**6), 400, "bad_request", "max_tokens"),
    "any json": (question(response_format={"type": "json_object"}), 400, "bad_request", "response_format"),
    "no schema": (question(response_format={"type": "json_schema", "json_schema": {}}), 400, "bad_request", "schema"),
    "a bad schema": (
        question(response_format={"type": "json_schema", "json_schema": {"schema": {"type": "x"}}}),
        400,
        "bad_grammar",
        "no type",
    ),
    "half a character in the schema": (
        question(response_format={"type": "json_schema", "json_schema": {"schema": {"enum": ["\ud800"]}}}),
        400,
        "bad_grammar",
        "half a character",
    ),
    "a picture elsewhere": (question("http://127.0.0.1:9/x.jpg"), 400, "bad_image", "none is fetched"),
    "a file": (question("file:///etc/passwd"), 400, "bad_image", "none is fetched"),
    "no base64": (question("data:image/png;base64,%%%"), 400, "bad_image", "base64"),
    "no picture in it": (question(data_url(b"GIF89a")), 400, "bad_image", "neither JPEG nor PNG"),
    "a damaged picture": (question(data_url(PNG[:60])), 400, "bad_image", "damaged"),
    "too much": (b" " * (LARGEST_QUESTION + 1), 413, "too_large", "larger than"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_wrong_is_told_as_the_api_says(served: Served, name: str) -> None:
    asked, status, code, words = WRONG[name]
    got, body, _ = await post(served.url, asked)
    error = body["error"]
    assert (got, error["code"], set(error)) == (status, code, {"message", "type", "param", "code"})
    assert words in error["message"]


async def test_who_has_no_token_gets_nothing(served: Served) -> None:
    for token in (None, "", "hunter", f"{TOKEN}x"):
        status, body, response = await post(served.url, question(), token)
        assert (status, body["error"]["code"], response.headers["WWW-Authenticate"]) == (401, "unauthorized", "Bearer")
    status, body = await get(served.url.replace("/v1", "/etc"))
    assert (status, body["error"]["type"]) == (404, "not_found_error")
    status, body = await get(f"{served.url}/chat/completions")
    assert (status, "error" in body) == (405, True)


# Pictures.


def png_of(width: int, height: int) -> bytes:
    """The beginning of a picture that says it is so large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (MOST_PIXELS + 1, 1), (0, 10), (2**31, 2**31)])
def test_a_picture_too_large_is_not_decoded(width: int, height: int) -> None:
    with pytest.raises(EngineError, match="at most") as caught:
        read_picture(data_url(png_of(width, height)), max_pixels=10_000)
    assert caught.value.code == "bad_image"


def test_a_large_picture_is_shrunk_to_whole_tokens_and_a_small_one_left_alone() -> None:
    picture = np.zeros((700, 1400, 3), np.uint8)
    picture[:, :700, 2] = 200  # red on the left, in OpenCV's order
    for kind in ("jpeg", "png"):
        content = cv2.imencode(f".{kind}", picture)[1].tobytes()
        shrunk = read_picture(data_url(content, kind), max_pixels=100_000)
        assert shrunk.shape == (196, 420, 3)
        assert shrunk[100, 50, 0] > 150 > shrunk[100, 50, 2]
        assert read_picture(data_url(content, kind), max_pixels=10**6).shape == (700, 1400, 3)


@pytest.mark.parametrize("cut", [2, 3, 4, 10, 20, 100, 157, 160])
def test_a_picture_cut_off_in_its_header_is_refused(cut: int) -> None:
    content = cv2.imencode(".jpg", np.zeros((28, 28, 3), np.uint8))[1].tobytes()
    with pytest.raises(EngineError) as caught:
        read_picture(data_url(content[:cut], "jpeg"), max_pixels=10_000)
    assert caught.value.code == "bad_image"


# On a staged engine.


class Gate(StagedEngine):
    """Answers when it is opened."""

    def __init__(self) -> None:
        super().__init__(lambda request: request.prompt)
        self.opened = anyio.Event()

    async def generate(self, requests: Any) -> Any:
        answers = await super().generate(requests)
        await self.opened.wait()
        return answers


@asynccontextmanager
async def serving(batcher: VlmBatcher) -> AsyncIterator[str]:
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        yield await group.start(partial(serve_here, batcher, ServeSettings("staged", port=0), stop))
        stop.set()


async def test_questions_of_several_clients_share_batches_and_say_whose_they_are() -> None:
    gate = Gate()
    batcher = VlmBatcher(gate)
    async with serving(batcher) as url:
        engine = OpenAiEngine(RemoteSettings((SecretText(url),), "staged"))
        async with anyio.create_task_group() as group:
            for number in range(5):
                asked = request_for(number, station_id=f"drive-{number}", priority=Priority.SPECULATIVE)
                group.start_soon(engine.generate, [asked])
            await until(lambda: batcher.statistics().asked == 5)
            gate.opened.set()
        await engine.aclose()
    requests = [request for batch in gate.batches for request in batch]
    assert len(gate.batches) <= 2
    assert {request.station_id for request in requests} == {f"drive-{number}" for number in range(5)}
    assert {request.priority for request in requests} == {Priority.SPECULATIVE}
    assert {request.prompt for request in requests} == {build_prompt(NAMES)}
    assert len({request.request_id for request in requests}) == 5


async def test_told_to_stop_it_finishes_what_it_has_and_takes_no_more() -> None:
    gate, stop = Gate(), anyio.Event()
    statuses: list[int] = []

    async def ask(url: str) -> None:
        statuses.append((await post(url, question(model="staged")))[0])

    async with anyio.create_task_group() as group:
        url = await group.start(partial(serve_here, VlmBatcher(gate), ServeSettings("staged", port=0), stop))
        group.start_soon(ask, url)
        await until(lambda: bool(gate.batches))
        stop.set()
        with anyio.fail_after(20):
            while True:
                try:
                    await get(url.replace("/v1", "/health"))
                except aiohttp.ClientConnectionError:
                    break
                await anyio.sleep(0.01)
        assert not statuses
        gate.opened.set()
    assert statuses == [200]


async def test_a_full_queue_turns_clients_away_for_a_moment() -> None:
    gate = Gate()
    batcher = VlmBatcher(gate, max_batch_size=1, queue_size=1)
    async with serving(batcher) as url, anyio.create_task_group() as group:
        for number in range(2):
            group.start_soon(post, url, question(model="staged"))
            await until(lambda number=number: batcher.statistics().asked == number + 1)
        await until(lambda: batcher.pressure >= 1)
        status, body, response = await post(url, question(model="staged"))
        assert (status, body["error"]["type"], body["error"]["code"]) == (429, "rate_limit_error", "overloaded")
        assert response.headers["Retry-After"] == "1"
        gate.opened.set()


async def test_a_queue_full_of_questions_that_can_wait_has_room_for_an_urgent_one() -> None:
    gate = Gate()
    batcher = VlmBatcher(gate, max_batch_size=1, queue_size=2)
    statuses: dict[str, int] = {}

    async def ask(name: str, priority: Priority) -> None:
        asked = question(model="staged", **text([said(name), PICTURE]))
        statuses[name] = (await post(url, asked, priority=priority))[0]

    async with serving(batcher) as url, anyio.create_task_group() as group:
        for number, name in enumerate(("asked", "first", "second")):
            group.start_soon(ask, name, Priority.SHADOW)
            await until(lambda number=number: batcher.statistics().asked == number + 1 and bool(gate.batches))
        await ask("third", Priority.SHADOW)
        group.start_soon(ask, "urgent", Priority.CLOSING)
        await until(lambda: "second" in statuses)
        gate.opened.set()
    assert statuses == {"asked": 200, "first": 200, "urgent": 200, "second": 429, "third": 429}
    prompts = [one.prompt for batch in gate.batches for one in batch]
    assert [prompt.partition("<")[0] for prompt in prompts] == ["asked", "urgent", "first"]


async def test_a_server_whose_engines_do_not_work_is_not_well() -> None:
    hung = StagedEngine(lambda _: "{}", fault=lambda _: EngineFault.HANG)
    batcher = VlmBatcher([EngineSeat(hung)], policy=EnginePolicy(hang_after_sec=0.1))
    async with serving(batcher) as url:
        address = url.replace("/v1", "/health")
        assert [(status, body["status"]) for status, body in [await get(address)]] == [(200, "ok")]
        assert (await post(url, question(model="staged")))[0] == 500
        status, body = await get(address)
        assert (status, body["status"], body["engines"]) == (503, "failing", {"staged": "gone"})
    hung.release()


async def test_a_server_takes_its_settings_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "vlm.yaml"
    file.write_text("vlm: {kv_tokens: 256}\n")
    with serve_vlm("--config", str(file)) as server:
        assert (await post(server.url, question(), None))[0] == 200
        status, body, _ = await post(server.url, question(**text([said("a" * 300), PICTURE])), None)
        assert (status, "longer than the 256 tokens" in body["error"]["message"]) == (400, True)
        long = {"type": "array", "items": {"const": 1}, "minItems": 256}
        shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": long}}
        status, body, _ = await post(server.url, question(max_tokens=4096, response_format=shape), None)
        assert (status, body["choices"][0]["finish_reason"], body["usage"]["total_tokens"]) == (200, "length", 256)


async def test_a_client_that_goes_away_takes_its_question_along() -> None:
    gate = Gate()
    batcher = VlmBatcher(gate, max_batch_size=1)
    async with serving(batcher) as url:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(post, url, question(model="staged"))
            await until(lambda: batcher.statistics().asked == 3)
            group.cancel_scope.cancel()
        await until(lambda: batcher.statistics().abandoned == 3)
        gate.opened.set()
    assert sum(map(len, gate.batches)) == 1


async def test_what_goes_wrong_inside_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(request: VlmRequest) -> str:
        raise EngineError(f"no memory for {request.request_id}", code="out_of_memory")

    async with serving(VlmBatcher(StagedEngine(fail))) as url:
        status, body, _ = await post(url, question(model="staged"))
        assert (status, body["error"]["type"], body["error"]["code"]) == (500, "server_error", "out_of_memory")
    capsys.readouterr()
