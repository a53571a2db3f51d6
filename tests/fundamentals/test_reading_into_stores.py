"""Several stores for one submission: each has every row once, whichever was ahead when a worker died."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.outputs_house import answer, blocked, ended_job, read_by, write
from vertexq import Outcome, SubmissionState, steps
from vertexq.errors import Unreachable
from vertexq.simulator.behaviour import Behaviour
from vertexq.steps.storebook import StoreBook, T
from vertexq.stores.base import Store

STORES = ["results", "lines"]
ROWS = 40


class Failing(StoreBook):
    """Stores of which one cannot be reached once, in the place of a chosen write."""

    def __init__(self, book: StoreBook, name: str, *, before: int) -> None:
        vars(self).update(vars(book))  # the same opened stores
        self._name, self._left = name, before

    async def call(self, name: str, use: Callable[[Store], T]) -> T:
        """Run ``use``, but for one time."""
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                raise Unreachable(f"the store {name!r} is away")
        return await super().call(name, use)


@pytest.mark.parametrize("away", STORES)
@pytest.mark.parametrize("before", [1, 2, 3, 4])
async def test_a_store_that_is_away_for_a_moment_is_met_where_it_stands(
    house: House, away: str, before: int
) -> None:
    """Chunks that it has already are not written there again; the account is the primary's."""
    small = house.with_options(range_bytes=2_000, chunk_rows=3)
    lines = [*(blocked(n) for n in range(0, ROWS, 3)), *map(answer, range(ROWS))]
    with house.client() as client:
        batch = await ended_job(small, client, rows=ROWS, store=STORES)
        await write(small, batch, "predictions.jsonl", b"".join(lines))
        stores = Failing(house.services.stores, away, before=before)
        await steps.ingest(replace(small.services, stores=stores), batch.id)
        batch = await read_by(small, batch)
        await small.until_rest("read")
        for name in STORES:
            found = await house.services.stores.call(name, lambda store: list(store.results("read")))
            assert sorted(int(one.key) for one in found) == list(range(ROWS)), name
            assert all(one.ok for one in found), name
            spent = sum(round((one.cost_usd or 0) * 10**12) for one in found)
            assert spent == batch.cost_pusd == house.services.ledger.submission("read").cost_pusd


async def test_absent_rows_come_in_chunks_as_large_as_their_store_wants(house: House) -> None:
    """A store that asks for few large commits, as Parquet and BigQuery do, gets them here too."""
    house.simulator.behaviours.set(Behaviour(missing_rows=0.5))
    with house.client() as client:
        sent = client.submit([f"Say {n}" for n in range(ROWS)], model="gemini-2.5-flash", store="parquet")
        status = await house.with_options(chunk_rows=2).until_rest(sent.id)

    assert status.counts.missing > 2
    records = [json.loads(path.read_bytes()) for path in (house.home / "parquet").rglob(".progress/*.json")]
    assert [sum(len(part["pieces"]) for part in record["parts"]) for record in records] == [1, 1]


async def test_absent_rows_are_named_in_every_store(house: House) -> None:
    """From the first hint to the end, with every hint doubled."""
    house.simulator.behaviours.set(Behaviour(missing_rows=0.2, bad_rows=0.2, incremental_rows=7))
    with house.client() as client:
        sent = client.submit([f"Say {n}" for n in range(ROWS)], model="gemini-2.5-flash", store=STORES)
        status = await house.muddled(Random(5)).until_rest(sent.id)

    assert status.state is SubmissionState.DONE
    for name in STORES:
        found = await house.services.stores.call(name, lambda store: list(store.results(sent.id)))
        outcomes = [one.outcome for one in found]
        assert len(outcomes) == ROWS
        assert outcomes.count(Outcome.MISSING) == status.counts.missing > 0
