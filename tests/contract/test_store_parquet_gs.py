"""The Parquet store on Cloud Storage keeps the promise of every store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from urllib.parse import quote
from urllib.request import urlopen

import orjson
import pytest

from vertexq.stores import Store
from vertexq.testing import StoreContract
from vertexq.testing.simulator import running_simulator
from vertexq.testing.store_rows import SUBMISSION


@pytest.fixture(scope="module")
def simulated_storage() -> Iterator[str]:
    """Run one simulated Cloud Storage for this file."""
    with running_simulator(buckets=["results"]) as simulator:
        yield simulator.url


class TestParquetGcsStore(StoreContract):
    """A prefix of the test's own in one simulated bucket."""

    finds_repeats_itself = False

    @pytest.fixture
    def storage_endpoint(self, simulated_storage: str) -> str:
        """Name the simulator."""
        self.endpoint = simulated_storage
        return simulated_storage

    @pytest.fixture
    def store_url(self) -> str:
        """Name a prefix nobody used."""
        return f"parquet+gs://results/{uuid.uuid4().hex}"

    def published(self, store: Store) -> object:
        """Return every object with its bytes."""
        prefix = quote(f"{store.location(SUBMISSION).removeprefix('gs://results/')}", safe="")
        bucket = f"{self.endpoint}/storage/v1/b/results/o"
        listed = orjson.loads(_get(f"{bucket}?prefix={prefix}"))["items"]
        objects = {
            item["name"]: _get(f"{bucket}/{quote(item['name'], safe='')}?alt=media") for item in listed
        }
        return {name: data for name, data in objects.items() if ".progress" not in name}


def _get(url: str) -> bytes:
    with urlopen(url) as answer:  # noqa: S310  (our own simulator)
        data: bytes = answer.read()
    return data
