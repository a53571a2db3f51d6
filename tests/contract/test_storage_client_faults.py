"""Uploads and downloads come through whole, whatever happens to their connections."""

from __future__ import annotations

import gzip
import random
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import pytest

from tests.contract.loopback import QUICK, Heard, answer, in_turn, json_answer, listening
from vertexq.errors import NotFound, PreconditionFailed, Refused, Unavailable
from vertexq.google.auth import Tokens
from vertexq.google.checksum import crc32c_text, extend
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.google.upload import QUANTUM_BYTES
from vertexq.model import GcsUri, ObjectInfo
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.server import Simulator
from vertexq.testing.simulator import running_simulator

URI = GcsUri(bucket="prompts", name="in/file.jsonl")
CONTENT = random.Random(0).randbytes(3 * QUANTUM_BYTES + 1000)
PUT = "storage.uploads.put"
GET = "storage.objects.download"


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    """Run the simulator for all tests of this file."""
    with running_simulator(buckets=["prompts"]) as simulator:
        yield simulator


@pytest.fixture
async def simulator(running: Simulator, storage: Storage) -> Simulator:
    """Give the simulator without faults and without our object."""
    running.faults.clear()
    await storage.delete(URI)
    return running


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """Give a transport that does not wait long."""
    async with Transport(Tokens(), pace=QUICK) as transport:
        yield transport


@pytest.fixture
def storage(running: Simulator, transport: Transport) -> Storage:
    """Give a client whose uploads go in the smallest pieces."""
    return Storage(transport, endpoint=running.url, piece_bytes=QUANTUM_BYTES)


async def stream(content: bytes = CONTENT) -> AsyncGenerator[bytes]:
    """Give content in uneven chunks."""
    for at in range(0, len(content), 70_001):
        yield content[at : at + 70_001]


async def whole(storage: Storage, stored: ObjectInfo, start: int = 0, end: int | None = None) -> bytes:
    """Download a range in one piece."""
    chunks = storage.download(stored.uri, generation=stored.generation, start=start, end=end)
    return b"".join([chunk async for chunk in chunks])


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(method=PUT, action=Action.REFUSE, status=503, times=3)],
        [Fault(method=PUT, action=Action.REFUSE, status=429, skip=1)],
        [Fault(method=PUT, action=Action.DROP, times=2)],
        [Fault(method=PUT, action=Action.CUT, after_bytes=100_000, skip=1)],
        [Fault(method=PUT, action=Action.CUT, after_bytes=0, skip=3)],
        [Fault(method=PUT, action=Action.ACCEPT_THEN_DROP, skip=1)],
        [Fault(method=PUT, action=Action.ACCEPT_THEN_DROP, skip=3)],
        [Fault(method=PUT, action=Action.ACCEPT_THEN_REFUSE, skip=3)],
        [Fault(method=PUT, action=Action.ACCEPT_THEN_REFUSE, skip=3, times=3)],
        [Fault(method=PUT, action=Action.GARBLE, skip=3)],
        [Fault(method="storage.objects.insert", action=Action.ACCEPT_THEN_DROP)],
        [Fault(method="*", action=Action.REFUSE, probability=0.4, times=None)],
    ],
)
async def test_a_stream_is_stored_whole(simulator: Simulator, storage: Storage, faults: list[Fault]) -> None:
    """Refused, cut and unanswered pieces are mended by asking what is kept; the object is stored once."""
    simulator.faults.add(*faults)

    stored = await storage.upload(URI, stream(), if_generation_match=0)

    assert [fault for fault in simulator.faults.armed() if fault.times] == []  # they all happened
    simulator.faults.clear()
    assert await whole(storage, stored) == CONTENT
    assert [found async for found in storage.list(URI)] == [stored]


@pytest.mark.parametrize(
    "action",
    [
        Action.REFUSE,
        Action.DROP,
        Action.CUT,
        Action.ACCEPT_THEN_DROP,
        Action.ACCEPT_THEN_REFUSE,
        Action.GARBLE,
    ],
)
@pytest.mark.parametrize("condition", [0, None])
async def test_a_small_object_is_stored(
    simulator: Simulator, storage: Storage, action: Action, condition: int | None
) -> None:
    """When the answer to our own upload was lost, the 412 of the second try is recognised as ours."""
    simulator.faults.add(Fault(method="storage.objects.insert", action=action, after_bytes=10))

    stored = await storage.upload(URI, b"small", if_generation_match=condition)

    assert stored.size_bytes == 5
    assert await storage.info(URI) == stored


async def test_an_object_of_somebody_else_is_not_taken_for_ours(
    simulator: Simulator, storage: Storage
) -> None:
    """A 412 after a lost answer is a refusal when the object there holds other bytes."""
    await storage.upload(URI, b"theirs")
    simulator.faults.add(Fault(method="storage.objects.insert", action=Action.REFUSE, status=503))

    with pytest.raises(PreconditionFailed):
        await storage.upload(URI, b"ours", if_generation_match=0)


