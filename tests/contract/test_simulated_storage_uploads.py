"""Uploads to the simulated Cloud Storage, request by request."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.server import Simulator

QUANTUM_BYTES = 262_144
UPLOAD = "/upload/storage/v1/b/prompts/o"
OBJECT = "/storage/v1/b/prompts/o"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Run a simulator with one bucket."""
    async with Simulator(buckets=["prompts"]) as running:
        yield running


@pytest.fixture
async def http(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a plain HTTP client for it."""
    async with aiohttp.ClientSession(simulator.url) as session:
        yield session


async def open_session(http: aiohttp.ClientSession, query: str = "name=a", **headers: str) -> URL:
    """Start a resumable upload; return where its pieces go."""
    url = URL(f"{UPLOAD}?uploadType=resumable&{query}")
    async with http.post(url, json={"contentType": "text/x"}, headers=headers) as answer:
        assert answer.status == 200
        return URL(answer.headers["Location"])


async def put(
    http: aiohttp.ClientSession, session: URL, span: str, data: bytes = b"", **headers: str
) -> tuple[int, str, str]:
    """Send a piece; return status, ``Range`` and body."""
    async with http.put(session, data=data, headers={"Content-Range": f"bytes {span}", **headers}) as answer:
        return answer.status, answer.headers.get("Range", ""), await answer.text()


async def content(http: aiohttp.ClientSession, name: str = "a") -> bytes:
    """Return the bytes of an object."""
    async with http.get(f"{OBJECT}/{name}?alt=media") as answer:
        assert answer.status == 200
        return await answer.read()


async def test_a_media_upload_answers_the_resource(http: aiohttp.ClientSession) -> None:
    """The resource has int64 as strings, both checksums, and links to the host that was called."""
    url = f"{UPLOAD}?uploadType=media&name=dir/a"
    async with http.post(url, data=b"abc", headers={"Content-Type": "text/x"}) as answer:
        found = await answer.json()

    assert found["crc32c"] == "Nks/tw=="  # of "abc", as RFC 3720's polynomial has it
    assert found["md5Hash"] == base64.b64encode(hashlib.md5(b"abc", usedforsecurity=False).digest()).decode()
    assert (found["size"], found["metageneration"], found["contentType"]) == ("3", "1", "text/x")
    assert re.fullmatch(r"\d{16}", found["generation"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["timeCreated"])
    origin = str(answer.url.origin())
    assert found["mediaLink"] == (
        f"{origin}/download/storage/v1/b/prompts/o/dir%2Fa?generation={found['generation']}&alt=media"
    )


async def test_generations_only_rise(http: aiohttp.ClientSession) -> None:
    """Uploads one after another, however fast, have ever higher generations."""
    generations: list[int] = []
    for _ in range(20):
        async with http.post(f"{UPLOAD}?uploadType=media&name=a", data=b"x") as answer:
            generations.append(int((await answer.json())["generation"]))

    assert generations == sorted(set(generations))


@pytest.mark.parametrize("extra", ["md5Hash", "crc32c"])
async def test_a_multipart_upload_with_a_wrong_checksum_is_refused(
    http: aiohttp.ClientSession, extra: str
) -> None:
    """What arrives and is not what was meant is not kept (400)."""
    with aiohttp.MultipartWriter("related") as body:
        body.append_json({"name": "a", extra: "AAAAAA=="})
        body.append(b"content")
        async with http.post(f"{UPLOAD}?uploadType=multipart", data=body) as answer:
            refused = (await answer.json())["error"]

    assert (answer.status, refused["errors"][0]["reason"]) == (400, "invalid")
    assert "doesn't match calculated" in refused["message"]
    async with http.get(f"{OBJECT}/a") as missing:
        assert missing.status == 404


@pytest.mark.parametrize(
    ("query", "body", "reason"),
    [
        ("uploadType=media", b"x", "required"),
        ("uploadType=media&name=..", b"x", "invalid"),
        ("uploadType=media&name=" + "n" * 1025, b"x", "invalid"),
        ("uploadType=other&name=a", b"x", "badRequest"),
        ("uploadType=multipart&name=a", b"no parts", "badContent"),
        ("uploadType=resumable&name=a", b"[1]", "parseError"),
        ("uploadType=resumable&name=a", b"{", "parseError"),
        ("uploadType=resumable&name=a", b'{"metadata": 1}', "invalid"),
        ("uploadType=media&name=a&ifGenerationMatch=x", b"x", "invalidParameter"),
    ],
)
async def test_a_bad_upload_is_refused_in_the_old_form(
    http: aiohttp.ClientSession, query: str, body: bytes, reason: str
) -> None:
    """Code, message and a list of errors with domain and reason."""
    async with http.post(f"{UPLOAD}?{query}", data=body) as answer:
        refused = (await answer.json())["error"]

    assert (answer.status, refused["code"]) == (400, 400)
    assert refused["errors"] == [{"message": refused["message"], "domain": "global", "reason": reason}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x\r\n\r\n{}\r\n",
        b"--x\r\n\r\n{}\r\n--x--",
        b"--x\r\n\r\n{}\r\n--x\r\n\r\ncut off",
        b"--x\r\n\r\n{}\r\n--x\r\n\r\na\r\n--x\r\n\r\nb\r\n--x--",
    ],
)
async def test_a_multipart_upload_has_two_parts_and_an_end(http: aiohttp.ClientSession, body: bytes) -> None:
    """One part, three, or a body that ends early: nothing is kept (400)."""
    headers = {"Content-Type": "multipart/related; boundary=x"}
    async with http.post(f"{UPLOAD}?uploadType=multipart&name=a", data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["errors"][0]["reason"]) == (400, "badContent")

    async with http.get(f"{OBJECT}/a") as missing:
        assert missing.status == 404


async def test_a_missing_bucket_is_not_found(http: aiohttp.ClientSession) -> None:
    """An upload to no bucket is refused before its bytes are kept."""
    async with http.post("/upload/storage/v1/b/nowhere/o?uploadType=media&name=a", data=b"x") as answer:
        assert (answer.status, (await answer.json())["error"]["errors"][0]["reason"]) == (404, "notFound")


async def test_pieces_of_unknown_total_make_an_object(http: aiohttp.ClientSession) -> None:
    """308 with the range that is kept after each piece; the last one names the total and gets the object."""
    session = await open_session(http)
    data = os.urandom(2 * QUANTUM_BYTES + 5)
    first, second, rest = data[:QUANTUM_BYTES], data[QUANTUM_BYTES : 2 * QUANTUM_BYTES], data[-5:]

    assert (await put(http, session, "0-262143/*", first))[:2] == (308, "bytes=0-262143")
    assert (await put(http, session, "262144-524287/*", second))[:2] == (308, "bytes=0-524287")
    assert (await put(http, session, "524288-524292/524293", rest))[0] == 200

    assert await content(http) == data


async def test_a_finish_of_nothing_more_ends_the_upload(http: aiohttp.ClientSession) -> None:
    """A total that is already there, named by a status query, finishes the object; so does an empty one."""
    session = await open_session(http)
    await put(http, session, f"0-262143/{'*'}", bytes(QUANTUM_BYTES))

    assert (await put(http, session, "*/262144"))[0] == 200
    assert (await put(http, await open_session(http, "name=empty"), "*/0"))[0] == 200

    assert (await content(http), await content(http, "empty")) == (bytes(QUANTUM_BYTES), b"")


async def test_one_put_without_a_range_is_the_whole_object(http: aiohttp.ClientSession) -> None:
    """The shortest resumable upload has one PUT; its type comes from the start."""
    session = await open_session(http)

    async with http.put(session, data=b"whole") as answer:
        assert (answer.status, (await answer.json())["contentType"]) == (200, "text/x")

    assert await content(http) == b"whole"


async def test_the_status_of_an_upload_can_be_asked(http: aiohttp.ClientSession) -> None:
    """No ``Range`` while nothing is kept, the kept range later, the finished object at the end and after."""
    session = await open_session(http)

    assert (await put(http, session, "*/*"))[:2] == (308, "")
    await put(http, session, "0-262143/*", bytes(QUANTUM_BYTES))
    assert (await put(http, session, "*/300000"))[:2] == (308, "bytes=0-262143")
    finished = await put(http, session, "262144-299999/300000", bytes(300_000 - QUANTUM_BYTES))
    assert finished[0] == 200

    assert await put(http, session, "*/300000") == finished
    assert await put(http, session, "262144-299999/300000", bytes(300_000 - QUANTUM_BYTES)) == finished


async def test_a_cut_keeps_whole_quanta(http: aiohttp.ClientSession, simulator: Simulator) -> None:
    """A connection cut in the middle of a piece keeps multiples of 256 KiB; the upload goes on from there."""
    session, data = await open_session(http), os.urandom(4 * QUANTUM_BYTES)
    cut = Fault(method="storage.uploads.put", action=Action.CUT, after_bytes=2 * QUANTUM_BYTES + 100)
    simulator.faults.add(cut)
    headers = {"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"}

    async def once() -> AsyncIterator[bytes]:  # aiohttp itself repeats a PUT of bytes, never one of a stream
        yield data

    with pytest.raises(aiohttp.ClientError):
        await http.put(session, data=once(), headers=headers)
    status, kept, _ = await put(http, session, f"*/{len(data)}")

    assert (status, kept) == (308, "bytes=0-524287")
    rest = f"524288-{len(data) - 1}/{len(data)}"
    assert (await put(http, session, rest, data[524_288:]))[0] == 200
    assert await content(http) == data


async def test_bytes_that_are_kept_are_ignored_the_second_time(http: aiohttp.ClientSession) -> None:
    """A piece that begins before the kept end only adds what is new."""
    session, data = await open_session(http), os.urandom(2 * QUANTUM_BYTES)
    await put(http, session, "0-262143/*", data[:QUANTUM_BYTES])

    assert (await put(http, session, "0-524287/524288", data))[0] == 200

    assert await content(http) == data


async def test_a_piece_behind_the_kept_end_is_refused(http: aiohttp.ClientSession) -> None:
    """A hole is refused as Google does: 503, in plain words with both numbers; nothing is lost."""
    session = await open_session(http)
    await put(http, session, "0-262143/*", bytes(QUANTUM_BYTES))

    status, _, said = await put(http, session, "524288-786431/*", bytes(QUANTUM_BYTES))

    assert status == 503
    assert "upload offset is 524288 byte(s), which exceeds already uploaded size of 262144 byte(s)" in said
    assert (await put(http, session, "*/*"))[1] == "bytes=0-262143"


@pytest.mark.parametrize(
    ("span", "data"),
    [
        ("0-99/*", bytes(100)),  # smaller than a quantum and not the last
        ("0-9/10", bytes(9)),  # shorter than it says
        ("5-1/10", b""),
        ("0-10/10", bytes(11)),
        ("nonsense", b""),
    ],
)
async def test_a_bad_piece_is_refused(http: aiohttp.ClientSession, span: str, data: bytes) -> None:
    """What ``Content-Range`` says must make sense and be true (400)."""
    session = await open_session(http)

    assert (await put(http, session, span, data))[0] == 400


async def test_the_total_is_kept_to(http: aiohttp.ClientSession) -> None:
    """A total declared at the start cannot change, nor be missed."""
    session = await open_session(http, **{"X-Upload-Content-Length": "10"})

    assert (await put(http, session, "0-10/11", bytes(11)))[0] == 400
    async with http.put(session, data=bytes(9)) as answer:
        assert answer.status == 400

    assert (await put(http, session, "0-9/10", bytes(10)))[0] == 200


async def test_a_cancelled_upload_is_gone(http: aiohttp.ClientSession) -> None:
    """DELETE answers 499; afterwards the session is gone (410), and one that never was is not found."""
    session = await open_session(http)

    async with http.delete(session) as answer:
        assert answer.status == 499

    assert (await put(http, session, "*/*"))[0] == 410
    assert (await put(http, session.update_query(upload_id="never"), "*/*"))[0] == 404


async def test_the_checksum_of_the_last_piece_is_checked(http: aiohttp.ClientSession) -> None:
    """``X-Goog-Hash`` on the last PUT refuses an upload whose bytes are not those."""
    session = await open_session(http)

    status, _, said = await put(http, session, "0-2/3", b"abc", **{"X-Goog-Hash": "crc32c=AAAAAA=="})

    assert (status, "Provided CRC32C" in said) == (400, True)
    async with http.get(f"{OBJECT}/a") as missing:
        assert missing.status == 404


async def test_conditions_are_checked_when_an_upload_ends(http: aiohttp.ClientSession) -> None:
    """Two sessions may begin to create an object; the second to end is refused."""
    one = await open_session(http, "name=a&ifGenerationMatch=0")
    two = await open_session(http, "name=a&ifGenerationMatch=0")

    assert (await put(http, one, "0-2/3", b"one"))[0] == 200
    assert (await put(http, two, "0-2/3", b"two"))[0] == 412

    assert await content(http) == b"one"


async def test_a_client_may_ask_for_no_308(http: aiohttp.ClientSession) -> None:
    """``X-GUploader-No-308`` gets 200 with the status in a header, as some of Google's clients want."""
    session = await open_session(http)

    asked = {"Content-Range": "bytes */*", "X-GUploader-No-308": "yes"}
    async with http.put(session, headers=asked) as answer:
        assert (answer.status, answer.headers["X-HTTP-Status-Code-Override"]) == (200, "308")


async def test_a_later_piece_takes_over(http: aiohttp.ClientSession) -> None:
    """While one request still sends, a second one may finish the upload; the first is told so."""
    session = await open_session(http)
    finished: list[int] = []

    async def slow() -> AsyncIterator[bytes]:
        yield bytes(QUANTUM_BYTES)
        finished.append((await put(http, session, "0-2/3", b"abc"))[0])
        yield bytes(QUANTUM_BYTES)

    async with http.put(session, data=slow(), headers={"Content-Range": "bytes 0-524287/*"}) as answer:
        assert answer.status == 503

    assert finished
