"""The same deaths with results that land in BigQuery, where a commit is a job of somebody else's service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.reading import (
    BUCKET,
    LIFE_S,
    MANIFEST,
    OUTPUT,
    enter,
    faults_of,
    manifest,
    start,
    upload,
)
from tests.acceptance.test_ingest_kills import ROWS, WANTED, killed_everywhere, objects, site_of
from tests.contract.bigquery_client import PROJECT, bigquery, client_for
from vertexq.ledger import Ledger
from vertexq.simulator.server import Simulator
from vertexq.testing import running_simulator


@pytest.fixture(scope="module")
def google() -> Iterator[Simulator]:
    """Run one simulator with the output of all jobs, and a dataset."""
    with running_simulator(buckets=[BUCKET]) as simulator:
        output = {OUTPUT.join(name): data for name, data in objects().items()}
        asyncio.run(upload(simulator.url, {MANIFEST: manifest(ROWS), **output}))
        client = client_for(simulator.url)
        client.create_dataset(bigquery.Dataset(f"{PROJECT}.d"))
        client.close()
        yield simulator


def _stores(google: Simulator, table: str) -> dict[str, str]:
    return {"a": f"bigquery://{PROJECT}.d.{table}?endpoint={google.url}"}


@pytest.mark.timeout(600)
def test_every_row_is_there_once_wherever_a_worker_dies(google: Simulator, tmp_path: Path) -> None:
    """One process dies at the n-th point, the next one ends the work."""
    assert killed_everywhere(site_of(google, tmp_path, _stores(google, "killed"))) > 20


@pytest.mark.timeout(300)
def test_every_task_may_come_twice_and_out_of_order(google: Simulator, tmp_path: Path) -> None:
    """Three hands of one process and another process work on the same submission."""
    site = site_of(google, tmp_path, _stores(google, "muddled"))
    with closing(Ledger.open(site.ledger_url)) as ledger:
        enter(ledger, "muddled", rows=ROWS, store="a")
    readers = [start(site, "muddled", hands=3, seed=1), start(site, "muddled", hands=2, seed=10)]
    for reader in readers:
        reader.join(LIFE_S)

    assert [reader.exitcode for reader in readers] == [0, 0]
    assert faults_of(site, "muddled", WANTED, ["a"]) == []
