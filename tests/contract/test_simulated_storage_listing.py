"""Listing, composing, copying and deleting in the simulated Cloud Storage."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from vertexq.simulator.server import Simulator

OBJECT = "/storage/v1/b/prompts/o"
NAMES = ["a", "a/1", "a/2", "b/c/1", "b/c/2", "b/d", "c", "Z", "ü/1", "😀"]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a plain HTTP client for a simulator with the objects ``NAMES``."""
    async with Simulator(buckets=["prompts"]) as simulator, aiohttp.ClientSession(simulator.url) as session:
        for name in NAMES:
            await upload(session, name)
        yield session


async def upload(http: aiohttp.ClientSession, name: str, data: bytes = b"x") -> str:
    """Store an object; return its generation."""
    query = {"uploadType": "media", "name": name}
    async with http.post("/upload/storage/v1/b/prompts/o", params=query, data=data) as answer:
        assert answer.status == 200
        return str((await answer.json())["generation"])


async def listed(http: aiohttp.ClientSession, **query: str) -> tuple[list[str], list[str]]:
    """Return the names and prefixes of all pages; no page is longer than it may be."""
    names: list[str] = []
    prefixes: list[str] = []
    limit = int(query.get("maxResults", "1000"))
    while True:
        async with http.get(OBJECT, params=query) as answer:
            assert answer.status == 200
            page = await answer.json()
        found = [str(item["name"]) for item in page.get("items", [])]
        assert len(found) + len(page.get("prefixes", [])) <= limit
        names += found
        prefixes += page.get("prefixes", [])
        if "nextPageToken" not in page:
            return names, prefixes
        query["pageToken"] = page["nextPageToken"]


async def test_names_come_in_the_order_of_their_bytes(http: aiohttp.ClientSession) -> None:
    """Upper case first, then lower case, then what takes more than one byte."""
    assert await listed(http) == (sorted(NAMES, key=str.encode), [])


@pytest.mark.parametrize("page", ["1", "2", "3", "1000"])
@pytest.mark.parametrize(
    ("query", "names", "prefixes"),
    [
        ({"prefix": "a"}, ["a", "a/1", "a/2"], []),
        ({"prefix": "a/"}, ["a/1", "a/2"], []),
        ({"prefix": "none"}, [], []),
        ({"delimiter": "/"}, ["Z", "a", "c", "😀"], ["a/", "b/", "ü/"]),
        ({"prefix": "b/", "delimiter": "/"}, ["b/d"], ["b/c/"]),
        ({"prefix": "b", "delimiter": "/"}, [], ["b/"]),
        ({"startOffset": "a/2", "endOffset": "b/d"}, ["a/2", "b/c/1", "b/c/2"], []),
        ({"matchGlob": "*"}, ["Z", "a", "c", "😀"], []),
        ({"matchGlob": "**/1"}, ["a/1", "b/c/1", "ü/1"], []),
        ({"matchGlob": "{a,b/c}/[!2-9]"}, ["a/1", "b/c/1"], []),
        ({"matchGlob": "?/?", "prefix": "a"}, ["a/1", "a/2"], []),
        ({"matchGlob": "\\*"}, [], []),
    ],
)
async def test_a_list_gives_everything_once(
    http: aiohttp.ClientSession, query: dict[str, str], names: list[str], prefixes: list[str], page: str
) -> None:
    """Whatever is asked for, and however long the pages: each object and each prefix once, in order."""
    assert await listed(http, **query, maxResults=page) == (names, prefixes)


async def test_a_prefix_object_can_be_listed_beside_its_prefix(http: aiohttp.ClientSession) -> None:
    """``includeTrailingDelimiter`` also lists the object that is called like the prefix."""
    await upload(http, "a/")

    assert await listed(http, prefix="a", delimiter="/", includeTrailingDelimiter="true") == (
        ["a", "a/"],
        ["a/"],
    )


async def test_a_page_never_has_more_than_a_thousand(http: aiohttp.ClientSession) -> None:
    """More than 1,000 may be asked for; 1,000 are given."""
    for number in range(1005):
        await upload(http, f"many/{number:05}")

    async with http.get(OBJECT, params={"prefix": "many/", "maxResults": "5000"}) as answer:
        page = await answer.json()

    assert len(page["items"]) == 1000
    assert page["nextPageToken"]


async def test_a_list_can_be_cut_down(http: aiohttp.ClientSession) -> None:
    """``fields`` reaches into the items and keeps the token."""
    query = {"fields": "items(name),nextPageToken", "maxResults": "2"}
    async with http.get(OBJECT, params=query) as answer:
        page = await answer.json()

    assert page["items"] == [{"name": "Z"}, {"name": "a"}]
    assert set(page) == {"items", "nextPageToken"}


