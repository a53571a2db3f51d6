"""Google's own client, google-cloud-storage, finds in the simulator what it expects of Cloud Storage."""

from __future__ import annotations

import gzip
import importlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.server import Simulator
from vertexq.testing.simulator import running_simulator

QUANTUM_BYTES = 262_144

# The client has no types; taken as Any it does not spoil those of the test.
Api = Any
storage: Api = importlib.import_module("google.cloud.storage")
transfers: Api = importlib.import_module("google.cloud.storage.transfer_manager")
anonymous: Api = importlib.import_module("google.auth.credentials").AnonymousCredentials
errors: Api = importlib.import_module("google.api_core.exceptions")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a simulator with one bucket."""
    with running_simulator(buckets=("prompts",)) as running:
        yield running


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Api]:
    """Give Google's client, pointed at the simulator."""
    options = {"api_endpoint": simulator.url}
    made = storage.Client(project="p", credentials=anonymous(), client_options=options)
    yield made
    made.close()


@pytest.fixture
def bucket(client: Api) -> Api:
    """Give the bucket."""
    return client.bucket("prompts")


def test_the_environment_variable_is_enough(
    simulator: Simulator, bucket: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``STORAGE_EMULATOR_HOST`` sends the client to the simulator."""
    bucket.blob("a").upload_from_string(b"one")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", simulator.url)

    found = storage.Client(project="p", credentials=anonymous()).bucket("prompts").blob("a")

    assert found.download_as_bytes() == b"one"


def test_buckets_are_created_and_found(client: Api) -> None:
    """A bucket that was created is there, with its location; another is not."""
    client.create_bucket("answers", location="europe-west4")

    assert client.get_bucket("answers").location == "EUROPE-WEST4"
    assert [bucket.name for bucket in client.list_buckets()] == ["answers", "prompts"]
    with pytest.raises(errors.NotFound, match="bucket does not exist"):
        client.get_bucket("nowhere")


def test_small_objects_survive_any_bytes(bucket: Api) -> None:
    """A multipart upload keeps every byte, also those that look like its own boundaries."""
    content = b"\r\n--==\r\n\x00\xff" + os.urandom(100_000) + b"\r\n--"

    bucket.blob("dir/ü %2F+&?#.bin").upload_from_string(content, checksum="crc32c")

    assert bucket.blob("dir/ü %2F+&?#.bin").download_as_bytes(checksum="md5") == content


def test_large_objects_go_up_in_pieces(bucket: Api, simulator: Simulator) -> None:
    """With a ``chunk_size`` an upload is resumable, 256 KiB a request, and arrives whole."""
    content = os.urandom(3 * QUANTUM_BYTES + 17)
    blob = bucket.blob("large", chunk_size=QUANTUM_BYTES)

    blob.upload_from_file(io.BytesIO(content), if_generation_match=0, checksum="crc32c")

    assert blob.size == len(content)
    assert bucket.blob("large").download_as_bytes() == content
    assert [entry.status for entry in simulator.faults.log("storage.uploads.put")] == [308, 308, 308, 200]


@pytest.mark.parametrize("size_bytes", [10, None])
def test_an_object_is_created_once(bucket: Api, size_bytes: int | None) -> None:
    """``if_generation_match=0`` twice, multipart or resumable: the second is refused and changes nothing."""

    def create(content: bytes) -> None:
        blob = bucket.blob("once", chunk_size=QUANTUM_BYTES)
        blob.upload_from_file(io.BytesIO(content), size=size_bytes, if_generation_match=0)

    create(b"0123456789")

    with pytest.raises(errors.PreconditionFailed):
        create(b"abcdefghij")

    assert bucket.blob("once").download_as_bytes() == b"0123456789"


def test_of_many_creators_one_wins(client: Api) -> None:
    """Sixteen threads create the same object: one is told it did, fifteen that it was there."""

    def create(number: int) -> bool:
        try:
            client.bucket("prompts").blob("race").upload_from_string(str(number), if_generation_match=0)
        except errors.PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(create, range(16)))

    assert won.count(True) == 1
    assert client.bucket("prompts").blob("race").download_as_bytes() == str(won.index(True)).encode()


def test_ranges_are_downloaded(bucket: Api) -> None:
    """``start`` and ``end`` (inclusive) cut the object; checksums of the whole do not get in the way."""
    bucket.blob("digits").upload_from_string(b"0123456789")
    blob = bucket.blob("digits")

    assert blob.download_as_bytes(start=2, end=5) == b"2345"
    assert blob.download_as_bytes(start=7) == b"789"


def test_a_file_is_read_in_pieces(bucket: Api) -> None:
    """``open("rb")`` reads lines across its chunks and stops at the end."""
    lines = [f"line {number}\n".encode() for number in range(50_000)]
    bucket.blob("lines").upload_from_string(b"".join(lines))

    with bucket.blob("lines").open("rb", chunk_size=QUANTUM_BYTES) as file:
        found = list(file)

    assert found == lines


def test_a_file_is_written_in_pieces(bucket: Api) -> None:
    """``open("wb")`` uploads what is written, of unknown length."""
    content = os.urandom(2 * QUANTUM_BYTES)

    with bucket.blob("written").open("wb", chunk_size=QUANTUM_BYTES) as file:
        file.write(content)

    assert bucket.blob("written").download_as_bytes() == content


def test_concurrent_chunks_are_downloaded(bucket: Api, tmp_path: os.PathLike[str]) -> None:
    """The transfer manager, which uses ``mediaLink`` unescaped, gets every byte."""
    content = os.urandom(QUANTUM_BYTES * 4)
    bucket.blob("deep/down/file").upload_from_string(content)
    target = os.path.join(tmp_path, "file")  # noqa: PTH118  (the client wants text)

    transfers.download_chunks_concurrently(
        bucket.blob("deep/down/file"),
        target,
        chunk_size=QUANTUM_BYTES,
        worker_type=transfers.THREAD,
        max_workers=2,
    )

    with open(target, "rb") as file:  # noqa: PTH123
        assert file.read() == content


def test_listing_pages_through_prefixes(client: Api, bucket: Api) -> None:
    """Prefix, delimiter and pages of two give every object and every folder once."""
    for name in ("in/a", "in/b/1", "in/b/2", "in/c", "in/d/1", "out/x"):
        bucket.blob(name).upload_from_string(name)

    blobs = client.list_blobs("prompts", prefix="in/", delimiter="/", page_size=2)

    assert [blob.name for blob in blobs] == ["in/a", "in/c"]
    assert blobs.prefixes == {"in/b/", "in/d/"}
    assert [blob.name for blob in client.list_blobs("prompts", max_results=3)] == ["in/a", "in/b/1", "in/b/2"]
    assert [blob.name for blob in client.list_blobs("prompts", match_glob="in/**1")] == ["in/b/1", "in/d/1"]


def test_objects_are_composed(bucket: Api) -> None:
    """Compose joins objects in the order given; a composed object has no MD5."""
    for name in ("a", "b", "c"):
        bucket.blob(name).upload_from_string(name * 3)

    whole = bucket.blob("whole")
    whole.compose([bucket.blob("b"), bucket.blob("a"), bucket.blob("c")], if_generation_match=0)

    assert whole.download_as_bytes() == b"bbbaaaccc"
    assert (whole.component_count, whole.md5_hash) == (3, None)


def test_objects_are_rewritten_and_copied(client: Api, bucket: Api) -> None:
    """Rewrite and copy make new objects with the same bytes, also in another bucket."""
    source = bucket.blob("source")
    source.upload_from_string(b"bytes", content_type="text/x")
    other = client.create_bucket("elsewhere")

    token, rewritten, total = other.blob("target").rewrite(source)
    copied = bucket.copy_blob(source, bucket, "copy")

    assert (token, rewritten, total) == (None, 5, 5)
    assert other.blob("target").download_as_bytes() == copied.download_as_bytes() == b"bytes"
    assert copied.content_type == "text/x"


def test_metadata_is_patched_and_updated(bucket: Api) -> None:
    """Patch merges metadata and raises the metageneration; update replaces it."""
    blob = bucket.blob("a")
    blob.metadata = {"kept": "1", "dropped": "2"}
    blob.upload_from_string(b"x")

    blob.metadata = {"dropped": None, "new": "3"}
    blob.patch(if_metageneration_match=1)
    found = bucket.get_blob("a")

    assert found is not None
    assert (found.metadata, found.metageneration) == ({"kept": "1", "new": "3"}, 2)
    found.metadata = {"only": "4"}
    found.update()
    assert (found.metadata, found.metageneration) == ({"only": "4"}, 3)


def test_deleted_objects_are_gone(bucket: Api) -> None:
    """Delete honours its precondition, then the object is not found, not even a second time."""
    blob = bucket.blob("a")
    blob.upload_from_string(b"x")

    with pytest.raises(errors.PreconditionFailed):
        bucket.blob("a").delete(if_generation_match=1)
    bucket.blob("a").delete(if_generation_match=blob.generation)

    assert not bucket.blob("a").exists()
    with pytest.raises(errors.NotFound, match="No such object: prompts/a"):
        bucket.blob("a").delete()


def test_an_old_generation_is_gone(bucket: Api) -> None:
    """After a replacement the old generation is not found; the new one is."""
    blob = bucket.blob("a")
    blob.upload_from_string(b"one")
    old = blob.generation
    bucket.blob("a").upload_from_string(b"two")

    with pytest.raises(errors.NotFound):
        bucket.blob("a", generation=old).download_as_bytes()

    assert bucket.blob("a").download_as_bytes() == b"two"


def test_gzip_objects_are_unpacked_or_not(bucket: Api) -> None:
    """A gzip object is downloaded unpacked, and packed by who asks for raw bytes."""
    packed = gzip.compress(b"line\n" * 100_000, mtime=0)
    blob = bucket.blob("log")
    blob.content_encoding = "gzip"
    blob.upload_from_string(packed)

    assert bucket.blob("log").download_as_bytes() == b"line\n" * 100_000
    assert bucket.blob("log").download_as_bytes(raw_download=True) == packed


def test_the_client_gets_through_bad_weather(bucket: Api, simulator: Simulator) -> None:
    """A 503 in the middle of an upload and a download cut short are survived by the client's own retries."""
    content = os.urandom(3 * QUANTUM_BYTES)
    simulator.faults.add(Fault(method="storage.uploads.put", action=Action.ACCEPT_THEN_REFUSE, skip=1))
    simulator.faults.add(Fault(method="storage.objects.download", action=Action.CUT, after_bytes=1000))

    blob = bucket.blob("a", chunk_size=QUANTUM_BYTES)
    blob.upload_from_file(io.BytesIO(content), if_generation_match=0)

    assert bucket.blob("a").download_as_bytes() == content
    assert simulator.faults.armed() == []


def test_a_store_without_an_answer_ends_in_412(bucket: Api, simulator: Simulator) -> None:
    """A 503 after the store is tried again by the client and refused: the object is there, and is ours."""
    simulator.faults.add(Fault(method="storage.objects.insert", action=Action.ACCEPT_THEN_REFUSE))

    with pytest.raises(errors.PreconditionFailed):
        bucket.blob("a").upload_from_string(b"mine", if_generation_match=0)

    assert bucket.blob("a").download_as_bytes() == b"mine"


def test_the_client_asks_for_its_rights(simulator: Simulator, bucket: Api) -> None:
    """All it asked for, less what it was denied; a bucket that is not there is a 404."""
    rights = ["storage.objects.create", "storage.objects.get", "storage.buckets.get"]
    before = bucket.test_iam_permissions(rights)
    simulator.access.deny("prompts", "storage.objects.create", "storage.objects.get")

    after = bucket.test_iam_permissions(rights)

    assert (before, after) == (rights, ["storage.buckets.get"])
    with pytest.raises(errors.NotFound):
        bucket.client.bucket("nowhere").test_iam_permissions(rights)


def test_the_client_is_refused_what_it_was_denied(simulator: Simulator, bucket: Api) -> None:
    """With Google's words; below a prefix that is left to it, it may."""
    simulator.access.deny("prompts", "storage.objects.create", except_below="mine/")

    bucket.blob("mine/a").upload_from_string(b"one")

    with pytest.raises(errors.Forbidden, match=r"does not have storage\.objects\.create access"):
        bucket.blob("theirs/a").upload_from_string(b"one")


def test_the_client_reads_and_writes_a_policy(bucket: Api) -> None:
    """What it sets it finds again."""
    policy = bucket.get_iam_policy(requested_policy_version=3)
    policy.bindings.append({"role": "roles/storage.objectAdmin", "members": {"user:me@example.com"}})
    bucket.set_iam_policy(policy)

    found = bucket.get_iam_policy(requested_policy_version=3)

    assert {"role": "roles/storage.objectAdmin", "members": {"user:me@example.com"}} in found.bindings
