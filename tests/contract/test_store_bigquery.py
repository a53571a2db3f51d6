"""The BigQuery store keeps the promise of every store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.contract.bigquery_client import PROJECT, bigquery, client_for
from vertexq.testing import StoreContract
from vertexq.testing.simulator import running_simulator


@pytest.fixture(scope="module")
def simulated_bigquery() -> Iterator[str]:
    """Run one simulated BigQuery for this file, with a dataset."""
    with running_simulator() as simulator:
        client = client_for(simulator.url)
        dataset = bigquery.Dataset(f"{PROJECT}.results")
        dataset.location = "europe-west4"
        client.create_dataset(dataset)
        client.close()
        yield simulator.url


class TestBigQueryStore(StoreContract):
    """A table of the test's own in one simulated dataset."""

    @pytest.fixture
    def store_url(self, simulated_bigquery: str) -> str:
        """Name a table nobody used."""
        return f"bigquery://{PROJECT}.results.t{uuid.uuid4().hex}?endpoint={simulated_bigquery}"
