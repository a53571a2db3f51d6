"""The BigQuery store keeps the promise of every store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.contract.bigquery_client import PROJECT, bigquery, client_for
from vertexq.testing import StoreContract
from vertexq.testing.simulator import running_simulator
from vertexq.testing.store_crashes import NEWEST


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

    keeps_numbers_whole = True

    @pytest.fixture
    def store_url(self, simulated_bigquery: str) -> str:
        """Name a table nobody used."""
        return f"bigquery://{PROJECT}.results.t{uuid.uuid4().hex}?endpoint={simulated_bigquery}"

    def narrow(self, store_url: str) -> None:
        """Drop the newest columns of both tables."""
        name, _, endpoint = store_url.removeprefix("bigquery://").partition("?endpoint=")
        client = client_for(endpoint)
        for table in (name, f"{name}_landing"):
            for column in NEWEST:
                client.query_and_wait(f"ALTER TABLE `{table}` DROP COLUMN {column}")
        client.close()
