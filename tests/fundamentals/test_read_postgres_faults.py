"""An ingest whose PostgreSQL dies in the middle of a COPY, or whose COMMIT is never answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.contract.wire import Wire
from tests.fundamentals.creating import happens
from tests.fundamentals.house import House
from tests.fundamentals.outputs_house import answer, ended_job, write
from vertexq import SubmissionState, steps
from vertexq.embedded.postgres import Postgres
from vertexq.model import Batch
from vertexq.states import BatchState
from vertexq.steps.storebook import StoreBook
from vertexq.testing.servers import postgres_server

ROWS = 400
DATA = b"".join(answer(number, "words " * 300) for number in range(ROWS))


@pytest.fixture
def server() -> Iterator[Postgres]:
    """Run a PostgreSQL that the test may kill."""
    with postgres_server() as running:
        yield running


@asynccontextmanager
async def _landing_in(house: House, url: str) -> AsyncGenerator[House]:
    """Yield the house with results in PostgreSQL."""
    stores = StoreBook({"results": url})
    try:
        yield replace(house, services=replace(house.services, stores=stores))
    finally:
        await stores.close()


async def _written(house: House) -> Batch:
    with house.client() as client:
        batch = await ended_job(house, client, rows=ROWS)
    await write(house, batch, "predictions.jsonl", DATA)
    return batch


async def _whole(house: House, batch: Batch, url: str) -> None:
    """Go on to the end and hold every row to being in the table once."""
    status = await house.until_rest(batch.submission_id)

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, ROWS)
    with psycopg.connect(url) as reader:
        keys = [key for (key,) in reader.execute("SELECT key FROM vertexq_results")]
    assert sorted(keys, key=int) == [str(number) for number in range(ROWS)]
    assert house.services.ledger.batch(batch.id).counts.total == ROWS


@pytest.mark.parametrize("hold_after_bytes", [70_000, 200_000])
async def test_a_server_that_dies_in_the_middle_of_a_copy_costs_a_chunk(
    house: House, server: Postgres, hold_after_bytes: int
) -> None:
    """`pg_ctl stop -m immediate` while rows go in: when it is back the chunk goes in again, each row once."""
    url = server.url
    with Wire(urlsplit(url).port or 0) as wire:
        async with _landing_in(house.with_options(chunk_rows=150), wire.through(url)) as landing:
            batch = await _written(landing)
            wire.hold_after_bytes = hold_after_bytes
            work = asyncio.create_task(steps.ingest(landing.services, batch.id))
            await happens(wire.held.is_set)
            copying = _copying(url)
            await asyncio.to_thread(server.stop, immediate=True)
            await work
            wire.hold_after_bytes = None
            await asyncio.to_thread(server.start)
            wire.server_port = urlsplit(server.url).port or 0
            await _whole(landing, batch, server.url)

    assert copying == 1


def _copying(url: str) -> int:
    """Return how many connections are in the middle of a COPY."""
    with psycopg.connect(url) as admin:
        query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'"
        (found,) = admin.execute(query).fetchone() or (0,)
    return int(found)


@pytest.mark.parametrize("every", [2, 3])
async def test_commits_whose_answer_is_lost_have_taken_effect_once(
    house: House, postgres_url: str, every: int
) -> None:
    """The connection ends in place of the answer: the table is asked how far it is; nothing is doubled."""
    with Wire(urlsplit(postgres_url).port or 0) as wire:
        async with _landing_in(house.with_options(chunk_rows=40), wire.through(postgres_url)) as landing:
            batch = await _written(landing)
            wire.cut_every = every
            await landing.until(lambda: landing.services.ledger.batch(batch.id).state is BatchState.INGESTED)
            wire.cut_every = 0
            await _whole(landing, batch, postgres_url)

    assert wire.cuts > 0
