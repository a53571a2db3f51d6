"""The JSONL store on Cloud Storage: a bucket that is not there, a writer that should be dead."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vertexq.errors import StaleFence, StoreRefused
from vertexq.stores import Store, open_store
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
