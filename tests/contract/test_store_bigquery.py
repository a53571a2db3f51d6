"""The BigQuery store keeps the promise of every store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.bigquery_client import PROJECT, bigquery, client_for
from vertexq.stores.columns import result_of
from vertexq.testing import StoreContract, StoreLayoutContract
from vertexq.testing.simulator import running_simulator
from vertexq.testing.store_crashes import NEWEST
from vertexq.testing.store_fixtures import StoreFixtures
from vertexq.testing.store_rows import SUBMISSION, chunk, full_row


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


class OneTable(StoreFixtures):
    """A table of the test's own in one simulated dataset."""

    @pytest.fixture
    def store_url(self, simulated_bigquery: str) -> str:
        """Name a table nobody used."""
        return f"bigquery://{PROJECT}.results.t{uuid.uuid4().hex}?endpoint={simulated_bigquery}"


class TestBigQueryLayout(OneTable, StoreLayoutContract):
    """With columns that the URL names."""

    def test_only_the_columns_that_were_named_are_kept(self, wanting: Any) -> None:
        """In the table; what has landed beside it has all of them, and is read while it is there."""
        with wanting("key:id,text:answer") as store:
            store.write(chunk(full_row("a")), fence=1)
            for _ in range(2):
                assert list(store.results(SUBMISSION)) == [result_of(full_row("a"))]
                store.finish(SUBMISSION)


class TestBigQueryStore(OneTable, StoreContract):
    """With all columns."""

    keeps_numbers_whole = True

    def narrow(self, store_url: str) -> None:
        """Drop the newest columns of both tables."""
        name, _, endpoint = store_url.removeprefix("bigquery://").partition("?endpoint=")
        client = client_for(endpoint)
        for table in (name, f"{name}_landing"):
            for column in NEWEST:
                client.query_and_wait(f"ALTER TABLE `{table}` DROP COLUMN {column}")
        client.close()