@pytest.mark.parametrize("appears_after", [0, 2])
async def test_a_stream_respects_the_condition(
    simulator: Simulator, storage: Storage, appears_after: int
) -> None:
    """An object that is there, or appears during the upload, is not replaced."""

    async def chunks() -> AsyncGenerator[bytes]:
        async for number, chunk in numbered(stream()):
            if number == appears_after:
                await storage.upload(URI, b"theirs")
            yield chunk

    with pytest.raises(PreconditionFailed):
        await storage.upload(URI, chunks(), if_generation_match=0)

    assert (await storage.info(URI)).size_bytes == 6


async def numbered(chunks: AsyncIterator[bytes]) -> AsyncGenerator[tuple[int, bytes]]:
    """Count chunks from 0."""
    number = 0
    async for chunk in chunks:
        yield number, chunk
        number += 1


async def test_an_upload_that_gets_nowhere_ends(simulator: Simulator, storage: Storage) -> None:
    """When no byte gets through the last error is raised after a few tries; nothing is stored."""
    simulator.faults.add(Fault(method=PUT, action=Action.REFUSE, status=503, times=None))

    with pytest.raises(Unavailable, match="503") as caught:
        await storage.upload(URI, stream())

    assert "upload_id" not in str(caught.value)
    simulator.faults.clear()
    with pytest.raises(NotFound):
        await storage.info(URI)


async def test_a_session_that_was_given_up_says_so(simulator: Simulator, storage: Storage) -> None:
    """Google forgets sessions; the upload must be started again."""
    simulator.faults.add(
        Fault(method=PUT, action=Action.REFUSE, status=503, skip=1),
        Fault(method=PUT, action=Action.REFUSE, status=410, skip=1),
    )

    with pytest.raises(Unavailable, match=r"given up by Cloud Storage after \d+ bytes; start it again"):
        await storage.upload(URI, stream())


async def test_other_bytes_than_ours_are_deleted_again(transport: Transport) -> None:
    """When Google's checksum is not ours the object is deleted, that generation only."""
    wrong = {"bucket": "prompts", "name": URI.name, "generation": "7", "size": "5", "crc32c": "AAAAAA=="}
    async with listening(in_turn(json_answer(wrong), answer(204))) as server:
        with pytest.raises(Unavailable, match=r"crc32c AAAAAA== were stored.*upload it again"):
            await Storage(transport, endpoint=server.url).upload(URI, b"right")

    assert [heard.method for heard in server.heard] == ["POST", "DELETE"]
    assert "ifGenerationMatch=7" in server.heard[1].target


async def test_a_session_on_another_host_is_not_followed(transport: Transport) -> None:
    """Whatever host the answer names, the bytes go to the one from the settings."""

    def answering(heard: Heard) -> bytes:
        if heard.method == "POST":
            return answer(200, Location="http://192.0.2.1/upload?upload_id=secret")
        return json_answer({"error": {"code": 400, "message": "no"}}, 400)

    async with listening(answering) as server:
        storage = Storage(transport, endpoint=server.url, piece_bytes=QUANTUM_BYTES)
        with pytest.raises(Refused) as caught:
            await storage.upload(URI, stream())

    assert [heard.target for heard in server.heard][1] == "/upload?upload_id=secret"
    assert "secret" not in str(caught.value)


async def test_a_large_stream_needs_little_memory(simulator: Simulator, transport: Transport) -> None:
    """Sixteen pieces up and down again hold a few of them in memory, not all."""
    storage = Storage(transport, endpoint=simulator.url, piece_bytes=4 * QUANTUM_BYTES)
    chunk = bytes(QUANTUM_BYTES)

    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(64):
            yield chunk

    tracemalloc.start()
    try:
        stored = await storage.upload(URI, chunks())
        async for _ in storage.download(stored.uri, generation=stored.generation):
            pass
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert stored.size_bytes == 64 * QUANTUM_BYTES
    assert peak_bytes < 8 * 1024 * 1024


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(method=GET, action=Action.CUT, after_bytes=1, times=20)],
        [Fault(method=GET, action=Action.CUT, after_bytes=QUANTUM_BYTES, times=2)],
        [Fault(method=GET, action=Action.STALL, after_bytes=1000, delay_s=30)],
        [Fault(method=GET, action=Action.REFUSE, status=503, times=3)],
        [Fault(method=GET, action=Action.REFUSE, status=429, times=2)],
        [Fault(method=GET, action=Action.DROP, times=3)],
        [Fault(method=GET, action=Action.SHORTEN, after_bytes=5000, times=3)],
        [Fault(method=GET, action=Action.IGNORE_RANGE)],
        [Fault(method=GET, action=Action.WRONG_RANGE, times=2)],
        [
            Fault(method=GET, action=Action.CUT, after_bytes=10),
            Fault(method=GET, action=Action.IGNORE_RANGE),
            Fault(method=GET, action=Action.WRONG_RANGE),
        ],
    ],
)
@pytest.mark.parametrize(("start", "end"), [(0, None), (5, 600_000)])
async def test_a_download_goes_on_at_the_exact_byte(
    simulator: Simulator, faults: list[Fault], start: int, end: int | None
) -> None:
    """Cuts, stalls, refusals and wrong ranges cost requests, never a byte too many or too few."""
    async with Transport(Tokens(), deadline_s=0.5, pace=QUICK) as transport:
        storage = Storage(transport, endpoint=simulator.url)
        stored = await storage.upload(URI, CONTENT)
        simulator.faults.add(*faults)

        assert await whole(storage, stored, start, end) == CONTENT[start:end]

    assert simulator.faults.armed() == []


