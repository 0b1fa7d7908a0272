"""Objects as files: whole or not at all, found by their keys, nowhere else."""

from __future__ import annotations

import asyncio
import errno
import os
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderacc import StorageError
from orderacc.storage.folder import FolderStore
from orderacc.storage.objects import check_key, content_type_of, key_part, text_of_part, visit_key

pytestmark = pytest.mark.anyio

PART = st.from_regex(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,6}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = st.tuples(PART, PART, PART).map("/".join)


async def keys_of(store, prefix=""):
    return [found.key async for found in store.list(prefix)]


async def test_what_is_put_is_got_listed_linked_and_deleted(tmp_path):
    store = FolderStore(tmp_path / "objects")
    key = visit_key("selected", "drive-1-000042", "0.jpg")
    await store.put(key, b"picture", content_type_of(key))
    await store.put(visit_key("results", "drive-1-000042", "1.json"), b"{}", "application/json")
    assert await store.get(key) == b"picture"
    assert await keys_of(store) == ["results/drive-1-000042/1.json", key]
    assert await keys_of(store, "selected/drive-1-000042/") == [key]
    assert await keys_of(store, "selected/drive") == [key]
    linked = anyio.Path(url2pathname(urlsplit(await store.link(key, 60)).path))
    assert await linked.read_bytes() == b"picture"
    await store.put(key, b"another", "image/jpeg")
    assert await store.get(key) == b"another"
    await store.delete([key, visit_key("selected", "never", "there")])
    assert await keys_of(store) == ["results/drive-1-000042/1.json"]
    with pytest.raises(StorageError, match="no object selected/drive-1-000042") as caught:
        await store.get(key)
    assert caught.value.code == "no_such_object"
    await store.aclose()


async def test_an_empty_store_is_empty(tmp_path):
    store = FolderStore(tmp_path / "none")
    assert await keys_of(store) == []
    assert await keys_of(store, "selected/x/") == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a",
        "a/b",
        "a/b/c/d",
        "/a/b/c",
        "a//c",
        "../b/c",
        "a/../c",
        "a/b/..",
        "a/b/.hidden",
        "a/b/ü",
        "a/b/c\n",
        "a/b/" + "c" * 200,
    ],
)
async def test_a_key_that_names_another_place_is_refused(tmp_path, key):
    store = FolderStore(tmp_path)
    for attempt in (store.put(key, b"", ""), store.get(key), store.delete([key]), store.link(key, 1)):
        with pytest.raises(StorageError) as caught:
            await attempt
        assert caught.value.code == "bad_key"
    with pytest.raises(StorageError):
        await keys_of(store, "../")
    assert list(tmp_path.iterdir()) == []


@given(TEXT, TEXT)
def test_any_visit_has_keys_of_its_own(one, other):
    assert (key_part(one) == key_part(other)) == (one == other)
    assert text_of_part(key_part(one)) == one
    if one:
        check_key(visit_key("selected", one, "0.jpg"))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(["put", "delete", "list"]), KEYS, st.binary(max_size=8)), max_size=30))
def test_a_folder_is_what_a_dictionary_is(tmp_path_factory, operations):
    store = FolderStore(tmp_path_factory.mktemp("model") / "objects")
    model: dict[str, bytes] = {}

    async def play():
        for what, key, data in operations:
            if what == "put":
                await store.put(key, data, "")
                model[key] = data
            elif what == "delete":
                await store.delete([key])
                model.pop(key, None)
            else:
                prefix = key[: len(data)]
                if not any(part.startswith(".") for part in prefix.split("/")):
                    assert await keys_of(store, prefix) == sorted(one for one in model if one.startswith(prefix))
        assert {key: await store.get(key) for key in await keys_of(store)} == model

    asyncio.run(play())


async def test_a_write_that_fails_leaves_nothing_and_keeps_what_was_there(tmp_path, monkeypatch):
    store = FolderStore(tmp_path / "objects")
    key = "selected/visit/0.jpg"
    await store.put(key, b"old", "image/jpeg")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as staged:
        staged.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left") as caught:
            await store.put(key, b"new", "image/jpeg")
    assert caught.value.code == "storage_full"
    assert await store.get(key) == b"old"
    assert [path.name for path in (tmp_path / "objects").rglob("*") if path.is_file()] == ["0.jpg"]


async def test_a_file_is_taken_over_and_stays_when_its_other_name_goes(tmp_path):
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"clip")
    store = FolderStore(tmp_path / "objects")
    await store.put("frames/visit/clip.mp4", source, "video/mp4")
    source.unlink()
    assert await store.get("frames/visit/clip.mp4") == b"clip"
    with pytest.raises(StorageError):
        await store.put("frames/visit/clip.mp4", source, "video/mp4")


async def test_many_write_and_delete_in_one_folder_at_once(tmp_path):
    store = FolderStore(tmp_path / "objects")

    async def visit(number):
        for _ in range(10):
            key = f"selected/visit/{number}.jpg"
            await store.put(key, b"x", "image/jpeg")
            await store.delete([key])
        await store.put(key, b"x", "image/jpeg")

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(visit, number)
    assert len(await keys_of(store, "selected/visit/")) == 6
