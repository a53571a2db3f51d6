"""A second opinion: what fake-gcs-server, written by others in Go, gets right, our simulator gets as well.

Only behaviour that both have is asked for here. fake-gcs-server knows preconditions on multipart uploads
only, and finishes an upload when it is asked for its status; those questions are in the files beside this.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import os
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from yarl import URL

from tests.contract.fake_gcs import running_fake_gcs
from vertexq.testing.simulator import running_simulator

QUANTUM_BYTES = 262_144
OBJECT = "/storage/v1/b/prompts/o"
UPLOAD = "/upload/storage/v1/b/prompts/o"


@pytest.fixture(scope="module")
def simulator_url() -> Iterator[str]:
    """Run our simulator."""
    with running_simulator() as simulator:
        yield simulator.url


@pytest.fixture(scope="module")
def fake_gcs_url() -> Iterator[str]:
    """Run fake-gcs-server, in memory."""
    with running_fake_gcs() as url:
        yield url


@pytest.fixture(params=["simulator_url", "fake_gcs_url"])
async def http(request: pytest.FixtureRequest) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a plain HTTP client for each of the two, with an empty bucket."""
    async with aiohttp.ClientSession(
        str(request.getfixturevalue(request.param)),
        auto_decompress=False,
        skip_auto_headers=["Accept-Encoding"],
    ) as session:
        async with session.post("/storage/v1/b?project=p", json={"name": "prompts"}) as answer:
            assert answer.status in {200, 409}
        for name in (await listed(session))[0]:
            async with session.delete(URL(OBJECT) / name) as answer:
                assert answer.status in {200, 204}
        yield session


async def listed(http: aiohttp.ClientSession, **query: str) -> tuple[list[str], list[str]]:
    """Return the names and prefixes of all pages."""
    names: list[str] = []
    prefixes: list[str] = []
    while True:
        async with http.get(OBJECT, params=query) as answer:
            page = await answer.json()
        names += [str(item["name"]) for item in page.get("items", [])]
        prefixes += page.get("prefixes", [])
        if not page.get("nextPageToken"):
            return names, prefixes
        query["pageToken"] = page["nextPageToken"]


async def multipart(http: aiohttp.ClientSession, name: str, data: bytes, query: str = "") -> int:
    """Upload an object with its resource; return the status."""
    head = b'--x\r\nContent-Type: application/json\r\n\r\n{"name": "' + name.encode() + b'"}\r\n'
    body = head + b"--x\r\nContent-Type: text/x\r\n\r\n" + data + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/related; boundary=x"}
    url = f"{UPLOAD}?uploadType=multipart{query}"
    async with http.post(url, data=body, headers=headers) as answer:
        return answer.status


async def media(http: aiohttp.ClientSession, name: str, data: bytes, **query: str) -> str:
    """Upload an object; return its generation."""
    async with http.post(UPLOAD, params={"uploadType": "media", "name": name, **query}, data=data) as answer:
        assert answer.status == 200
        return str((await answer.json())["generation"])


async def content(http: aiohttp.ClientSession, name: str, **headers: str) -> tuple[int, bytes]:
    """Return status and bytes of an object."""
    async with http.get(f"{OBJECT}/{name}?alt=media", headers=headers) as answer:
        return answer.status, await answer.read()


async def session_of(http: aiohttp.ClientSession, name: str) -> URL:
    """Start a resumable upload."""
    url = f"{UPLOAD}?uploadType=resumable&name={name}"
    async with http.post(url, json={"contentType": "text/x"}) as answer:
        assert answer.status == 200
        return URL(answer.headers["Location"], encoded=True)


async def test_a_resource_has_checksums_and_a_generation(http: aiohttp.ClientSession) -> None:
    """Size, generation, crc32c and MD5 of an upload are those of its bytes."""
    await media(http, "a", b"abc")

    async with http.get(f"{OBJECT}/a") as answer:
        found = await answer.json()

    assert (found["size"], found["crc32c"], found["bucket"]) == ("3", "Nks/tw==", "prompts")
    assert found["md5Hash"] == base64.b64encode(hashlib.md5(b"abc", usedforsecurity=False).digest()).decode()
    assert int(found["generation"]) > 0


async def test_a_multipart_upload_keeps_bytes_and_type(http: aiohttp.ClientSession) -> None:
    """The second part is the object, with its content type."""
    data = os.urandom(1000)

    assert await multipart(http, "a", data) == 200

    assert await content(http, "a") == (200, data)
    async with http.get(f"{OBJECT}/a") as answer:
        assert (await answer.json())["contentType"] == "text/x"


async def test_of_many_multipart_creators_one_wins(http: aiohttp.ClientSession) -> None:
    """``ifGenerationMatch=0`` lets one of 16 through; an old generation lets none."""
    uploads = [multipart(http, "a", b"x", "&ifGenerationMatch=0") for _ in range(16)]
    statuses = await asyncio.gather(*uploads)

    assert sorted(statuses) == [200] + [412] * 15
    assert await multipart(http, "a", b"x", "&ifGenerationMatch=1") == 412