async def test_a_download_that_gets_nowhere_ends(simulator: Simulator, storage: Storage) -> None:
    """Several answers in a row without a byte are an error, not a loop."""
    stored = await storage.upload(URI, b"content")
    simulator.faults.add(Fault(method=GET, action=Action.CUT, after_bytes=0, times=None))

    with pytest.raises(Unavailable):
        await whole(storage, stored)


async def test_a_flipped_bit_is_noticed(simulator: Simulator, storage: Storage) -> None:
    """The sum of a whole object is compared with Google's."""
    stored = await storage.upload(URI, b"content")
    simulator.faults.add(Fault(method=GET, action=Action.CORRUPT, after_bytes=3))

    with pytest.raises(Unavailable, match=r"crc32c=\S+ was promised"):
        await whole(storage, stored)


async def test_an_object_replaced_in_the_middle_stops_the_download(
    simulator: Simulator, storage: Storage
) -> None:
    """The rest of another generation is never appended to the beginning of ours."""
    stored = await storage.upload(URI, CONTENT)
    simulator.faults.add(Fault(method=GET, action=Action.CUT, after_bytes=1000))
    chunks = storage.download(URI, generation=stored.generation)
    first = await anext(chunks)
    await storage.upload(URI, b"other")

    with pytest.raises(NotFound, match="was replaced or deleted"):
        _ = [chunk async for chunk in chunks]

    assert CONTENT.startswith(first)


async def test_packed_bytes_come_as_they_are_stored(simulator: Simulator, storage: Storage) -> None:
    """An object with ``Content-Encoding: gzip`` is neither unpacked by Google nor by us."""
    packed = gzip.compress(b"prompt\n" * 1000)
    url = f"{simulator.url}/upload/storage/v1/b/prompts/o?uploadType=media&name=packed&contentEncoding=gzip"
    async with Transport(Tokens()) as transport:
        await transport.call("POST", url, data=packed, retry=True)
    stored = await storage.info(GcsUri(bucket="prompts", name="packed"))

    assert await whole(storage, stored) == packed
    assert await whole(storage, stored, 3, 20) == packed[3:20]


async def test_there_is_no_byte_behind_the_end(simulator: Simulator, storage: Storage) -> None:
    """To start at the end is fine and brings nothing; to start behind it is a mistake."""
    stored = await storage.upload(URI, b"0123")

    assert await whole(storage, stored, 4) == b""
    with pytest.raises(Refused, match="has 4 bytes; there is no byte 5"):
        await whole(storage, stored, 5)


@pytest.mark.parametrize(
    "said",
    [
        answer(206, b"abc"),
        answer(206, b"abc", Content_Range="bytes */3"),
        answer(206, b"abc", Content_Range="bytes 0-9/3"),
        answer(206, b"abc", Content_Range="bytes 0-2/3", X_Goog_Generation="8"),
    ],
)
async def test_bytes_from_an_unknown_place_are_not_taken(transport: Transport, said: bytes) -> None:
    """Without a ``Content-Range`` that fits, or of another generation, nothing is yielded."""
    async with listening(in_turn(said)) as server:
        stored = ObjectInfo(uri=URI, generation=7, size_bytes=3, crc32c="")
        with pytest.raises((Unavailable, Refused)):
            await whole(Storage(transport, endpoint=server.url), stored)


async def test_what_is_composed_is_found_after_a_lost_answer(simulator: Simulator, storage: Storage) -> None:
    """The 412 of a compose that was repeated is recognised as ours."""
    parts = [await storage.upload(URI.join(str(n)), b"part") for n in range(3)]
    simulator.faults.add(Fault(method="storage.objects.compose", action=Action.ACCEPT_THEN_DROP))

    composed = await storage.compose(URI, parts, if_generation_match=0)

    assert composed == await storage.info(URI)
    with pytest.raises(PreconditionFailed):
        await storage.compose(URI, parts, if_generation_match=0)


async def test_a_listing_matches_a_glob(simulator: Simulator, storage: Storage) -> None:
    """Google's globs select within the prefix, over all pages."""
    folder = GcsUri(bucket="prompts", name="globbed/")
    for name in ("a/predictions.jsonl", "b/predictions.jsonl", "b/errors.txt"):
        await storage.upload(folder.join(name), b"x")

    found = [info.uri.name async for info in storage.list(folder, glob="**/*.jsonl")]

    assert found == ["globbed/a/predictions.jsonl", "globbed/b/predictions.jsonl"]


def test_the_checksum_is_googles() -> None:
    """crc32c of "123456789" is 0xE3069283 (RFC 3720, appendix B.4), as base64 of big-endian bytes."""
    assert crc32c_text(extend(0, b"123456789")) == "4waSgw=="
