"""The contract of every store for one that keeps files in a simulated Cloud Storage."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import quote
from urllib.request import urlopen

import orjson
import pytest

from vertexq.stores import Store
from vertexq.testing import StoreContract
from vertexq.testing.simulator import running_simulator
from vertexq.testing.store_rows import SUBMISSION


class GcsFilesContract(StoreContract):
    """A prefix of the test's own in one simulated bucket; a subclass names the ``scheme``."""

    finds_repeats_itself = False
    scheme: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def simulated_storage(cls) -> Iterator[str]:
        """Run one simulated Cloud Storage for all tests of a store."""
        with running_simulator(buckets=["results"]) as simulator:
            yield simulator.url

    @pytest.fixture
    def storage_endpoint(self, simulated_storage: str) -> str:
        """Name the simulator."""
        self.endpoint = simulated_storage
        return simulated_storage

    @pytest.fixture
    def store_url(self) -> str:
        """Name a prefix nobody used."""
        return f"{self.scheme}://results/{uuid.uuid4().hex}"

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
