"""Our Cloud Storage client does the same against our simulator and against fake-gcs-server."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import pytest

from tests.contract.fake_gcs import running_fake_gcs
from tests.contract.loopback import QUICK
from vertexq.errors import NotFound, PreconditionFailed
from vertexq.google.auth import default_tokens
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.google.upload import QUANTUM_BYTES
from vertexq.model import GcsUri
from vertexq.testing.simulator import running_simulator

BUCKET = GcsUri(bucket="prompts")


@pytest.fixture(scope="module")
def simulator_url() -> Iterator[str]:
    """Run our simulator."""
    with running_simulator(buckets=["prompts"]) as simulator:
        yield simulator.url


@pytest.fixture(scope="module")
def fake_gcs_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run fake-gcs-server, in memory, with one bucket."""
    data = tmp_path_factory.mktemp("fake-gcs")
    (data / "prompts").mkdir()
    with running_fake_gcs("-data", str(data)) as url:
        yield url


@pytest.fixture(params=["simulator_url", "fake_gcs_url"])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    """Give a client of each of the two, with an empty bucket."""
    url = str(request.getfixturevalue(request.param))
    async with Transport(await default_tokens(emulator=True), pace=QUICK) as transport:
        storage = Storage(transport, endpoint=url, piece_bytes=QUANTUM_BYTES)
        for found in [found async for found in storage.list(BUCKET)]:
            await storage.delete(found.uri)
        yield storage


async def chunks_of(content: bytes, size_bytes: int = 100_000) -> AsyncGenerator[bytes]:
    """Give content as a stream."""
    for at in range(0, len(content), size_bytes):
        yield content[at : at + size_bytes]


async def whole(
    storage: Storage, uri: GcsUri, generation: int, start: int = 0, end: int | None = None
) -> bytes:
    """Download a range in one piece."""
    stream = storage.download(uri, generation=generation, start=start, end=end)
    return b"".join([chunk async for chunk in stream])


@pytest.mark.parametrize("content", [b"", b"x", b"prompt\n" * 1000])
async def test_what_is_uploaded_at_once_comes_back(storage: Storage, content: bytes) -> None:
    """A small object is stored with its checksum and metadata, and read back unchanged."""
    stored = await storage.upload(BUCKET.join("in/one.jsonl"), content, metadata={"batch": "b1"})

    assert stored.size_bytes == len(content)
    assert stored.metadata == {"batch": "b1"}
    assert await storage.info(stored.uri) == stored
    assert await whole(storage, stored.uri, stored.generation) == content


@pytest.mark.parametrize("size_bytes", [0, 1, QUANTUM_BYTES, QUANTUM_BYTES + 1, 3 * QUANTUM_BYTES, 1_000_000])
async def test_a_stream_of_any_length_comes_back(storage: Storage, size_bytes: int) -> None:
    """Streams around the limits of a piece are stored whole, in one request or in a session."""
    content = random.Random(size_bytes).randbytes(size_bytes)

    stored = await storage.upload(BUCKET.join("in/stream"), chunks_of(content))

    assert stored.size_bytes == size_bytes
    assert await whole(storage, stored.uri, stored.generation) == content


@pytest.mark.parametrize("name", ["a b/ü/%2F", "..//x", "?#&=+", "folder/../file", "*[1]"])
async def test_any_name_is_kept_as_it_is(storage: Storage, name: str) -> None:
    """Names with reserved characters are stored, found, read and deleted under exactly that name."""
    uri = GcsUri(bucket="prompts", name=name)

    stored = await storage.upload(uri, b"content")

    assert stored.uri == uri
    assert [found.uri async for found in storage.list(BUCKET)] == [uri]
    assert await whole(storage, uri, stored.generation) == b"content"
    await storage.delete(uri)
    assert [found async for found in storage.list(BUCKET)] == []


@pytest.mark.parametrize(
    ("start", "end"), [(0, 4), (3, 7), (9, None), (0, None), (5, 5), (8, 99), (10, None)]
)
async def test_ranges_are_cut_to_the_byte(storage: Storage, start: int, end: int | None) -> None:
    """``start`` and ``end`` count as in a slice, also behind the last byte."""
    stored = await storage.upload(BUCKET.join("digits"), b"0123456789")

    assert await whole(storage, stored.uri, stored.generation, start, end) == b"0123456789"[start:end]


async def test_an_object_is_created_once(storage: Storage) -> None:
    """With ``if_generation_match=0`` the second upload is refused, even of the same bytes."""
    uri = BUCKET.join("once")
    first = await storage.upload(uri, b"first", if_generation_match=0)

    for again in (b"first", b"second"):
        with pytest.raises(PreconditionFailed):
            await storage.upload(uri, again, if_generation_match=0)

    assert await storage.info(uri) == first


async def test_a_listing_gives_every_object_below_the_prefix(storage: Storage) -> None:
    """Objects are listed by name with generation, size and checksum; neighbours of the prefix are not."""
    stored = [await storage.upload(BUCKET.join(f"in/{n}"), str(n).encode()) for n in range(5)]
    await storage.upload(BUCKET.join("in2/x"), b"x")

    found = [item async for item in storage.list(GcsUri(bucket="prompts", name="in/"))]

    assert found == stored


async def test_many_objects_are_composed_in_order(storage: Storage) -> None:
    """More sources than a call takes are joined through parts, which are gone afterwards."""
    sources = [await storage.upload(BUCKET.join(f"part-{n:03}"), f"{n},".encode()) for n in range(70)]

    whole_object = await storage.compose(BUCKET.join("whole"), sources)

    content = await whole(storage, whole_object.uri, whole_object.generation)
    assert content == "".join(f"{n}," for n in range(70)).encode()
    assert len([found async for found in storage.list(BUCKET)]) == 71


async def test_a_generation_that_was_replaced_is_not_found(storage: Storage) -> None:
    """A download is pinned: after the object was replaced its old generation is gone."""
    uri = BUCKET.join("replaced")
    old = await storage.upload(uri, b"old")
    await storage.upload(uri, b"new")

    with pytest.raises(NotFound, match=f"gs://prompts/replaced has no generation {old.generation}"):
        await whole(storage, uri, old.generation)


async def test_what_is_gone_is_not_found(storage: Storage) -> None:
    """Asking for a missing object is NotFound, deleting it is quiet."""
    uri = BUCKET.join("missing")

    await storage.delete(uri)

    with pytest.raises(NotFound):
        await storage.info(uri)


async def test_a_bucket_that_is_not_there_gets_a_sentence(storage: Storage) -> None:
    """A bucket has a location; a missing one is NotFound with the bucket's name and what to do."""
    assert (await storage.bucket("prompts")).location

    with pytest.raises(NotFound, match=r"there is no bucket gs://no-such-bucket.*create it"):
        await storage.bucket("no-such-bucket")
