"""The same deaths when the output is a table: at each point in turn while its rows are read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from tests.acceptance.reading import BUCKET, LIFE_S, MANIFEST, Site, enter, faults_of, manifest, start, upload
from tests.acceptance.test_ingest_kills import ROWS, WANTED, killed_everywhere, objects, site_of
from tests.contract.bigquery_client import PROJECT, Api, bigquery, client_for
from vertexq.ledger import Ledger
from vertexq.simulator.server import Simulator
from vertexq.testing import running_simulator

DATASET = f"{PROJECT}.written"
COLUMNS = {"key": "STRING", "request": "JSON", "response": "JSON", "status": "STRING"}


@pytest.fixture(scope="module")
def google() -> Iterator[Simulator]:
    """Run one simulated Google with a dataset."""
    with running_simulator(buckets=[BUCKET]) as simulator:
        asyncio.run(upload(simulator.url, {MANIFEST: manifest(ROWS)}))
        client = client_for(simulator.url)
        made = bigquery.Dataset(DATASET)
        made.location = "us-central1"
        client.create_dataset(made)
        _write(client, "out")
        client.close()
        yield simulator


def _write(client: Api, table: str) -> None:
    """Write a table with what a job's files would hold."""
    lines = b"".join(objects().values()).splitlines()
    schema = [bigquery.SchemaField(name, kind) for name, kind in COLUMNS.items()]
    config = bigquery.LoadJobConfig(schema=schema)
    client.load_table_from_json(
        [orjson.loads(line) for line in lines], f"{DATASET}.{table}", job_config=config
    ).result()


def _site(google: Simulator, home: Path) -> Site:
    site = site_of(google, home, {"a": f"sqlite:///{home}/results.db", "b": f"jsonl:///{home}/lines"})
    return replace(site, options={"range_bytes": 50_000, "chunk_rows": 5.0})


@pytest.mark.timeout(300)
def test_every_row_is_there_once_wherever_a_worker_dies(google: Simulator, tmp_path: Path) -> None:
    """One process dies at the n-th point, the next one ends the work."""
    assert killed_everywhere(_site(google, tmp_path), output=f"bq://{DATASET}.out") > 20


@pytest.mark.timeout(120)
def test_every_task_may_come_twice_and_out_of_order(google: Simulator, tmp_path: Path) -> None:
    """Three hands of one process and another process work on the same submission."""
    site = _site(google, tmp_path)
    with closing(Ledger.open(site.ledger_url)) as ledger:
        enter(ledger, "muddled", rows=ROWS, store="a,b", directories=[f"bq://{DATASET}.out"])
    readers = [start(site, "muddled", hands=3, seed=1), start(site, "muddled", hands=2, seed=10)]
    for reader in readers:
        reader.join(LIFE_S)

    assert [reader.exitcode for reader in readers] == [0, 0]
    assert faults_of(site, "muddled", WANTED, ["a", "b"]) == []
