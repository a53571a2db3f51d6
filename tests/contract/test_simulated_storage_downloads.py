"""Downloads from the simulated Cloud Storage: ranges, generations, transcoding, headers."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from vertexq.simulator.server import Simulator

OBJECT = "/storage/v1/b/prompts/o"
UPLOAD = "/upload/storage/v1/b/prompts/o?uploadType=media&name="
DIGITS = b"0123456789"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a plain HTTP client for a simulator with one object, ``digits``."""
    async with Simulator(buckets=["prompts"]) as simulator:
        session = aiohttp.ClientSession(
            simulator.url, auto_decompress=False, skip_auto_headers=["Accept-Encoding"]
        )
        async with session:
            await upload(session, "digits", DIGITS)
            yield session


async def upload(http: aiohttp.ClientSession, name: str, data: bytes, query: str = "") -> str:
    """Store an object; return its generation."""
    async with http.post(f"{UPLOAD}{name}{query}", data=io.BytesIO(data)) as answer:
        assert answer.status == 200
        return str((await answer.json())["generation"])


@pytest.mark.parametrize("twin", ["", "/download"])
@pytest.mark.parametrize(
    ("asked", "status", "said", "body"),
    [
        ("bytes=2-5", 206, "bytes 2-5/10", b"2345"),
        ("bytes=7-", 206, "bytes 7-9/10", b"789"),
        ("bytes=7-100", 206, "bytes 7-9/10", b"789"),
        ("bytes=-3", 206, "bytes 7-9/10", b"789"),
        ("bytes=-100", 206, "bytes 0-9/10", DIGITS),
        ("bytes=5-2", 200, None, DIGITS),
        ("lines=1-2", 200, None, DIGITS),
        ("bytes=-", 200, None, DIGITS),
    ],
)
async def test_ranges_are_honoured(
    http: aiohttp.ClientSession, twin: str, asked: str, status: int, said: str | None, body: bytes
) -> None:
    """A range gets 206 and its bytes; one that cannot be read is ignored (RFC 9110, section 14.2)."""
    async with http.get(f"{twin}{OBJECT}/digits?alt=media", headers={"Range": asked}) as answer:
        assert (answer.status, answer.headers.get("Content-Range"), await answer.read()) == (
            status,
            said,
            body,
        )
        assert answer.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    ("name", "asked"), [("digits", "bytes=10-"), ("empty", "bytes=0-"), ("empty", "bytes=-5")]
)
async def test_a_range_behind_the_end_is_refused(http: aiohttp.ClientSession, name: str, asked: str) -> None:
    """No byte of the object is in the range: 416, with the size, in plain text."""
    await upload(http, "empty", b"")

    async with http.get(f"{OBJECT}/{name}?alt=media", headers={"Range": asked}) as answer:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{10 if name == 'digits' else 0}"


async def test_headers_say_which_bytes_these_are(http: aiohttp.ClientSession) -> None:
    """Generation, checksums of the whole object and its size come with every download."""
    async with http.get(f"{OBJECT}/digits") as answer:
        resource = await answer.json()

    async with http.get(f"{OBJECT}/digits?alt=media", headers={"Range": "bytes=0-1"}) as answer:
        assert answer.headers["X-Goog-Generation"] == resource["generation"]
        assert answer.headers["X-Goog-Hash"] == f"crc32c={resource['crc32c']},md5={resource['md5Hash']}"
        assert answer.headers["X-Goog-Stored-Content-Length"] == "10"
        assert answer.headers["ETag"] == resource["etag"]


async def test_a_replaced_generation_is_not_found(http: aiohttp.ClientSession) -> None:
    """Once replaced, a generation is gone for new readers: 404 in plain text, as Google says it."""
    old = await upload(http, "a", b"one")
    new = await upload(http, "a", b"two")

    async with http.get(f"{OBJECT}/a?alt=media&generation={new}") as answer:
        assert await answer.read() == b"two"
    async with http.get(f"{OBJECT}/a?alt=media&generation={old}") as answer:
        assert (answer.status, await answer.text()) == (404, "No such object: prompts/a")


async def test_a_reader_keeps_the_generation_it_began_with(http: aiohttp.ClientSession) -> None:
    """An object replaced and deleted while it is read arrives whole, as it was."""
    old = os.urandom(16 * 1024 * 1024)  # more than the buffers of a connection hold
    await upload(http, "a", old)

    async with http.get(f"{OBJECT}/a?alt=media") as answer:
        head = await answer.content.readexactly(1000)
        await upload(http, "a", b"new")
        async with http.delete(f"{OBJECT}/a") as deleted:
            assert deleted.status == 204
        rest = await answer.content.read()

    assert head + rest == old