@pytest.mark.parametrize(
    "query",
    [{"maxResults": "0"}, {"maxResults": "x"}, {"pageToken": "é"}, {"pageToken": "_w"}, {"matchGlob": "{a"}],
)
async def test_a_bad_list_is_refused(http: aiohttp.ClientSession, query: dict[str, str]) -> None:
    """A page size, token or glob that cannot be is a bad request."""
    async with http.get(OBJECT, params=query) as answer:
        assert answer.status == 400


async def test_a_list_of_a_missing_bucket_is_not_found(http: aiohttp.ClientSession) -> None:
    """A missing bucket is an error, not an empty list."""
    async with http.get("/storage/v1/b/nowhere/o") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, 404)


@pytest.mark.parametrize("count", [0, 1, 32, 33])
async def test_up_to_32_objects_are_composed(http: aiohttp.ClientSession, count: int) -> None:
    """One to 32 sources make one object; none and 33 are refused."""
    body = {"sourceObjects": [{"name": "a", "generation": None}] * count}
    async with http.post(f"{OBJECT}/whole/compose", json=body) as answer:
        found = await answer.json()

    if count in {1, 32}:
        assert (found["size"], found["componentCount"], "md5Hash" in found) == (str(count), count, False)
    else:
        assert (answer.status, found["error"]["code"]) == (400, 400)


async def test_compose_is_held_to_generations(http: aiohttp.ClientSession) -> None:
    """A source must be there, in the generation named, and meet its own precondition."""
    new = await upload(http, "a", b"new")

    async def status(source: dict[str, object]) -> int:
        async with http.post(f"{OBJECT}/whole/compose", json={"sourceObjects": [source]}) as answer:
            return answer.status

    assert await status({"name": "a", "generation": "1"}) == 404
    assert await status({"name": "a", "generation": "new"}) == 400
    assert await status({"name": "missing"}) == 404
    assert await status({"name": "a", "objectPreconditions": {"ifGenerationMatch": "1"}}) == 412
    assert (
        await status({"name": "a", "generation": new, "objectPreconditions": {"ifGenerationMatch": new}})
        == 200
    )


async def test_compose_may_delete_its_sources(http: aiohttp.ClientSession) -> None:
    """``deleteSourceObjects`` removes what was joined; the result stays, also under a source's name."""
    body = {
        "sourceObjects": [{"name": "a/1"}, {"name": "a/2"}],
        "destination": {"contentType": "text/x", "metadata": {"k": "v"}},
        "deleteSourceObjects": True,
    }
    async with http.post(f"{OBJECT}/a%2F1/compose", json=body) as answer:
        found = await answer.json()

    assert (found["size"], found["contentType"], found["metadata"]) == ("2", "text/x", {"k": "v"})
    assert await listed(http, prefix="a/") == (["a/1"], [])


async def test_a_rewrite_is_done_in_one_call(http: aiohttp.ClientSession) -> None:
    """The answer says done, with sizes and resource; a body replaces what is said of the object."""
    target = f"{OBJECT}/a/rewriteTo/b/prompts/o/copy%2Fa"
    async with http.post(target, json={"contentType": "text/new"}) as answer:
        found = await answer.json()

    assert (found["done"], found["totalBytesRewritten"], found["objectSize"]) == (True, "1", "1")
    assert (found["resource"]["name"], found["resource"]["contentType"]) == ("copy/a", "text/new")


async def test_an_object_can_be_rewritten_onto_itself(http: aiohttp.ClientSession) -> None:
    """The bytes survive when source and target are one."""
    async with http.post(f"{OBJECT}/a/rewriteTo/b/prompts/o/a") as answer:
        assert answer.status == 200

    async with http.get(f"{OBJECT}/a?alt=media") as content:
        assert await content.read() == b"x"


async def test_a_delete_answers_204_and_only_once(http: aiohttp.ClientSession) -> None:
    """The first delete is done, the second finds nothing."""
    statuses: list[int] = []
    for _ in range(2):
        async with http.delete(f"{OBJECT}/a") as answer:
            statuses.append(answer.status)

    assert statuses == [204, 404]


async def test_buckets_have_names_and_one_owner(http: aiohttp.ClientSession) -> None:
    """A bad name is refused (400), a taken one too (409); only an empty bucket can be deleted."""

    async def create(name: str) -> int:
        async with http.post("/storage/v1/b?project=p", json={"name": name}) as answer:
            return answer.status

    async def delete(name: str) -> int:
        async with http.delete(f"/storage/v1/b/{name}") as answer:
            return answer.status

    assert [await create(name) for name in ("AB", "x", "other", "other")] == [400, 400, 200, 409]
    assert [await delete(name) for name in ("prompts", "other", "other")] == [409, 204, 404]
