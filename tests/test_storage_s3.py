"""Objects in a real S3 server, whatever is done to it."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from orderacc import StorageError
from orderacc.config import SecretText
from orderacc.storage import s3 as s3_module
from orderacc.storage import spool as spool_module
from orderacc.storage.s3 import S3Settings, S3Store
from orderacc.storage.spool import Spool
from orderacc.storage.spool_folder import SpoolFolder
from ports import answering, silent
from staged_store import running
from swift_server import PART_BYTES, SECRET, USER, SwiftServer, need_s3

pytestmark = pytest.mark.anyio

BUCKET = "evidence"


@pytest.fixture(scope="module")
def server():
    need_s3()
    with SwiftServer() as swift:
        yield swift


def settings(url, *, user=USER, secret=SECRET, **other):
    keys = {"access_key": SecretText(user), "secret_key": SecretText(secret), "part_bytes": PART_BYTES}
    return S3Settings(**{"bucket": BUCKET, "endpoint": SecretText(url), "create_buckets": True, **keys, **other})


@asynccontextmanager
async def opened(url, **other):
    store = await S3Store.open(settings(url, **other))
    try:
        yield store
    finally:
        await store.aclose()


async def keys_of(store, prefix=""):
    return [found.key async for found in store.list(prefix)]


async def status_of(url):
    """Status and content."""

    def read():
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310  the server is ours
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    return await asyncio.to_thread(read)


async def test_what_is_put_is_got_listed_and_deleted(server):
    async with opened(server.url, prefix="store-17/") as store:
        await store.check()
        keys = [f"selected/drive-1-{visit:06d}/{frame}.jpg" for visit in range(3) for frame in range(2)]
        for key in keys:
            await store.put(key, key.encode(), "image/jpeg")
        assert [await store.get(key) for key in keys] == [key.encode() for key in keys]
        assert await keys_of(store, "selected/drive-1-000001/") == keys[2:4]
        assert await keys_of(store) == keys
        found = [one async for one in store.list("selected/")]
        assert [one.size for one in found] == [len(key) for key in keys]
        assert all(one.modified.utcoffset().total_seconds() == 0 for one in found)
        await store.put(keys[0], b"another", "image/jpeg")
        assert await store.get(keys[0]) == b"another"
        await store.delete([*keys[:4], "selected/never/there.jpg"])
        assert await keys_of(store) == keys[4:]
        with pytest.raises(StorageError, match=r"selected/drive-1-000000/0\.jpg could not be read") as caught:
            await store.get(keys[0])
        assert caught.value.code == "no_such_object"
        await store.delete(keys)


async def test_a_listing_goes_on_behind_its_first_page(server):
    async with opened(server.url, bucket="many") as store:
        keys = [f"selected/visit/{number:03d}.jpg" for number in range(12)]
        async with anyio.create_task_group() as group:
            for key in keys:
                group.start_soon(store.put, key, b"x", "image/jpeg")
        original = store._client.list_objects_v2
        store._client.list_objects_v2 = lambda **asked: original(**asked, MaxKeys=5)
        assert await keys_of(store, "selected/") == keys


async def test_kinds_may_have_buckets_of_their_own(server):
    async with opened(server.url, bucket="rest", buckets={"results": "verdicts"}) as store:
        await store.put("results/visit/1.json", b"{}", "application/json")
        await store.put("frames/visit/clip.mp4", b"clip", "video/mp4")
        assert await keys_of(store) == ["frames/visit/clip.mp4", "results/visit/1.json"]
    async with opened(server.url, bucket="verdicts") as store:
        assert await keys_of(store) == ["results/visit/1.json"]


async def test_large_objects_go_up_in_parts_and_come_back_whole(server, tmp_path):
    content = bytes(range(256)) * (PART_BYTES // 128 + 1)
    path = Path(tmp_path, "clip.mp4")
    await anyio.Path(path).write_bytes(content)
    async with opened(server.url) as store:
        parts = []
        original = store._client.upload_part
        store._client.upload_part = lambda **asked: parts.append(asked["PartNumber"]) or original(**asked)
        await store.put("frames/large/clip.mp4", path, "video/mp4")
        assert sorted(parts) == [1, 2, 3]
        assert await store.get("frames/large/clip.mp4") == content
        assert [one.size async for one in store.list("frames/large/")] == [len(content)]

        def refuse(**_):
            raise StorageError("staged")

        store._client.upload_part = refuse
        with pytest.raises(StorageError, match="staged"):
            await store.put("frames/half/clip.mp4", path, "video/mp4")
        uploads = await store._client.list_multipart_uploads(Bucket=BUCKET)
        assert uploads.get("Uploads", []) == []
        assert await keys_of(store, "frames/half/") == []


async def test_a_link_needs_no_credentials_and_is_good_for_a_while(server):
    async with opened(server.url) as store:
        await store.put("selected/linked/0.jpg", b"picture", "image/jpeg")
        url = await store.link("selected/linked/0.jpg", 60)
        assert await status_of(url) == (200, b"picture")
        assert (await status_of(url.replace("X-Amz-Signature=", "X-Amz-Signature=0")))[0] == 403
        short = await store.link("selected/linked/0.jpg", 1)
        with anyio.fail_after(30):
            while (await status_of(short))[0] != 403:  # noqa: ASYNC110  only the server knows
                await anyio.sleep(0.2)


@pytest.mark.parametrize("wrong", [{"secret": "canary-secret"}, {"user": "test:nobody", "secret": "canary-secret"}])
async def test_wrong_credentials_are_refused_with_a_clear_error_that_holds_none(server, wrong):
    async with opened(server.url, **wrong) as store:
        for attempt in (store.check(), store.put("selected/a/0.jpg", b"x", ""), keys_of(store, "selected/")):
            with pytest.raises(StorageError, match="the secret key is wrong, or the access key is") as caught:
                await attempt
            assert caught.value.code == "storage_denied"
            assert "canary" not in str(caught.value)
            assert BUCKET in str(caught.value)


async def test_no_credentials_anywhere_is_said(server, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    async with opened(server.url, access_key=None, secret_key=None) as store:
        with pytest.raises(StorageError, match="there are no credentials") as caught:
            await store.check()
        assert caught.value.code == "storage_denied"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", USER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    async with opened(server.url, access_key=None, secret_key=None) as store:
        await store.check()


async def test_a_bucket_that_is_not_there_is_made_only_if_wanted(server):
    async with opened(server.url, bucket="not-there", create_buckets=False) as store:
        for attempt in (store.check(), store.put("selected/a/0.jpg", b"x", "")):
            with pytest.raises(StorageError, match="bucket not-there") as caught:
                await attempt
            assert caught.value.code == "no_such_bucket"
    async with opened(server.url, bucket="made-by-need") as store:
        await store.put("selected/a/0.jpg", b"x", "image/jpeg")
        assert await keys_of(store) == ["selected/a/0.jpg"]


async def test_what_was_changed_behind_our_back_is_noticed(server):
    async with opened(server.url) as store:
        await store.put("selected/changed/0.jpg", b"picture", "image/jpeg")
        place = {"Bucket": BUCKET, "Key": "selected/changed/0.jpg"}
        about = (await store._client.head_object(**place))["Metadata"]
        await store._client.put_object(**place, Body=b"pictura", Metadata=about)
        with pytest.raises(StorageError, match="not what was stored") as caught:
            await store.get("selected/changed/0.jpg")
        assert caught.value.code == "object_corrupt"


async def test_a_server_killed_and_restarted_during_load_gets_every_object(server, tmp_path, monkeypatch):
    monkeypatch.setattr(spool_module, "FIRST_WAIT", 0.05)
    expected = {
        f"selected/load-{visit:03d}/{frame}.jpg": bytes([visit, frame]) * 2000
        for visit in range(40)
        for frame in range(3)
    }
    async with opened(server.url, bucket="load", connect_timeout_sec=1.0, timeout_sec=3.0) as store:
        spool = Spool(SpoolFolder(tmp_path), store, longest_wait=0.3)
        await spool.open()
        async with running(spool):
            await store.check()
            for number, (key, data) in enumerate(expected.items()):
                await spool.add(key, data)
                if number in (20, 80):
                    await asyncio.to_thread(server.kill, *(["object"] if number == 80 else []))
                if number in (60, 110):
                    with anyio.fail_after(60):
                        while not spool.statistics().failing:  # noqa: ASYNC110  the spool tells nobody
                            await anyio.sleep(0.01)
                    await asyncio.to_thread(server.start)
            with anyio.fail_after(120):
                await spool.drained()
        assert await keys_of(store) == sorted(expected)
        assert {key: await store.get(key) for key in expected} == expected
        now = spool.statistics()
        assert now.failures > 0
        assert (now.stored, now.refused, now.waiting_bytes) == (len(expected), 0, 0)


async def test_a_server_that_freezes_is_given_up_and_asked_again(server):
    async with opened(server.url, timeout_sec=0.5, connect_timeout_sec=0.5) as store:
        await store.check()
        server.pause()
        try:
            with pytest.raises(StorageError) as caught:
                await store.put("selected/frozen/0.jpg", b"x", "image/jpeg")
            assert caught.value.code == "storage_unavailable"
        finally:
            server.resume()
    async with opened(server.url) as store:
        await store.put("selected/frozen/0.jpg", b"x", "image/jpeg")


async def test_a_line_that_takes_nothing_is_told_from_a_server_that_fails(monkeypatch):
    monkeypatch.setattr(s3_module, "SLOWEST", 10**9)
    with silent() as port:
        async with opened(
            f"http://127.0.0.1:{port}", timeout_sec=0.3, connect_timeout_sec=0.3, part_bytes=2**26
        ) as store:
            with pytest.raises(StorageError, match="no answer in time") as caught:
                await store.put("frames/a/clip.mp4", bytes(2**24), "video/mp4")
    assert caught.value.code == "storage_unavailable"
    assert isinstance(caught.value.__cause__, TimeoutError)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "storage_unavailable"),
        (503, "storage_unavailable"),
        (429, "storage_unavailable"),
        (403, "storage_denied"),
        (400, "storage_refused"),
        (413, "storage_refused"),
        (404, "no_such_object"),
    ],
)
async def test_every_answer_has_its_meaning(status, code):
    def answer(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 %d Staged\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)

    with answering(answer) as port:
        async with opened(f"http://127.0.0.1:{port}", create_buckets=False) as store:
            with pytest.raises(StorageError) as caught:
                await store.put("selected/a/0.jpg", b"x", "image/jpeg")
    assert caught.value.code == code


async def test_nobody_there_and_nobody_answering_may_pass():
    with silent() as port:
        async with opened(f"http://127.0.0.1:{port}", timeout_sec=0.3) as store:
            with pytest.raises(StorageError) as caught:
                await store.get("selected/a/0.jpg")
    assert caught.value.code == "storage_unavailable"
    async with opened(f"http://127.0.0.1:{port}") as store:
        with pytest.raises(StorageError, match="Could not connect") as caught:
            await store.get("selected/a/0.jpg")
    assert caught.value.code == "storage_unavailable"


@pytest.mark.parametrize(
    ("addressing", "host"),
    [("auto", "http://s3.example:9000/evidence/"), ("virtual", "http://evidence.s3.example:9000/")],
)
async def test_a_bucket_stands_in_the_path_or_in_the_host(addressing, host):
    async with opened("http://s3.example:9000", addressing=addressing) as store:
        assert (await store.link("selected/a/0.jpg", 60)).startswith(f"{host}selected/a/0.jpg?")
    keys = {"access_key": SecretText("key"), "secret_key": SecretText("secret")}
    amazon = await S3Store.open(S3Settings("evidence", region="eu-central-1", **keys))
    assert (await amazon.link("selected/a/0.jpg", 60)).startswith("https://evidence.s3.")
    await amazon.aclose()