async def test_missing_metadata_is_json_and_missing_content_is_text(http: aiohttp.ClientSession) -> None:
    """Both are 404; only the metadata call answers JSON."""
    async with http.get(f"{OBJECT}/missing") as answer:
        error = (await answer.json())["error"]
    async with http.get(f"{OBJECT}/missing?alt=media") as content:
        text = await content.text()

    assert (answer.status, error["code"], error["errors"][0]["reason"]) == (404, 404, "notFound")
    assert (content.status, text) == (404, "No such object: prompts/missing")


async def test_gzip_is_unpacked_for_those_who_cannot(http: aiohttp.ClientSession) -> None:
    """Without ``Accept-Encoding: gzip`` the bytes are unpacked, whole, whatever range is asked for."""
    plain = b"a line of text\n" * 100_000
    packed = gzip.compress(plain[:50_000]) + gzip.compress(plain[50_000:])
    await upload(http, "log", packed, "&contentEncoding=gzip")

    async with http.get(f"{OBJECT}/log?alt=media", headers={"Range": "bytes=0-4"}) as answer:
        assert (answer.status, "Content-Encoding" in answer.headers) == (200, False)
        assert await answer.read() == plain
        assert answer.headers["X-Goog-Stored-Content-Encoding"] == "gzip"


async def test_gzip_is_kept_for_those_who_can(http: aiohttp.ClientSession) -> None:
    """With ``Accept-Encoding: gzip``, or when the object forbids it, nothing is unpacked."""
    packed = gzip.compress(b"text" * 1000)
    await upload(http, "log", packed, "&contentEncoding=gzip")

    async with http.get(f"{OBJECT}/log?alt=media", headers={"Accept-Encoding": "gzip"}) as answer:
        assert (answer.headers["Content-Encoding"], await answer.read()) == ("gzip", packed)
    async with http.patch(f"{OBJECT}/log", json={"cacheControl": "no-transform"}) as answer:
        assert answer.status == 200
    async with http.get(f"{OBJECT}/log?alt=media") as answer:
        assert (answer.headers["Cache-Control"], await answer.read()) == ("no-transform", packed)


async def test_what_is_not_gzip_cannot_be_unpacked(http: aiohttp.ClientSession) -> None:
    """An object that is only said to be gzip ends in a broken download, not in wrong bytes."""
    await upload(http, "log", b"plain text", "&contentEncoding=gzip")

    async with http.get(f"{OBJECT}/log?alt=media") as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize("name", ["a/b/c", "a%2Fb", "100%", "ü ?#&+", "a//b", "a/../b", "x/compose", "o/o"])
async def test_a_name_is_only_a_name(http: aiohttp.ClientSession, name: str) -> None:
    """Objects are found under names with every kind of character, escaped as one piece."""
    path = URL(f"{OBJECT}/{quote(name, safe='')}?alt=media", encoded=True)
    await upload(http, quote(name, safe=""), name.encode())

    async with http.get(path) as answer:
        assert (answer.status, await answer.text()) == (200, name)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("name,size", {"name": "digits", "size": "10"}),
        ("items(name),x", {}),
        ("name,metadata/a", {"name": "digits", "metadata": {"a": "1"}}),
        ("metadata(b)", {"metadata": {"b": "2"}}),
    ],
)
async def test_an_answer_is_cut_down_to_its_fields(
    http: aiohttp.ClientSession, fields: str, found: dict[str, object]
) -> None:
    """``fields`` takes names, paths and brackets; what is not there is left out."""
    async with http.patch(f"{OBJECT}/digits", json={"metadata": {"a": "1", "b": "2"}}) as answer:
        assert answer.status == 200

    async with http.get(f"{OBJECT}/digits", params={"fields": fields}) as answer:
        assert await answer.json() == found


@pytest.mark.parametrize("fields", ["a(", "a)", "a,,b", "a(b", "/a"])
async def test_fields_that_cannot_be_read_are_refused(http: aiohttp.ClientSession, fields: str) -> None:
    """A broken mask is a bad request, not a full answer."""
    async with http.get(f"{OBJECT}/digits", params={"fields": fields}) as answer:
        assert (answer.status, (await answer.json())["error"]["errors"][0]["reason"]) == (
            400,
            "invalidParameter",
        )