@pytest.mark.parametrize(
    ("span", "status", "body"),
    [("2-5", 206, b"2345"), ("7-", 206, b"789"), ("-3", 206, b"789"), ("7-99", 206, b"789")],
)
async def test_ranges_are_honoured(http: aiohttp.ClientSession, span: str, status: int, body: bytes) -> None:
    """Every form of a single range."""
    await media(http, "digits", b"0123456789")

    assert await content(http, "digits", Range=f"bytes={span}") == (status, body)


async def test_a_range_behind_the_end_is_refused(http: aiohttp.ClientSession) -> None:
    """416."""
    await media(http, "digits", b"0123456789")

    assert (await content(http, "digits", Range="bytes=10-"))[0] == 416


async def test_an_upload_goes_in_pieces(http: aiohttp.ClientSession) -> None:
    """Pieces of 256 KiB, the total unknown until the last; 308 says what is kept."""
    data = os.urandom(QUANTUM_BYTES + 7)
    session = await session_of(http, "a")

    first = {"Content-Range": f"bytes 0-{QUANTUM_BYTES - 1}/*"}
    async with http.put(session, data=data[:QUANTUM_BYTES], headers=first) as answer:
        assert (answer.status, answer.headers["Range"]) == (308, f"bytes=0-{QUANTUM_BYTES - 1}")
    last = {"Content-Range": f"bytes {QUANTUM_BYTES}-{len(data) - 1}/{len(data)}"}
    async with http.put(session, data=data[QUANTUM_BYTES:], headers=last) as answer:
        assert (answer.status, (await answer.json())["size"]) == (200, str(len(data)))

    assert await content(http, "a") == (200, data)


async def test_an_upload_can_be_cancelled(http: aiohttp.ClientSession) -> None:
    """DELETE of a session answers 499."""
    async with http.delete(await session_of(http, "a")) as answer:
        assert answer.status == 499


@pytest.mark.parametrize("page", ["1", "2", "1000"])
@pytest.mark.parametrize(
    ("query", "names", "prefixes"),
    [
        ({}, ["a", "b/1", "b/2", "c/d/1", "e"], []),
        ({"prefix": "b/"}, ["b/1", "b/2"], []),
        ({"prefix": "c/", "delimiter": "/"}, [], ["c/d/"]),
        ({"startOffset": "b/2"}, ["b/2", "c/d/1", "e"], []),
    ],
)
async def test_a_list_gives_everything_once(
    http: aiohttp.ClientSession, query: dict[str, str], names: list[str], prefixes: list[str], page: str
) -> None:
    """Prefix, delimiter and offset, in pages of every length."""
    for name in ("a", "b/1", "b/2", "c/d/1", "e"):
        await media(http, name, b"x")

    assert await listed(http, **query, maxResults=page) == (names, prefixes)


async def test_objects_are_joined_and_copied(http: aiohttp.ClientSession) -> None:
    """Compose in the order given, then rewrite the result."""
    for name in "abc":
        await media(http, name, name.encode() * 2)

    sources = [{"name": name} for name in "bac"]
    body = {"sourceObjects": sources, "destination": {"contentType": "text/x"}}
    async with http.post(f"{OBJECT}/whole/compose", json=body) as answer:
        assert answer.status == 200
    async with http.post(f"{OBJECT}/whole/rewriteTo/b/prompts/o/copy") as answer:
        assert (await answer.json())["done"] is True

    assert await content(http, "whole") == await content(http, "copy") == (200, b"bbaacc")


async def test_gzip_is_unpacked_unless_wanted(http: aiohttp.ClientSession) -> None:
    """Whoever accepts gzip gets the stored bytes, others the text."""
    packed = gzip.compress(b"text" * 100)
    await media(http, "log", packed, contentEncoding="gzip")

    assert await content(http, "log", **{"Accept-Encoding": "gzip"}) == (200, packed)
    assert await content(http, "log") == (200, b"text" * 100)


async def test_an_old_generation_is_not_found(http: aiohttp.ClientSession) -> None:
    """The new one is."""
    old = await media(http, "a", b"one")
    new = await media(http, "a", b"two")

    for generation, status in ((old, 404), (new, 200)):
        async with http.get(f"{OBJECT}/a?alt=media&generation={generation}") as answer:
            assert answer.status == status


async def test_a_missing_object_is_said_in_json(http: aiohttp.ClientSession) -> None:
    """The error has its code; nothing is there after a delete either."""
    await media(http, "a", b"x")
    async with http.delete(f"{OBJECT}/a") as answer:
        assert answer.status in {200, 204}

    async with http.get(f"{OBJECT}/a") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, 404)
