"""The JSONL store on Cloud Storage: a bucket that is not there, a writer that should be dead."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from io import BytesIO

import pytest

from vertexq.errors import StaleFence, StoreRefused
from vertexq.model import GcsUri
from vertexq.steps.storebook import StoreBook
from vertexq.stores import Store, open_store
from vertexq.stores.parts_gs import GcsShelf
from vertexq.testing.simulator import running_simulator
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, chunk, row, source_range


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Run one simulated Cloud Storage for this file."""
    with running_simulator(buckets=["results"]) as simulator:
        yield simulator.url


def _store(endpoint: str, name: str) -> Store:
    return open_store(f"jsonl+gs://results/{name}", storage_endpoint=endpoint)


def test_a_missing_bucket_is_said_by_name(endpoint: str) -> None:
    """Before anything is written."""
    with (
        pytest.raises(StoreRefused, match="no-such-bucket"),
        open_store("jsonl+gs://no-such-bucket/x", storage_endpoint=endpoint) as store,
    ):
        store.progress(source_range())


@pytest.mark.parametrize("url", ["jsonl+gs://no-such-bucket/x", "bigquery://p.no_such_dataset.t"])
async def test_a_worker_that_tries_again_keeps_no_connection_of_a_failed_try(endpoint: str, url: str) -> None:
    """A store that is not there is tried for hours; what a try left open would be an error here."""
    stores = StoreBook({"results": url}, storage_endpoint=endpoint, bigquery_endpoint=endpoint)
    for _ in range(3):
        with pytest.raises(StoreRefused, match=r"no dataset|no-such"):
            await stores.call("results", lambda store: store.url)
    await stores.close()
    gc.collect()


def test_a_zombie_overwrites_nothing(endpoint: str) -> None:
    """A writer with an older token may upload what it wants: the committed part keeps its bytes."""
    with _store(endpoint, "zombie") as zombie, _store(endpoint, "zombie") as successor:
        successor.write(chunk(row("a", text="committed")), fence=2)
        with pytest.raises(StaleFence):
            zombie.write(chunk(row("a", text="stale")), fence=1)
        successor.write(chunk(row("b"), start=STEP_BYTES), fence=2)
        successor.finish(SUBMISSION)

        found = {result.key: result.text for result in zombie.results(SUBMISSION)}

    assert found == {"a": "committed", "b": None}


def test_an_upload_that_was_there_is_the_same_upload(endpoint: str) -> None:
    """Its answer may have been lost: a part's name says which bytes it holds."""
    shelf = GcsShelf(GcsUri.parse("gs://results/again"), storage_endpoint=endpoint)
    name = shelf.file_name("part-x", ".jsonl", fence=1, crc32c="364b3fb7")  # crc32c of "abc"

    generations = {shelf.put("s", name, BytesIO(b"abc")) for _ in range(2)}

    shelf.close()
    assert len(generations) == 1


def test_other_bytes_under_the_same_name_are_an_error(endpoint: str) -> None:
    """Nothing is overwritten, and nothing is taken for what it is not."""
    shelf = GcsShelf(GcsUri.parse("gs://results/other"), storage_endpoint=endpoint)
    name = shelf.file_name("part-x", ".jsonl", fence=1, crc32c="364b3fb7")
    shelf.publish("s", name, b"something else")

    with pytest.raises(StoreRefused, match="holds other bytes"):
        shelf.put("s", name, BytesIO(b"abc"))

    shelf.close()
