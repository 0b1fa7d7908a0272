"""Who may come in, from where, and how often: every route, one after the other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import pytest

from door import CANARY, Answer, opened, verdict
from orderacc.api.routes import Scope
from orderacc.api.tokens import TokenFile, create_token, read_tokens, write_tokens
from orderacc.errors import ConfigError
from staged_stations import until

if TYPE_CHECKING:
    from pathlib import Path

    from door import Door

pytestmark = pytest.mark.anyio

OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("POST", "/v1/session"), ("GET", "/"), ("GET", "/web/main.js")}
FILLED = {
    "station_id": "front",
    "verdict_id": "front-000007",
    "source": "till",
    "order_id": "7",
    "name": "main.js",
    "client_id": "nobody",
    "video_id": "none",
    "number": "0",
    "place": "0",
    "filename": "frame_0.jpg",
}
ENOUGH = {"read": {"read"}, "submit": {"submit"}, "admin": {"read", "submit", "admin"}}
"""What the bearers of the tokens may do."""


async def operations(door: Door) -> list[tuple[str, str, str | None]]:
    """Every route there is: method, path with its parameters filled in, scope."""
    document = (await door.get("/openapi.json")).json
    return [
        (method.upper(), re.sub(r"\{(\w+)\}", lambda name: FILLED[name.group(1)], path), operation.get("x-scope"))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def knock(door: Door, method: str, path: str, scope: str | None) -> Answer:
    """Ask for something, and not wait for the end of a stream."""
    async with door.session.request(method, door.address + path, headers=door.bearer(scope)) as answer:
        stream = answer.content_type == "text/event-stream"
        return Answer(answer.status, answer.headers, b"" if stream else await answer.read())


async def answered(door: Door, scope: str, status: int) -> None:
    """Wait until a token is answered like this."""
    with anyio.fail_after(20):
        while (await door.get("/v1/session", scope=scope)).status != status:  # noqa: ASYNC110  a file is read
            await anyio.sleep(0.05)


async def test_every_route_wants_a_token_and_the_right_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        routes = await operations(door)
        assert len(routes) >= 20
        for method, path, scope in routes:
            without = await knock(door, method, path, None)
            if (method, path) in OPEN:
                assert scope is None
                assert without.status != 401, (method, path)
                continue
            assert scope in set(Scope)
            assert (without.status, without.code) == (401, "unauthorized"), (method, path)
            assert without.headers["WWW-Authenticate"] == "Bearer"
            for bearer, may in ENOUGH.items():
                if bearer == "admin" and method == "DELETE" and "stations" in path:
                    continue  # it would take the station away from the routes behind it
                answer = await knock(door, method, path, bearer)
                if scope in may:
                    assert answer.status not in (401, 403), (method, path, bearer, answer)
                else:
                    assert (answer.status, answer.code) == (403, "forbidden"), (method, path, bearer)


async def test_tokens_that_are_none_of_ours(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        good = door.tokens["read"]
        _, token_id, secret = good.split("_", 2)
        wrong = ["", "x", f"{good}x", good[:-1], f"oa_{token_id}_", f"oa_ffffffff_{secret}", f"ob_{token_id}_{secret}"]
        for text in wrong:
            answer = await door.get("/v1/stations", scope=None, headers={"Authorization": f"Bearer {text}"})
            assert (answer.status, answer.code) == (401, "unauthorized")
        answer = await door.get("/v1/stations", scope=None, headers={"Authorization": f"Basic {good}"})
        assert answer.status == 401
        assert (await door.get(f"/v1/stations?token={good}", scope=None)).status == 401
        assert (await door.get("/v1/stations", scope="read")).status == 200


async def test_whoever_tries_many_tokens_is_told_to_wait_and_a_good_token_still_gets_in(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        statuses = [
            (await door.get("/v1/stations", scope=None, headers={"Authorization": f"Bearer oa_1_{n}"})).status
            for n in range(30)
        ]
        assert statuses[:20] == [401] * 20
        assert statuses[-1] == 429
        assert (await door.get("/v1/stations", scope="read")).status == 200


async def test_tokens_count_while_the_door_is_open_and_until_they_are_revoked(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        _, text = create_token(tmp_path / "tokens.json", "late", frozenset({Scope.READ}))
        door.tokens["late"] = text
        await answered(door, "late", 200)
        (tmp_path / "tokens.json").write_text("{")  # one that turned bad changes nothing
        assert (await door.get("/v1/session", scope="read")).status == 200
        (tmp_path / "tokens.json").write_text('{"tokens": []}')
        await answered(door, "late", 401)


async def test_what_is_open_ends_with_the_token_or_the_login_it_was_opened_with(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        login = await door.ask("POST", "/v1/session", {"token": door.tokens["admin"]}, scope=None)
        door.session.cookie_jar.clear()
        cookie = {"Cookie": login.headers["Set-Cookie"].split(";")[0]}
        live, events = door.address + "/v1/stations/front/live", door.address + "/v1/events"
        kept = await door.session.ws_connect(events, headers=door.bearer())
        by_login = await door.session.ws_connect(live, headers=cookie)
        right = cookie | {"X-CSRF-Token": login.json["csrf"]}
        assert (await door.ask("DELETE", "/v1/session", scope=None, headers=right)).status == 204
        await _ended(by_login)
        looking = await door.session.ws_connect(live, headers=door.bearer("read"))
        following = await door.session.ws_connect(events, headers=door.bearer("read"))
        left = [token for token in read_tokens(tmp_path / "tokens.json") if token.name != "a reader"]
        write_tokens(tmp_path / "tokens.json", left)
        await _ended(looking)
        await _ended(following)
        door.serving.judged(verdict(7))
        with anyio.fail_after(20):
            while (await kept.receive_json())["event"] != "verdict":
                pass


async def _ended(socket: aiohttp.ClientWebSocketResponse) -> None:
    with anyio.fail_after(20):
        while (await socket.receive()).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
            pass


def test_the_file_of_tokens_holds_none(tmp_path: Path) -> None:
    path = tmp_path / "in" / "tokens.json"
    token, text = create_token(path, "till", frozenset({Scope.SUBMIT}))
    assert path.stat().st_mode & 0o777 == 0o600
    assert text.split("_", 2)[2] not in path.read_text()
    assert read_tokens(path) == [token]
    tokens = TokenFile(path)
    assert tokens.find(text) == token
    assert token.allows(Scope.SUBMIT)
    assert not token.allows(Scope.READ)
    path.write_text('{"tokens": [{"token_id": "x"}]}')
    with pytest.raises(ConfigError, match="name"):
        TokenFile(path)


async def test_without_tokens_it_is_for_this_machine() -> None:
    async with opened() as door:
        assert (await door.get("/v1/session")).json == {
            "name": "this machine",
            "scopes": ["read", "submit", "admin"],
            "csrf": None,
        }
        for host in ("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "[::2]:80", ""):
            answer = await door.get("/v1/stations", headers={"Host": host})
            assert (answer.status, answer.code) == (421, "bad_host"), host
        for host in ("localhost:1234", "LOCALHOST", "[::1]:80", "127.0.0.1"):
            assert (await door.get("/v1/stations", headers={"Host": host})).status == 200
    async with opened(hosts=["box.lan"]) as door:
        assert (await door.get("/v1/stations", headers={"Host": "box.lan:8080"})).status == 200


async def test_pages_elsewhere_get_nothing(tmp_path: Path) -> None:
    friend = "https://screen.example:8443"
    async with opened(tmp_path, origins=[friend]) as door:
        for origin in ("https://evil.example", "null", "http://127.0.0.1", friend.replace("https", "http")):
            for path in ("/v1/stations", "/v1/events", "/v1/stations/front/live"):
                answer = await door.get(path, headers={"Origin": origin})
                assert (answer.status, answer.code) == (403, "bad_origin")
                assert "Access-Control-Allow-Origin" not in answer.headers
        for path in ("/v1/events", "/v1/stations/front/live"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await door.session.ws_connect(door.address + path, headers=door.bearer(), origin="https://evil.example")
            assert caught.value.status == 403
        assert (await door.get("/v1/stations", headers={"Origin": door.address})).status == 200
        answer = await door.get("/v1/stations", headers={"Origin": friend})
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, friend)
        answer = await door.ask("OPTIONS", "/v1/stations", scope=None, headers={"Origin": friend})
        assert (answer.status, "PUT" in answer.headers["Access-Control-Allow-Methods"]) == (204, True)


async def test_logging_in_once_instead_of_keeping_the_token(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        wrong = await door.ask("POST", "/v1/session", {"token": "oa_1_2"}, scope=None)
        assert (wrong.status, wrong.code) == (401, "unauthorized")
        login = await door.ask("POST", "/v1/session", {"token": door.tokens["admin"]}, scope=None)
        assert (login.status, login.json["scopes"]) == (201, ["admin"])
        cookie = login.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        door.session.cookie_jar.clear()
        with_cookie = {"Cookie": cookie.split(";")[0]}
        assert (await door.get("/v1/stations", scope=None, headers=with_cookie)).status == 200
        restart = "/v1/stations/front/restart"
        for header in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "guess"}):
            answer = await door.ask("POST", restart, scope=None, headers=with_cookie | header)
            assert (answer.status, answer.code) == (403, "csrf")
        right = with_cookie | {"X-CSRF-Token": login.json["csrf"]}
        assert (await door.ask("POST", restart, scope=None, headers=right)).status == 202
        assert (await door.get("/v1/session", scope=None, headers=with_cookie)).json["csrf"] == login.json["csrf"]
        assert (await door.ask("DELETE", "/v1/session", scope=None, headers=right)).status == 204
        assert (await door.get("/v1/stations", scope=None, headers=with_cookie)).status == 401


async def test_too_many_requests_of_one_token_do_not_touch_another(tmp_path: Path) -> None:
    async with opened(tmp_path, rate_per_sec=1) as door:
        answers = [await door.get("/v1/session", scope="read") for _ in range(15)]
        assert [answer.status for answer in answers[:10]] == [200] * 10
        last = answers[-1]
        assert (last.status, last.code, int(last.headers["Retry-After"]) >= 1) == (429, "rate_limited", True)
        assert (await door.get("/v1/session", scope="admin")).status == 200
        assert [(await door.get("/healthz", scope=None)).status for _ in range(30)] == [200] * 30


async def test_every_answer_is_dressed(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        for path in ("/healthz", "/docs", "/v1/nowhere", "/v1/stations", "/metrics"):
            headers = (await door.get(path)).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert headers["Server"] == "orderacc"
            assert headers["Cache-Control"] == "no-store"


async def test_no_answer_page_metric_or_log_line_tells_a_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="orderacc")
    said: list[bytes] = []
    url = f"rtsp://crew:{CANARY}@203.0.113.9/stream"
    async with opened(tmp_path) as door:
        door.serving.judged(verdict(7))

        async def say(method: str, path: str, body: Any = None, **more: Any) -> int:
            answer = await door.ask(method, path, body, **more)
            said.append(answer.body + str(answer.headers).encode())
            return answer.status

        # It cannot be made by the staged builder, which says so without being asked what it was given.
        for wrong in ({"type": "rtsp", "url": url, "trans": url}, {"type": "http", "url": url}, {"type": url}, url):
            assert await say("POST", "/v1/stations", {"id": "cam", "source": wrong}) == 422
        assert await say("POST", "/v1/stations", {"id": url, "source": {"type": "rtsp", "url": url}}) == 422
        assert (
            await say("PUT", "/v1/orders/till/9", {"items": [{"name": "Burger"}], "customer": {"name": CANARY}}) == 201
        )
        assert await say("PUT", "/v1/orders/till/9", {"items": [{"name": ["x"], "note": CANARY}]}) == 422
        assert await say("POST", "/v1/session", {"token": CANARY, "password": CANARY}, scope=None) == 422
        assert await say("POST", "/v1/session", {"token": f"oa_1_{CANARY}"}, scope=None) == 401
        for header in ("Authorization", "Cookie", "X-CSRF-Token", "Last-Event-ID"):
            await say("GET", "/v1/orders", scope=None, headers={header: f"Bearer {CANARY}"})
        for method, path, _ in await operations(door):
            if method == "GET" and "events" not in path and "live" not in path:
                await say(method, path)
        everything = b"".join(said).decode() + caplog.text
        assert "203.0.113.9" not in everything  # nothing that was wrong is repeated at all
        for secret in (CANARY, *(text.split("_", 2)[2] for text in door.tokens.values())):
            assert secret not in everything


async def test_changes_are_on_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="orderacc")
    async with opened(tmp_path) as door:
        assert (await door.ask("POST", "/v1/stations/front/restart")).status == 202
        assert (await door.ask("DELETE", "/v1/stations/front", scope="submit")).status == 403
        await until(lambda: caplog.text.count("audit") >= 2)
        lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
        audit = [line for line in lines if line.get("event") == "audit"]
        assert [(line["who"], line["status"]) for line in audit] == [("a adminer", 202), ("a submiter", 403)]
        assert audit[0]["on"] == {"station_id": "front"}
